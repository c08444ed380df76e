"""Batches in reused shared memory: the same bits, never written over while held, no slot lost for good."""

import gc
import os
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests import forked
from tests.films import Put, module
from videxp.data import FolderPerClass, Loading
from videxp.data.annotations.companion_clip import CompanionClip
from videxp.data.annotations.single_label import SingleLabel
from videxp.data.loading import ring
from videxp.data.loading.dataset import Samples, collate
from videxp.data.loading.loader import ClipLoader
from videxp.data.loading.quarantine import Failure
from videxp.data.loading.ring import HELD, InSlot, Packet, Request, Ring

FRAMES, SIZE, BATCH = 4, 40, 2
SAMPLE_BYTES = FRAMES * SIZE * SIZE * 3
WITH_INPUT = SAMPLE_BYTES + SAMPLE_BYTES // 4
collated = partial(collate, annotations=[SingleLabel(), CompanionClip("degraded")])


class Clips:
    """Sample (epoch, index): a clip full of its number, and an input of half its size. Index 99 is a fault of ours."""

    def __getitems__(self, keys: list[tuple[int, int]]) -> Samples:
        samples = Samples([], [], epoch=keys[0][0], slot=getattr(keys, "slot", None))
        for epoch, index in keys:
            if index == 99:
                raise RuntimeError("a fault")
            if index == 98:
                samples.failures.append(Failure("cannot be read", path="98.mp4"))
                continue
            video = torch.full((1, FRAMES, SIZE, SIZE, 3), (50 * epoch + index) % 256, dtype=torch.uint8)
            clips = {"clip": video, "degraded": video[:, :, ::2, ::2].contiguous() + 1}
            samples.read.append({**clips, "label": index % 3, "index": index, "epoch": epoch})
        return samples


class Order:
    """Batches of two, in order, the next epoch at each iteration."""

    def __init__(self, indices: list[int]) -> None:
        self.indices, self.epoch = indices, -1

    def __len__(self) -> int:
        return len(self.indices) // BATCH

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        self.epoch += 1
        for first in range(0, len(self.indices), BATCH):
            yield [(self.epoch, index) for index in self.indices[first : first + BATCH]]


def loader(
    *, workers: int, slot_bytes: int = BATCH * WITH_INPUT, indices: list[int] | None = None, **options: Any
) -> ClipLoader:
    if workers:
        options = {"multiprocessing_context": "fork", "persistent_workers": True, "prefetch_factor": 2, **options}
    batches = Order(indices or list(range(40)))
    return ClipLoader(
        Clips(), batch_sampler=batches, collate_fn=collated, num_workers=workers, slot_bytes=slot_bytes, **options
    )


def slot_of(ring: Ring, tensor: Tensor) -> int | None:
    """In which slot a tensor lies."""
    slot, _ = divmod(tensor.data_ptr() - ring.memory(0).ctypes.data, ring.slot_bytes)
    return slot if 0 <= slot < ring.slots else None


def slots(loader: ClipLoader) -> list[int | None]:
    """The slots of one iteration's batches."""
    assert loader.ring is not None
    return [slot_of(loader.ring, batch["clip"]) for batch in loader]


