"""The adversarial step: what is trained when, from which chance, and how it is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from tests.shrink import tiny
from videxp import config
from videxp.core.errors import VidexpError
from videxp.data import VideoDataModule
from videxp.tasks import Generation
from videxp.tasks.adversarial import average_over_ranks, frozen
from videxp.training.assembling import build_task
from videxp.training.callbacks.nonfinite import NonFinite

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet_lightning")]

RECIPE = "generation/moving_digits"
STEADY = ["++model.norm=group", "model.noise=0.0"]  # no clip depends on the others of its batch


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digits")


Made = tuple[Generation, VideoDataModule]


@pytest.fixture
def make(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    monkeypatch.chdir(place)

    def made(*overrides: str) -> Made:
        words = tiny("logger=csv", "hardware.cache_dir=cache", *overrides, recipe=RECIPE)
        cfg = config.compose(RECIPE, words).cfg
        datamodule = config.build(cfg.dataset)
        datamodule.prepare()
        torch.manual_seed(0)
        task = build_task(cfg, classes=datamodule.classes)
        assert isinstance(task, Generation)
        return task, datamodule

    return made


def fit(task: Generation, data: VideoDataModule, folder: Path, **options: Any) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        default_root_dir=folder,
        **{"max_epochs": 1, **options},
    )
    trainer.fit(task, data)
    return trainer


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def moved(before: dict[str, Tensor], network: nn.Module) -> set[str]:
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


# ---- counting ------------------------------------------------------------------------------------------------------


def test_stock_lightning_counts_a_batch_of_two_optimizers_as_two_steps(make, tmp_path: Path):
    class Stock(Generation):
        def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Any:
            for optimizer in self.optimizers():
                optimizer.step()

    task, data = make()
    task.__class__ = Stock
    assert fit(task, data, tmp_path, max_steps=4, max_epochs=5).global_step == 4 and task.batches_seen == 2


def test_steps_are_batches_whatever_the_optimizers_do(make, tmp_path: Path):
    task, data = make("task.objective.generator_interval=2")
    assert fit(task, data, tmp_path, max_steps=4, max_epochs=5).global_step == 4 and task.batches_seen == 4
    assert task.clips_seen == 4 * 8
    of_generator, of_discriminators = task.trainer.optimizers
    steps = [max(int(state["step"]) for state in one.state.values()) for one in (of_generator, of_discriminators)]
    assert steps == [2, 4]


def test_schedules_run_in_batches_and_each_network_has_its_own(make, tmp_path: Path):
    other = "task.discriminator_optimizer"
    step = "{_target_: videxp.tasks.schedules.MultiStep, milestones: [0.5], gamma: 0.1}"
    sgd = (f"{other}._target_=torch.optim.SGD", f"{other}.lr=0.5", f"~{other}.betas")
    task, data = make(*sgd, f"++task.discriminator_scheduler={step}")
    fit(task, data, tmp_path)  # 5 batches
    of_generator, of_discriminators = task.trainer.optimizers
    assert isinstance(of_generator, torch.optim.Adam) and isinstance(of_discriminators, torch.optim.SGD)
    assert of_generator.param_groups[0]["lr"] == pytest.approx(1e-4)  # the end of the recipe's cosine
    assert of_discriminators.param_groups[0]["lr"] == pytest.approx(0.05)


# ---- what is trained -----------------------------------------------------------------------------------------------


def test_the_generator_waits_for_its_turn_and_the_discriminators_do_not(make, tmp_path: Path):
    task, data = make("task.objective.generator_interval=3")
    seen: list[tuple[bool, bool]] = []
    step = task.training_step

    def watched(batch: dict[str, Tensor], batch_idx: int) -> Any:
        before = weights(task.generator), weights(task.discriminators)
        result = step(batch, batch_idx)
        trained = [name for name, _ in task.generator.named_parameters()]
        seen.append(
            (bool(moved(before[0], task.generator) & set(trained)), bool(moved(before[1], task.discriminators)))
        )
        return result

    task.training_step = watched
    fit(task, data, tmp_path)
    assert seen == [(True, True), (False, True), (False, True), (True, True), (False, True)]


def test_frozen_weights_pass_gradients_on_and_keep_none():
    inner, outer = nn.Linear(2, 2), nn.Linear(2, 1)
    with frozen(outer):
        outer(inner(torch.ones(1, 2))).sum().backward()
    assert inner.weight.grad is not None and outer.weight.grad is None and outer.weight.requires_grad


def test_penalties_are_evaluated_in_their_batches_with_as_many_times_the_weight(make, tmp_path: Path):
    task, data = make(*STEADY, "task.objective.r1_weight=2", "task.objective.r1_interval=2")
    data.setup("fit")
    batch = data.transformed(data.read("train", range(4)), "train", device=torch.device("cpu"))
    losses = []
    for batches_seen in (1, 2, 3):
        task.batches_seen, task.latest = batches_seen, {"seen": torch.zeros(())}
        ((part, rngs),) = task._parts(batch)
        loss, values = task._discriminator_loss(part, rngs)
        losses.append((float(loss.detach() - values["train/loss_discriminator"].detach()), values.get("train/r1")))
    (first, r1), (second, none), (third, _) = losses
    assert second == 0 and none is None
    assert first == pytest.approx(2 / 2 * 2 * float(r1.detach()), rel=1e-4) and third == pytest.approx(first, rel=1e-4)


def test_the_same_names_are_logged_in_each_batch(make, tmp_path: Path):
    task, data = make(
        *("task.objective.r1_weight=1", "task.objective.r1_interval=3", "task.objective.generator_interval=2"),
        *("task.objective.path_length_weight=2", "task.objective.path_length_interval=4"),
    )
    names: list[list[str]] = []
    step = task.training_step
    task.training_step = lambda *a: (r := step(*a), names.append(list(r["log"])))[0]
    fit(task, data, tmp_path)
    assert len(names) == 5 and all(one == names[0] for one in names) and names[0][0] == "train/loss"
    assert {"train/r1", "train/path_length", "train/discriminator_accuracy"} <= set(names[0])


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_a_loss_that_is_nan_changes_no_weight_of_its_network(side: str, make, tmp_path: Path):
    task, data = make(*STEADY)
    original = getattr(task, f"_{side}_loss")

    def poisoned(part: dict[str, Tensor], rngs: Any) -> Any:
        loss, values = original(part, rngs)
        return loss * (torch.nan if task.batches_seen == 2 else 1), values

    setattr(task, f"_{side}_loss", poisoned)
    with pytest.raises(VidexpError, match=r"Batch 2 \(epoch 1\): the loss is NaN or infinite; samples: .*mp4"):
        fit(task, data, tmp_path, callbacks=[NonFinite()])
    assert all(bool(value.isfinite().all()) for value in task.network.state_dict().values())


def test_a_discriminator_that_always_wins_is_told_once(make, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task, data = make(*STEADY)
    fit(task, data, tmp_path, limit_train_batches=1)
    for task.batches_seen in range(10, 400, 10):
        task._watch_discriminators(torch.tensor(1.0))
    lines = [line for line in capsys.readouterr().out.splitlines() if "accuracy" in line]
    assert lines == [
        "videxp: discriminator accuracy within 0.01 of 1 (it wins always; now 1.000), since batch 10",
    ]


# ---- chance, and parts ---------------------------------------------------------------------------------------------


def gradients(task: Generation, batch: dict[str, Tensor]) -> list[Tensor]:
    """Of both steps of one batch, before any optimizer."""

    class Idle:
        def zero_grad(self) -> None:
            task.network.zero_grad()

        def step(self) -> None:
            kept.extend(p.grad.clone() for p in task.network.parameters() if p.grad is not None)

    kept: list[Tensor] = []
    task._backward = lambda loss: loss.backward()
    task.batches_seen = 1
    parts = task._parts(batch)
    task._step(Idle(), task.discriminators, task._discriminator_loss, parts)
    with frozen(task.discriminators):
        task._step(Idle(), task.generator, task._generator_loss, parts)
    return kept


def batch_of(data: VideoDataModule, count: int) -> dict[str, Tensor]:
    data.setup("fit")
    return data.transformed(data.read("train", range(count)), "train", device=torch.device("cpu"))


@pytest.mark.parametrize("penalty", ["r1_weight=1", "path_length_weight=0.1"])
def test_a_batch_in_parts_is_the_same_step(penalty: str, make):
    task, data = make(*STEADY, f"task.objective.{penalty}")
    batch = batch_of(data, 6)
    whole = gradients(task, batch)
    task.accumulated_parts = 3
    task.path_length.mean.zero_()
    in_parts = gradients(task, batch)
    if penalty.startswith("r1"):
        for a, b in zip(whole, in_parts, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
    else:  # each part moves the running mean of lengths: near, not the same
        assert len(whole) == len(in_parts)


def test_with_batch_statistics_parts_are_not_the_same_step(make):
    task, data = make("model.noise=0.0")
    batch = batch_of(data, 6)
    whole = gradients(task, batch)
    task.accumulated_parts = 3
    assert not all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(whole, gradients(task, batch)))


def test_a_clips_noise_does_not_depend_on_its_batch(make):
    task, data = make()
    batch = batch_of(data, 6)
    ((all_of_it, rngs),) = task._parts(batch)
    latent = task.generator.latent(rngs)
    ((half, rngs),) = task._parts({name: rows[3:] for name, rows in batch.items()})
    torch.testing.assert_close(task.generator.latent(rngs)["content"], latent["content"][3:], rtol=0, atol=0)
    assert len(all_of_it["index"]) == 6 and len(half["index"]) == 3


# ---- the average ---------------------------------------------------------------------------------------------------


def test_the_average_halves_in_its_half_life(make):
    task, _ = make("task.average_half_life_clips=16")
    task.clips_seen = 10_000  # past the beginning, where the half-life is shorter
    before, now = weights(task.average), weights(task.generator)
    with torch.no_grad():
        for parameter in task.generator.parameters():
            parameter.add_(1)
    for _ in range(2):
        task._update_average(clips=8)
    for name, value in task.average.named_parameters():
        torch.testing.assert_close(value, before[name] + 0.5)
    assert moved(now, task.generator)


def test_without_a_half_life_it_is_the_generator(make, tmp_path: Path):
    task, data = make("task.average_half_life_clips=0")
    fit(task, data, tmp_path)
    assert not moved(weights(task.generator), task.average)


def test_clips_are_generated_from_the_average_by_seed_and_number_alone(make):
    task, _ = make()
    task.eval()
    all_at_once = task.generate(range(4), seed=3)
    assert all_at_once.shape == (4, 4, 3, 32, 32) and all_at_once.min() >= 0 and all_at_once.max() <= 1
    torch.testing.assert_close(task.generate([2], seed=3), all_at_once[2:3], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(task.generate([2], seed=4), all_at_once[2:3])
    with torch.no_grad():
        for parameter in task.generator.parameters():
            parameter.zero_()
    torch.testing.assert_close(task.generate(range(4), seed=3), all_at_once, rtol=0, atol=0)


# ---- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.gradient_clip_val=1.0", "task.gradient_clip_norm=1.0"),
        ("trainer.accumulate_grad_batches=2", "task.accumulated_parts=2"),
        ("++dataset.train_transform.mean=[0.4,0.4,0.4]", "dataset.train_transform.mean=[0.5,0.5,0.5]"),
        ("model=cnn3d_small", "no network for Generation"),
    ],
)
def test_what_two_optimizers_cannot_use_is_said_before_anything_starts(override: str, words: str, place, monkeypatch):
    monkeypatch.chdir(place)
    kept = [text for text in tiny("logger=csv", recipe=RECIPE) if "model." not in text or "model=" not in override]
    plain = [text for text in kept if text.partition("=")[0] != override.partition("=")[0]]
    extra = (
        [f"~model.{key}" for key in ("width", "discriminator_width", "noise", "video_discriminator")]
        if "model=" in override
        else []
    )
    problems = [str(problem) for problem in config.check(config.compose(RECIPE, [*plain, *extra, override]))]
    assert len(problems) == 1 and words in problems[0]


def test_a_wasserstein_critic_without_a_penalty_is_refused():
    from videxp.core.errors import BadRequest
    from videxp.losses import AdversarialObjective

    with pytest.raises(BadRequest, match="gradient_penalty_weight=0"):
        AdversarialObjective(loss="wasserstein")
    assert AdversarialObjective(loss="wasserstein", gradient_penalty_weight=10).loss == "wasserstein"


@pytest.mark.parametrize("kind", ["hinge", "least_squares", "wasserstein"])
def test_every_loss_trains_with_clipping(kind: str, make, tmp_path: Path):
    penalty = ["task.objective.gradient_penalty_weight=10"] if kind == "wasserstein" else []
    task, data = make(*STEADY, f"task.objective.loss={kind}", "task.gradient_clip_norm=0.1", *penalty)
    before = weights(task.network)
    fit(task, data, tmp_path, limit_train_batches=2)
    trained = {name for name, _ in task.network.named_parameters()}
    assert moved(before, task.network) == trained
    assert all(bool(value.isfinite().all()) for value in task.network.state_dict().values())


def test_alone_nothing_is_averaged():
    values = [torch.tensor(2.0), torch.ones(2)]
    average_over_ranks(values)
    assert values[0] == 2 and values[1].tolist() == [1, 1]
