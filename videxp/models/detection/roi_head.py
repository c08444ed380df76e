"""Actions of given boxes: what a classifier of clips makes of the pictures, read where each box is.

The head of SlowFast's detection on AVA (Feichtenhofer et al. 2019, section 5; Girdhar et al. 2018), on any network that
says where its features lie (`videxp/core/token_layout.py`).

Legend: B clips, T frames, H, W pixels; M boxes of all clips, K classes; D features, t, h, w of a feature map.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from videxp.core.errors import BadRequest
from videxp.core.limits import Ge, Interval
from videxp.core.token_layout import FeatureMap, box_features_of, grid_of, unpack
from videxp.models.summary import without_storage

TAKEN = "taken_weights"
"""Attribute of a layer whose weights were taken: name -> (shape, dtype, whether it was a buffer)."""


class RoiActions(nn.Module):
    """Features averaged over time -> RoIAlign -> max -> dropout -> a linear layer; of several pathways side by side.

    The head alone is new: what the backbone would do after its features does not run, and has no weights any more.
    Those that stay have the backbone's own names, beneath `backbone.`; tokens without a last norm get one.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_classes: Annotated[int, Ge(1)],
        num_frames: Annotated[int, Ge(1)],
        size: Annotated[int, Ge(1)],
        resolution: Annotated[int, Ge(1)] = 7,
        over_time: Literal["mean", "max"] = "mean",
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.5,
    ) -> None:
        """
        num_frames, size: of the clips that it is made for, which tell how large the features are.
        resolution: cells along each side of a box. over_time: what of a place's features over time is read; max with a
            focal loss has 26.65 on AVA, where the mean has 26.41 (mmaction2, SlowFast-R50 8x8).
        Raises BadRequest for a network that does not say where its features lie, or takes no such clips.
        """
        super().__init__()
        where = box_features_of(backbone)
        if where is None:
            raise BadRequest(
                f"{type(backbone).__name__} declares no feature_map, so there is nothing to read boxes from\n"
                "Say where its features lie (CONTRIBUTING.md, `feature_map`), or choose another model"
            )
        self.backbone, self.where = backbone, where
        self.resolution, self.over_time = resolution, over_time
        self.stops = True
        shapes = self._take_out_the_rest(num_frames, size)
        self.strides = [_stride(size, height=height) for _, height in shapes]
        is_normed = where.axes.endswith(" d") and not isinstance(backbone.get_submodule(where.module), nn.LayerNorm)
        self.norm = nn.LayerNorm(shapes[0][0], eps=1e-6) if is_normed else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(sum(width for width, _ in shapes), num_classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    @property
    def feature_map(self) -> FeatureMap:
        """What Grad-CAM weighs: of several pathways the first."""
        item = 0 if len(self.strides) > 1 else self.where.item
        return FeatureMap(f"backbone.{self.where.module}", self.where.axes, self.where.stride, item)

    def forward(self, video: Tensor, boxes: Tensor, clip: Tensor) -> Tensor:
        """video [B,T,C,H,W], boxes float [M,4], left, top, right, bottom in pixels of the clip, and int64 [M], which
        clip each is of -> logits [M,K]."""
        rois = torch.cat([clip[:, None].to(boxes.dtype), boxes], dim=1)
        pooled = [self._read(features, rois, stride) for features, stride in zip(self.features(video), self.strides)]
        return self.head(self.dropout(torch.cat(pooled, dim=1)))

    def running_on(self) -> "RoiActions":
        """A copy that gives the same, and whose backbone runs to its end, on zeros: an exporter follows no exception
        through layers, and leaves out what nothing comes of."""
        copy = deepcopy(self)
        copy.stops = False
        for layer in copy.backbone.modules():
            for name, (shape, dtype, is_buffer) in getattr(layer, TAKEN, {}).items():
                zeros = torch.zeros(shape, dtype=dtype)
                setattr(layer, name, zeros if is_buffer else nn.Parameter(zeros, requires_grad=False))
        return copy.train(self.training)

    def features(self, video: Tensor) -> list[Tensor]:
        """Of each pathway [B,D,t,h,w]."""
        found = _run_up_to(self.backbone, self.where, video, stops=self.stops)
        grid = grid_of((video.shape[1], *video.shape[-2:]), self.where.stride)
        return [unpack(self.norm(features), self.where.axes, grid) for features in found]

    def _read(self, features: Tensor, rois: Tensor, stride: float) -> Tensor:
        """[B,D,t,h,w] -> [M,D]: of the cells of each box the largest."""
        over_time = features.mean(2) if self.over_time == "mean" else features.amax(2)
        cells = roi_align(
            over_time,
            rois.to(features.dtype),
            self.resolution,
            spatial_scale=1 / stride,
            sampling_ratio=0,
            aligned=True,
        )
        return cells.amax((2, 3))

    def _take_out_the_rest(self, num_frames: int, size: int) -> list[tuple[int, int]]:
        """Leave the backbone no weights but of what runs before its features are there; (D, h) of each pathway."""
        twin = without_storage(self.backbone).eval()
        begun: set[str] = set()
        done: set[str] = set()
        for name, module in twin.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: begun.add(name))
            module.register_forward_hook(lambda *_, name=name: done.add(name))
        video = torch.empty(1, num_frames, 3, size, size, device="meta")
        try:
            with torch.no_grad():
                found = _run_up_to(twin, self.where, video)
        except (RuntimeError, ValueError, IndexError) as error:
            raise BadRequest(
                f"{type(self.backbone).__name__} takes no clips of {num_frames} frames of {size} x {size}: {error}"
            ) from error
        grid = grid_of((num_frames, size, size), self.where.stride)
        maps = [unpack(features, self.where.axes, grid) for features in found]
        for idle in list(_idle(self.backbone, begun, done)):
            _take_weights(idle)
        return [(features.shape[1], features.shape[3]) for features in maps]


