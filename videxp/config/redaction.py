"""Keys whose values are never written or shown."""

import re
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from videxp.core.secrets import REDACTED, known_secrets, remember, scrubbed

# Keys whose value is never written, however it came into the config. `num_tokens` and `cls_token_std` are none.
SECRET_KEY = re.compile(
    r"(^|_)(api_?key|password|passwd|passphrase|secret|(secret|private|access)_?key|credentials?"
    r"|(access|auth|api|hf|github|bearer)_?token)$|^token$",
    re.I,
)


def redacted(value: Any) -> Any:
    """The same plain value with the text under secret keys blotted out, and known secrets wherever they turn up;
    interpolations are no secret."""
    return _redacted(value, known_secrets())


def _redacted(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {k: _hidden(v) if _is_secret(k, v) else _redacted(v, secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [_redacted(item, secrets) for item in value]
    return scrubbed(value, secrets) if isinstance(value, str) else value


def redacted_overrides(overrides: list[str]) -> list[str]:
    """`logger.wandb.api_key=abc` -> `logger.wandb.api_key=<redacted>`; also inside `{...}`."""
    shown = []
    for text in overrides:
        key, equals, value = text.partition("=")
        name = key.lstrip("+~")
        if equals and _is_secret(name.split(".")[-1], value):
            for secret in _texts_in(_value(text)):
                remember(secret)
            shown.append(f"{key}={REDACTED}")
        else:
            redacted(_value(text))  # what lies under a secret key inside braces is remembered
            shown.append(f"{key}={scrubbed(value)}" if equals else text)
    return shown


def redacted_keys(value: Any, prefix: str = "") -> list[str]:
    """The full keys of a plain config whose values were blotted out when it was written."""
    if isinstance(value, dict):
        return [found for k, v in value.items() for found in redacted_keys(v, f"{prefix}.{k}" if prefix else str(k))]
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in redacted_keys(item, f"{prefix}[{i}]")]
    return [prefix] if isinstance(value, str) and REDACTED in value else []


def _hidden(value: str) -> str:
    remember(value)
    return REDACTED


def _is_secret(key: Any, value: Any) -> bool:
    return isinstance(value, str) and bool(SECRET_KEY.search(str(key))) and not value.startswith("${")


def _value(text: str) -> Any:
    """An override's value as Hydra reads it, or as typed where it cannot be read."""
    try:
        return OverridesParser.create().parse_override(text).value()
    except HydraException:
        return text.partition("=")[2]


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts_in(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts_in(item)]
    return [str(value)]
