"""FastestDet: objects on single frames by a quarter of a million parameters. dog-qiuqiu/FastestDet, BSD-3; its COCO
weights (`weight_AP05:0.253207_280-epoch.pth`) load by name.

Features at strides 8, 16 and 32 meet at 16, where each place tells one box. Legend: B frames, P places that answer for
a true box, K classes; h, w places of the grid.
"""

from typing import Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge, MultipleOf, accepts
from videxp.models.detection.interface import BoxTargets, DetectedBoxes
from videxp.models.layers.shufflenet import ShuffleNet
from videxp.models.weights import Renames, load_weights

FASTESTDET_NAMES: Renames = (
    (r"^backbone\.first_conv\.", "backbone.stem."),
    (r"^backbone\.stage(\d)\.", lambda found: f"backbone.stages.{int(found[1]) - 2}."),
    (r"\.branch_main\.", ".branch."),
    (r"\.branch_proj\.", ".shortcut."),
    (r"(\.(conv1x1|conv5x5))+\.", "."),
    (r"^SPP\.Conv1x1\.", "pool.entry."),
    (r"^SPP\.S(\d)\.", lambda found: f"pool.chains.{int(found[1]) - 1}."),
    (r"^SPP\.output\.", "pool.merge."),
    (r"^detect_head\.(\d)\.", r"entry.\1."),
    (r"^detect_head\.obj_layers\.", "objectness."),
    (r"^detect_head\.reg_layers\.", "boxes."),
    (r"^detect_head\.cls_layers\.", "classes."),
)
BOX_WEIGHT, OBJECTNESS_WEIGHT = 8.0, 16.0
EPSILON = 1e-7


class Grid(NamedTuple):
    """What is told at each place, [B,.,h,w]."""

    objectness: Tensor
    """Probabilities [B,1,h,w]."""
    boxes: Tensor
    """cx, cy, width and height in places of the grid, [B,4,h,w]."""
    log_classes: Tensor
    """Logarithms of probabilities that add up to 1, [B,K,h,w]."""


@accepts()
class FastestDet(nn.Module):
    """`DetectionNetwork` of single frames, of any size: they are squeezed into squares of `input_size`."""

    network_parameter: ClassVar[str] = "clip_frames"
    clip_frames: ClassVar[int] = 1
    key_frame: ClassVar[int] = 0

    def __init__(
        self,
        *,
        num_classes: Annotated[int, Ge(1)] = 80,
        input_size: Annotated[int, Ge(32), MultipleOf(32)] = 352,
        width: Annotated[int, Ge(4), MultipleOf(2)] = 48,
        weights: str | None = None,
    ) -> None:
        """width: of the features at stride 8; twice and four times as many at 16 and 32."""
        super().__init__()
        self.num_classes, self.input_size = num_classes, input_size
        self.backbone = ShuffleNet([24, width, 2 * width, 4 * width], shuffle="before")
        self.pool = PyramidConvolutions(7 * width, 2 * width)
        self.entry = pointwise(2 * width, 2 * width)
        self.objectness = branch(2 * width, 1)
        self.boxes = branch(2 * width, 4)
        self.classes = branch(2 * width, num_classes)
        load_weights(self, weights, head="classes", renames=FASTESTDET_NAMES)

    def forward(self, video: Tensor, targets: BoxTargets | None = None) -> DetectedBoxes | dict[str, Tensor]:
        """Scores are objectness^0.6 * class^0.4; losses are those of its authors."""
        grid = self.find(video[:, self.key_frame])
        height, width = grid.boxes.shape[-2:]
        if targets is not None:
            places = targets.xyxy.new_tensor([width / video.shape[-1], height / video.shape[-2]])
            return grid_loss(grid, targets._replace(xyxy=targets.xyxy * places.repeat(2)))
        x, y, across, down = grid.boxes.flatten(2).unbind(1)
        x, across = (values * video.shape[-1] / width for values in (x, across))
        y, down = (values * video.shape[-2] / height for values in (y, down))
        corners = [x - across / 2, y - down / 2, x + across / 2, y + down / 2]
        scores = grid.objectness**0.6 * (0.4 * grid.log_classes).exp()
        return DetectedBoxes(torch.stack(corners, -1), scores.flatten(2).transpose(1, 2))

    def find(self, frames: Tensor) -> Grid:
        """[B,3,H,W] in [0,1], RGB; it learned from BGR."""
        frames = F.interpolate(frames.flip(1), size=(self.input_size, self.input_size), mode="bilinear")
        at_8, at_16, at_32 = self.backbone(frames)
        both = torch.cat([F.avg_pool2d(at_8, 3, 2, 1), at_16, F.interpolate(at_32, scale_factor=2.0)], 1)
        x = self.entry(self.pool(both))
        objectness, boxes, classes = (part(x).float() for part in (self.objectness, self.boxes, self.classes))
        height, width = boxes.shape[-2:]
        y, x = (torch.arange(length, device=boxes.device) for length in (height, width))
        places = torch.stack(torch.meshgrid(x, y, indexing="xy"))
        size = boxes.new_tensor([width, height])[:, None, None]
        offset, share = boxes.split(2, 1)
        placed = torch.cat([places + offset.tanh(), share.sigmoid() * size], 1)
        return Grid(objectness.sigmoid(), placed, classes.log_softmax(1))


