"""Evaluation: resize, crop, normalise. Legend: N clips, T frames, H, W, C = 3 channels."""

from typing import Annotated, Any, Literal

from torch import nn

from videxp.errors import BadRequest
from videxp.limits import Gt
from videxp.transforms.color import normalize
from videxp.transforms.geometry import crop, resize_short_side, short_side_size, view_boxes
from videxp.transforms.memory import Blocks
from videxp.transforms.train import check_video


class EvalTransform(nn.Module):
    """The short side becomes `resize` (None: `size`), then one or three squares of `size` are cut out.

    crops: 1: the centre. 3: left (or top), centre, right (or bottom) along the long side; the views of a clip are
        adjacent in the output, so the mean of 3 predictions in a row is the clip's.
    mean, std: RGB in [0,1]; the defaults are torchvision's for Kinetics.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        resize: Annotated[int, Gt(0)] | None = None,
        crops: Literal[1, 3] = 1,
        mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989),
    ) -> None:
        super().__init__()
        if resize is not None and resize < size:
            raise BadRequest(f"transform: resize={resize} is smaller than size={size}: make it at least {size}")
        self.size, self.resize, self.crops = size, resize or size, crops
        self.mean, self.std = tuple(mean), tuple(std)
        self._blocks = Blocks()

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A new dict with `video`: uint8 [N,T,H,W,C] -> float [N*crops,T,C,size,size], a view of channels-last memory.

        Raises ValueError if `video` is not uint8 [N,T,H,W,3].
        """
        video = batch["video"]
        check_video(video, items=1)
        height, width = short_side_size(height=video.shape[2], width=video.shape[3], short=self.resize)
        boxes = view_boxes(height=height, width=width, size=self.size, crops=self.crops)
        shape = (len(video) * self.crops, video.shape[1], self.size, self.size, video.shape[-1])
        out = self._blocks.take(shape, device=video.device)
        for n, clip in enumerate(video):
            resized = resize_short_side(clip, self.resize)
            for view, box in enumerate(boxes):
                normalize(crop(resized, box), mean=self.mean, std=self.std, out=out[n * self.crops + view])
        return {**batch, "video": out.permute(0, 1, 4, 2, 3)}
