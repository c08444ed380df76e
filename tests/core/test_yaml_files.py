"""YAML from anyone takes bounded time and memory, and a message says the line."""

import random
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from tests.shrink import tiny
from videxp import cli
from videxp.config import compose, load_resolved, save_resolved
from videxp.core.errors import BadRequest
from videxp.core.yaml_files import MAX_DEPTH, Growth, read_yaml, read_yaml_text

ALIASES = "b0: &b0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"b{i}: &b{i} [{','.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
BOMBS = {
    "aliases of aliases": (ALIASES, "line 6: its aliases, written out, are more than 200,000 values"),
    "an alias of itself": ("a: &a [*a]\n", r"line 1: \*a stands for nothing before it"),
    "brackets without end": ("a: " + "[" * 900 + "]" * 900 + "\n", f"line 1: it is nested more than {MAX_DEPTH} deep"),
    "a mapping without end": ("a: " + "{a: " * 100_000 + "\n", f"line 1: it is nested more than {MAX_DEPTH} deep"),
    "a number without end": ("a: 1" + ":59" * 200_000 + "\n", "line 1: a number of 600001 characters"),
    "text without end": ("a: " + "x" * (5 << 20) + "\n", "more than 4,194,304 characters"),
}
INTERPOLATIONS = "b0: xxxxxxxxxx\n" + "".join(f"b{i}: ${{b{i - 1}}}${{b{i - 1}}}\n" for i in range(1, 40))
LISTS = "b0: [1, 2]\n" + "".join(f"b{i}: ['${{b{i - 1}}}', '${{..b{i - 1}}}']\n" for i in range(1, 40))


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_grow_is_refused_before_anything_is_built(name: str, tmp_path: Path):
    text, message = BOMBS[name]
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(Growth, match=message):
        read_yaml_text(tmp_path / "a.yaml")


def test_an_honest_file_with_anchors_is_read_as_yaml_reads_it(tmp_path: Path):
    text = "a: &a {x: [1, 2.5, null], y: é}\nb: *a\nc: {<<: *a, z: 12345678901234567890}\n"
    (tmp_path / "a.yaml").write_text(text)
    assert read_yaml(tmp_path / "a.yaml") == yaml.safe_load(text)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("honest") / "config.yaml"
    save_resolved(compose("classification/moving_digits", tiny()).cfg, path)
    return path.read_text()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("bomb", [ALIASES, INTERPOLATIONS, LISTS])
def test_every_command_refuses_a_bomb_in_a_config_in_a_line(
    bomb: str, honest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text(honest + bomb)
    (tmp_path / "run/status.json").write_text('{"state": "interrupted"}')
    recipe = "# @package _global_\n# A bomb\ndefaults: [classification/moving_digits]\n"
    (tmp_path / "recipe.yaml").write_text(recipe + bomb)
    commands = ["evaluate run", "predict run x.mp4", "export run --format safetensors", "resume run"]
    commands += ["check recipe.yaml", "train recipe.yaml", "sweep recipe.yaml seed=1,2"]
    for command in map(str.split, commands):
        capsys.readouterr()
        assert cli.main(command) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) <= 3 and "written out" in lines[0], (command, lines)
    own = tmp_path / "conf/model/own.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(ALIASES)
    assert cli.main(["check", "classification/moving_digits"]) == 2
    assert capsys.readouterr().err.startswith(f"videxp: {own}: line 6: its aliases")


@pytest.mark.slow
def test_a_config_with_any_fault_is_read_or_refused_and_never_anything_else(honest: str, tmp_path: Path):
    draw = random.Random(0)
    pieces = ["&a ", "*a ", "${", "}", "[", "]", "{", ": ", "- ", "!!int ", "'", '"', "\t", "\n", "%", "~", "\x07", "é"]
    path = tmp_path / "config.yaml"
    read = refused = 0
    for _ in range(60):
        text = honest
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(text))
            text = text[:at] + draw.choice(pieces) + text[at + draw.randint(0, 5) :]
        path.write_text(text)
        try:
            assert OmegaConf.is_dict(load_resolved(path))
            read += 1
        except BadRequest:
            refused += 1
    assert read > 5 and refused > 5
