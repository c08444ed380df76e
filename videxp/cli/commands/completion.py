"""Tab completion: commands and recipes are ours, keys and values are Hydra's.

eval "$(videxp -sc install=bash)" makes the shell ask `videxp -sc query=bash` with the line so far in COMP_LINE.
"""

import os

from videxp import config
from videxp.cli import command_names
from videxp.core.errors import BadRequest

SUMMARY = 'install=bash|zsh|fish     tab completion: eval "$(videxp completion install=bash)"'
WITH_OVERRIDES = {"train", "check", "bench"}


def main(arguments: list[str]) -> int:
    action = arguments[0] if arguments else ""
    if not action.startswith(("install=", "uninstall=", "query=")):
        raise BadRequest(f"completion {action}: expected install=bash, uninstall=bash (or zsh, fish)")
    if action.startswith("query="):
        return _query(action, os.environ.get("COMP_LINE", ""))
    return config.run_hydra_flag(config.recipes()[0].name, ["-sc", action])


def _query(action: str, line: str) -> int:
    """Print the candidates for the last word of `line`."""
    words = line.split()
    last = "" if line.endswith(" ") else words.pop()
    if len(words) <= 1:
        print(" ".join(name for name in command_names() if name.startswith(last)))
    elif words[1] in WITH_OVERRIDES and len(words) == 2:
        print(" ".join(choice.name for choice in config.recipes() if choice.name.startswith(last)))
    elif words[1] in WITH_OVERRIDES:
        os.environ["COMP_LINE"] = " ".join([words[0], f"experiments={words[2]}", *words[3:], last])
        return config.run_hydra_flag(words[2], ["-sc", action])
    return 0  # other commands take files: the shell completes those
