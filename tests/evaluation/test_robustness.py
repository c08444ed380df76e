"""`videxp evaluate --on robustness`: the same figures however it is run, and each from what it says it is of."""

import argparse
import io
import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback

from tests.conftest import videxp
from tests.evaluation.subjects import subject_of
from videxp.cli.commands.evaluate import require_axes
from videxp.core.console import Console
from videxp.core.errors import BadRequest
from videxp.evaluation import robustness
from videxp.evaluation.corrupting.adversary import Attack
from videxp.evaluation.corrupting.clips import save_corrupted_clips
from videxp.evaluation.corrupting.consistency import SHIFT_FRAMES, ShiftedChoice, measure_consistency
from videxp.evaluation.corrupting.measuring import baseline_of, read_how, samples_of
from videxp.evaluation.corrupting.one_severity import OneSeverity
from videxp.evaluation.corrupting.request import read_request
from videxp.evaluation.explanation import chosen_samples
from videxp.evaluation.subject import Subject, watching
from videxp.transforms.corruptions.corruption import rng_of
from videxp.transforms.corruptions.tables import PROTOCOLS
from videxp.video.timing import FrameTimes

pytestmark = pytest.mark.slow

PROTOCOL = PROTOCOLS["schiappa2023"]
GAUSSIAN, SAMPLING = (PROTOCOL.corruptions[name] for name in ("gaussian_noise", "sampling"))


@pytest.fixture(scope="module")
def run(finished, workplace: Path) -> Path:
    """A copy of the finished run, whose files other tests look at."""
    return shutil.copytree(finished[0], workplace / "robust/classifier")


@pytest.fixture(scope="module")
def restorer(restored: Path, workplace: Path) -> Path:
    return shutil.copytree(restored, workplace / "robust/restorer")


@pytest.fixture
def here(workplace: Path, monkeypatch: pytest.MonkeyPatch, quiet_lightning: None) -> Path:
    """The folder of the runs, as commands have it."""
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("VIDEXP_CACHE", str(workplace / "cache"))
    return workplace


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    robustness.add_arguments(parser.add_argument_group())
    return parser.parse_args(["--protocol", "schiappa2023", *arguments])


def test_a_clip_is_corrupted_alike_in_any_batch_and_by_any_number_of_workers(run: Path, here: Path):
    clips: dict[tuple[int, int], list[torch.Tensor]] = {}
    for workers, batch_size in ((0, 8), (2, 5)):
        overrides = (f"hardware.num_workers={workers}", f"dataset.eval_batch_size={batch_size}")
        data = subject_of(run, *overrides).datamodule
        data.corrupt_test(OneSeverity(GAUSSIAN, 3, seed=7))
        clips[workers, batch_size] = [clip.clone() for batch in data.test_dataloader() for clip in batch["clip"]]
    one, other = clips.values()
    assert len(one) == 31 and all(map(torch.equal, one, other))
    data.corrupt_test(None)
    clean = data.read("test", [4])["clip"][0].numpy()
    by_hand = GAUSSIAN.corrupt(clean, severity=3, rng=rng_of(7, 4, "gaussian_noise", 3), fps=10)
    assert np.array_equal(one[4].numpy(), by_hand) and not np.array_equal(clean, by_hand)


def test_a_restorations_input_is_corrupted_and_its_target_stays_clean(restorer: Path, here: Path):
    data = subject_of(restorer).datamodule
    clean = data.transformed(data.read("test", [2, 5]), "test", device=torch.device("cpu"))
    data.corrupt_test(OneSeverity(GAUSSIAN, 2, seed=0))
    batch = data.transformed(data.read("test", [2, 5]), "test", device=torch.device("cpu"))
    assert torch.equal(batch["target"], clean["target"])
    pixels = (clean["video"].clamp(0, 1) * 255).round().to(torch.uint8)[1].permute(0, 2, 3, 1).contiguous().numpy()
    by_hand = GAUSSIAN.corrupt(pixels, severity=2, rng=rng_of(0, 5, "gaussian_noise", 2), fps=10)
    assert np.array_equal((batch["video"][1] * 255).round().permute(0, 2, 3, 1).numpy(), by_hand)
    data.corrupt_test(None)
    again = data.transformed(data.read("test", [2, 5]), "test", device=torch.device("cpu"))
    assert torch.equal(again["video"], clean["video"])


