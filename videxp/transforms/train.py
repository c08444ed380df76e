"""Training augmentation. Legend: B items, k clips per item, N = B*k, T frames, H, W, C = 3 channels."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Gt, Interval
from videxp.core.randomness import Stream, generator
from videxp.transforms.color import color_matrices, jitter_normalize, normalize
from videxp.transforms.corruptions.training import CorruptionOptions, training_corruptions
from videxp.transforms.geometry import (
    BOX_DRAWS,
    crop,
    crop_resize,
    fit_pictures,
    flip,
    jittered_boxes,
    place_box,
    random_boxes,
    resize_short_side,
    resized_crop_boxes,
    short_side_size,
    view_boxes,
)
from videxp.transforms.memory import Blocks
from videxp.transforms.mixing import draw_mix, mix_
from videxp.transforms.mosaic import draw_tiles, join_tiles, whole_tile
from videxp.transforms.rand_augment import MAX_MAGNITUDE, Operation, apply, draw_operations
from videxp.video.placing import Fit, Move, Placement, Tile, fitted_placement

# Columns of a clip's uniform numbers. A new use takes new columns at the end, so that it shifts no other.
_BOX, _FLIP = slice(0, BOX_DRAWS), BOX_DRAWS
_FACTORS, _ORDER = slice(BOX_DRAWS + 1, BOX_DRAWS + 5), slice(BOX_DRAWS + 5, BOX_DRAWS + 9)
_DRAWS = BOX_DRAWS + 9

_WHOLE: dict[str, Fit] = {"pad": "pad", "stretch": "stretch"}
_ERASED, _ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # share of the frame, and width / height, of what is erased


class TrainTransform(nn.Module):
    """uint8 clips -> augmented, normalized float clips, the same change in all frames of a clip.

    size: side of the square output, pixels.
    crop: "resized": a box of random area and ratio (torchvision's RandomResizedCrop). "random": the short side becomes
        `resize`, then a square of `size` at a random place. "center": the same in the middle, nothing random. "pad",
        "stretch": the whole picture, black around what it does not fill, or in another shape.
    resize: short side in pixels for "random" and "center"; None: `size`. For "random" also [low, high]: a short side
        is drawn for each clip, all equally likely (scale jittering; Simonyan & Zisserman 2015, section 3.1).
    scale, ratio: for "resized": the box's share of the frame's area, and its width / height.
    mosaic: chance that a clip is joined with three others of its batch, drawn by itself, to one that shows a part of
        each, and their boxes: see `mosaic.py`. Before the flip. For data with boxes; what else a sample is told of,
        such as its class, is left out of batches, since it is of one of the four. None is off.
    min_visible: the share of a box's area that the clip must show; boxes that are cut to less are left out. The others
        are kept, cut to the clip. Evaluation keeps every box of which anything is to be seen.
    flip: chance of a left-right mirror; 0 where direction is the label.
    brightness, contrast, saturation, hue: strengths of the color jitter as in torchvision's ColorJitter: factors from
        [1 - x, 1 + x], hue from [-x, x] turns; 0 is off. See `color.py` for what differs.
    rand_augment: how many operations of RandAugment each clip gets, and how strong they are, from 0 to 30 (9 in most
        recipes): {"num_ops": 2, "magnitude": 9}; None is off. They come after the flip and before the jitter.
    random_erasing: chance that a box is erased, the same in all frames: it becomes `mean`. Its area and ratio are
        torchvision's (RandomErasing; Zhong et al. 2020). None is off.
    corruptions: of some of the clips, as they are cut, before the flip: a table's name, or {"protocol": "yi2021",
        "names": ["fog", "rain"], "severities": [1, 2, 3], "probability": 0.5}: see `training_corruptions`. Workers
        apply them; with decoding.frame_size to whole frames, which are cut afterwards. None is off.
    mixup_alpha, cutmix_alpha: 0 is off; with both on, each item takes one of the two with equal chance.
    mean, std: RGB in [0,1]; the defaults are torchvision's for Kinetics.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        crop: Literal["resized", "random", "center", "pad", "stretch"] = "resized",
        resize: Annotated[int, Gt(0)] | tuple[int, int] | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        mosaic: Annotated[float, Interval(ge=0, le=1)] | None = None,
        min_visible: Annotated[float, Interval(ge=0, le=1)] = 0.1,
        flip: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        brightness: Annotated[float, Ge(0)] = 0.0,
        contrast: Annotated[float, Ge(0)] = 0.0,
        saturation: Annotated[float, Ge(0)] = 0.0,
        hue: Annotated[float, Interval(ge=0, le=0.5)] = 0.0,
        rand_augment: dict[Literal["num_ops", "magnitude"], int] | None = None,
        random_erasing: Annotated[float, Interval(ge=0, le=1)] | None = None,
        corruptions: CorruptionOptions = None,
        mixup_alpha: Annotated[float, Ge(0)] = 0.0,
        cutmix_alpha: Annotated[float, Ge(0)] = 0.0,
        mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989),
        seed: Annotated[int, Ge(0)],
    ) -> None:
        super().__init__()
        shorts = _shorts(resize, size=size)
        if shorts[0] < shorts[1] and crop != "random":
            raise BadRequest(f"transform: resize={list(shorts)} is for crop=random: give crop={crop} one number")
        if not 0 < scale[0] <= scale[1] <= 1:
            raise BadRequest(f"transform: scale={list(scale)} must be [low, high] with 0 < low <= high <= 1")
        if not 0 < ratio[0] <= ratio[1]:
            raise BadRequest(f"transform: ratio={list(ratio)} must be [low, high] with 0 < low <= high")
        self.size, self.crop, self.shorts = size, crop, shorts
        self.scale, self.ratio = (scale[0], scale[1]), (ratio[0], ratio[1])
        self.whole = _WHOLE.get(crop)
        self.mosaic, self.min_visible = mosaic or 0.0, min_visible
        self.flip = flip
        self.jitter = (brightness, contrast, saturation, hue)
        self.num_ops, self.magnitude = _rand_augment(rand_augment)
        self.random_erasing = random_erasing or 0.0
        self.corruptions = training_corruptions(corruptions, seed=seed)
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.mean, self.std = tuple(mean), tuple(std)
        self.seed = seed
        self._blocks = Blocks()

    @property
    def mixes(self) -> bool:
        """Whether a video is mixed with another of its batch."""
        return self._blends or self.mosaic > 0

    @property
    def _blends(self) -> bool:
        return self.mixup_alpha > 0 or self.cutmix_alpha > 0

    @property
    def distorts(self) -> list[str]:
        """What moves what pictures show in other ways than `moves` tells, as settings that turn it off."""
        on = {"rand_augment=null": self.num_ops, "mixup_alpha=0": self.mixup_alpha, "cutmix_alpha=0": self.cutmix_alpha}
        return [off for off, value in on.items() if value]

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new dict with `video` in place of `clip`; with mixing on also `mix_label`, the partner's label, and
        `mix_weight` float [B], the share of the own label.

        batch: `clip` uint8 [N,T,H,W,C], `index` and `epoch` int64 [B], `label` int64 [B] where mixing is on. Keep
        `index` and `epoch` on the CPU: reading them from a GPU waits for the GPU.
        video out: float [N,T,C,size,size], a view of channels-last memory: `.transpose(1, 2)` is `channels_last_3d`.
        Raises ValueError if `clip` is not uint8 [N,T,H,W,3] with N a multiple of B.
        """
        return self._augmented(batch, cut=False)

    def views(
        self, size: tuple[int, int], *, epoch: int, index: int, clips: int
    ) -> list[list[Callable[[Tensor], Tensor]]]:
        """The part of `forward` that cuts and resizes, for each clip of a sample with pictures of (height, width):
        functions uint8 [T,H,W,C] -> uint8 [T,size,size,C], to be called where the pictures are decoded."""
        return [[cut] for cut in self._cuts(self._uniform([(epoch, index)], clips), size)]

    def placements(self, size: tuple[int, int], *, epoch: int, index: int, clips: int) -> list[list[Placement]]:
        """Where each of these views has what pictures of (height, width) show."""
        whole, side = Placement(size), (self.size, self.size)
        if self.whole is not None:
            return [[fitted_placement(size, side, self.whole)]] * clips
        boxes = self._boxes(self._uniform([(epoch, index)], clips)[:, _BOX], height=size[0], width=size[1])
        if self._is_resized_first:
            whole = whole.resize(short_side_size(height=size[0], width=size[1], short=self.shorts[0]))
        return [[place_box(whole, box).resize(side)] for box in boxes]

    def moves(self, batch: dict[str, Any]) -> list[Move]:
        """How `forward` and `finish` move each clip of a batch."""
        keys = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        uniform = self._uniform(keys, check_clip(batch["clip"], items=len(keys)))
        return [Move(flip=bool(chance < self.flip)) for chance in uniform[:, _FLIP]]

    def mosaics(self, batch: dict[str, Any]) -> list[tuple[Tile, ...]] | None:
        """What `forward` and `finish` make each of a batch's N clips of, before they move it; None: of itself."""
        keys = list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        return self._mosaics(keys, check_clip(batch["clip"], items=len(keys))) if self.mosaic else None

    def finish(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The rest of `forward`, for clips that `views` have cut: bit for bit the same result."""
        return self._augmented(batch, cut=True)

    def _augmented(self, batch: dict[str, Any], *, cut: bool) -> dict[str, Any]:
        clips, keys = batch["clip"], list(zip(batch["epoch"].tolist(), batch["index"].tolist()))
        clips_per_item = check_clip(clips, items=len(keys))
        uniform = self._uniform(keys, clips_per_item)

        shape = (*clips.shape[:2], self.size, self.size, clips.shape[-1])
        out = self._blocks.take(shape, device=clips.device)
        cuts = [] if cut else self._cuts(uniform, (clips.shape[2], clips.shape[3]))
        mosaics = self._mosaics(keys, clips_per_item) if self.mosaic else []
        parts = [clips[n] if cut else cuts[n](clips[n]) for n in range(len(clips))] if mosaics else []
        operations, erased = self._operations(keys, clips_per_item), self._erased(keys, clips_per_item)
        # One clip at a time: it stays in the cache from one step to the next, and no bit depends on its neighbors.
        for n in range(len(clips)):
            clip = join_tiles(parts, mosaics[n]) if mosaics else clips[n] if cut else cuts[n](clips[n])
            self._augment(clip, uniform[n], operations[n], out=out[n])
            if (box := erased[n]) is not None:
                crop(out[n], box).zero_()

        new = without(batch, "clip") | {"video": out.permute(0, 1, 4, 2, 3)}
        if self._blends:
            new |= self._mix(out, keys, batch["label"], clips_per_item)
        return new

    def _rng(self, stream: Stream, key: tuple[int, int]) -> np.random.Generator:
        return generator(self.seed, stream=stream, epoch=key[0], index=key[1])

    def _uniform(self, keys: list[tuple[int, int]], clips_per_item: int) -> np.ndarray:
        """float64 [N,_DRAWS]"""
        return np.concatenate([self._rng(Stream.AUGMENT, key).random((clips_per_item, _DRAWS)) for key in keys])

    def _mosaics(self, keys: list[tuple[int, int]], clips_per_item: int) -> list[tuple[Tile, ...]]:
        """Of each clip. A part of each of three other items, not always other ones: that is one clip of it, too."""
        of_clips = []
        for item, key in enumerate(keys):
            rng = self._rng(Stream.MOSAIC, key)
            for place in range(clips_per_item):
                chance, steps = rng.random(), rng.random(3)
                others = (item + 1 + np.floor(steps * (len(keys) - 1)).astype(int)) % len(keys)
                sources = [number * clips_per_item + place for number in (item, *others.tolist())]
                tiles = draw_tiles(rng, sources, size=self.size)
                of_clips.append(tiles if chance < self.mosaic else whole_tile(sources[0], size=self.size))
        return of_clips

    @property
    def _is_resized_first(self) -> bool:
        return self.crop != "resized" and self.shorts[0] == self.shorts[1]

    def _cuts(self, uniform: np.ndarray, size: tuple[int, int]) -> list[Callable[[Tensor], Tensor]]:
        """For each of N clips of (height, width): uint8 [T,H,W,C] -> uint8 [T,size,size,C]."""
        if self.whole is not None:
            return [partial(fit_pictures, size=(self.size, self.size), fit=self.whole)] * len(uniform)
        return [partial(self._cut, box=box) for box in self._boxes(uniform[:, _BOX], height=size[0], width=size[1])]

    def _boxes(self, uniform: np.ndarray, *, height: int, width: int) -> Sequence[tuple[int, int, int, int]]:
        if self.crop == "resized":
            boxes = resized_crop_boxes(uniform, height=height, width=width, scale=self.scale, ratio=self.ratio)
            return [tuple(box) for box in boxes.tolist()]
        if self.shorts[0] < self.shorts[1]:
            boxes = jittered_boxes(uniform, height=height, width=width, size=self.size, shorts=self.shorts)
            return [tuple(box) for box in boxes.tolist()]
        height, width = short_side_size(height=height, width=width, short=self.shorts[0])
        if self.crop == "random":
            boxes = random_boxes(uniform[:, -2:], height=height, width=width, size=self.size)
            return [tuple(box) for box in boxes.tolist()]
        return view_boxes(height=height, width=width, size=self.size, crops=1) * len(uniform)

    def _cut(self, clip: Tensor, box: tuple[int, int, int, int]) -> Tensor:
        """uint8 [T,H,W,C] -> uint8 [T,size,size,C]."""
        if self._is_resized_first:
            clip = resize_short_side(clip, self.shorts[0])
        return crop_resize(clip, box, size=self.size)

    def _operations(self, keys: list[tuple[int, int]], clips_per_item: int) -> list[list[Operation]]:
        """RandAugment's of each clip."""
        if not self.num_ops:
            return [[]] * (len(keys) * clips_per_item)
        rngs = [self._rng(Stream.OPERATIONS, key) for key in keys]
        uniform = np.concatenate([rng.random((clips_per_item, self.num_ops, 2)) for rng in rngs])
        return [draw_operations(u, magnitude=self.magnitude, height=self.size, width=self.size) for u in uniform]

    def _erased(self, keys: list[tuple[int, int]], clips_per_item: int) -> Sequence[tuple[int, int, int, int] | None]:
        """The box of each clip that is erased, if one is."""
        if not self.random_erasing:
            return [None] * (len(keys) * clips_per_item)
        rngs = [self._rng(Stream.ERASE, key) for key in keys]
        uniform = np.concatenate([rng.random((clips_per_item, 1 + BOX_DRAWS)) for rng in rngs])
        boxes = resized_crop_boxes(
            uniform[:, 1:], height=self.size, width=self.size, scale=_ERASED, ratio=_ERASED_RATIO
        )
        return [tuple(box) if u < self.random_erasing else None for u, box in zip(uniform[:, 0], boxes.tolist())]

    def _augment(self, clip: Tensor, uniform: np.ndarray, operations: list[Operation], *, out: Tensor) -> None:
        """uint8 [T,size,size,C] -> out, float [T,size,size,C]."""
        if uniform[_FLIP] < self.flip:
            clip = flip(clip)
        for operation in operations:
            clip = apply(clip, operation)
        if not any(self.jitter):
            normalize(clip, mean=self.mean, std=self.std, out=out)
            return
        neutral, strength = np.array([1.0, 1.0, 1.0, 0.0]), np.array(self.jitter)
        low, high = np.maximum(neutral - strength, [0.0, 0.0, 0.0, -0.5]), neutral + strength
        brightness, contrast, saturation, hue = low + uniform[_FACTORS] * (high - low)
        matrices = color_matrices(
            brightness=brightness,
            contrast=contrast,
            saturation=saturation,
            hue_turns=hue,
            order=np.argsort(uniform[_ORDER]),
        )
        jitter_normalize(clip, matrices=matrices, mean=self.mean, std=self.std, out=out)

    def _mix(self, out: Tensor, keys: list[tuple[int, int]], label: Tensor, clips_per_item: int) -> dict[str, Tensor]:
        mixes = [
            draw_mix(
                self._rng(Stream.MIX, key),
                mixup_alpha=self.mixup_alpha,
                cutmix_alpha=self.cutmix_alpha,
                height=self.size,
                width=self.size,
            )
            for key in keys
        ]
        mix_(out, mixes, clips_per_item=clips_per_item)
        weight = torch.tensor([mix.own_share for mix in mixes], dtype=torch.float32)
        return {"mix_label": label.roll(1, dims=0), "mix_weight": weight.to(out.device, non_blocking=True)}


def _shorts(resize: int | tuple[int, int] | None, *, size: int) -> tuple[int, int]:
    """(least, greatest) short side; the same twice where it is not drawn."""
    if resize is None or isinstance(resize, int):
        low = high = resize or size
    else:
        low, high = resize
    told = low if low == high else [low, high]
    if low < size:
        raise BadRequest(f"transform: resize={told} is smaller than size={size}: make it at least {size}")
    if low > high:
        raise BadRequest(f"transform: resize={told} must be [low, high]")
    return low, high


def _rand_augment(options: dict[Literal["num_ops", "magnitude"], int] | None) -> tuple[int, int]:
    """(operations of a clip, their magnitude); (0, 0): none."""
    if options is None:
        return 0, 0
    right = {*options} == {"num_ops", "magnitude"}
    if not right or options["num_ops"] < 1 or not 0 <= options["magnitude"] <= MAX_MAGNITUDE:
        raise BadRequest(
            f"transform: rand_augment={dict(options)}: takes num_ops, at least 1, and magnitude, 0 to {MAX_MAGNITUDE}, "
            "or null"
        )
    return options["num_ops"], options["magnitude"]


def check_clip(clips: Tensor, *, items: int) -> int:
    """Clips per item; raises ValueError if `clips` is not uint8 [items * k, T, H, W, 3]."""
    if clips.dtype != torch.uint8 or clips.dim() != 5 or clips.shape[-1] != 3 or len(clips) % max(items, 1):
        shape = list(clips.shape)
        raise ValueError(f"clip must be uint8 [{items} * clips per item, T, H, W, 3], got {clips.dtype} {shape}")
    return len(clips) // max(items, 1)


def without(batch: dict[str, Any], *names: str) -> dict[str, Any]:
    """A new dict that lacks these fields, which a transform has turned into others."""
    return {name: value for name, value in batch.items() if name not in names}
