"""git, asked to look at a repository that may have come from anyone, as an unpacked archive: none of its programs run.

A repository's own config may name programs that git runs as soon as it compares files (`filter.NAME.clean`,
`core.fsmonitor`, hooks, diff drivers, helpers that fetch missing objects). What the user's own config says of a filter
(git-lfs's, for one) holds.
"""

import os
import subprocess
from pathlib import Path

PROGRAMLESS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "protocol.allow": "never",
}
# Files are only read: neither the index is written, which calls a hook, nor is a missing object fetched.
ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
# A submodule has a config of its own, so nothing is asked of its files.
DIFF = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty"]
OWN_SCOPES = ("system", "global", "command")


def git(folder: Path, *arguments: str) -> str:
    """What git prints. Raises OSError where there is no git, CalledProcessError where git fails."""
    return _run(folder, arguments, {**PROGRAMLESS, **_trusted_filters(folder)})


def diff(root: Path, *arguments: str) -> str:
    """`git diff` with the names of files from the root on. Raises as `git` does."""
    return git(root, *DIFF, *arguments)


def _trusted_filters(folder: Path) -> dict[str, str]:
    """Each filter that the repository's config names, as the user's own config has it: else it runs nothing."""
    try:
        listed = _run(folder, ["config", "--null", "--show-scope", "--get-regexp", r"^filter\."], PROGRAMLESS)
    except subprocess.CalledProcessError:
        return {}  # no filters
    fields = listed.split("\0")
    found = [(scope, *entry.partition("\n")[::2]) for scope, entry in zip(fields[::2], fields[1::2])]
    named = {key: "false" if key.endswith(".required") else "" for _, key, _ in found}
    return named | {key: value for scope, key, value in found if scope in OWN_SCOPES}


def _run(folder: Path, arguments: list[str] | tuple[str, ...], config: dict[str, str]) -> str:
    settings = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    environment = {**os.environ, **ENVIRONMENT, **settings}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")
