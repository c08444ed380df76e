"""Samples of a prepared data set, as workers read them and as the device transforms them: the second third of
`VideoDataModule`.

Legend: B samples, K clips of a sample, N = B*K clips, T frames, H, W pixels, C = 3 channels (RGB).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest, VidexpError
from videxp.data.annotations.annotation import Annotation, check_names, fields_on_device
from videxp.data.annotations.companion_clip import CompanionClip
from videxp.data.annotations.multi_label import MultiLabel
from videxp.data.annotations.single_label import SingleLabel
from videxp.data.description import Description
from videxp.data.following import check_following, lost_fields, moved_fields
from videxp.data.left_out import nothing_left
from videxp.data.loading.clips import ClipChoice, Clips
from videxp.data.loading.dataset import ClipDataset, Samples, collate
from videxp.data.loading.decoding import Decoding
from videxp.data.loading.quarantine import is_empty
from videxp.data.loading.views import Corrupter, Cutter, corrupt_inputs
from videxp.data.manifest import Manifest, Split
from videxp.data.prepared import PreparedDataModule
from videxp.data.sizes import crop_height_width
from videxp.transforms import EvalTransform, TrainTransform

BatchChange = Callable[[dict[str, Any]], dict[str, Any]]
"""A batch as a network gets it -> the same with another `video`."""


class SampledDataModule(PreparedDataModule):
    """The samples of each split, and what becomes of a batch of them on the device."""

    def __init__(
        self,
        *,
        num_frames: int,
        stride_frames: int,
        size: int | None,
        crop_size: int | Sequence[int] | None,
        scale: int,
        clips: Clips,
        decoding: Decoding,
        annotations: Mapping[str, Annotation] | None,
        train_transform: nn.Module | None,
        eval_transform: nn.Module | None,
        test_transform: nn.Module | None,
        seed: int,
        **prepared: Any,
    ) -> None:
        super().__init__(**prepared)
        self.num_frames = num_frames
        self.stride_frames = stride_frames
        self.scale = scale
        self.crop_size = crop_height_width(crop_size, scale=scale)
        self.clips = clips
        self.decoding = decoding
        self.height_width = self._height_width(size)
        self.size = size or min(self.height_width) // scale
        self.own_annotations = dict(annotations or {})
        for key, annotation in self.own_annotations.items():
            if annotation.name != key:
                raise BadRequest(f"dataset.annotations.{key}.name={annotation.name}: call it {key}, as its key is")
            if isinstance(annotation, CompanionClip) and annotation.scale not in (1, scale):
                raise BadRequest(f"dataset.annotations.{key}.scale={annotation.scale} is not dataset.scale={scale}")
        self.train_transform = train_transform or TrainTransform(size=self.size, seed=seed)
        self.eval_transform = eval_transform or EvalTransform(size=self.size, resize=round(self.size * 8 / 7))
        self.test_transform = test_transform or self.eval_transform
        self.seed = seed
        self.annotations: Sequence[Annotation] = ()
        """What a sample has beside its clip, known once the data set is prepared."""
        self._datasets: dict[Split, ClipDataset] = {}
        self._test_corrupter: Corrupter | None = None
        self.attack: BatchChange | None = None
        """What is done to each batch of the test, after the transform."""

    @property
    def description(self) -> str:
        """`10 classes; 16 x 40 x 40`, or `no labels; 15 x 256 x 256, x4`: what a training clip is."""
        labels = f"{self.num_classes} classes" if self.classes else "no labels"
        if any(isinstance(annotation, MultiLabel) for annotation in self.annotations):
            labels += ", several of a video"
        height, width = self.height_width
        return f"{labels}; {self.num_frames} x {height} x {width}" + (f", x{self.scale}" if self.scale > 1 else "")

    def _height_width(self, size: int | None) -> tuple[int, int]:
        """Of a training clip, before it is made smaller."""
        if self.crop_size is not None:
            return self.crop_size
        if size is not None:
            return size, size
        if self.decoding.size is None:
            raise BadRequest("dataset.size=null: set it, or dataset.crop_size, or dataset.decoding.frame_size")
        return self.decoding.size

    @property
    def videos(self) -> Description:
        """What the training videos are like, and what follows from it."""
        return Description(self.manifest, self.choice_of("train"), test_clips=self.clips.test_clips)

    # ---- as workers read them -----------------------------------------------------------------------------------

    def use(self, manifest: Manifest) -> None:
        super().use(manifest)
        self.annotations = self._annotations()
        self._datasets = {}

    def _annotations(self) -> list[Annotation]:
        found: list[Annotation] = [of() for of in (SingleLabel, MultiLabel) if of.gives == self.manifest.labels]
        has_reader = any(isinstance(annotation, CompanionClip) for annotation in self.own_annotations.values())
        if self.manifest["input"].lengths.any() and not has_reader:
            found.append(CompanionClip("degraded", scale=self.scale))
        found += [*self.layout.annotations, *self.own_annotations.values()]
        check_names(found)
        transforms = {name: getattr(self, name) for name in ("train_transform", "eval_transform", "test_transform")}
        check_following(found, transforms, frame_size=self.decoding.size)
        return found

    def choice_of(self, split: Split) -> ClipChoice:
        """Which frames of a video the split's stage reads."""
        return self.clips.choice(split, num_frames=self.num_frames, stride_frames=self.stride_frames)

    def dataset(self, split: Split) -> ClipDataset:
        """The samples of a split as its stage reads them."""
        if split not in self._datasets:
            self._datasets[split] = ClipDataset(
                self.manifest,
                split=self.part_of(split),
                choice=self.choice_of(split),
                seed=self.seed,
                decoding=self.decoding,
                cutter=self.cutter(split),
                crop_size=self.crop_size,
                scale=self.scale,
                annotations=self.annotations,
                corrupter=self._corrupter(split, of="clips"),
                repeats=self.clips.train_repeats if split == "train" else 1,
            )
        return self._datasets[split]

    def files_of(self, batch: Mapping[str, Any], split: Split) -> list[set[str]]:
        """The files that each sample of a batch was read from: its own, and those of samples that it was joined to."""
        dataset = self.dataset(split)
        files = [{dataset.file(index)} for index in batch["index"].tolist()]
        for annotation in self.annotations:
            others = annotation.joined_rows(batch[annotation.name]) if annotation.name in batch else []
            for of_sample, row in zip(files, others):
                of_sample.add(dataset.file(row))
        return files

    def cutter(self, split: Split) -> Cutter | None:
        """The split's transform, if workers cut what it wants of each picture: the same bits as on the device, but
        nothing is resized twice, no whole frame travels, and files may differ in size."""
        transform = self._transform(split)
        return transform if self.decoding.size is None and isinstance(transform, Cutter) else None

    def corrupt_test(self, corrupter: Corrupter | None) -> None:
        """Let the test meet corrupted clips, those of loaders that are made from now on; None: clips as they are.

        It is the clip that was read, in the worker; where the transform makes the target of it, which stays clean, the
        network's input.
        """
        self._test_corrupter = corrupter
        self.dataset("test").corrupter = self._corrupter("test", of="clips")

    @property
    def tests_inputs(self) -> bool:
        """Whether `corrupt_test` is of inputs that stand beside a target, not of the clips that are read."""
        return getattr(self.test_transform, "gives_target", False)

    def _corrupter(self, split: Split, *, of: Literal["clips", "inputs"]) -> Corrupter | None:
        """What corrupts clips in the worker, or inputs that the transform has made of clips that stay clean."""
        if split == "test" and self._test_corrupter is not None:
            return self._test_corrupter if self.tests_inputs == (of == "inputs") else None
        transform = self._transform(split)
        where = "clips" if isinstance(transform, Cutter) else "inputs"
        return getattr(transform, "corruptions", None) if where == of else None

    def _transform(self, split: Split) -> nn.Module:
        return {"train": self.train_transform, "val": self.eval_transform, "test": self.test_transform}[split]

    # ---- on the device ------------------------------------------------------------------------------------------

    def transfer_batch_to_device(self, batch: dict[str, Tensor], device: torch.device, _: int) -> dict[str, Tensor]:
        """`index` and `epoch` stay: the transforms read them, and reading from a GPU waits for it."""
        if is_empty(batch):
            return batch
        names = [name for name in fields_on_device(self.annotations) if name in batch]
        moved = {name: batch[name].to(device, non_blocking=True) for name in names}
        return {**batch, **moved}

    def transform(self, batch: dict[str, Tensor], split: Split) -> dict[str, Tensor]:
        """A batch on the device as a network gets it: `video` float [N',T,C,h,w] in place of `clip`."""
        transform, cutter = self._transform(split), self.cutter(split)
        moved, lost = moved_fields(batch, self.annotations, transform), lost_fields(self.annotations, transform)
        given = {**(transform(batch) if cutter is None else cutter.finish(batch)), **moved}
        given = {name: value for name, value in given.items() if name not in lost}
        if (corrupter := self._corrupter(split, of="inputs")) is not None:
            given["video"] = self._corrupted(given, corrupter, split)
        return given if split != "test" or self.attack is None else self.attack(given)

    def _corrupted(self, batch: dict[str, Tensor], corrupter: Corrupter, split: Split) -> Tensor:
        """The batch's `video`, each sample's by itself."""
        keys = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        of_samples = batch["video"].unflatten(0, (len(keys), -1))
        fps = self.dataset(split).clip_fps
        return torch.cat(
            [
                corrupt_inputs(video, corrupter, epoch=epoch, index=index, fps=fps(index))
                for (epoch, index), video in zip(keys, of_samples)
            ]
        )

    # ---- outside any loop: for a look, or for a try -------------------------------------------------------------

    def read(self, split: Split, indices: Sequence[int]) -> dict[str, Tensor]:
        """These samples of the first epoch as a batch, as a loader gives it."""
        samples = Samples([self.dataset(split)[0, index] for index in indices], failures=[], epoch=0)
        return collate(samples, annotations=self.annotations)

    def readable(self, split: Split, *, count: int) -> list[int]:
        """The first samples of a split that can be read, `count` of them or fewer; files that cannot are left out from
        now on.

        Raises VidexpError, naming one, for more of them than `max_unreadable`, and where no sample is left.
        """
        dataset = self.dataset(split)
        found: list[int] = []
        for index in range(dataset.num_samples):
            if len(found) == count:
                break
            if dataset.file(index) in self.quarantine.causes:
                continue
            failures = dataset.__getitems__([(0, index)]).failures
            self.quarantine.add(failures)
            found += [] if failures else [index]
        if not found:
            raise VidexpError(nothing_left(self.manifest, self.part_of(split), self.missing))
        return found

    def transformed(self, batch: dict[str, Tensor], split: Split, *, device: torch.device) -> dict[str, Tensor]:
        """A batch as a network gets it."""
        return self.transform(self.transfer_batch_to_device(batch, device, 0), split)
