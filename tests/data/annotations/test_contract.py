"""What every kind of annotation must meet: batches are their samples, for any number of workers and of processes, with
files lost, from copies, and after training was resumed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, distributed, multiprocessing

from tests.data.annotations.conftest import TRAIN
from tests.data.annotations.layout import Stated
from tests.data.test_module import SaveEachBatch, Watch, trainer
from tests.films import module
from videxp.data import FolderPerClass, ManifestFile, VideoDataModule
from videxp.data.annotations.annotation import Annotation
from videxp.data.annotations.boxes import Boxes, BoxOnFrame
from videxp.data.annotations.companion_clip import CompanionClip
from videxp.data.annotations.masks import Mask
from videxp.data.annotations.multi_label import MultiLabel
from videxp.data.annotations.next_shot import NextShot
from videxp.data.annotations.per_frame import PerFrame
from videxp.data.annotations.ragged import Ragged
from videxp.data.annotations.single_label import SingleLabel
from videxp.data.annotations.transitions import Transitions
from videxp.data.loading.dataset import Samples, collate
from videxp.data.manifest import Manifest
from videxp.data.preparing.cache import make_cache
from videxp.data.preparing.shards import Making
from videxp.transforms import Blobs, TrainTransform

RAW = Making("raw", None, 1, 21.0)


def number_of(path: str) -> int:
    return int(Path(path).stem)


class Negative:
    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 255 - clip + rng.integers(2, dtype=np.uint8)


def stating(annotation: Annotation, state: Callable[[int], str]) -> dict[str, Any]:
    """state: number of a film -> what is stated of it."""
    return {"layout": Stated(annotation, {"": "", **{path: state(number_of(path)) for path in TRAIN}})}


def bars(number: int) -> str:
    """As many boxes as the film's number says, on every other frame."""
    boxes = [BoxOnFrame(2 * i, 4 * i, 0, 4 * i + 1, 24, "bar", track=7) for i in range(number)]
    return Boxes("boxes", classes=["bar"]).pack(boxes)


def steps(number: int) -> str:
    return PerFrame.pack([(0, 3, number + 0.5), (6, 11, -1.0)])


CASES: dict[type[Annotation], dict[str, Any]] = {
    SingleLabel: {"layout": FolderPerClass()},
    MultiLabel: {"layout": ManifestFile(file="list.csv")},
    CompanionClip: {
        "layout": FolderPerClass(),
        "annotations": {"degraded": CompanionClip("degraded", make=Negative())},
    },
    Mask: {"layout": FolderPerClass(), "annotations": {"mask": Mask(make=Blobs())}},
    PerFrame: stating(PerFrame("speed", missing=0.0), steps),
    Boxes: stating(Boxes("boxes", classes=["bar"]), bars),
    Transitions: stating(Transitions(), lambda number: Transitions.pack([(number, number + 1), (5, 9)])),
    NextShot: {"layout": FolderPerClass(), "annotations": {"next_shot": NextShot(min_frames=1)}, "clips_per_video": 1},
}


def field_of(data: VideoDataModule, kind: type[Annotation]) -> str:
    (name,) = (annotation.name for annotation in data.annotations if type(annotation) is kind)
    return name


@pytest.fixture(params=CASES, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Annotation]:
    return request.param


Make = Callable[..., VideoDataModule]


@pytest.fixture
def make(kind: type[Annotation], place: Path) -> Make:
    def make(*, at: Path = place, **changes: Any) -> VideoDataModule:
        data = module(at, **{"clips_per_video": 2, "num_frames": 5, **CASES[kind], **changes})
        data.prepare()
        return data

    return make


def plain(value: Any) -> Any:
    """In what `==` compares."""
    if isinstance(value, Ragged):
        return [{name: rows.tolist() for name, rows in value.of_clip(i).items()} for i in range(value.count)]
    return value.tolist()


def of_samples(data: VideoDataModule, batch: dict[str, Any], name: str) -> list[Any]:
    """What a batch has of each of its samples."""
    values, count = plain(batch[name]), len(batch["index"])
    each = len(values) // count
    return [values[i * each : (i + 1) * each] for i in range(count)]


