"""A second clip, frame by frame as the first: from a file beside the sample's, or made of it.

Legend: N clips of a batch, T frames, C = 3 channels; h, w = H / scale, W / scale.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator
from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.loading.unchanged import require_unchanged
from videxp.data.manifest import Facts, Manifest, Row

if TYPE_CHECKING:
    from torch import Tensor

Make = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class CompanionClip(Annotation):
    """uint8 [N,T,h,w,C], of the same place in the same frames as the clip.

    scale: the clip's size / the companion's. make: called with a clip uint8 [T,H,W,C] and a generator for samples that
    have no file of their own, the manifest's `input`; None: these have none. test_make: in its place in validation and
    testing, such as one quality of those that a network learns; None: `make`. seed: of their randomness.
    """

    def __init__(
        self, name: str, *, scale: int = 1, make: Make | None = None, test_make: Make | None = None, seed: int = 0
    ) -> None:
        super().__init__(name, columns=("input", "input_size_bytes", "fps"))
        for role, maker in (("make", make), ("test_make", test_make)):
            if getattr(maker, "scale", scale) != scale:
                key = f"dataset.annotations.{name}"
                told = f"{key}.{role}.scale={cast(Any, maker).scale}"
                raise BadRequest(f"{told}: {key}.scale is {scale}; write both alike")
        self.scale = scale
        self.make = make
        self.test_make = test_make or make
        self.seed = seed
        self.root, self.frame_template = "", ""

    def prepare(self, row: Row, own: Facts, facts: Mapping[str, Facts]) -> tuple[Row, Facts]:
        """With the companion's facts; an error where the two are not of the same frames."""
        if not row.input or own.error:
            return row, own
        given = facts[row.input]
        return row, replace(
            own,
            error=pair_error(own, given, input_path=row.input),
            input_size_bytes=given.size_bytes,
            input_mtime_ns=given.mtime_ns,
            input_hash=given.content_hash,
            input_width=given.width,
            input_height=given.height,
        )

    def for_samples(self, manifest: Manifest, samples: np.ndarray) -> Self:
        bound = super().for_samples(manifest, samples)
        bound.root, bound.frame_template = manifest.root, manifest.frame_template
        if not manifest["split"].equal("train")[samples].any():
            bound.make = self.test_make
        return bound

    def read(self, shown: Shown) -> "Tensor | None":
        from videxp.data.loading.views import read_views

        if self.values["input"][shown.row]:
            with self._open(shown) as reader:
                cut = shown.box.over(self.scale).cut
                return read_views(reader, shown.frames_KT, [[cut]] * len(shown.frames_KT))
        return None if self.make is None else self._made(self.make, shown)

    def _made(self, make: Make, shown: Shown) -> "Tensor":
        import torch

        epoch, index = shown.key
        rng = generator(self.seed, stream=Stream.DEGRADE, epoch=epoch, index=index)
        return torch.from_numpy(np.stack([make(clip.numpy(), rng) for clip in shown.clip]))

    def _open(self, shown: Shown) -> Any:
        """Without a probe: PyAV reads every file rightly."""
        from videxp.video import open_video

        path = Path(self.root, self.values["input"][shown.row])
        if not self.frame_template:
            require_unchanged(path, int(self.values["input_size_bytes"][shown.row]), shown.frames_KT)
        return open_video(path, template=self.frame_template or None, fps=float(self.values["fps"][shown.row]))

    def collate(self, values: list["Tensor"], stack: Stack) -> "Tensor":
        return stack(values).flatten(0, 1)

    def largest_bytes(self, clip_bytes: int) -> int:
        return clip_bytes


def facts_of_input(facts: Facts) -> Facts:
    """What the facts of a sample tell of its input: enough to see whether the file has changed."""
    return Facts(
        size_bytes=facts.input_size_bytes,
        mtime_ns=facts.input_mtime_ns,
        content_hash=facts.input_hash,
        num_frames=facts.num_frames,
        fps=facts.fps,
        container=facts.container,
        width=facts.input_width,
        height=facts.input_height,
        error=facts.error,
    )


def pair_error(target: Facts, given: Facts, *, input_path: str) -> str:
    """Empty if the input has the target's frames at 1/scale of its size, for a whole scale."""
    if given.error:
        return f"its input {input_path}: {given.error}"
    if given.num_frames != target.num_frames:
        return f"it has {target.num_frames} frames, its input {input_path} has {given.num_frames}"
    scale = max(1, target.height // given.height)
    if (target.height // scale, target.width // scale) != (given.height, given.width):
        sizes = f"{target.width}x{target.height}", f"{given.width}x{given.height}"
        return f"it is {sizes[0]}, its input {input_path} is {sizes[1]}: no whole part of it"
    return ""
