"""Methods that Hydra has for sources of configs, without a promise: each fails by its name where one has changed."""

import inspect

import pytest
from hydra.plugins.config_source import ConfigSource


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_normalize_file_name", ["filename"]),
        ("_get_header_dict", ["config_text"]),
        ("_list_add_result", ["self", "files", "file_path", "file_name", "results_filter"]),
    ],
)
def test_hydra_still_has(name: str, arguments: list[str]):
    assert list(inspect.signature(getattr(ConfigSource, name)).parameters) == arguments