def assert_equal(batch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(batch) == list(expected)
    for name, value in expected.items():
        if isinstance(value, Tensor):
            assert batch[name].dtype == value.dtype and batch[name].stride() == value.stride(), name
            assert torch.equal(batch[name], value), name
        else:
            assert batch[name] == value, name


def files_per_batch(loader: ClipLoader) -> int:
    """File descriptors that a batch takes while it is held."""
    batches = iter(loader)
    kept = [next(batches)]
    before = len(os.listdir("/proc/self/fd"))
    kept.append(next(batches))
    return len(os.listdir("/proc/self/fd")) - before


def test_a_stock_batch_is_a_file_for_each_tensor_and_ours_is_none() -> None:
    assert files_per_batch(loader(workers=1, slot_bytes=0)) == 5
    assert files_per_batch(loader(workers=1)) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_are_those_of_a_loader_without_workers(workers: int) -> None:
    plain, ours = loader(workers=0), loader(workers=workers)
    for _ in range(2):
        for batch, expected in zip(ours, plain, strict=True):
            assert slot_of(ours.ring, batch["clip"]) == slot_of(ours.ring, batch["degraded"]) is not None
            assert_equal(batch, expected)


class TakesTurns(Ring):
    """The usual ring buffer."""

    def take(self) -> int | None:
        self.turn = (getattr(self, "turn", -1) + 1) % self.slots
        return self.turn


def first_pixels(loader: ClipLoader) -> list[int]:
    """Of all batches of an iteration, looked at when all have arrived."""
    batches = list(loader)
    return [int(batch["clip"].flatten()[0]) for batch in batches]


def test_a_ring_by_turns_would_write_over_batches_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videxp.data.loading.loader.Ring", TakesTurns)
    assert first_pixels(loader(workers=2)) != list(range(0, 40, 2))


def test_batches_that_are_kept_stay_as_they_are() -> None:
    ours = loader(workers=2)
    assert first_pixels(ours) == list(range(0, 40, 2))
    kept = list(ours)
    of_slots = [slot_of(ours.ring, batch["clip"]) for batch in kept]
    assert of_slots.count(None) == 20 - ours.ring.slots  # the others came as a DataLoader's do
    del kept
    assert None not in slots(ours)


def test_no_more_slots_are_touched_than_were_in_use_at_once() -> None:
    ours = loader(workers=2)
    under_way, in_the_loop = 2 * 2, 2  # a batch is handed over while the loop still has the one before it
    assert ours.ring.slots == under_way + HELD
    assert set(slots(ours)) <= set(range(under_way + in_the_loop))


def lose_slots(ours: ClipLoader) -> None:
    for _ in range(6):
        for _ in ours:
            break


@pytest.mark.slow
def test_loops_that_were_left_lose_no_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = loader(workers=2)
    lose_slots(ours)
    expected = loader(workers=0)
    expected.batch_sampler.epoch = 5
    for batch, other in zip(ours, expected, strict=True):
        assert slot_of(ours.ring, batch["clip"]) is not None
        assert_equal(batch, other)
    monkeypatch.setattr(Ring, "begin", lambda self: None)
    lose_slots(careless := loader(workers=2))
    assert slots(careless).count(None) > 10


def test_new_workers_get_new_memory_and_what_is_lent_of_the_old_stays() -> None:
    ours = loader(workers=1)
    batches = iter(ours)
    kept = next(batches)
    ours._iterator._shutdown_workers()  # as Lightning does at the end of a fit
    ours._iterator = None
    assert [int(batch["clip"].flatten()[0]) for batch in ours] == list(range(50, 90, 2))
    assert kept["clip"].unique().tolist() == [0, 1]


def let_go_after_an_error() -> None:
    ours = loader(workers=1, indices=[0, 99])
    gc.disable()
    with pytest.raises(RuntimeError, match="a fault"):
        list(ours)
    iterator, ours._iterator = weakref.ref(ours._iterator), None
    assert iterator() is None


@pytest.mark.slow
def test_an_error_of_a_worker_does_not_hold_the_workers() -> None:
    """Those of a stock loader become garbage with it, and take ten seconds to end when that is collected."""
    forked.call(let_go_after_an_error, cwd=Path.cwd(), environment=dict(os.environ))


def test_a_worker_that_fails_gives_its_slot_back_at_the_next_iteration() -> None:
    ours = loader(workers=2, indices=[0, 1, 2, 99, *range(4, 40)])
    for _ in range(12):
        with pytest.raises(RuntimeError, match="a fault"):
            list(ours)
    batches = iter(ours)
    assert slot_of(ours.ring, next(batches)["clip"]) is not None


def test_samples_that_cannot_be_read_are_told_of() -> None:
    indices = [0, 98, 98, 98, 4, 5]
    ours = list(loader(workers=1, indices=indices))
    for batch, expected in zip(ours, loader(workers=0, indices=indices), strict=True):
        assert_equal(batch, expected)
    assert [len(batch["index"]) for batch in ours] == [1, 0, 2]
    assert [len(batch.get("failures", [])) for batch in ours] == [1, 2, 0]


def test_what_does_not_fit_its_slot_travels_as_it_did() -> None:
    ours = loader(workers=1, slot_bytes=BATCH * SAMPLE_BYTES)
    for batch, expected in zip(ours, loader(workers=0), strict=True):
        assert slot_of(ours.ring, batch["clip"]) is not None
        assert slot_of(ours.ring, batch["degraded"]) is None
        assert_equal(batch, expected)


def test_without_address_space_there_is_no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(ring.mmap, "mmap", refuse)
    for batch, expected in zip(loader(workers=1), loader(workers=0), strict=True):
        assert_equal(batch, expected)


def resident_bytes(ring: Ring) -> int:
    """Of the ring's memory, that which this process has mapped."""
    start = f"{ring.memory(0).ctypes.data:x}-"
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    assert any(line.startswith(start) for line in lines)
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))


