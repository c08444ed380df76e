"""Every recipe composes and passes the check, shrunk; those of Vimeo-90K train a step."""

from pathlib import Path

import pytest
import torch

from tests.shrink import RECIPES, tiny
from videxp import config


def composed(recipe: str, folder: Path, *overrides: str) -> config.Composed:
    words = tiny("logger=csv", f"hardware.cache_dir={folder}/cache", *overrides, recipe=recipe, cwd=folder)
    return config.compose(recipe, words)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if "vimeo90k" in recipe])
def test_a_step_of_mirrored_clips_gives_every_parameter_a_gradient(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videxp.training.assembling import build_task

    monkeypatch.chdir(tmp_path)
    cfg = composed(recipe, tmp_path, "dataset.train_transform.mirror=true").cfg
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    task = build_task(cfg, classes=datamodule.classes)
    batch = datamodule.transformed(datamodule.read("train", range(2)), "train", device=torch.device("cpu"))
    assert batch["video"].shape[1] == 6  # 3 frames and their mirror image
    loss = task.training_step(batch, 0)["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    assert [name for name, p in task.network.named_parameters() if p.grad is None] == []
