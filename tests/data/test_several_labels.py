"""Videos with several labels, from a list of them to batches."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.films import Put, module
from videxp.core.errors import BadRequest
from videxp.data import FolderPerClass, Loading, Manifest, ManifestFile
from videxp.data.annotations.labels import label_set
from videxp.data.layouts.base import check_rows, hold_out
from videxp.data.manifest import Row
from videxp.transforms import TrainTransform

Write = Callable[[str, str], Path]
LIST = (
    "path,label,split\na.mp4,run|wave,train\nb.mp4, wave | run |,train\nc.mp4,,train\nd.mp4,sit,val\ne.mp4,sit,train\n"
)


def labels(layout: ManifestFile, root: Path) -> dict[str, list[str]]:
    return {row.path: list(row.labels) for row in layout.rows(root)}


def test_a_row_has_any_number_of_labels_in_any_order(write: Write):
    root = write("m.csv", LIST).parent
    several = {"a.mp4": ["run", "wave"], "b.mp4": ["run", "wave"], "c.mp4": [], "d.mp4": ["sit"], "e.mp4": ["sit"]}
    assert labels(ManifestFile(file="m.csv"), root) == several
    write("m.jsonl", '{"path": "a.mp4", "label": ["wave", "run", "wave"]}\n{"path": "b.mp4", "label": []}\n')
    assert labels(ManifestFile(file="m.jsonl"), root) == {"a.mp4": ["run", "wave"], "b.mp4": []}
    write("s.csv", LIST.replace("|", ";"))
    assert labels(ManifestFile(file="s.csv", label_separator=";"), root) == several


def test_names_may_hold_the_separator_where_a_data_set_says_so(write: Write, put: Put, tmp_path: Path):
    root = write("m.csv", "path,label\na.mp4,run|wave\n").parent
    assert labels(ManifestFile(file="m.csv", label_separator=None), root) == {"a.mp4": ["run|wave"]}
    put("train/run|wave/0.mp4")
    put("val/run|wave/1.mp4")
    data = module(tmp_path, FolderPerClass(), batch_size=1)
    data.prepare()
    assert data.classes == ["run|wave"] and data.manifest.labels == "label"


def test_a_label_that_is_missing_among_single_ones_is_still_an_error(write: Write):
    root = write("m.csv", "path,label\na.mp4,run\nb.mp4,\n").parent
    for asked in (None, "one"):
        message = "line 3: the column 'label' is empty .*: dataset.layout.labels_each=any"
        with pytest.raises(BadRequest, match=message):
            ManifestFile(file="m.csv", labels_each=asked).rows(root)
    write("m.csv", LIST)
    with pytest.raises(BadRequest, match="line 2: the column 'label' has several labels, run, wave, in a table of one"):
        ManifestFile(file="m.csv", labels_each="one").rows(root)


def test_one_label_or_none_is_several_where_the_table_is_said_to_be_so(write: Write, put: Put, tmp_path: Path):
    for name in "abc":
        put(f"{name}.mp4")
    write("m.csv", "path,label,split\na.mp4,run,train\nb.mp4,,train\nc.mp4,run,val\n")
    data = module(tmp_path, ManifestFile(file="m.csv", labels_each="any"), batch_size=2)
    data.prepare()
    assert data.classes == ["run"] and data.manifest.labels == Manifest.read(data.manifest_path).labels == "labels"
    (batch,) = data.train_dataloader()
    assert sorted(batch["label"].tolist()) == [[0], [1]]


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_separator_that_is_another_one_makes_no_classes(separator: str, write: Write):
    texts = [f"walk{separator} moving", "moving", "", f"walk{separator}waving"]
    head, lines = "path\tlabel\n", [f"{name}.mp4\t{text}\n" for name, text in zip("abcd", texts)]
    root = write("m.tsv", "".join([head, *lines])).parent
    message = f"line 2: .* has '{texts[0]}', and 'moving' is a class too: .*label_separator=\"{separator}\"'"
    with pytest.raises(BadRequest, match=message):
        ManifestFile(file="m.tsv").rows(root)
    several = {"a.mp4": ["moving", "walk"], "b.mp4": ["moving"], "c.mp4": [], "d.mp4": ["walk", "waving"]}
    assert labels(ManifestFile(file="m.tsv", label_separator=separator), root) == several
    write("m.tsv", "".join([head, *lines[:2], lines[3]]))
    assert labels(ManifestFile(file="m.tsv", label_separator=None), root)["a.mp4"] == [texts[0]]
    write("m.tsv", "".join([head, *lines[:2]]))
    assert labels(ManifestFile(file="m.tsv"), root)["a.mp4"] == [texts[0]]  # `run, fast` beside `run` is a name


def test_each_label_must_be_learned_from_some_video():
    rows = [Row("a", "train", ("x", "y")), Row("b", "val", ("y", "z")), Row("c", "val")]
    with pytest.raises(BadRequest, match=r"class 'z' is in val .b. but in no training sample"):
        check_rows(rows, name="mini")
    check_rows([*rows, Row("d", "train", ("z",))], name="mini")


def test_splits_are_made_of_all_videos_however_rare_their_labels_together():
    """Each video has labels that no other has together: as classes of their own none could be held out."""
    rows = [Row(f"{i}.mp4", "train", label_set([f"c{i}", f"c{i + 1}"])) for i in range(20)]
    alone = [Row(row.path, "train", ("+".join(row.labels),)) for row in rows]
    counts = [
        Counter(row.split for row in hold_out(some, into="val", fraction=0.2, group=lambda row: row.path))
        for some in (alone, rows)
    ]
    assert counts == [{"train": 20}, {"train": 16, "val": 4}]


@pytest.fixture
def data(put: Put, write: Write, tmp_path: Path):
    for name in "abcde":
        put(f"{name}.mp4")
    write("m.csv", LIST)
    data = module(tmp_path, ManifestFile(file="m.csv"), shuffle=None)
    data.prepare()
    return data


def test_batches_have_a_row_of_ones_and_zeros_for_each_video(data):
    assert data.classes == ["run", "sit", "wave"] and data.description.startswith("3 classes, several of a video")
    (batch,) = data.train_dataloader()
    assert batch["label"].dtype == torch.float32
    by_path = {data.dataset("train").file(i): row for i, row in zip(batch["index"].tolist(), batch["label"].tolist())}
    assert by_path == {"a.mp4": [1, 0, 1], "b.mp4": [1, 0, 1], "c.mp4": [0, 0, 0], "e.mp4": [0, 1, 0]}
    (val,) = data.val_dataloader()
    assert val["label"].tolist() == [[0, 1, 0]]  # one label, but a row all the same


def test_a_manifest_keeps_them_readable_and_one_split_of_it_knows_too(data):
    text = data.manifest_path.read_text()
    assert "run\\|wave" in text and json.loads(text.partition("{")[2].join("{\n").split("\n")[0])["labels"] == "labels"
    read = Manifest.read(data.manifest_path)
    assert read.labels == "labels" and read.fingerprint == data.fingerprint
    assert read.only("val").labels == "labels"


def test_classes_cannot_be_balanced_by(put: Put, data, tmp_path: Path):
    data.loading = Loading(num_workers=0, shuffle="class_balanced")
    with pytest.raises(BadRequest, match=r"^dataset.loading.shuffle=class_balanced: .* have several labels; use null$"):
        data.train_dataloader()


def test_mixed_clips_come_with_the_labels_of_both(data):
    (batch,) = data.train_dataloader()
    mixed = TrainTransform(size=16, cutmix_alpha=1.0, seed=0)(batch)
    assert torch.equal(mixed["mix_label"], batch["label"][[3, 0, 1, 2]])
    # negative control: without a dimension, classes are rolled into one another
    assert not torch.equal(batch["label"].roll(1), mixed["mix_label"])