def test_between_iterations_the_memory_of_free_slots_is_given_back() -> None:
    ours = loader(workers=2)
    kept, most = [], 0
    for number, batch in enumerate(ours):
        kept.append((batch, batch["clip"].unique().tolist(), batch["degraded"].unique().tolist()))
        most = resident_bytes(ours.ring) if number == 10 else most
        if number == 17:
            del kept[1:]
    assert most > 5 * BATCH * WITH_INPUT
    first, *pixels = kept[0]
    assert [first["clip"].unique().tolist(), first["degraded"].unique().tolist()] == pixels == [[0, 1], [1, 2]]
    assert resident_bytes(ours.ring) <= 4 * ours.ring.slot_bytes  # held by us: the first and the last three
    assert None not in slots(ours)


# ---- one process: who holds a slot -------------------------------------------------------------------------------


@pytest.fixture
def small() -> Ring:
    """One slot."""
    small = Ring(slots=1, slot_bytes=BATCH * WITH_INPUT)
    small.map()
    small.begin()
    return small


def packet(ring: Ring) -> Packet:
    request = Request([(0, 7), (0, 8)], slot=ring.take())
    packet = InSlot(collated, ring=ring)(Clips().__getitems__(request))
    assert isinstance(packet, Packet)
    return packet


def test_a_view_or_a_graph_holds_the_slot(small: Ring) -> None:
    on_its_way = packet(small)
    assert small.take() is None
    batch = small.receive(on_its_way)
    view = batch["degraded"][0, :1].flatten()
    del batch
    assert small.take() is None and view.unique().tolist() == [8]
    loss = (view * torch.ones(1, requires_grad=True)).sum()
    del view
    assert loss.grad_fn is not None and small.take() is None
    del loss
    assert small.take() == 0


def test_index_and_label_do_not_hold_the_slot(small: Ring) -> None:
    batch = small.receive(packet(small))
    del batch["clip"], batch["degraded"]
    assert small.take() == 0
    assert batch["index"].tolist() == [7, 8]
    batch["index"] += 1  # writable, as any


def test_pinned_pages_are_a_copy_and_the_slot_is_free_when_it_arrives(
    small: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self.clone())  # without a GPU there is none
    pinned = packet(small).pin_memory()
    assert small.take() is None  # which thread has pinned it does not matter: the main one frees
    batch = small.receive(pinned)
    assert small.take() == 0
    assert slot_of(small, batch["clip"]) is None
    assert_equal(batch, collated(Clips().__getitems__([(0, 7), (0, 8)])))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned batches are not checked: no CUDA device")
def test_a_loader_that_pins_gives_the_same_batches() -> None:
    ours = loader(workers=2, pin_memory=True)
    for _ in range(2):
        for batch in ours:
            assert batch["clip"].is_pinned() and slot_of(ours.ring, batch["clip"]) is None
    assert first_pixels(ours) == list(range(100, 140, 2))


# ---- in the data module ------------------------------------------------------------------------------------------


def test_slots_are_as_large_as_batches_and_whole_videos_have_none(put: Put, tmp_path: Path) -> None:
    for i in range(4):
        put(f"train/run/{i}.mp4")  # 24 x 32
    put("val/run/0.mp4")
    data = module(tmp_path, FolderPerClass(), num_workers=1, test_clips=3, crop_size=16, val_frames="all")
    data.prepare()
    frame = 24 * 32 * 3
    assert data.dataset("train").largest_sample_bytes() == 4 * 16 * 16 * 3
    assert data.dataset("test").largest_sample_bytes() == 3 * 4 * frame
    assert data.dataset("val").largest_sample_bytes() == 0
    resized = module(tmp_path, FolderPerClass(), num_workers=1, frame_size=[10, 20])
    resized.prepare()
    assert resized.dataset("test").largest_sample_bytes() == 4 * 10 * 20 * 3
    assert data.val_dataloader().ring is None
    train, test = data.train_dataloader(), data.test_dataloader()
    batch = next(iter(train))
    assert batch["clip"].numel() == data.batch_size * 4 * 16 * 16 * 3 <= train.ring.slot_bytes
    assert None not in slots(train) and None not in slots(test)
    data.loading = Loading(num_workers=0)
    assert data.train_dataloader().ring is None