def test_clips_are_saved_and_the_test_meets_clean_ones_then(run: Path, here: Path, tmp_path: Path):
    subject = replace(subject_of(run), pictures=tmp_path)
    asked = options("--corruptions", "gaussian_noise", "--severities", "2")
    paths = save_corrupted_clips(subject, read_request(asked, subject.task.contract), seed=0)
    assert [path.name for path in paths] == ["gaussian_noise.mp4", "contact_sheet.png"]
    assert all(path.stat().st_size for path in paths)
    assert subject.datamodule.dataset("test").corrupter is None


class Stops(Exception):
    """What ends an evaluation."""


def stopping(subject: Subject, *, after: int, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let `subject.test` fail once so many passes are done; the passes."""
    done: list[Any] = []
    test = Subject.test

    def counted(one: Subject) -> Any:
        if len(done) == after:
            raise Stops
        done.append(test(one))
        return done[-1]

    monkeypatch.setattr(Subject, "test", counted)
    return done


def test_an_evaluation_that_was_stopped_goes_on_and_gives_the_same(
    run: Path, here: Path, monkeypatch: pytest.MonkeyPatch
):
    ledger = run / "robustness.jsonl"
    ledger.unlink(missing_ok=True)
    asked = options("--corruptions", "gaussian_noise", "--severities", "1,5", "--attacks", "none")
    said = io.StringIO()
    whole = robustness.measure(replace(subject_of(run), console=Console(file=said, width=200)), asked)
    assert re.findall(r"\(figure (\d) of (\d)\)", said.getvalue()) == [("1", "4"), ("2", "4"), ("3", "4"), ("4", "4")]
    assert "gaussian_noise 5: accuracy" in said.getvalue() and "clips 2 frames later: flips" in said.getvalue()
    lines = ledger.read_text().splitlines()
    assert len(lines) == 3 + 1  # clean, two severities, and consistency

    ledger.unlink()
    with monkeypatch.context() as patch:
        stopping(subject_of(run), after=2, monkeypatch=patch)
        with pytest.raises(Stops):
            robustness.measure(subject_of(run), asked)
    assert ledger.read_text().splitlines() == lines[:2]
    ledger.write_text("".join(f"{line}\n" for line in lines[:2]) + lines[2][:40])  # the third was being written
    with monkeypatch.context() as patch:
        passes = stopping(subject_of(run), after=100, monkeypatch=patch)
        said = io.StringIO()
        assert robustness.measure(replace(subject_of(run), console=Console(file=said, width=200)), asked) == whole
    assert f"2 figures were measured before: {ledger} (delete it to measure anew)" in said.getvalue()
    assert re.findall(r"\(figure (\d) of (\d)\)", said.getvalue()) == [("3", "4"), ("4", "4")]
    assert len(passes) == 1 + 2  # consistency takes two
    assert ledger.read_text().splitlines() == lines

    other = [line.replace(whole["weights"], "0" * 16) for line in lines]
    ledger.write_text("\n".join(other) + "\n")
    with monkeypatch.context() as patch:
        stopping(subject_of(run), after=0, monkeypatch=patch)
        with pytest.raises(Stops):  # figures of other weights are none
            robustness.measure(subject_of(run), asked)
    assert ledger.read_text() == ""


def test_figures_depend_on_how_clips_are_read(run: Path, here: Path):
    asked = options("--corruptions", "gaussian_noise", "--severities", "1", "--attacks", "none")
    robustness.measure(subject_of(run), asked)
    known = len((run / "robustness.jsonl").read_text().splitlines())
    robustness.measure(subject_of(run, "dataset.eval_batch_size=3", "hardware.num_workers=1"), asked)
    assert len((run / "robustness.jsonl").read_text().splitlines()) == known
    robustness.measure(subject_of(run, "dataset.clips.test_clips=2"), asked)
    assert len((run / "robustness.jsonl").read_text().splitlines()) == known + 3


def test_a_classification_is_measured_and_told_on_eighty_columns(run: Path, workplace: Path):
    told = ("--on", "robustness", "--protocol", "schiappa2023", "--severities", "1,3,5")
    chosen = ("--corruptions", "gaussian_noise,sampling", "--attacks", "none")
    done = videxp("evaluate", str(run), *told, *chosen, "--save-clips", cwd=workplace)
    assert done.returncode == 0, done.stderr
    section = json.loads((run / "evaluation.json").read_text())["robustness"]
    values = [of[str(s)]["value"] for of in section["figures"].values() for s in (1, 3, 5)]
    assert section["mpc"] == pytest.approx(sum(values) / 6)
    assert section["rpc"] == pytest.approx(section["mpc"] / section["clean"]["value"])
    table = [line for line in done.stdout.splitlines() if line.startswith(("gaussian_noise", "sampling", "severity"))]
    assert f"{values[0]:.4f}" in done.stdout and f"mPC {section['mpc']:.4f}" in done.stdout
    assert table and max(map(len, table)) <= 80
    assert "a part of schiappa2023's table" in done.stdout and "jumble" in done.stdout.partition("left out: ")[2]
    assert (run / "samples/robustness.png").is_file()
    written = ["robust/classifier/evaluation.json", "robust/classifier/samples/robustness.png"]
    assert done.stdout.splitlines()[-3:-1] == written  # one a line; then what W&B has
    for name in ("gaussian_noise.mp4", "sampling.mp4", "contact_sheet.png"):
        assert (run / "samples/robustness_schiappa2023" / name).is_file()

    # Against itself every corruption's error is the same: mCE is 1.
    again = videxp("evaluate", str(run), *told, *chosen, "--baseline", str(run), "--json", cwd=workplace)
    assert json.loads(again.stdout)["robustness"]["mce"] == pytest.approx(1)


def test_requests_that_ask_in_vain_are_refused_by_name(run: Path, restorer: Path, here: Path):
    subject = subject_of(run)
    for words, said in (
        (("--protocol", "yi"), "--protocol yi: no such table; write "),
        (("--corruptions", "gausian_noise"), "no such corruption: did you mean gaussian_noise?"),
        (("--corruptions", "fog"), "schiappa2023 has no such corruption, but yi2021, .*: --protocol yi2021"),
        (("--corruptions", ","), "--corruptions: none is left of schiappa2023; write some of gaussian_noise, "),
        (("--severities", "6"), "--severities 6: schiappa2023 has severities 1 to 5"),
        (("--attacks", "apgd"), "--attacks apgd: no such attack; write fgsm, pgd or none"),
    ):
        with pytest.raises(BadRequest, match=said.replace("?", r"\?")):
            robustness.require_options(options(*words), subject)
    with pytest.raises(BadRequest, match="--severities 1;3: write numbers"):
        options("--severities", "1;3")
    with pytest.raises(BadRequest, match=f"videxp evaluate {restorer} --on robustness --protocol schiappa2023  "):
        robustness.require_options(options("--baseline", str(restorer)), subject)
    with pytest.raises(BadRequest, match="mCE is of errors 1 - x, and psnr has none"):
        robustness.require_options(options("--baseline", str(restorer)), subject_of(restorer))


def test_an_axis_is_refused_several_processes_before_anything_is_measured(run: Path, here: Path):
    asked = options()
    asked.on = ["accuracy", "robustness"]
    with pytest.raises(BadRequest, match="--on robustness: one process measures it: add hardware=cpu, or "):
        require_axes(subject_of(run, "hardware=ddp_cpu"), asked)
    require_axes(subject_of(run, "hardware=cpu"), asked)


def test_an_interrupted_test_is_an_interruption_and_no_exit(run: Path, here: Path):
    class Interrupts(Callback):
        def on_test_batch_start(self, *_: Any) -> None:
            raise KeyboardInterrupt

    subject, handler = subject_of(run), signal.getsignal(signal.SIGINT)
    try:
        with watching(subject.trainer, Interrupts()):
            with pytest.raises(SystemExit):  # the stock way
                subject.trainer.test(subject.task, datamodule=subject.datamodule, verbose=False)
            with pytest.raises(KeyboardInterrupt):
                subject.test()
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores it from then on


def test_what_is_explained_is_among_what_a_limited_test_meets(run: Path, here: Path):
    subject = subject_of(run, "trainer.limit_test_batches=1", "dataset.eval_batch_size=4")
    tested = subject.tested
    subject.test()
    assert tested == [row["index"] for row in subject.task.prediction_rows(subject.datamodule)]
    assert len(tested) == 4 and tested != [0, 1, 2, 3]  # spread evenly
    assert chosen_samples(tested, count=99, seed=0) == tested
    assert {*chosen_samples(tested, count=2, seed=0)} < {*tested}
    assert len(subject_of(run).tested) == len(subject.datamodule.dataset("test"))


def test_figures_and_a_baselines_are_means_over_the_same_samples(run: Path, here: Path, tmp_path: Path):
    limited = [
        subject_of(run, "trainer.limit_test_batches=1", f"dataset.eval_batch_size={size}", *settings)
        for size, settings in ((4, []), (8, []), (8, ["hardware.num_workers=0"]))
    ]
    of_four, of_eight, again = map(read_how, limited)
    assert of_four != of_eight == again
    assert samples_of(limited[0])["videos"] == 4
    other = shutil.copytree(run, tmp_path / "other", ignore=shutil.ignore_patterns("samples", "checkpoints", "wandb"))
    figures = {"gaussian_noise": {"1": {"value": 0.5}}}
    section = {"protocol": "schiappa2023", "metric": "accuracy", **samples_of(limited[0]), "figures": figures}
    (other / "evaluation_limit.json").write_text(json.dumps({"robustness": section}))
    asked = options("--corruptions", "gaussian_noise", "--severities", "1", "--baseline", str(other))
    request = read_request(asked, limited[0].task.contract)
    assert baseline_of(limited[0], asked, request) == {"gaussian_noise": {"1": 0.5}}
    with pytest.raises(BadRequest, match="it was not evaluated on these samples"):
        baseline_of(limited[1], asked, request)


def test_a_restoration_is_compared_with_its_input_under_the_same_corruption(restorer: Path, here: Path):
    subject = subject_of(restorer)
    section = robustness.measure(subject, options("--severities", "2"))
    # What moves frames or pixels has no target to be compared with.
    assert "sampling" in section["left_out"] and "gaussian_noise" in section["figures"]
    assert section["consistency"] == {"does_not_apply": "the task gives no label to a clip"}
    assert "has no loss of each sample" in section["attacks"]["does_not_apply"]
    subject.datamodule.corrupt_test(OneSeverity(GAUSSIAN, 2, seed=0))
    metrics = subject.test().metrics
    figures = section["figures"]["gaussian_noise"]["2"]
    assert figures["value"] == metrics["test/psnr"]
    assert figures["baselines"]["input"] == metrics["test/psnr_input"]
    row = section["by_corruption"]["gaussian_noise"]
    assert row["gain"] == pytest.approx(metrics["test/psnr_gain"], abs=1e-4)
    lost = [name for name, of in section["by_corruption"].items() if of["gain"] < 0]
    text = "\n".join(robustness.lines(section, subject.task.contract))
    assert ("WORSE than its own input" in text) == bool(lost)
    assert all(f"{name} (2)" in text for name in lost)
    assert max(map(len, text.splitlines())) <= 80


# ---- consistency ---------------------------------------------------------------------------------------------------


def test_clips_are_shifted_where_their_video_has_room():
    choice = ShiftedChoice(num_frames=4, clips=1, shift_frames=2)

    def frames(total: int) -> list[int]:
        times = FrameTimes(num_frames=total, fps=10.0)
        rng = np.random.default_rng(0)
        return choice.frames(times, start_seconds=float("nan"), end_seconds=float("nan"), rng=rng)[0].tolist()

    assert frames(10) == [5, 6, 7, 8]  # the central clip is 3 to 6
    assert frames(7) == [0, 1, 2, 3]  # it is 2 to 5, and two frames later it would need an eighth
    assert (frames(5), frames(4)) == ([1, 2, 3, 4], [0, 1, 2, 3])  # as they are


def test_flips_are_counted_over_videos_with_room(run: Path, here: Path):
    subject = subject_of(run)
    data, task = subject.datamodule, subject.task
    dataset = data.dataset("test")
    choice = dataset.choice

    def scores() -> torch.Tensor:
        batch = data.transformed(data.read("test", range(31)), "test", device=torch.device("cpu"))
        with torch.no_grad():
            return task.answer(batch)

    task.network.head.bias.data -= scores().mean(0)  # a network that scarcely learned says the same of all
    before = scores().argmax(-1)
    dataset.choice = ShiftedChoice(**vars(choice), shift_frames=SHIFT_FRAMES)
    flips = float((before != scores().argmax(-1)).float().mean())
    dataset.choice = choice
    assert flips > 0
    found = measure_consistency(subject, subject.test())
    assert found == {"shift_frames": 2, "videos": 31, "flips": pytest.approx(flips)}
    assert dataset.choice is choice


# ---- attacks -------------------------------------------------------------------------------------------------------


class Linear(torch.nn.Module):
    """Logits W x of a clip's pixels."""

    def __init__(self, num_classes: int, values: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(values, num_classes, bias=False)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return self.head(video.flatten(1))


def classifier(network: torch.nn.Module) -> Any:
    from videxp.tasks import Classification

    return Classification(
        network=network, optimizer=None, scheduler=None, classes=["a", "b", "c"], monitor="val/accuracy"
    ).eval()


def test_a_step_of_fgsm_is_the_sign_of_the_gradient_worked_out_by_hand():
    task = classifier(Linear(3, 2 * 3 * 4 * 4))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    pixels = torch.rand(5, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()
    columns = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]
    label = torch.tensor([0, 1, 2, 0, 1])
    batch = {"video": (pixels - columns[0]) / columns[1], "label": label, "index": torch.arange(5)}
    attack = Attack("fgsm", 8 / 255, task=task, mean=mean, std=std, seed=0)
    with torch.inference_mode():  # as within a test
        attacked = attack(batch)["video"] * columns[1] + columns[0]
    # Of softmax cross-entropy: d loss / d pixel = W^T (p - y) / std.
    weight = task.network.head.weight.detach().numpy()
    logits = batch["video"].flatten(1).numpy() @ weight.T
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = ((p - np.eye(3)[label.numpy()]) @ weight).reshape(pixels.shape) / columns[1].numpy()
    by_hand = np.clip(pixels.numpy() + 8 / 255 * np.sign(gradient), 0, 1)
    assert np.abs(attacked.numpy() - by_hand).max() < 1e-6


def test_pgd_stays_within_epsilon_and_raises_the_loss_more_than_noise_and_one_step(run: Path, here: Path):
    subject = subject_of(run)
    data, task = subject.datamodule, subject.task
    transform = data.test_transform
    batch = data.transformed(data.read("test", range(16)), "test", device=torch.device("cpu"))
    mean, std = (torch.tensor(values)[:, None, None] for values in (transform.mean, transform.std))
    clean = batch["video"] * std + mean
    losses = {}
    for kind in ("noise", "fgsm", "pgd"):
        attack = Attack(kind, 2 / 255, task=task, mean=transform.mean, std=transform.std, seed=0)
        changed = attack(batch)
        pixels = changed["video"] * std + mean
        assert float((pixels - clean).abs().max()) <= 2 / 255 + 1e-5
        assert float(pixels.min()) >= -1e-5 and float(pixels.max()) <= 1 + 1e-5
        with torch.no_grad():
            losses[kind] = float(task.sample_losses(changed).mean())
        again = data.transformed(data.read("test", [9]), "test", device=torch.device("cpu"))
        assert torch.allclose(attack(again)["video"], changed["video"][9:10], atol=1e-4)  # in any batch
    assert losses["pgd"] >= losses["fgsm"] > losses["noise"]


def test_pgd_lowers_accuracy_at_least_as_much_as_noise_of_its_size(run: Path, here: Path):
    asked = options("--corruptions", "sampling", "--severities", "1")
    section = robustness.measure(subject_of(run), asked)
    value = {(row["attack"], row["epsilon"]): row["value"] for row in section["attacks"]["rows"]}
    for epsilon in (1, 2, 8):
        assert value["pgd", epsilon] <= value["noise", epsilon]
    assert value["pgd", 8] < section["clean"]["value"]
    assert robustness.scalars(section)["robustness/pgd_2"] == value["pgd", 2]
    text = "\n".join(robustness.lines(section, subject_of(run).task.contract))
    assert "not AutoAttack" in text and max(map(len, text.splitlines())) <= 80


def test_the_views_of_a_video_are_attacked_together_through_their_mean_probability():
    task = classifier(Linear(3, 2 * 3 * 4 * 4))
    video = torch.rand(4, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1))  # two videos of two views
    batch = {"video": video, "label": torch.tensor([2, 0]), "index": torch.tensor([5, 6])}
    attacked = Attack("fgsm", 1 / 255, task=task, mean=(0, 0, 0), std=(1, 1, 1), seed=0)(batch)["video"]
    pixels = video.clone().requires_grad_()
    probabilities = task.network(pixels).softmax(-1).unflatten(0, (2, 2)).mean(1)
    (-probabilities[[0, 1], [2, 0]].log().sum()).backward()
    assert torch.allclose(attacked, (video + pixels.grad.sign() / 255).clamp(0, 1))
    noise = [Attack("noise", 1 / 255, task, (0, 0, 0), (1, 1, 1), seed)(batch)["video"] for seed in (0, 0, 1)]
    assert torch.equal(noise[0], noise[1]) and not torch.equal(noise[0], noise[2])


# ---- generation ----------------------------------------------------------------------------------------------------


def test_smoothness_of_a_linear_generator_is_its_slope():
    from videxp.evaluation.corrupting.latent import latent_smoothness
    from videxp.models.gan import VideoGenerator, normal

    class Slope(VideoGenerator):
        """Each value of a clip is 0.1 / sqrt(2) of the sum of two codes that move alike."""

        def latent(self, rngs: Any, *, num_frames: int | None = None, device: Any = "cpu") -> dict[str, torch.Tensor]:
            return {"z": 0.01 * normal(rngs, 1, device=device), "category": torch.zeros(len(rngs), dtype=torch.int64)}

        def forward(self, latent: Any, *, num_frames: int | None = None, label: Any = None) -> torch.Tensor:
            return (0.1 * latent["z"])[:, :, None, None, None].expand(-1, 2, 3, 4, 4)

    maker = Slope(num_frames=2, size=4, num_classes=None, content_keys=frozenset({"z"}))
    for row in latent_smoothness(maker, seed=0, device=torch.device("cpu")):
        # One code, so its direction is up or down by all of the distance: 0.1 of [-1,1], 12.75 of 255 levels.
        assert row["mean"] == pytest.approx(12.75, rel=1e-3) and row["worst"] == pytest.approx(12.75, rel=1e-3)
