"""Nodes are shown as they are written, and full keys are OmegaConf's own."""

from omegaconf import OmegaConf

from videxp.config.nodes import interpolations, raw_value

CONFIG = OmegaConf.create(
    {
        "a": {"b": "${x}", "c": [1, "${x}", {"d": "~/${oc.env:HOME}"}], "none": None, "missing": "???"},
        "whole": "${a}",
        "x": 3,
        "lists": [["${whole}"]],
    }
)


def test_each_interpolation_has_its_text_and_full_key():
    found = {full_key: raw_value(parent, key) for parent, key, full_key in interpolations(CONFIG)}
    assert found == {
        "a.b": "${x}",
        "a.c[1]": "${x}",
        "a.c[2].d": "~/${oc.env:HOME}",
        "whole": "${a}",
        "lists[0][0]": "${whole}",
    }
    for parent, key, full_key in interpolations(CONFIG):
        assert full_key == parent._get_full_key(key)


def test_what_is_missing_or_none_is_no_error():
    assert (raw_value(CONFIG.a, "missing"), raw_value(CONFIG.a, "none"), raw_value(CONFIG.a, "c")[0]) == (
        "???",
        None,
        1,
    )
