"""The main job, shrunk, as a user runs it: what is printed, and what the run folder holds."""

import csv
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Run, train, videxp
from tests.shrink import tiny
from videxp.config import load_resolved
from videxp.training.loggers.metrics_file import last_values, read_metrics
from videxp.video import open_video

pytestmark = pytest.mark.slow
Finished = tuple[Path, Run]


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_terminal_says_what_is_run_where_and_what_to_do_next(finished: Finished):
    _, done = finished
    for text in (
        "40 train, 20 val, 31 test",
        "training videos of each class",
        "M parameters",
        "GMACs",
        "1 x CPU",
        "runs/finished",
        "epoch 2/2",
    ):
        assert text in done.stdout
    for text in (
        "test/accuracy",
        "best.ckpt",
        "videxp evaluate runs/finished",
        "videxp predict",
        "wandb sync runs/",
        "pace ",
    ):
        assert text in done.stdout
    assert "Traceback" not in done.stderr


def test_the_run_folder_holds_config_provenance_metrics_checkpoints_pictures_and_state(finished: Finished):
    run, _ = finished
    cfg = load_resolved(run / "config.yaml")
    assert (cfg.dataset.batch_size, cfg.trainer.max_epochs) == (8, 2)
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["packages"]["torch"] == torch.__version__.partition("+")[0] or provenance["packages"]["torch"]
    assert {"command", "config_hash", "seed", "code", "data", "torch_threads", "wandb_id"} <= provenance.keys()
    assert len(provenance["data"]["fingerprint"]) >= 16
    assert "dataset.num_frames=4" in (run / "overrides.yaml").read_text()
    assert weights(run, "best").keys() == weights(run, "last").keys()
    for picture in ("confusion_matrix.png", "predictions.png"):
        with Image.open(run / "samples" / picture) as image:
            assert image.width > 300
            assert len(np.unique(np.asarray(image.convert("L")))) > 20  # not an empty page
    with open_video(run / "samples/prediction_clips.mp4") as clips:
        assert (clips.num_frames, clips.size) == (4, (488, 800))  # 8 clips of 4 frames, 2 x 4 tiles of 200 x 244
        words = clips.frames([0])[0, 200:244, :200].float().mean(-1)
    assert (words > 200).sum() > 4000 and (words < 120).sum() > 100  # a caption
    assert (run / "log.txt").stat().st_size > 0


def test_metrics_csv_has_shared_axes_and_every_metric(finished: Finished):
    run, _ = finished
    with (run / "metrics.csv").open() as file:
        columns = next(csv.reader(file))
    assert columns[:3] == ["step", "epoch", "clips_seen"]
    assert {"train/loss", "train/accuracy", "val/accuracy", "val/loss", "test/accuracy", "test/loss"} <= set(columns)
    rows = read_metrics(run / "metrics.csv")
    steps = [row["step"] for row in rows if "train/loss" in row]
    assert steps == [2, 4, 5, 7, 9, 10]  # 5 batches per epoch, every 2nd and the last
    assert all(row["clips_seen"] == 8 * row["step"] for row in rows)
    assert len([row for row in rows if "val/accuracy" in row]) == 2


def test_wandb_runs_offline_without_a_key_and_receives_metrics_config_and_pictures(finished: Finished):
    run, done = finished
    (offline,) = [path for path in (run / "wandb").glob("offline-run-*") if "-evaluation" not in path.name]
    content = next(offline.glob("*.wandb")).read_bytes()
    for text in (b"val/accuracy", b"test/accuracy", b"num_frames", b"confusion_matrix"):
        assert text in content
    media = [path for path in (offline / "files/media").rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in media) == [".mp4", ".png", ".png"]
    assert "API key" not in done.stdout + done.stderr


def test_same_seed_gives_the_same_weights_bit_for_bit_whatever_the_number_of_workers(
    finished: Finished, workplace: Path
):
    run, _ = finished
    for workers in (1, 2):
        other = train(f"hardware.num_workers={workers}", "logger=csv", cwd=workplace, run=f"runs/workers{workers}")
        assert same(weights(other), weights(run))
    another_seed = train("seed=1", "logger=csv", cwd=workplace, run="runs/seed1")
    assert not same(weights(another_seed), weights(run))


def test_predict_needs_only_the_run_folder_and_agrees_with_the_test(finished: Finished, tmp_path: Path):
    run, _ = finished
    done = videxp("evaluate", str(run), "--json", cwd=run.parents[1])
    assert done.returncode == 0, done.stderr
    with (run / "predictions.csv").open() as file:
        tested = next(csv.DictReader(file))
    video = run.parents[1] / load_resolved(run / "config.yaml").dataset.root / tested["path"]
    alone = shutil.copytree(run, tmp_path / "run")
    done = videxp("predict", str(alone), str(video), "-o", "labels.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (labelled,) = json.loads((tmp_path / "labels.json").read_text())
    assert labelled["label"] == tested["predicted"]
    assert labelled["probabilities"][labelled["label"]] == pytest.approx(float(tested["probability"]), abs=1e-4)
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "cache").exists()


def test_several_loggers_at_once(workplace: Path):
    run = train("logger=[wandb,tensorboard]", "trainer=quick", cwd=workplace, run="runs/loggers")
    assert list(run.rglob("events.out.tfevents*"))
    assert list(run.rglob("*.wandb"))
    assert (run / "metrics.csv").exists()


