"""What a run was made from: complete, text only, of bounded size; and the difference of two in words."""

import subprocess
from pathlib import Path

import pytest
import torch

from tests.conftest import clean_environment
from videxp.runs.code_state import MAX_FILE_BYTES, code_state, own_packages, source_hashes
from videxp.runs.differences import (
    code_differences,
    data_differences,
    environment_differences,
    first_difference,
)
from videxp.runs.environment import environment
from videxp.runs.provenance import Sample
from videxp.runs.weights import weights_hash


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("x = 1\n")
    for command in (["init"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "x"]):
        subprocess.run(
            ["git", *command], cwd=tmp_path, check=True, capture_output=True, env=clean_environment(tmp_path)
        )
    return tmp_path


def test_the_code_state_is_the_diff_and_untracked_sources_without_what_is_secret_large_linked_or_no_text(
    repository: Path,
):
    (repository / "a.py").write_text("x = 2\n")
    (repository / "new.py").write_text("y = 1\n")
    (repository / "large.py").write_text("#" * (MAX_FILE_BYTES + 1))
    (repository / "binary.py").write_bytes(b"\0\1")
    (repository / ".env").write_text("KEY=1\n")
    (repository / "secrets.yaml").write_text("a: 1\n")
    (repository / "link.py").symlink_to("/etc/passwd")
    (repository / "runs/a").mkdir(parents=True)
    for name in ("config.yaml", "status.json"):
        (repository / "runs/a" / name).write_text("{}")
    state = code_state(repository / "runs")
    assert state is not None
    assert len(state["commit"]) == 40
    assert "-x = 1\n+x = 2" in state["diff"]
    assert state["untracked"] == {"new.py": "y = 1\n"}
    assert state["left_out"] == {"large.py": f"{MAX_FILE_BYTES + 1} bytes", "binary.py": "no text"}


@pytest.mark.slow
def test_outside_a_repository_there_is_no_code_state_but_sources_have_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert code_state(tmp_path) is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/net.py").write_text("x = 1\n")
    before = source_hashes(["mine"])
    assert list(before) == ["mine/net.py"]
    (tmp_path / "mine/net.py").write_text("x = 2\n")
    (tmp_path / "mine/more.py").write_text("")
    lines = [str(difference) for difference in code_differences(before, source_hashes(["mine"]))]
    assert [line.split(None, 1)[1] for line in lines] == ["mine/more.py: added", "mine/net.py: changed"]
    assert "videxp" in own_packages() and "torch" not in own_packages() and "json" not in own_packages()
    assert "videxp/cli/__init__.py" in source_hashes(["videxp"])
    assert source_hashes(["json", "rich", "six", "os.path", "../mine"]) == {}


def test_the_environment_names_the_decoders_and_the_ffmpeg_in_each():
    record = environment()
    assert record["decoders"]["pyav"]["avcodec"].count(".") == 2
    if "decord" in record["decoders"]:
        assert record["decoders"]["decord"]["avcodec"].startswith("58.")  # FFmpeg 4.1
    assert record["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert record["torch_threads"] == torch.get_num_threads()
    changed = {**record, "torch_threads": 99, "packages": {**record["packages"], "torch": "0", "rich": "0"}}
    lines = [str(difference) for difference in environment_differences(record, changed)]
    assert [line.split()[0] for line in lines] == ["threads", "package", "package"]
    assert "-> 99" in lines[0] and "torch: " in lines[1] and "rich: " in lines[2]
    assert environment_differences(record, record) == []


def test_the_hash_of_weights_changes_with_a_bit_a_name_a_shape_or_a_type_and_not_with_the_order():
    state = {"a": torch.zeros(2, 3), "b": torch.tensor(1)}
    same = {"b": torch.tensor(1), "a": torch.zeros(3, 2).t().contiguous()}
    assert weights_hash(state) == weights_hash(same)
    others = [
        {**state, "a": torch.zeros(3, 2)},
        {**state, "a": torch.zeros(2, 3, dtype=torch.int32)},
        {**state, "a": torch.tensor([[-0.0, 0, 0], [0, 0, 0]])},
        {"c": state["a"], "b": state["b"]},
        {**state, "a": torch.zeros(2, 3).to(torch.bfloat16)},
    ]
    assert len({weights_hash(other) for other in [state, *others]}) == 6


def sample(path: str, *, split: str = "train", label: str = "a", content: str = "1") -> Sample:
    return Sample(split, path, label, "nan", "nan", content)


def test_files_that_were_changed_added_removed_or_relabelled_are_named():
    old = [sample("1.mp4"), sample("2.mp4"), sample("3.mp4"), sample("4.mp4")]
    new = [sample("1.mp4", content="2"), sample("2.mp4", label="b"), sample("4.mp4"), sample("5.mp4")]
    (difference,) = data_differences({"fingerprint": "x"}, {"fingerprint": "y"}, old=old, new=new)
    text = str(difference)
    for part in ("x -> y", "1.mp4 changed", "2.mp4 is listed otherwise", "3.mp4 removed", "5.mp4 added"):
        assert part in text
    assert "4.mp4" not in text
    assert data_differences({"fingerprint": "x"}, {"fingerprint": "x"}, old=old, new=new) == []


def test_the_first_different_number_is_found_by_its_text_and_timing_is_left_out():
    row = {"step": "2", "epoch": "0", "train/loss": "0.1", "throughput/clips_per_second": "10"}
    assert first_difference([row], [{**row, "throughput/clips_per_second": "11"}]) is None
    found = first_difference([row, row], [row, {**row, "train/loss": "0.10000000000000002"}])
    assert str(found) == "step 2, train/loss: 0.1 -> 0.10000000000000002 (by 1.39e-17)"
    assert first_difference([row], [{**row, "val/x": "nan"}]) is not None
    assert first_difference([{**row, "val/x": "nan"}], [{**row, "val/x": "nan"}]) is None
    assert "one only before" in str(first_difference([row, row], [row]))