def pointwise(d_in: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(d_in, d_out, 1, bias=False), nn.BatchNorm2d(d_out), nn.ReLU(inplace=True))


def spread(width: int) -> list[nn.Module]:
    """A 5x5 convolution of each channel."""
    layer = nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False)
    return [layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def branch(d_in: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(*spread(d_in), nn.Conv2d(d_in, d_out, 1, bias=False), nn.BatchNorm2d(d_out))


class PyramidConvolutions(nn.Module):
    """One, two and three 5x5 convolutions, merged and added to their input: [B,d_in,h,w] -> [B,d_out,h,w]."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.entry = pointwise(d_in, d_out)
        self.chains = nn.ModuleList(
            nn.Sequential(*(layer for _ in range(length) for layer in spread(d_out))) for length in (1, 2, 3)
        )
        self.merge = nn.Sequential(nn.Conv2d(3 * d_out, d_out, 1, bias=False), nn.BatchNorm2d(d_out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        return F.relu(x + self.merge(torch.cat([chain(x) for chain in self.chains], 1)))


# ---- training -------------------------------------------------------------------------------------------------------


def grid_loss(grid: Grid, targets: BoxTargets) -> dict[str, Tensor]:
    """`box`, `objectness` and `class`, weighted, scalars. The targets' boxes are in places of the grid.

    Of the four places around a true box's center, those answer for it whose box is at least as good as the mean of all.
    Objectness is to be that quality; places that answer weigh a quarter of their picture, the others three quarters.
    """
    clip, x, y, target = _around_centers(targets, size=grid.boxes.shape[-2:])
    middle, size = grid.boxes[clip, :, y, x].split(2, 1)
    quality = box_quality(torch.cat([middle - size / 2, middle + size / 2], 1), targets.xyxy[target].float())
    best = quality >= quality.mean()
    clip, x, y, target, quality = (values[best] for values in (clip, x, y, target, quality))

    wanted, weight = torch.zeros_like(grid.objectness), torch.full_like(grid.objectness, 0.75)
    wanted[clip, 0, y, x] = quality.detach()
    weight[clip, 0, y, x] = 0.25 * wanted[0].numel() / torch.bincount(clip)[clip].float()
    classes = targets.classes[target].float()
    log_probability = (classes * grid.log_classes[clip, :, y, x]).sum(1) / classes.sum(1)
    count = max(1, len(clip))
    return {
        "box": BOX_WEIGHT * (1 - quality).sum() / count,
        "objectness": OBJECTNESS_WEIGHT * (weight * F.smooth_l1_loss(grid.objectness, wanted, reduction="none")).mean(),
        "class": -log_probability.sum() / count,
    }


def _around_centers(targets: BoxTargets, *, size: torch.Size) -> tuple[Tensor, ...]:
    """int64 [P] each: clip, x, y and number of the true box, for places of a grid of (height, width)."""
    height, width = size
    corner = ((targets.xyxy[:, :2] + targets.xyxy[:, 2:]) / 2).floor().long()
    steps = corner.new_tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
    places = (corner + steps[:, None]).flatten(0, 1)
    x, y = places.unbind(1)
    target = torch.arange(len(corner), device=corner.device).repeat(len(steps))
    there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return tuple(values[there] for values in (targets.clip[target], x, y, target))


def box_quality(found: Tensor, true: Tensor) -> Tensor:
    """IoU less half of the costs of distance and shape: Gevorgyan 2022, "SIoU Loss", equations 3 to 12; its loss is 1
    minus this. [P,4] and [P,4] -> [P]."""
    size, other = found[:, 2:] - found[:, :2], true[:, 2:] - true[:, :2]
    shared = (torch.minimum(found[:, 2:], true[:, 2:]) - torch.maximum(found[:, :2], true[:, :2])).clamp_min(0).prod(1)
    iou = shared / (size.prod(1) + other.prod(1) - shared + EPSILON)
    away = (found[:, :2] + found[:, 2:] - true[:, :2] - true[:, 2:]) / 2
    around = torch.maximum(found[:, 2:], true[:, 2:]) - torch.minimum(found[:, :2], true[:, :2])
    angle = 2 * away.prod(1).abs() / (away.square().sum(1) + EPSILON)  # sin(2 alpha), of the line between centers
    distance = (1 - ((angle - 2)[:, None] * (away / around).square()).exp()).sum(1)
    shape = (1 - (-(size - other).abs() / torch.maximum(size, other)).exp()).pow(4).sum(1)
    return iou - (distance + shape) / 2