def test_the_weights_that_are_tested_with_ema_are_the_average(workplace: Path):
    run = train("callbacks=[checkpoint,ema]", "logger=csv", cwd=workplace, run="runs/ema")
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert not same(checkpoint["state_dict"], checkpoint["current_model_state"])
    rows = read_metrics(run / "metrics.csv")
    done = videxp("evaluate", str(run), "--json", cwd=workplace)
    evaluated = json.loads(done.stdout)["metrics"]["test/accuracy"]
    assert evaluated == pytest.approx(last_values(rows)["test/accuracy"], abs=1e-6)


def test_a_video_that_breaks_while_training_is_named_in_lines_and_in_the_state(workplace: Path):
    def videos() -> set[Path]:
        return set(workplace.glob("data/moving_digits/*/train/*/*.mp4"))

    overrides = ["dataset.layout.seed=5", "logger=csv"]  # files of its own
    before = videos()
    train(*overrides, "trainer=quick", cwd=workplace, run="runs/before")
    video = sorted(videos() - before)[-1]
    content, times = video.read_bytes(), (video.stat().st_atime_ns, video.stat().st_mtime_ns)
    video.write_bytes(content[:200] + bytes(len(content) - 200))
    os.utime(video, ns=times)  # nothing to be seen from outside
    done = videxp(
        "train", "classification/moving_digits", *tiny(*overrides, "hydra.run.dir=runs/broken"), cwd=workplace
    )
    assert done.returncode == 1
    assert video.name in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    status = json.loads((workplace / "runs/broken/status.json").read_text())
    assert status["state"] == "failed"
    assert video.name in status["cause"]


def test_a_wrong_key_writes_nothing(tmp_path: Path, listing):
    done = videxp("train", "classification/moving_digits", "optimizer.lrr=1", cwd=tmp_path)
    assert done.returncode == 2
    assert "optimizer.lr" in done.stderr
    assert listing(tmp_path) == set()


def test_hydra_flags_work(tmp_path: Path, listing):
    job = videxp("train", "classification/moving_digits", "--cfg", "job", "optimizer.lr=0.5", cwd=tmp_path)
    assert job.returncode == 0
    assert "lr: 0.5" in job.stdout
    info = videxp("train", "classification/moving_digits", "--info", "searchpath", cwd=tmp_path)
    assert "file://" in info.stdout
    assert listing(tmp_path) == set()


def test_accumulation_takes_fewer_steps_and_the_schedule_ends_where_it_should(workplace: Path):
    overrides = ["trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=1.0", "optimizer=sgd", "logger=csv"]
    run = train(*overrides, "scheduler.final_factor=0.5", cwd=workplace, run="runs/accumulation")
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 2 * 3  # 2 epochs of 5 batches: 2 + 2 + 1
    assert checkpoint["seen"] == {"batches": 10, "clips": 80}
    rates = [row["learning_rate"] for row in read_metrics(run / "metrics.csv") if "learning_rate" in row]
    assert rates[-1] == pytest.approx(0.5 * 3.0e-3)


def test_compiling_leaves_the_names_of_the_weights_as_they_are(finished: Finished, tmp_path: Path):
    from videxp.training.assembling import build_experiment

    cfg = load_resolved(finished[0] / "config.yaml", overrides=["hardware.compile=true"])

    data: Any = SimpleNamespace(classes=["a", "b"])
    compiled = build_experiment(cfg, data, root=tmp_path, loggers=[], callbacks=[]).task.network
    assert compiled._compiled_call_impl is not None
    assert not any("_orig_mod" in name for name in compiled.state_dict())
    assert any("_orig_mod" in name for name in torch.compile(compiled).state_dict())  # the stock way


def test_views_of_a_video_count_as_one_video(finished: Finished, workplace: Path):
    run, _ = finished
    before = {path.name: path.read_bytes() for path in run.glob("evaluation.*")}
    done = videxp("evaluate", str(run), "dataset.protocol=2x3", "dataset.eval_batch_size=5", "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with (run / "predictions_2x3.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 31
    assert before == {path.name: path.read_bytes() for path in run.glob("evaluation.*")}
    by_hand = sum(row["label"] == row["predicted"] for row in rows) / 31
    result = json.loads(done.stdout)
    assert result["metrics"]["test/accuracy"] == pytest.approx(by_hand, abs=1e-6)
    assert result["protocol"] == "2x3: 2 clips x 3 crops of each video, probabilities averaged"
    assert result == json.loads((run / "evaluation_2x3.json").read_text())
    by_class = {name: [r for r in rows if r["label"] == name] for name in {r["label"] for r in rows}}
    hits = {name: sum(r["label"] == r["predicted"] for r in each) / len(each) for name, each in by_class.items()}
    assert {r["class"]: r["videos"] for r in result["classes"]} == {name: len(each) for name, each in by_class.items()}
    assert {r["class"]: r["accuracy"] for r in result["classes"]} == pytest.approx(hits, abs=1e-6)
    losses = sorted((float(row["loss"]) for row in rows), reverse=True)
    assert [row["loss"] for row in result["worst"]] == losses[:8]
    assert sum(losses) / 31 == pytest.approx(result["metrics"]["test/loss"], abs=1e-5)
    with open_video(run / "samples/worst_videos_2x3.mp4") as clips:
        assert clips.num_frames == 4
