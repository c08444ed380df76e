"""Each task's network in a file: a clip of its recipe's own test is answered as the task answers it."""

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.deploy.untold import write_untold
from tests.shrink import TASKS, tiny
from videxp import config
from videxp.deploy.exporting.exporting import sample_clips
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.parity import answers_of_run, compare_answers, require_parity
from videxp.deploy.exporting.runs import deployable_of
from videxp.deploy.exporting.steps import answer_clip
from videxp.deploy.exporting.writing import trouble
from videxp.tasks.building import build_task

RECIPES = {
    "action_detection": "action_detection/moving_digits",
    "adversarial_inpainting": "inpainting/sttn_youtube_vos",
    "adversarial_restoration": "super_resolution/realbasicvsr_gan_reds",
    "classification": "classification/moving_digits",
    "denoising": "denoising/sample_clips",
    "detection": "detection/moving_digits",
    "generation": "generation/moving_digits",
    "inpainting": "inpainting/sample_clips",
    "multi_label": "classification/moving_digits",
    "restoration": "super_resolution/sample_clips",
    "scenes": "scenes/scene_films",
}
OVERRIDES = {"multi_label": ["task=multi_label"]}


def test_every_task_is_there():
    assert {*RECIPES} == {*TASKS}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_file_answers_a_clip_of_the_test_as_the_task_does(
    name: str, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(workplace)
    torch.manual_seed(0)
    words = tiny("logger=csv", *OVERRIDES.get(name, []), recipe=RECIPES[name], cwd=workplace)
    cfg = config.compose(RECIPES[name], words).cfg
    datamodule = config.build(cfg.dataset)
    datamodule.prepare()
    task = build_task(cfg, classes=datamodule.classes).eval()
    deployable = deployable_of(task, datamodule)
    (clip,) = sample_clips(task, deployable, datamodule, split="test", count=1)

    package = write_untold(deployable, clip, tmp_path / "a.pt2", kind="torch", free=())
    assert [port.name for port in package.inputs] == [*deployable.axes]
    (expected,) = answers_of_run(deployable, [clip])
    found = {name: value.numpy() for name, value in answer_clip(open_exported(tmp_path / "a.pt2"), clip).items()}
    assert found.keys() == expected.keys() and all(value.size for value in found.values())
    require_parity(compare_answers([expected], [found]), file=tmp_path / "a.pt2")


def test_what_stands_in_the_way_is_told_with_the_line_of_the_network(tmp_path: Path):
    """Where a network asks what is in a tensor, which no graph can."""
    (tmp_path / "models").mkdir()
    file = tmp_path / "models/asking.py"
    file.write_text(
        "from torch import nn\n\n\nclass Asking(nn.Module):\n    def forward(self, x):\n"
        "        return x + 1 if x.mean().item() > 0 else x\n"
    )
    spec = importlib.util.spec_from_file_location("asking", file)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    with pytest.raises(Exception, match="data-dependent") as caught:
        torch.export.export(module.Asking(), (torch.rand(2, 3),))
    said = trouble(caught.value).splitlines()
    assert len(said) == 2
    assert said[1] == "asking.py, line 6: return x + 1 if x.mean().item() > 0 else x"
