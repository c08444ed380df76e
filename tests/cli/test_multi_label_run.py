"""Videos with several labels, from the list of them to the files that a run labels."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import videxp
from videxp.video import write_video

RECIPE = "classification/moving_digits"
WORDS = [
    *("dataset=manifest", "dataset.root=films", "dataset.layout.file=list.csv", "task=multi_label", "logger=csv"),
    *("dataset.size=16", "dataset.num_frames=2", "dataset.batch_size=8", "dataset.eval_batch_size=4"),
    *("dataset.eval_transform.resize=16", "+model.width=4", "optimizer.lr=0.02", "hardware.num_workers=0"),
    *("dataset.train_transform.crop=center", "dataset.train_transform.cutmix_alpha=1", "task.label_smoothing=0.1"),
    *("trainer.max_epochs=4", "hydra.run.dir=run"),
]
COLORS = {"red": 0, "green": 1, "blue": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """56 films: a channel is bright where its color is among the labels; two labels each, and some with none."""
    here = tmp_path_factory.mktemp("colors")
    lines, rng = ["path,label,split"], np.random.default_rng(0)
    for i in range(56):
        names = [] if i % 14 == 0 else [name for name in COLORS if name != list(COLORS)[i % 3]]
        frames = rng.integers(0, 60, (3, 20, 20, 3), dtype=np.uint8)
        for name in names:
            frames[..., COLORS[name]] += 150
        (here / "films").mkdir(exist_ok=True)
        write_video(here / f"films/{i}.mp4", frames, fps=5)
        split = "train" if i < 32 else ("val", "test")[i % 2]
        lines.append(f"{i}.mp4,{'|'.join(names)},{split}")
    (here / "films/list.csv").write_text("\n".join(lines) + "\n")
    return here


@pytest.mark.slow
def test_a_run_learns_several_labels_of_each_video_and_gives_them_to_files(place: Path):
    refused = videxp("train", RECIPE, *(word for word in WORDS if not word.startswith("task")), cwd=place)
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("videxp:")]
    assert (
        line
        == "videxp: task=Classification: takes one label of a video, those of manifest have several; task=multi_label"
    )
    assert not (place / "run").exists()
    known = videxp("check", RECIPE, *(word for word in WORDS if not word.startswith("task")), cwd=place)
    assert (known.returncode, known.stderr.strip()) == (2, line)  # now that it is prepared, before all else
    done = videxp("train", RECIPE, *WORDS, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "3 classes, several of a video" in done.stdout and "mAP over 3 of 3 classes" in done.stdout

    done = videxp("evaluate", "run", "dataset.protocol=2x3", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["metrics"]["test/mAP"] > 0.9
    assert result["protocol"].startswith("2x3: ") and "mAP over 3 of 3 classes" in result["protocol"]
    with (place / "run/predictions_2x3.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    listed = dict(line.split(",")[:2] for line in (place / "films/list.csv").read_text().splitlines()[1:])
    assert len(rows) == 12
    for path, row in rows.items():
        assert sorted(row["label"].split("|")) == sorted(listed[path].split("|"))

    done = videxp("predict", "run", "films/33.mp4", "--threshold", "0.4", cwd=place)
    assert done.returncode == 0, done.stderr
    (labelled,) = json.loads(done.stdout)
    assert sorted(labelled["probabilities"]) == sorted(COLORS)
    assert labelled["labels"] == [name for name, p in labelled["probabilities"].items() if p >= 0.4]
