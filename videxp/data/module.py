"""The data module: a prepared data set as batches for Lightning's trainer, or for a loop of one's own.

    data = VideoDataModule(name="mine", root="videos", layout=FolderPerClass(), ...)
    data.prepare()          # every file is read once; quick the second time
    data.setup("fit")
    for batch in data.train_dataloader(): ...

Legend: B samples, K clips of a sample, N = B*K clips, T frames, H, W pixels, C = 3 channels (RGB).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from videxp.core.errors import BadRequest, VidexpError
from videxp.core.limits import Ge, Interval
from videxp.core.processes import START_METHOD, available_cores
from videxp.data.annotations.annotation import Annotation, check_names, fields_on_device
from videxp.data.annotations.companion_clip import CompanionClip
from videxp.data.annotations.multi_label import MultiLabel
from videxp.data.annotations.single_label import SingleLabel
from videxp.data.description import Description
from videxp.data.following import check_following, moved_fields
from videxp.data.layouts.base import Layout
from videxp.data.left_out import nothing_left
from videxp.data.loading.clips import ClipChoice, Sampling
from videxp.data.loading.dataset import ClipDataset, Samples, collate
from videxp.data.loading.loader import ClipLoader
from videxp.data.loading.position import Position
from videxp.data.loading.quarantine import Batch, Failure, agreed, is_empty, kept
from videxp.data.loading.sampler import EpochBatches, EvaluationBatches
from videxp.data.loading.views import Cutter, Fit
from videxp.data.manifest import SPLITS, Manifest, Split
from videxp.data.prepared import PreparedDataModule
from videxp.data.preparing.cache import from_cache
from videxp.data.preparing.preparation import absolute, check_unreadable
from videxp.data.sizes import check_one_length, check_sizes, crop_height_width
from videxp.video import Decoder, is_remote

MAX_WORKERS = 8  # per rank, for "auto"
# Looked at before a stage begins: training that ends in a test without samples would have been for nothing.
STAGE_SPLITS: dict[str, Sequence[Split]] = {"fit": SPLITS, "validate": ["val"], "test": ["test"]}


class VideoDataModule(PreparedDataModule):
    """Batches are dicts: `clip` uint8 [N,T,H,W,C]; `label` int64 [B], of samples with several labels float32
    [B,num_classes], 1 or 0; `index` int64 [B], the sample's number in its split; `epoch` int64 [B]; in restoration
    `degraded` uint8 [N,T,h,w,C], where it comes from files or from `worker_degradation`; and what the layout's
    annotations add. `index` and `epoch` stay on the CPU. The transform replaces the clips by `video` float
    [N',T,C,h,w], what the network sees, and in restoration `target` float [N',T,C,H,W], what it should give.

    Needs `Trainer(use_distributed_sampler=False)`. No result depends on num_workers or on the number of devices:
    batch sizes are totals over all devices.
    """

    def __init__(
        self,
        *,
        name: str,
        root: str,
        layout: Layout,
        num_frames: Annotated[int, Ge(1)],
        batch_size: Annotated[int, Ge(1)],
        train_transform: nn.Module,
        eval_transform: nn.Module,
        size: Annotated[int, Ge(1)] | None = None,
        test_transform: nn.Module | None = None,
        eval_batch_size: Annotated[int, Ge(1)] | None = None,
        stride_frames: Annotated[int, Ge(1)] = 1,
        clip_fps: Annotated[float, Interval(gt=0, le=1000)] | None = None,
        sampling: Sampling = "clip",
        short: Literal["loop", "clamp"] = "loop",
        test_clips: Annotated[int, Ge(1)] = 1,
        val_frames: Annotated[int, Ge(1)] | Literal["all"] | None = None,
        test_frames: Annotated[int, Ge(1)] | Literal["all"] | None = None,
        train_repeats: Annotated[int, Ge(1)] = 1,
        clips_per_video: Annotated[int, Ge(1)] | None = None,
        crop_size: Annotated[int, Ge(1)] | Sequence[int] | None = None,
        scale: Annotated[int, Ge(1)] = 1,
        worker_degradation: Any = None,
        frame_size: Sequence[int] | None = None,
        frame_fit: Fit = "crop",
        decoder: Decoder = "auto",
        allow_unsafe_decoder: bool = False,
        max_unreadable: Annotated[int, Ge(0)] = 0,
        allow_copies: bool | None = None,
        num_workers: Annotated[int, Ge(0)] | Literal["auto"] = "auto",
        prefetch_factor: Annotated[int, Ge(1)] = 2,
        timeout_seconds: Annotated[float, Ge(0)] = 300,
        cache_dir: str = "~/.cache/videxp",
        cache: str | None = None,
        shuffle: Literal["shards", "class_balanced"] | None = None,
        seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        """
        size: height = width of the model's input; the transforms bring clips to it. None: crop_size / scale.
        test_transform: None takes eval_transform; another one may cut several crops.
        clip_fps: frames of a clip per second of video; None goes by stride_frames.
        test_clips: clips of each video in testing, evenly spaced; predictions are averaged per video.
        val_frames, test_frames: frames of a clip there; None: num_frames; "all": the whole video.
        clips_per_video: training clips of each video of a batch, taken from it while it is open, each cut and changed
            in its own way: repeated (or batch) augmentation, Hoffer et al. 2020. A step then has batch_size *
            clips_per_video clips, which resemble each other more than those of as many videos. None: 1.
        train_repeats: how often an epoch meets each training video, each time with another clip of it.
        crop_size: pixels, or [height, width], cut out at a random place in the worker, in training.
        scale: the clip's size / its input's; frames that it does not divide are cut at the right and at the bottom.
        worker_degradation: called in the worker with a clip uint8 [T,H,W,C] and a numpy generator; makes `degraded`.
        frame_size: [height, width] that workers bring frames to; needed where files differ in size.
        max_unreadable: files that may be unreadable, found so when preparing or later; they are left out, counted and
            listed. One more is an error.
        allow_copies: may the same video, by its content, be in train and in val or test, in a part of val and test, or
            have two labels? None, False: an error. What is allowed is noted.
        num_workers: per device; "auto" goes by the cores.
        cache: folder that `videxp prepare --cache` made, or where it was copied to in an object store (`s3://...`, any
            URL of fsspec); clips are read from the copies in it.
        shuffle: None: all samples of an epoch are mixed, whatever the number of devices. "shards": each process reads
            its own part of a cache's shards, a few at a time, for data that one machine cannot hold near.
            "class_balanced": an epoch is as long, and meets each class equally often; see `sampler.balanced_order`.
        timeout_seconds: a batch that takes longer is an error; 0 waits for ever.
        """
        super().__init__(
            name=name,
            root=root,
            layout=layout,
            max_unreadable=max_unreadable,
            allow_copies=bool(allow_copies),
            timeout_seconds=timeout_seconds,
            cache_dir=cache_dir,
        )
        if sampling == "segments" and test_clips > 1:
            raise BadRequest(f"dataset.test_clips={test_clips} with sampling=segments: segments span the video, set 1")
        if sampling == "segments" and "all" in (val_frames, test_frames):
            raise BadRequest("dataset.test_frames=all with sampling=segments: whole videos are read by sampling=clip")
        if frame_size is not None and (len(frame_size) != 2 or min(frame_size) < 1):
            raise BadRequest(f"dataset.frame_size={list(frame_size)} must be [height, width] in pixels, or null")
        self.num_frames = num_frames
        self.scale = scale
        self.crop_size = crop_height_width(crop_size, scale=scale)
        self.size = size or (min(self.crop_size) // scale if self.crop_size else 0)
        if not self.size:
            raise BadRequest("dataset.size=null: set it, or dataset.crop_size, from which it follows")
        if getattr(worker_degradation, "scale", scale) != scale:
            raise BadRequest(
                f"dataset.worker_degradation.scale={worker_degradation.scale} is not dataset.scale={scale}"
            )
        self.worker_degradation = worker_degradation
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self.train_transform = train_transform
        self.eval_transform = eval_transform
        self.test_transform = test_transform or eval_transform
        self.choice = ClipChoice(
            num_frames, stride_frames, clip_fps, sampling, short, random_clips=clips_per_video or 1
        )
        self.test_clips = test_clips
        self.eval_frames: dict[Split, int | Literal["all"] | None] = {"val": val_frames, "test": test_frames}
        self.train_repeats = train_repeats
        self.frame_size = None if frame_size is None else (int(frame_size[0]), int(frame_size[1]))
        self.frame_fit: Fit = frame_fit
        self.decoder: Decoder = decoder
        self.allow_unsafe_decoder = allow_unsafe_decoder
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.cache = cache if cache is None or is_remote(cache) else str(absolute(cache))
        if shuffle == "shards" and cache is None:
            raise BadRequest(f"dataset.shuffle={shuffle} without shards: set dataset.cache")
        self.shuffle = shuffle
        self.seed = seed
        self.seen: dict[Split, tuple[int, int]] = {}
        """Of the last evaluation of a split: (samples that it counted over all ranks, samples that the split has)."""
        self.annotations: Sequence[Annotation] = ()
        """What a sample has beside its clip, known once the data set is prepared."""
        self._datasets: dict[Split, ClipDataset] = {}
        self._position = Position()

    @property
    def description(self) -> str:
        """`10 classes; 16 x 40 x 40`, or `no labels; 15 x 256 x 256, x4`: what a training clip is."""
        labels = f"{self.num_classes} classes" if self.classes else "no labels"
        if any(isinstance(annotation, MultiLabel) for annotation in self.annotations):
            labels += ", several of a video"
        if self.crop_size is None:
            return f"{labels}; {self.num_frames} x {self.size} x {self.size}"
        height, width = self.crop_size
        return f"{labels}; {self.num_frames} x {height} x {width}" + (f", x{self.scale}" if self.scale > 1 else "")

    @property
    def videos(self) -> Description:
        """What the training videos are like, and what follows from it."""
        return Description(self.manifest, self.choice, test_clips=self.test_clips)

    # ---- preparing ----------------------------------------------------------------------------------------------

    def setup(self, stage: str | None = None) -> None:
        """Every rank reads the manifest that prepare() left."""
        self._position = Position()
        if self._manifest is None:
            manifest = Manifest.read(self.manifest_path)
            check_unreadable(manifest, max_unreadable=self.max_unreadable, path=self.manifest_path)
            self.use(manifest)
        for split in STAGE_SPLITS.get(stage or "", ()):
            self._require_samples(split)

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

    def settle(self, split: Split, *, seen: int) -> None:
        """At the end of an evaluation, on all ranks: its files that failed are left out from now on.

        seen: samples that this rank evaluated. Raises VidexpError, naming files, where no rank has seen any.
        """
        self.quarantine.settle()
        (seen,) = self.quarantine.ranks.summed([seen])
        self.seen[split] = (seen, self.coverage(split)[1])
        if not seen:
            raise VidexpError(nothing_left(self.manifest, self.part_of(split), self.missing))

    def use(self, manifest: Manifest) -> None:
        """And clips from their copies where there is a cache."""
        if self.cache is not None:
            manifest = from_cache(manifest, self.cache, cache_dir=absolute(self.cache_dir))
        check_sizes(
            manifest,
            frame_size=self.frame_size,
            crop_size=self.crop_size,
            scale=self.scale,
            eval_batch_size=self.eval_batch_size,
            cut=[split for split in SPLITS if self.cutter(split) is not None],
            tested=self.tested,
        )
        super().use(manifest)
        self.annotations = self._annotations()
        self._datasets = {}
        self.quarantine.before = len(manifest.unreadable)
        for split, frames in self.eval_frames.items():
            if frames == "all" and self.eval_batch_size > 1:
                check_one_length(manifest, split=self.part_of(split), lengths=self.dataset(split).lengths())

    def _annotations(self) -> list[Annotation]:
        found: list[Annotation] = [MultiLabel() if self.manifest.several_labels else SingleLabel()]
        if self.worker_degradation is not None or self.manifest["input"].lengths.any():
            found.append(CompanionClip("degraded", scale=self.scale, make=self.worker_degradation, seed=self.seed))
        found += self.layout.annotations
        check_names(found)
        transforms = {name: getattr(self, name) for name in ("train_transform", "eval_transform", "test_transform")}
        check_following(found, transforms, frame_size=self.frame_size)
        return found

    # ---- loaders ------------------------------------------------------------------------------------------------

    def dataset(self, split: Split) -> ClipDataset:
        """The samples of a split as its stage reads them: train a random clip, val the central one, test all clips."""
        if split not in self._datasets:
            self._datasets[split] = ClipDataset(
                self.manifest,
                split=self.part_of(split),
                choice=self.choice_of(split),
                seed=self.seed,
                frame_size=self.frame_size,
                fit=self.frame_fit,
                cutter=self.cutter(split),
                decoder=self.decoder,
                allow_unsafe=self.allow_unsafe_decoder,
                crop_size=self.crop_size,
                scale=self.scale,
                annotations=self.annotations,
                repeats=self.train_repeats if split == "train" else 1,
            )
        return self._datasets[split]

    def _transform(self, split: Split) -> nn.Module:
        return {"train": self.train_transform, "val": self.eval_transform, "test": self.test_transform}[split]

    def cutter(self, split: Split) -> Cutter | None:
        """The split's transform, if workers cut what it wants of each picture: the same bits as on the device, but
        nothing is resized twice, no whole frame travels, and files may differ in size."""
        transform = self._transform(split)
        return transform if self.frame_size is None and isinstance(transform, Cutter) else None

    def choice_of(self, split: Split) -> ClipChoice:
        """Which frames of a video the split's stage reads."""
        if split == "train":
            return self.choice
        clips = 1 if split == "val" else self.test_clips
        return self.choice.with_clips(clips, num_frames=self.eval_frames[split])

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
        trainer = self.trainer
        if getattr(self.train_transform, "mixes", False) and self.batch_size < 2 * world_size:
            raise BadRequest(
                f"dataset.batch_size={self.batch_size}: a device gets one video, which mixup and cutmix would mix with "
                f"another there; make it {2 * world_size}, or mixup_alpha and cutmix_alpha 0"
            )
        return EpochBatches(
            len(self.dataset("train")),
            batch_size=self.batch_size,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            position=None if trainer is None else lambda: self._position.next(trainer.current_epoch),
            shard_of=self.dataset("train").shard_of if self.shuffle == "shards" else None,
            label_of=self.dataset("train").require_classes("dataset.shuffle=class_balanced")
            if self.shuffle == "class_balanced"
            else None,
        )

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

    def _loader(self, split: Split, batches: EpochBatches | EvaluationBatches) -> ClipLoader:
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
            prefetch_factor=self.prefetch_factor if workers else None,
            timeout=self.timeout_seconds if workers else 0,
            pin_memory=self._on_cuda(),
            generator=torch.Generator().manual_seed(self.seed),  # else every iter() draws from the global generator
        )

    def _admit(self, batch: Batch, failures: list[Failure], *, split: Split) -> Batch | None:
        """The batch without what is quarantined; of an evaluation, None where nothing is left of it."""

        def paths() -> list[str]:
            return [self.dataset(split).file(i) for i in batch["index"].tolist()]

        if split == "train":
            return agreed(batch, failures, self.quarantine, paths)
        self.quarantine.hold(failures)
        batch = kept(batch, [path not in self.quarantine.causes for path in paths()])
        return None if is_empty(batch) else batch

    @property
    def workers(self) -> int:
        """Worker processes of each device, what "auto" came to."""
        if self.num_workers != "auto":
            return self.num_workers
        _, world_size = self._ranks()
        nodes = 1 if self.trainer is None else self.trainer.num_nodes
        cores = available_cores() // max(1, world_size // nodes)
        # Where the network runs on the same cores, half of them are its own.
        return min(MAX_WORKERS, cores if self._on_cuda() else cores // 2)

    def _ranks(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _on_cuda(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    # ---- on the device ------------------------------------------------------------------------------------------

    def transfer_batch_to_device(self, batch: dict[str, Tensor], device: torch.device, _: int) -> dict[str, Tensor]:
        """`index` and `epoch` stay: the transforms read them, and reading from a GPU waits for it."""
        if is_empty(batch):
            return batch
        names = [name for name in fields_on_device(self.annotations) if name in batch]
        moved = {name: batch[name].to(device, non_blocking=True) for name in names}
        return {**batch, **moved}

    def on_after_batch_transfer(self, batch: dict[str, Tensor], _: int) -> dict[str, Tensor]:
        trainer = self.trainer
        if trainer is not None and trainer.training:
            self._position.count(int(batch["epoch"][0]))
            return batch if is_empty(batch) else self._on_device(batch, "train")
        return self._on_device(batch, "test" if trainer is not None and trainer.testing else "val")

    def _on_device(self, batch: dict[str, Tensor], split: Split) -> dict[str, Tensor]:
        transform, cutter = self._transform(split), self.cutter(split)
        moved = moved_fields(batch, self.annotations, transform)
        return {**(transform(batch) if cutter is None else cutter.finish(batch)), **moved}

    # ---- outside any loop: for a look, or for a try -------------------------------------------------------------

    def read(self, split: Split, indices: Sequence[int]) -> dict[str, Tensor]:
        """These samples of the first epoch as a batch, as a loader gives it."""
        samples = Samples([self.dataset(split)[0, index] for index in indices], failures=[], epoch=0)
        return collate(samples, annotations=self.annotations)

    def transformed(self, batch: dict[str, Tensor], split: Split, *, device: torch.device) -> dict[str, Tensor]:
        """A batch as a network gets it."""
        return self._on_device(self.transfer_batch_to_device(batch, device, 0), split)

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
