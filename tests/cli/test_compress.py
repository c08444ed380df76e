"""videxp compress: a student is a run like others, and stands beside its parent."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from tests.conftest import Run, videxp
from videxp import config
from videxp.cli.commands.compress import main
from videxp.core.errors import BadRequest
from videxp.deploy.compressing.beside import time_others
from videxp.deploy.compressing.compressing import result_lines
from videxp.deploy.compressing.students import Changes, plan_student
from videxp.deploy.exporting.runs import LoadedRun, load
from videxp.models.classification.small import FrameCNN
from videxp.runs.folder import open_run
from videxp.tasks.building import build_task


@pytest.fixture
def in_workplace(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)


def loaded(path: Path) -> LoadedRun:
    run = open_run(str(path))
    return load(run, config.load_resolved(run.config))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do: add --prune 0.3, --model NAME or --quantize int8"),
        (["--prune", "0"], "--prune 0: a share of the channels between 0 and 1, such as 0.3"),
        (["--prune", "1"], "--prune 1: a share of the channels between 0 and 1, such as 0.3"),
        (["--prune", "0.5", "--model", "c3d"], "leave one of them out"),
        (["--quantize", "int8", "--distill"], "--distill is of a training: add --prune 0.3 or --model NAME"),
        (["--quantize", "int8", "optimizer.lr=1"], "key=value is of a training: add --prune 0.3 or --model NAME"),
    ],
)
def test_what_is_asked_in_vain_is_refused_before_anything_is_read(arguments: list[str], message: str) -> None:
    with pytest.raises(BadRequest, match=message.replace("(", r"\(")):
        main(["runs/nowhere", "-o", "small", *arguments])


@pytest.mark.slow
def test_a_pruned_run_is_a_run_and_stands_beside_its_parent(finished: tuple[Path, Run], workplace: Path) -> None:
    words = ["compress", "runs/finished", "--prune", "0.5", "--distill", "--epochs", "1", "--seconds", "0.2", "--json"]
    done = videxp(*words, "-o", "runs/small", cwd=workplace)
    assert done.returncode == 0, done.stdout + done.stderr
    small, found = workplace / "runs/small", json.loads(done.stdout)
    assert found == json.loads((small / "compression.json").read_text())
    assert found["parameters"]["student"] < 0.5 * found["parameters"]["torch"]
    assert found["gmacs"]["student"] < 0.5 * found["gmacs"]["torch"] and found["bytes"]["student"]
    assert found["parent"]["run_id"] == "finished" and found["settings"]["prune"] == 0.5
    assert max(map(len, result_lines(found))) <= 80
    provenance = json.loads((small / "provenance.json").read_text())
    assert provenance["compressed"]["parent"] == found["parent"] and provenance["command"].endswith("-o runs/small")

    cfg = config.load_resolved(small / "config.yaml")  # alone: neither the weights' file nor the teacher is asked
    (small / "pruned.safetensors").rename(workplace / "elsewhere")
    network = build_task(cfg, classes=[str(i) for i in range(10)], fresh=False).network
    assert sum(parameter.numel() for parameter in network.parameters()) == found["parameters"]["student"]
    (workplace / "elsewhere").rename(small / "pruned.safetensors")
    with (small / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert any(row["train/distillation"] for row in rows)
    (tested,) = [float(row["test/accuracy"]) for row in rows if row["test/accuracy"]]
    assert found["metrics"]["student"]["accuracy"]["after"] == pytest.approx(tested)

    refused = videxp(*words, "-o", "runs/small", cwd=workplace)
    assert refused.returncode == 2 and "-o runs/small is there already" in refused.stderr
    del found["times"]  # as a kill after the training leaves it
    (small / "compression.json").write_text(json.dumps(found))
    before = (small / "checkpoints/last.ckpt").stat().st_mtime_ns
    done = videxp(*words, "-o", "runs/small", cwd=workplace)
    assert done.returncode == 0 and "times" in json.loads(done.stdout), done.stderr
    assert (small / "checkpoints/last.ckpt").stat().st_mtime_ns == before

    beside = ["--on", "speed", "--beside", "runs/small", "--seconds", "0.3", "--accept-busy", "--json"]
    done = videxp("evaluate", "runs/finished", *beside, cwd=workplace)
    assert done.returncode == 0, done.stderr
    times = json.loads(done.stdout)["speed"]["beside"]["times"]
    assert list(times) == ["runs/finished", "runs/small"] and times["runs/finished"]["faster"] == 1
    low, high = times["runs/small"]["faster_quartiles"]
    assert 0 < low <= times["runs/small"]["faster"] <= high


@pytest.mark.slow
@pytest.mark.usefixtures("in_workplace")
def test_a_student_of_another_model_learns_from_the_run(finished: tuple[Path, Run], tmp_path: Path) -> None:
    parent = loaded(finished[0])
    changes = Changes(prune=None, model="cnn2d_small", distill=True, epochs=3, overrides=["optimizer.lr=0.5"])
    run, known = plan_student(parent, changes, output=tmp_path / "student", command="videxp compress ...")
    cfg = OmegaConf.load(run.config)
    assert known == {} and run.is_planned
    assert cfg.model._target_.endswith(FrameCNN.__name__) and "width" not in cfg.model
    assert (cfg.task.teacher, cfg.task.teacher_weight, cfg.task.temperature) == (str(finished[0].resolve()), 0.9, 4)
    assert (cfg.trainer.max_epochs, cfg.optimizer.lr) == (3, 0.5)
    for wrong, message in (
        (Changes(None, "cnn2d_smal", False, None, []), "--model cnn2d_smal: unknown; did you mean cnn2d_smal"),
        (Changes(0.5, None, False, None, ["optimizer.rate=1"]), "optimizer.rate"),
    ):
        with pytest.raises(BadRequest, match=message):
            plan_student(parent, wrong, output=tmp_path / "none", command="")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("in_workplace")
def test_times_of_other_work_are_no_ratio(finished: tuple[Path, Run], tmp_path: Path) -> None:
    shutil.copytree(finished[0], tmp_path / "longer")
    cfg = OmegaConf.load(tmp_path / "longer/config.yaml")
    cfg.dataset.num_frames += 4
    OmegaConf.save(cfg, tmp_path / "longer/config.yaml")
    run, frames = loaded(finished[0]), cfg.dataset.num_frames
    with pytest.raises(BadRequest, match=rf"longer: made for {frames} frames of .* for {frames - 4} frames of"):
        time_others(run, {"longer": loaded(tmp_path / "longer")}, seconds=0.1)
    found = time_others(run, {"again": run}, seconds=0.2)
    assert found["clip"]["clip"][1] == frames - 4 and torch.get_num_threads() == 1
    assert found["times"]["again"]["faster_cpu_quartiles"][0] < 1.5
