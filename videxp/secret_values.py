"""Secrets as values: what must not be written, whatever key, message or diff it turns up in.

Three sources: what this machine is known to keep secret (variables named like `WANDB_API_KEY`, ./.env, .netrc), what
the process has met under a secret key (`remember`), and text that has the form of a credential.
"""

import logging
import netrc
import os
import re
from pathlib import Path

REDACTED = "<redacted>"
SECRET_NAME = re.compile(
    r"(^|[_.-])(api_?key|access_?key|private_?key|secret_?key|key|secrets?|pass(word|wd|phrase)?|pw|"
    r"(\w+_)?token|credentials?|pat)$",
    re.I,
)
MIN_CHARACTERS = 8  # shorter values would blot out half of every text
MAX_FILE_BYTES = 1 << 16

_met: set[str] = set()

_PATTERNS = [
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), REDACTED),
    (re.compile(r"(\w://[^\s/:@\"']*:)[^\s/@\"']+@"), rf"\1{REDACTED}@"),
    (
        re.compile(
            r"\b(sk-[\w-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}"
            r"|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
        ),
        REDACTED,
    ),
]
_ASSIGNED = re.compile(r"([\w.-]+)([\"']?\s*[:=]\s*)([\"']?)([^\s\"',;(){}\[\]]+)")


def remember(value: object) -> None:
    """A value met under a secret key: from now on it is blotted out of every text."""
    if isinstance(value, str) and _is_worth_hiding(value):
        _met.add(value)


def remember_if_secret(name: str, value: object) -> None:
    """The same for a value that is a secret by its name or by its looks."""
    if isinstance(value, str) and (SECRET_NAME.search(name) or looks_random(value)):
        remember(value)


def looks_random(text: str) -> bool:
    """`a8Kd93kQw0aaLm12` does; paths, words, numbers and dotted names do not."""
    return (
        re.fullmatch(r"[A-Za-z0-9_+=-]{12,}", text) is not None
        and any(c.isdigit() for c in text)
        and sum(c.isalpha() for c in text) >= 3
    )


def known_secrets() -> list[str]:
    """Values that are secret on this machine or were met in this process, the longest first."""
    values = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and name not in ("PWD", "OLDPWD")}
    for path in sorted(Path.cwd().glob(".env*")):
        values |= {value for name, value in _dotenv(path).items() if SECRET_NAME.search(name) or looks_random(value)}
    for name in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc", ".netrc"):
        values |= _netrc_passwords(Path(name).expanduser()) if name else set()
    return sorted(_met | {value for value in values if _is_worth_hiding(value)}, key=len, reverse=True)


def scrubbed(text: str, secrets: list[str] | None = None) -> str:
    """The text with every known secret, and all that has the form of one, replaced by `<redacted>`."""
    for secret in known_secrets() if secrets is None else secrets:
        text = text.replace(secret, REDACTED)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _ASSIGNED.sub(_without_assigned_secret, text)


class ScrubbingFormatter(logging.Formatter):
    """Log lines, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def _without_assigned_secret(match: re.Match[str]) -> str:
    """`API_KEY = "a8Kd93kQw0aaLm12"` in a diff or a message; `token = tokenizer.next(2)` is code and stays."""
    name, between, quote, value = match.groups()
    is_secret = SECRET_NAME.search(name) and (looks_random(value) or (quote and len(value) >= MIN_CHARACTERS))
    return f"{name}{between}{quote}{REDACTED}" if is_secret else match[0]


def _is_worth_hiding(value: str) -> bool:
    """No switch, number, path of this machine or short word: blotting those out would hide what is no secret."""
    if len(value) < MIN_CHARACTERS or value == REDACTED or "${" in value:
        return False
    if value.isdecimal() or (value.isalpha() and value.islower() and len(value) < 2 * MIN_CHARACTERS):
        return False
    return not (value.startswith(("/", "~", "./")) and os.path.exists(os.path.expanduser(value)))


def _dotenv(path: Path) -> dict[str, str]:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}


def _netrc_passwords(path: Path) -> set[str]:
    try:
        return {password for _, _, password in netrc.netrc(str(path)).hosts.values() if password}
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return set()
