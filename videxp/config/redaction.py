"""Keys whose values are never written or shown."""

import re
from typing import Any

REDACTED = "<redacted>"
# Keys whose value is never written, however it came into the config. `num_tokens` and `cls_token_std` are none.
SECRET_KEY = re.compile(
    r"(^|_)(api_?key|password|passwd|secret|secret_key|(access|auth|api|hf|github)_?token)$|^token$", re.I
)


def redacted(value: Any) -> Any:
    """The same plain value with the text under secret keys blotted out; interpolations are no secret."""
    if isinstance(value, dict):
        return {k: REDACTED if _is_secret(k, v) else redacted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [redacted(item) for item in value]
    return value


def redacted_overrides(overrides: list[str]) -> list[str]:
    """`logger.wandb.api_key=abc` -> `logger.wandb.api_key=<redacted>`."""
    shown = []
    for text in overrides:
        key, equals, value = text.partition("=")
        secret = equals and _is_secret(key.split(".")[-1].lstrip("+~"), value)
        shown.append(f"{key}={REDACTED}" if secret else text)
    return shown


def _is_secret(key: Any, value: Any) -> bool:
    return isinstance(value, str) and bool(SECRET_KEY.search(str(key))) and not value.startswith("${")
