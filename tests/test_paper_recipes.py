"""The papers' recipes of classification, on miniatures of the data sets that they name: composed and checked as they
are, then shrunk (pictures, frames, batch, network), one step of training and one view of testing."""

import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, ListConfig

from tests.films import copy_apart
from tests.models.zoo import MODELS
from tests.shrink import PAPERS
from videxp import config

PIXELS = {112: 32, 128: 36, 171: 48, 172: 32, 192: 36, 224: 32, 256: 36, 320: 40, 340: 48}
LABELS = ("brush_hair", "wave")


@pytest.fixture(scope="module")
def roots(films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each data set, in its official format: two classes, three videos of each to train on."""
    top = tmp_path_factory.mktemp("data")

    def video(path: str) -> None:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        copy_apart(films[f"bar{Path(path).suffix}"], top / path, mark=path)

    def text(path: str, content: str) -> None:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(content)

    clips = list(product(LABELS, range(4)))
    lines = {"train": [], "val": []}
    for n, (label, i) in enumerate(clips):
        split = "train" if i < 3 else "val"
        lines[split].append(f"{label},{n:011d},0,10,{split}")
        for name in ("kinetics400", "kinetics600"):
            video(f"{name}/{split}/{n:011d}_000000_000010.mp4")
        video(f"ssv2/20bn-something-something-v2/{n}.webm")
        video(f"ucf101/UCF-101/{label}/v_{label}_g{i:02d}_c01.avi")
        video(f"hmdb51/videos/{label}/film{i}_{label}_u_nm_np1_ba_goo_0.avi")
    for split, rows in lines.items():
        for name in ("kinetics400", "kinetics600"):
            text(f"{name}/annotations/{split}.csv", "\n".join(["label,youtube_id,time_start,time_end,split", *rows]))
    text("ssv2/labels/labels.json", json.dumps({"Holding something": "0", "Dropping something": "1"}))
    for split, chosen in (("train", range(3)), ("validation", [3])):
        templates = {"brush_hair": "Holding [something]", "wave": "Dropping [something]"}
        entries = [{"id": str(n), "template": templates[label]} for n, (label, i) in enumerate(clips) if i in chosen]
        text(f"ssv2/labels/{split}.json", json.dumps(entries))
    text("ucf101/ucfTrainTestlist/classInd.txt", "1 brush_hair\n2 wave\n")
    for name, chosen in (("trainlist01", range(3)), ("testlist01", [3])):
        paths = [f"{label}/v_{label}_g{i:02d}_c01.avi" for label, i in clips if i in chosen]
        text(f"ucf101/ucfTrainTestlist/{name}.txt", "\n".join(paths))
    for label in LABELS:
        kinds = [f"film{i}_{label}_u_nm_np1_ba_goo_0.avi {1 if i < 3 else 2}" for i in range(4)]
        text(f"hmdb51/testTrainMulti_7030_splits/{label}_test_split1.txt", "\n".join(kinds))
    return top


def small(value: Any) -> Any:
    """Pictures of a seventh of the size, wherever a data set's config speaks of them."""
    if isinstance(value, ListConfig):
        return [PIXELS[number] for number in value]
    return PIXELS[value] if value else value


def shrink(cfg: DictConfig, model: str) -> None:
    data = cfg.dataset
    for part in (data, data.decoding, data.train_transform, data.eval_transform, data.test_transform):
        for key in {"size", "resize", "frame_size"} & part.keys():
            part[key] = small(part[key])
    tiny = MODELS[model].tiny
    cfg.dataset.num_frames = tiny.get("num_frames", max(4, min(8, cfg.dataset.num_frames // 2)))
    cfg.model = {
        **cfg.model,
        **tiny,
        "weights": None,
    }


def test_there_is_a_recipe_of_a_paper_for_each_data_set() -> None:
    assert Counter(recipe.rpartition("_")[2] for recipe in PAPERS) == {
        "kinetics400": 9, "kinetics600": 3, "ssv2": 2, "ucf101": 4, "hmdb51": 4
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("recipe", PAPERS)
def test_a_papers_recipe_is_right_as_it_stands_and_shrunk_takes_a_step(
    recipe: str, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videxp.training.assembling import build_task

    monkeypatch.chdir(roots)
    root = roots / recipe.rpartition("_")[2]
    composed = config.compose(recipe, ["logger=csv", f"dataset.root={root}", f"hardware.cache_dir={roots}/cache"])
    assert [str(problem) for problem in config.check(composed)] == []
    cfg = composed.cfg
    flips, views = cfg.dataset.train_transform.flip, cfg.dataset.clips.test_clips * cfg.dataset.test_transform.crops
    assert flips == (0.0 if recipe.endswith("ssv2") else 0.5)  # left and right are in Something-Something's labels
    shrink(cfg, composed.choices["model"])
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    task = build_task(cfg, classes=datamodule.classes)
    batch = datamodule.transformed(datamodule.read("train", range(2)), "train", device=torch.device("cpu"))
    loss = task.training_step(batch, 0)["loss"]
    loss.backward()
    assert 0 < loss.item() < 5
    assert [name for name, p in task.network.named_parameters() if p.grad is None] == []
    task.make_optimizer(task.parameter_groups()).step()
    batch = datamodule.transformed(datamodule.read("test", [0]), "test", device=torch.device("cpu"))
    assert len(batch["video"]) == views
    with torch.inference_mode():
        assert task.eval()(batch["video"][:1]).isfinite().all()