def _idle(network: nn.Module, begun: set[str], done: set[str], *, name: str = "") -> Iterator[nn.Module]:
    """The parts of which nothing has begun. What was done is whole: a layer may use a part's weights without calling
    it, as attention does."""
    for key, child in network.named_children():
        path = f"{name}.{key}" if name else key
        if path in done:
            continue
        if any(other == path or other.startswith(f"{path}.") for other in begun):
            yield from _idle(child, begun, done, name=path)
        else:
            yield child


def _take_weights(layers: nn.Module) -> None:
    """The layers themselves stay: a network may ask one for its width."""
    for layer in layers.modules():
        buffers = dict(layer.named_buffers(recurse=False))
        taken = {**dict(layer.named_parameters(recurse=False)), **buffers}
        for name in taken:
            setattr(layer, name, None)
        setattr(layer, TAKEN, {name: (value.shape, value.dtype, name in buffers) for name, value in taken.items()})


class _Reached(Exception):
    """The features are there."""


def _run_up_to(network: nn.Module, where: FeatureMap, video: Tensor, *, stops: bool = True) -> list[Tensor]:
    """The outputs of one of its modules, as they are. stops: what comes after it does not run."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        chosen = output if where.item is None else output[where.item]
        found.extend(chosen if isinstance(chosen, tuple) else [chosen])
        if stops:
            raise _Reached
        found[:] = [features.clone() for features in found]  # what comes next may work in place

    with _hook(network.get_submodule(where.module), keep), suppress(_Reached):
        network(video)
    if found:
        return found
    raise ValueError(f"{type(network).__name__} does not run {where.module}, which it declares as its features")


@contextmanager
def _hook(module: nn.Module, hook: Any) -> Iterator[None]:
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _stride(size: int, *, height: int) -> float:
    """Pixels for one of `height` places along `size`: the power of two that gives as many, if one does."""
    power = 2 ** math.ceil(math.log2(size / height))
    return float(power) if -(-size // power) == height else size / height
