"""The data module: a prepared data set as batches for Lightning's trainer, or for a loop of one's own.

    data = VideoDataModule(root="videos", num_frames=16, size=112, batch_size=8)
    data.prepare()          # every file is read once; quick the second time
    data.setup("fit")
    for batch in data.train_dataloader(): ...

Its first two thirds are `prepared.py`, of files, and `samples.py`, of samples; this one is of batches.

Legend: B samples, K clips of a sample, N = B*K clips, T frames, H, W pixels, C = 3 channels (RGB).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge
from videxp.core.processes import START_METHOD
from videxp.data.annotations.annotation import Annotation
from videxp.data.layouts.base import Layout
from videxp.data.left_out import nothing_left
from videxp.data.loading.clips import Clips
from videxp.data.loading.dataset import collate
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.loader import ClipLoader
from videxp.data.loading.loading import Loading
from videxp.data.loading.position import Position
from videxp.data.loading.quarantine import Batch, Failure, agreed, is_empty, kept
from videxp.data.loading.sampler import ChosenBatches, EpochBatches, EvaluationBatches
from videxp.data.manifest import SPLITS, Manifest, Split
from videxp.data.preparing.options import Preparing
from videxp.data.samples import SampledDataModule
from videxp.data.sizes import check_one_length, check_sizes

# Looked at before a stage begins: training that ends in a test without samples would have been for nothing.
STAGE_SPLITS: dict[str, Sequence[Split]] = {"fit": SPLITS, "validate": ["val"], "test": ["test"]}


class VideoDataModule(SampledDataModule):
    """Batches are dicts: `clip` uint8 [N,T,H,W,C]; `label` int64 [B], of samples with several labels float32
    [B,num_classes], 1 or 0; `index` int64 [B], the sample's number in its split; `epoch` int64 [B]; in restoration
    `degraded` uint8 [N,T,h,w,C], where it comes from files or is made; and what the layout's
    annotations add. `index` and `epoch` stay on the CPU. The transform replaces the clips by `video` float
    [N',T,C,h,w], what the network sees, and in restoration `target` float [N',T,C,H,W], what it should give.

    Needs `Trainer(use_distributed_sampler=False)`. No result depends on num_workers or on the number of devices:
    batch sizes are totals over all devices.
    """

    def __init__(
        self,
        *,
        root: str,
        num_frames: Annotated[int, Ge(1)],
        batch_size: Annotated[int, Ge(1)],
        stride_frames: Annotated[int, Ge(1)] = 1,
        size: Annotated[int, Ge(1)] | None = None,
        name: str | None = None,
        layout: Layout | None = None,
        clips: Clips = Clips(),
        decoding: Decoding = Decoding(),
        loading: Loading = Loading(),
        preparing: Preparing = Preparing(),
        crop_size: Annotated[int, Ge(1)] | Sequence[int] | None = None,
        scale: Annotated[int, Ge(1)] = 1,
        annotations: dict[str, Annotation] | None = None,
        train_transform: nn.Module | None = None,
        eval_transform: nn.Module | None = None,
        test_transform: nn.Module | None = None,
        eval_batch_size: Annotated[int, Ge(1)] | None = None,
        max_unreadable: Annotated[int, Ge(0)] = 0,
        cache: str | None = None,
        timeout_seconds: Annotated[float, Ge(0)] = 300,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        """
        num_frames: of a clip in training. stride_frames: it has every so many-th frame of what it spans.
        size: height = width of the model's input; the transforms bring clips to it. None: crop_size / scale, or frames
            of decoding.frame_size.
        name: what the data set is called; None: as its folder.
        layout: how files lie beneath root; None: a folder per class.
        crop_size: pixels, or [height, width], cut out at a random place in the worker, in training.
        scale: the clip's size / its input's; frames that it does not divide are cut at the right and at the bottom.
        annotations: by their names, what samples have beside what the layout states, such as `NextShot`.
        train_transform, eval_transform: None: `TrainTransform` as it is, and the middle of frames that are 8/7 of size.
        test_transform: None takes eval_transform; another one may cut several crops.
        max_unreadable: files that may be unreadable, found so when preparing or later; they are left out, counted and
            listed. One more is an error.
        cache: folder that `videxp prepare --cache` made, or where it was copied to in an object store (`s3://...`, any
            URL of fsspec); clips are read from the copies in it.
        timeout_seconds: a batch that takes longer is an error; 0 waits for ever.
        """
        super().__init__(
            root=root,
            name=name,
            layout=layout,
            preparing=preparing,
            max_unreadable=max_unreadable,
            cache=cache,
            timeout_seconds=timeout_seconds,
            num_frames=num_frames,
            stride_frames=stride_frames,
            size=size,
            crop_size=crop_size,
            scale=scale,
            clips=clips,
            decoding=decoding,
            annotations=annotations,
            train_transform=train_transform,
            eval_transform=eval_transform,
            test_transform=test_transform,
            seed=seed,
        )
        if loading.shuffle == "shards" and cache is None:
            raise BadRequest(f"dataset.loading.shuffle={loading.shuffle} without shards: set dataset.cache")
        self.loading = loading
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self._position = Position()

    # ---- before a stage begins ----------------------------------------------------------------------------------

    def setup(self, stage: str | None = None) -> None:
        """Raises BadRequest where a split that the stage reads has no samples for each rank."""
        self._position = Position()
        super().setup(stage)
        for split in STAGE_SPLITS.get(stage or "", ()):
            self._require_samples(split)

    def use(self, manifest: Manifest) -> None:
        """And see that its samples can form batches."""
        super().use(manifest)
        check_sizes(
            self.manifest,
            frame_size=self.decoding.size,
            crop_size=self.crop_size,
            scale=self.scale,
            eval_batch_size=self.eval_batch_size,
            cut=[split for split in SPLITS if self.cutter(split) is not None],
            tested=self.tested,
        )
        for split in SPLITS[1:] if self.eval_batch_size > 1 else ():
            if self.choice_of(split).num_frames == "all":
                check_one_length(self.manifest, split=self.part_of(split), lengths=self.dataset(split).lengths())

    def _require_samples(self, split: Split) -> None:
        """Raises BadRequest for a split of which nothing can be read, and for one of which a rank would get none."""
        limit, (_, world_size) = 1.0 if split == "train" else self._limit(split), self._ranks()
        if limit == 0:
            return  # nobody asks for it
        if not (count := len(self.dataset(split))):
            raise BadRequest(nothing_left(self.manifest, self.part_of(split), self.missing))
        if count < world_size:  # a rank without any would not meet the others
            raise BadRequest(
                f"{count} {self.part_of(split)} samples for {world_size} processes: use fewer, hardware=cpu"
            )
        if split != "train" and not len(self.evaluated(split)):
            batches = len(self._evaluation_batches(split))
            key, least = f"trainer.limit_{split}_batches", math.ceil(1000 / batches) / 1000
            raise BadRequest(f"{key}={limit} of {batches} batches is none: {key}=1, or {least:g} or more")

    # ---- training -----------------------------------------------------------------------------------------------

    def train_dataloader(self) -> ClipLoader:
        self._position.require_same(self._order())
        if not len(self.dataset("train")):
            raise BadRequest(f"Data set {self.name} has no training samples: it is for evaluation alone")
        batches = self._epoch_batches()
        self._require_validation(len(batches))
        return self._loader("train", batches)

    def _require_validation(self, batches: int) -> None:
        """Raises BadRequest for an interval between validations, in batches, that no epoch is long enough for."""
        if (trainer := self.trainer) is None or trainer.check_val_every_n_epoch is None:
            return
        limit, interval = trainer.limit_train_batches, trainer.val_check_interval
        in_epoch = int(batches * limit) if isinstance(limit, float) else min(batches, limit)
        if isinstance(interval, int) and interval > in_epoch:
            key = "trainer.val_check_interval"
            raise BadRequest(f"{key}={interval} is more than the {in_epoch} batches of an epoch: {key}={in_epoch}")

    def _epoch_batches(self) -> EpochBatches:
        rank, world_size = self._ranks()
        trainer, dataset, shuffle = self.trainer, self.dataset("train"), self.loading.shuffle
        if getattr(self.train_transform, "mixes", False) and self.batch_size < 2 * world_size:
            raise BadRequest(
                f"dataset.batch_size={self.batch_size}: a device gets one video, which mixup, cutmix or mosaic "
                f"would mix with another there; make it {2 * world_size}, or mixup_alpha, cutmix_alpha and mosaic 0"
            )
        of_classes = "dataset.loading.shuffle=class_balanced"
        return EpochBatches(
            len(dataset),
            batch_size=self.batch_size,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            position=None if trainer is None else lambda: self._position.next(trainer.current_epoch),
            shard_of=dataset.shard_of if shuffle == "shards" else None,
            label_of=dataset.require_classes(of_classes) if shuffle == "class_balanced" else None,
        )

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def val_dataloader(self) -> ClipLoader:
        return self._evaluation_loader("val")

    def test_dataloader(self) -> ClipLoader:
        return self._evaluation_loader("test")

    def _evaluation_loader(self, split: Split) -> ClipLoader:
        self._require_samples(split)
        return self._loader(split, self._evaluation_batches(split))

    def _evaluation_batches(self, split: Split) -> EvaluationBatches:
        rank, world_size = self._ranks()
        dataset = self.dataset(split)
        return EvaluationBatches(
            dataset.num_samples,
            batch_size=self.eval_batch_size,
            rank=rank,
            world_size=world_size,
            limit=self._limit(split),
            label_of=dataset.class_of,
        )

    def _limit(self, split: Split) -> float:
        """How much of a split the trainer evaluates: a number of batches (int), or a share of them (float)."""
        if self.trainer is None:
            return 1.0
        return self.trainer.limit_val_batches if split == "val" else self.trainer.limit_test_batches

    def evaluated(self, split: Split) -> np.ndarray:
        """Samples of the split that an evaluation meets, sorted, int64: all, or the trainer's `limit_val_batches` and
        `limit_test_batches` of them, spread evenly; the same for any number of devices."""
        return self._evaluation_batches(split).part

    def part_text(self, split: Split, trainer: Trainer) -> str:
        """`64 of 840 val videos, spread evenly: trainer.limit_val_batches=2`; "" where all are evaluated, or none.

        trainer: the one that will evaluate them, which may not have begun.
        """
        self.trainer = trainer
        part, total = len(self.evaluated(split)), len(self.dataset(split))
        if part in (0, total):
            return ""
        how = f"spread evenly over classes and data: trainer.limit_{split}_batches={self._limit(split)}"
        return f"{part:,} of {total:,} {split} videos, {how}"

    # ---- loaders ------------------------------------------------------------------------------------------------

    def _loader(self, split: Split, batches: EpochBatches | EvaluationBatches | ChosenBatches) -> ClipLoader:
        workers = min(self.workers, len(batches))  # one more would never be asked
        return ClipLoader(
            self.dataset(split),
            admit=partial(self._admit, split=split),
            batch_sampler=batches,
            collate_fn=partial(collate, annotations=self.annotations),
            slot_bytes=batches.share * self.dataset(split).largest_sample_bytes(),
            num_workers=workers,
            # Workers are forked once and stay. They inherit the manifest without a copy, and open readers themselves.
            multiprocessing_context=START_METHOD if workers else None,
            persistent_workers=workers > 0,
            prefetch_factor=self.loading.prefetch_factor if workers else None,
            timeout=self.timeout_seconds if workers else 0,
            pin_memory=self._on_cuda(),
            generator=torch.Generator().manual_seed(self.seed),  # else every iter() draws from the global generator
        )

    def chosen_loader(self, split: Split, indices: Sequence[int]) -> ClipLoader:
        """These samples in this order, as an evaluation meets them: as many at once, by its workers; those that cannot
        be read are left out, within `max_unreadable`."""
        return self._loader(split, ChosenBatches(indices, batch_size=self.eval_batch_size))

    def _admit(self, batch: Batch, failures: list[Failure], *, split: Split) -> Batch | None:
        """The batch without what is quarantined; of an evaluation, None where nothing is left of it."""

        def files() -> list[set[str]]:
            return self.files_of(batch, split)

        if split == "train":
            return agreed(batch, failures, self.quarantine, files)
        self.quarantine.hold(failures)
        batch = kept(batch, [self.quarantine.causes.keys().isdisjoint(of_sample) for of_sample in files()])
        return None if is_empty(batch) else batch

    @property
    def workers(self) -> int:
        """Worker processes of each device, what "auto" came to."""
        _, world_size = self._ranks()
        nodes = 1 if self.trainer is None else self.trainer.num_nodes
        return self.loading.workers(processes=world_size // nodes, on_gpu=self._on_cuda())

    def _ranks(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _on_cuda(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def on_after_batch_transfer(self, batch: dict[str, Tensor], _: int) -> dict[str, Tensor]:
        trainer = self.trainer
        if trainer is not None and trainer.training:
            self._position.count(int(batch["epoch"][0]))
            return batch if is_empty(batch) else self.transform(batch, "train")
        return self.transform(batch, "test" if trainer is not None and trainer.testing else "val")

    # ---- resuming -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        # Nothing consumed: a baseline that is tested alone, of data that may hold nothing to train on.
        batches = len(self._epoch_batches()) if self._position.consumed else 1
        if self._position.consumed and self.trainer is not None:
            batches = int(min(batches, self.trainer.num_training_batches))  # limit_train_batches
        return {**self._position.state(batches=batches), **self._order(), "quarantined": dict(self.quarantine.causes)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._position.restore(state_dict)
        self.quarantine.causes = dict(state_dict.get("quarantined", {}))

    def _order(self) -> dict[str, Any]:
        """What decides which batches an epoch has."""
        return {"batch_size": self.batch_size, "seed": self.seed, "fingerprint": self.fingerprint}
