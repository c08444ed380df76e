"""Programs of the system that some tests use. Tests install none: `make system-deps` does."""

import os
from typing import NoReturn

import pytest


def skip_incomplete(reason: str) -> NoReturn:
    """Skip the test, or fail it where VIDEXP_TESTS_COMPLETE is set, as in CI."""
    (pytest.fail if os.environ.get("VIDEXP_TESTS_COMPLETE") else pytest.skip)(reason)
