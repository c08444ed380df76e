"""classification/finetune on folders and tables of one's own videos, as the README gives the commands."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.zoo import build_tiny
from tests.shrink import FINETUNE
from videxp import config

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = [line.split()[2:] for line in README.splitlines() if re.match(rf" +videxp train {FINETUNE} ", line)]


@pytest.fixture
def here(tmp_path: Path, films: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """videos/<split>/<class>/*.mp4, and a table of them, in the current folder."""
    lines = ["path,label,split"]
    for split in ("train", "val", "test"):
        for name, film in (("walk", "bar.mp4"), ("sit", "wide.mp4")):
            for i in range(2):
                path = tmp_path / "videos" / split / name / f"{i}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(films[film], path)
                with path.open("ab") as file:
                    file.write(f"\0\0\0\x11free{split:5}{name:3.3}{i}".encode())  # no two files are the same
                lines.append(f"{split}/{name}/{i}.mp4,{name},{split}")
    (tmp_path / "videos/list.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def composed(here: Path, *words: str) -> config.Composed:
    return config.compose(FINETUNE, [*words, "logger=csv", f"hardware.cache_dir={here}/cache"])


def test_the_first_screen_of_the_readme_says_how_own_videos_are_trained_on() -> None:
    first_screen = README.splitlines()[:24]
    assert any(f"videxp train {FINETUNE} dataset.root=" in line for line in first_screen)


@pytest.mark.slow  # together
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_readmes_commands_are_right(words: list[str], here: Path) -> None:
    assert words[0] == FINETUNE
    assert [str(problem) for problem in config.check(composed(here, *words[1:]))] == []


@pytest.mark.slow  # together
@pytest.mark.parametrize("model", ["x3d_s", "slowfast_r50_4x16", "cnn3d_small"])
def test_any_classifier_fits_the_recipe(model: str, here: Path) -> None:
    words = ["dataset.root=videos", f"model={model}"]
    assert [str(problem) for problem in config.check(composed(here, *words))] == []


@pytest.mark.slow
@pytest.mark.parametrize("data", [[], ["dataset=manifest", "dataset.layout.file=list.csv"]], ids=["folders", "table"])
def test_weights_from_a_file_are_fine_tuned_at_a_size_of_ones_own(data: list[str], here: Path) -> None:
    from videxp.models.weights import loaded_weights
    from videxp.training.assembling import build_task

    public = build_tiny("mc3_18")  # with other classes
    torch.save({"state_dict": public.state_dict()}, here / "public.pth")
    tiny = ["model=mc3_18", "+model.width=8", "+model.depths=[1,1,1,1]", "model.weights=public.pth"]
    small = ["dataset.size=24", "dataset.num_frames=4", "dataset.batch_size=4"]
    made = composed(here, "dataset.root=videos", *data, *tiny, *small)
    assert [str(problem) for problem in config.check(made)] == []
    datamodule: Any = config.build(made.cfg.dataset)
    datamodule.prepare()
    task = build_task(made.cfg, classes=datamodule.classes)
    assert datamodule.classes == ["sit", "walk"]
    (loaded,) = loaded_weights(task.network)
    assert (loaded.total - loaded.matched, loaded.head) == (
        2,
        "the classifier (fc) starts afresh: 5 classes there, 2 here",
    )
    assert torch.equal(task.network.state_dict()["stem.0.weight"], public.state_dict()["stem.0.weight"])
    batch = datamodule.transformed(datamodule.read("train", range(4)), "train", device=torch.device("cpu"))
    assert batch["video"].shape == (4, 4, 3, 24, 24)
    loss = task.training_step(batch, 0)["loss"]
    loss.backward()
    assert torch.isfinite(loss) and all(p.grad is not None for p in task.network.parameters())
    view = datamodule.transformed(datamodule.read("test", [0]), "test", device=torch.device("cpu"))["video"]
    mean, std = (
        torch.tensor(list(values)).view(3, 1, 1)
        for values in (datamodule.test_transform.mean, datamodule.test_transform.std)
    )
    seen = datamodule.read("test", [0])["clip"][0].float() / 255  # the whole height of 24 pixels
    assert torch.allclose(view[0] * std + mean, seen.permute(0, 3, 1, 2), atol=1e-5)