def alone(data: VideoDataModule, batch: dict[str, Any], name: str) -> list[Any]:
    """The same of each sample read by itself."""
    dataset = data.dataset("train")
    keys = zip(batch["epoch"].tolist(), batch["index"].tolist())
    samples = [Samples([dataset[key]], failures=[], epoch=0) for key in keys]
    return [plain(collate(sample, annotations=data.annotations)[name]) for sample in samples]


def files_of(data: VideoDataModule, key: tuple[int, int]) -> set[str]:
    """A sample's own file, and that of the sample that it is joined to."""
    dataset = data.dataset("train")
    files = {dataset.file(key[1])}
    if files.isdisjoint(data.quarantine.causes):
        samples = dataset.__getitems__([key])
        files |= {failure.path for failure in samples.failures}
        joined = [sample["next_shot"].rows["row"] for sample in samples.read if "next_shot" in sample]
        files |= {dataset.file(int(row)) for row in joined}
    return files


def test_the_cases_are_all_kinds_that_there_are():
    folder = Path(Annotation.__module__.replace(".", "/")).parent
    kinds = {path.stem for path in (Path(__file__).parents[3] / folder).glob("*.py")}
    assert kinds - {"__init__", "annotation", "labels", "ragged"} == {
        kind.__module__.rpartition(".")[2] for kind in CASES
    }
    assert {*Annotation.__subclasses__(), *CompanionClip.__subclasses__()} == set(CASES)


@pytest.mark.slow
def test_a_batch_is_its_samples(kind: type[Annotation], make: Make):
    data = make()
    name = field_of(data, kind)
    batches = list(data.train_dataloader())
    assert sum(len(batch["index"]) for batch in batches) == len(TRAIN)
    for batch in batches:
        assert of_samples(data, batch, name) == alone(data, batch, name)
    values = [str(value) for batch in batches for value in of_samples(data, batch, name)]
    assert len(set(values)) > 1  # they are not all the same, and so would be noticed in another's place


@pytest.mark.slow
def test_batches_are_the_same_with_workers_and_their_ring(kind: type[Annotation], make: Make):
    here, there = make(), make(num_workers=2)
    name = field_of(here, kind)
    plain_loader, loader = here.train_dataloader(), there.train_dataloader()
    assert loader.ring is not None
    for _ in range(2):
        for one, other in zip(plain_loader, loader, strict=True):
            assert list(one) == list(other) and plain(one[name]) == plain(other[name])


@pytest.mark.slow
def test_batches_lack_what_is_quarantined(kind: type[Annotation], make: Make, place: Path, tmp_path: Path):
    shutil.copytree(place, tmp_path / "own")
    data = make(at=tmp_path / "own", max_unreadable=2)
    name = field_of(data, kind)
    for lost in (TRAIN[1], TRAIN[6]):
        (tmp_path / "own" / "root" / lost).write_bytes(b"")
    list(data.train_dataloader())  # in which they are found
    assert set(data.quarantine.causes) == {TRAIN[1], TRAIN[6]}
    for path in (TRAIN[2], TRAIN[7]):  # and quarantined though they can be read
        data.quarantine.causes[path] = "said so"
    data.quarantine.limit = 4
    batches = list(data.train_dataloader())
    epoch = int(batches[0]["epoch"][0])
    left = [path for path in TRAIN if files_of(data, (epoch, TRAIN.index(path))).isdisjoint(data.quarantine.causes)]
    found = [data.dataset("train").file(i) for batch in batches for i in batch["index"].tolist()]
    assert sorted(found) == left
    for batch in (batch for batch in batches if len(batch["index"])):
        assert of_samples(data, batch, name) == alone(data, batch, name)


@pytest.mark.slow
def test_copies_in_shards_have_it_too(kind: type[Annotation], make: Make, tmp_path: Path):
    """Whichever of two processes reads a sample: each reads its own shards."""
    plain_files = make()
    make_cache(plain_files.manifest, tmp_path / "copies", making=RAW)
    name = field_of(plain_files, kind)
    met = []
    for rank in range(2):
        data = make(cache=str(tmp_path / "copies"), shuffle="shards", batch_size=2)
        data._ranks = lambda rank=rank: (rank, 2)  # type: ignore[method-assign]  # one of two
        for batch in data.train_dataloader():
            met += batch["index"].tolist()
            assert of_samples(data, batch, name) == alone(plain_files, batch, name)
    assert sorted(met) == list(range(len(TRAIN)))


