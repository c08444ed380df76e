"""Secrets as values: what must not be written, whatever key, message or diff it turns up in.

Three sources: what this machine is known to keep secret (variables named like `WANDB_API_KEY`, ./.env, .netrc), what
the process has met under a secret key (`remember`), and text that has the form of a credential.
"""

import logging
import netrc
import os
import re
from functools import lru_cache
from pathlib import Path

REDACTED = "<redacted>"
SECRET_NAME = re.compile(
    r"(^|[_.-])(api_?key|access_?key|private_?key|secret_?key|key|secrets?|pass(word|wd|phrase)?|pw|"
    r"(\w+_)?token|credentials?|pat)$",
    re.I,
)
MIN_CHARACTERS = 8  # shorter values would blot out half of every text: they are looked for as whole words
MIN_WORD_CHARACTERS = 4
MAX_FILE_BYTES = 1 << 16
# What stands for a password where none is needed, and words that every text of ours has.
NO_SECRET = re.compile(
    r"admin|changeme|default|dummy|example|false|localhost|none|null|password|placeholder|root|secret|test|token|train"
    r"|true|user|valid|video|videxp|wandb",
    re.I,
)

_met: set[str] = set()

# Each reads a text in linear time: what may be long is bounded, or begins where nothing of its kind stands before.
_PATTERNS = [
    (
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.S),
        REDACTED,
    ),
    (re.compile(r"(\w://[^\s/:@\"']{0,200}:)[^\s/@\"']{1,500}@"), rf"\1{REDACTED}@"),
    (
        re.compile(
            r"([?&](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|policy|key-pair-id"
            r"|awsaccesskeyid|googleaccessid|(?:\w{1,40}[_-])?(?:token|key|secret|password|auth|code))=)[^\s&\"'#<>]+",
            re.I,
        ),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(r"(\bauthorization[\"']?\s{0,5}[:=]\s{0,5}[\"']?(?:\w{1,20}\s{1,5})?)[^\s\"',<>]{4,}", re.I),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(\b(?:bearer|basic)\s{1,5})(?=[^\s\"',<>]{0,200}\d)[^\s\"',<>]{8,}", re.I), rf"\1{REDACTED}"),
    (
        re.compile(
            r"(?:\b|(?<=\\[nrt]))(sk-[\w-]{16,}"
            r"|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}"
            r"|glpat-[\w-]{16,}|A[KS]IA[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{10,400}\.[\w-]{10,5000}\.[\w-]*)"
        ),
        REDACTED,
    ),
]
_NAME = re.compile(r"(?<![\w.-])([\w.-]{1,100})[\"']?\s{0,5}[:=]\s{0,5}([\"']?)")
_VALUE = re.compile(r"[^\s\"',;(){}\[\]]+")
MAX_LOOKED_AT = 1000  # characters of a value, to tell whether it is a key


def remember(value: object) -> None:
    """A value met under a secret key: from now on it is blotted out of every text."""
    if isinstance(value, str) and _is_a_word_to_hide(value):
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
    named = {value for name, value in os.environ.items() if SECRET_NAME.search(name) and name not in ("PWD", "OLDPWD")}
    found = (
        _met | {value for value in named if _is_a_word_to_hide(value)} | _secrets_in_files(Path.cwd(), *_netrc_files())
    )
    return sorted(found, key=len, reverse=True)


def scrubbed(text: str, secrets: list[str] | None = None) -> str:
    """The text with every known secret, and all that has the form of one, replaced by `<redacted>`."""
    for secret in known_secrets() if secrets is None else secrets:
        if secret not in text:
            continue
        if _is_worth_hiding(secret):
            text = text.replace(secret, REDACTED)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _without_assigned_secrets(text)


class ScrubbingFormatter(logging.Formatter):
    """Log lines, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def _without_assigned_secrets(text: str) -> str:
    """`API_KEY = "a8Kd93kQw0aaLm12"` in a diff or a message; `token = tokenizer.next(2)` is code and stays."""
    parts, done = [], 0
    for match in _NAME.finditer(text):
        if match.end() < done or not SECRET_NAME.search(match[1]):
            continue
        value = _VALUE.match(text, match.end(), match.end() + MAX_LOOKED_AT)
        if value and (_begins_random(value[0]) or (match[2] and len(value[0]) >= MIN_CHARACTERS)):
            whole = _VALUE.match(text, match.end())
            assert whole is not None
            parts += [text[done : match.end()], REDACTED]
            done = whole.end()
    return "".join([*parts, text[done:]])


def _begins_random(value: str) -> bool:
    return looks_random(re.split(r"[^\w+=-]", value, maxsplit=1)[0])


def _is_worth_hiding(value: str) -> bool:
    """No switch, number, path of this machine or short word: blotting those out would hide what is no secret."""
    if len(value) < MIN_CHARACTERS or value == REDACTED or "${" in value:
        return False
    if value.isdecimal() or (value.isalpha() and value.islower() and len(value) < 2 * MIN_CHARACTERS):
        return False
    return not _is_a_path(value)


def _is_a_word_to_hide(value: str) -> bool:
    """May a short password, `hunter2`, be blotted out where it stands as a whole word?"""
    if len(value) < MIN_WORD_CHARACTERS + 2 * value.isdecimal() or value == REDACTED or "${" in value:
        return False
    return NO_SECRET.fullmatch(value) is None and not _is_a_path(value)


def _is_a_path(value: str) -> bool:
    return value.startswith(("/", "~", "./")) and os.path.exists(os.path.expanduser(value))


@lru_cache(maxsize=4)
def _secrets_in_files(folder: Path, *netrc_files: Path) -> frozenset[str]:
    """Read once for each folder that a process works in."""
    values: set[str] = set()
    for path in sorted(folder.glob(".env*")):
        for name, value in _dotenv(path).items():
            if SECRET_NAME.search(name):
                values |= {value} if _is_a_word_to_hide(value) else set()
            elif looks_random(value) and _is_worth_hiding(value):
                values.add(value)
    for path in netrc_files:
        values |= {value for value in _netrc_passwords(path) if _is_a_word_to_hide(value)}
    return frozenset(values)


def _netrc_files() -> list[Path]:
    names = (os.environ.get("NETRC"), "~/.netrc", "~/_netrc", ".netrc")
    return [Path(os.path.expanduser(name)).absolute() for name in names if name]


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