class Record(Watch):
    """What a field was in every batch that a step was taken on."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        self.trained.append((batch["epoch"].tolist(), batch["index"].tolist(), plain(batch[self.name])))
        return (batch["video"].mean() * self.weight).sum()


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_lightning")
def test_a_resumed_training_sees_what_an_uninterrupted_one_saw(kind: type[Annotation], make: Make, tmp_path: Path):
    def train(*callbacks: Callback, checkpoint: Path | None = None) -> list[tuple]:
        data = make()
        task = Record(field_of(data, kind))
        loop = trainer(tmp_path, *callbacks)
        loop.limit_val_batches = loop.limit_test_batches = 0  # not all of these data sets have enough for them
        loop.fit(task, data, ckpt_path=checkpoint, weights_only=False)
        return task.trained

    whole = train(SaveEachBatch(tmp_path))
    assert len(whole) == 6 and whole[0] != whole[2]  # two batches an epoch
    assert train(checkpoint=tmp_path / "3.ckpt") == whole[3:]


def rank_of_two(rank: int, folder: Path, place: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save({kind.__name__: met_by(kind, place, rank=(rank, 2)) for kind in CASES}, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def met_by(kind: type[Annotation], place: Path, *, rank: tuple[int, int]) -> list[tuple[list[int], list[Any]]]:
    """Of each training batch the samples, and what their field was."""
    data = module(place, **{"clips_per_video": 2, "num_frames": 5, "max_unreadable": 1, **CASES[kind]})
    data._ranks = lambda: rank  # type: ignore[method-assign]  # no trainer tells
    data.setup()
    name = field_of(data, kind)
    return [(batch["index"].tolist(), of_samples(data, batch, name)) for batch in data.train_dataloader()]


@pytest.mark.slow
def test_two_processes_share_a_batch_also_where_one_of_them_loses_a_file(place: Path, tmp_path: Path):
    shutil.copytree(place, own := tmp_path / "own")
    for arguments in CASES.values():
        module(own, **arguments).prepare()
    (own / "root" / TRAIN[1]).write_bytes(b"")
    multiprocessing.start_processes(rank_of_two, args=(tmp_path, own), nprocs=2, start_method="forkserver")
    shares = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for kind in CASES:
        expected = met_by(kind, own, rank=(0, 1))
        both = zip(*(share[kind.__name__] for share in shares), strict=True)
        assert [tuple(one + other for one, other in zip(*parts)) for parts in both] == expected
        left = [0, 2, 3, 4, 5, 6, 7]
        met = sorted(index for batch, _ in expected for index in batch)
        assert met == left or (kind is NextShot and {*met} < {*left})  # without those that the lost one follows, too


def test_it_goes_through_the_transform_and_follows_it(kind: type[Annotation], make: Make):
    data = make(train_transform=TrainTransform(size=16, flip=0.5, seed=3), size=16)
    name = field_of(data, kind)
    read = data.read("train", range(8))
    batch = data.transformed(read, "train", device=torch.device("cpu"))
    assert batch["video"].shape in ((16, 5, 3, 16, 16), (8, 5, 3, 16, 16))
    value = batch[name]
    assert (value.count if isinstance(value, Ragged) else len(value)) in (8, 16)
    assert isinstance(value, Tensor | Ragged)


def test_the_manifest_keeps_it_and_another_statement_is_another_data_set(kind: type[Annotation], make: Make):
    data = make()
    read = Manifest.read(data.manifest_path)
    assert read.fingerprint == data.manifest.fingerprint
    assert {name: list(column) for name, column in read.columns.items() if name.startswith("fields.")} == {
        name: list(column) for name, column in data.manifest.columns.items() if name.startswith("fields.")
    }
    if isinstance(data.layout, Stated):
        texts = {**data.layout.texts, TRAIN[3]: data.layout.texts[TRAIN[2]]}
        assert make(layout=Stated(data.layout.annotation, texts)).fingerprint != read.fingerprint
