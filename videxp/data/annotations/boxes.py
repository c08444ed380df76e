"""Boxes on frames, each with a class and a track: what detectors are trained on.

Legend: K clips of a sample, V views of a clip, N clips of a batch, T frames, M boxes of all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from videxp.core.errors import BadRequest
from videxp.data.annotations.annotation import Annotation, Shown, Stack
from videxp.data.manifest import FIELD, Facts, Row
from videxp.data.notes import Notes
from videxp.data.packed_boxes import (
    Size,
    cut_to,
    fault_of,
    fit_boxes,
    pack_boxes,
    repack,
    unpack_boxes,
    within,
)
from videxp.data.preparing.box_remarks import tell_boxes

if TYPE_CHECKING:
    from torch import Tensor

    from videxp.data.annotations.ragged import Ragged
    from videxp.video.placing import Move, Placement, Tile


class BoxOnFrame(NamedTuple):
    """One box in pixels of the video as it is shown, from 0 to its width and height."""

    frame: int
    x0: float
    y0: float
    x1: float
    y1: float
    label: str
    track: int = -1
    """The same for one thing in all frames; -1: not known."""
    score: float = 1.0
    """From 0 to 1, of what was detected; 0 in a ground truth: not to be counted."""
    visible: float = 1.0
    """Share of it that nothing hides."""


class Boxes(Annotation):
    """A `Ragged` of N clips with rows `xyxy` float32 [M,4] in pixels of the clip and cut to it, `frame` int64 [M] (of
    the clip's T), `label` int64 [M] (of `classes`), `track` int64 [M] and `visible` float32 [M], the share of the box's
    area that the clip shows. Boxes of which it shows nothing are left out, in training also those of which it shows
    less than `train_transform.min_visible`; a clip without any has no rows.
    """

    moves = joins = True
    follows_cuts = True

    def __init__(
        self, name: str, *, classes: Sequence[str], beyond: Literal["refuse", "cut"] = "refuse", remedy: str = ""
    ) -> None:
        """beyond: boxes beyond the picture or the last frame. remedy: what to do about them where they are refused."""
        super().__init__(name, columns=(FIELD + name,))
        self.classes = list(classes)
        self.beyond = beyond
        self.remedy = remedy

    def pack(self, boxes: Iterable[BoxOnFrame], *, size: Size | None = None, fps: float | None = None) -> str:
        """What a layout states in a row's `fields`. Raises BadRequest for a class that is none of `classes`.

        size: that boxes refer to, in the place of the video's. fps: rate at which frames are numbered, likewise. A
        thing that has several labels is a box of each: the same frame, corners and track.
        """
        number = {name: place for place, name in enumerate(self.classes)}

        def row(box: BoxOnFrame) -> tuple[float, ...]:
            if box.label not in number:
                raise BadRequest(f"{self.name}: {box.label!r} is none of its classes: {', '.join(self.classes)}")
            return box.frame, box.x0, box.y0, box.x1, box.y1, number[box.label], box.track

        return pack_boxes(map(row, boxes), size=size, fps=fps)

    def prepare(self, row: Row, own: Facts, facts: Mapping[str, Facts]) -> tuple[Row, Facts]:
        """With the size that boxes refer to: copies in a cache have another."""
        text = row.field(self.name)
        if own.error or not text:
            return row, own
        boxes_M7, size = fit_boxes(text, own)
        in_time, in_picture = within(boxes_M7, num_frames=own.num_frames, size=size)
        if self.beyond == "refuse" and not (in_time & in_picture).all():
            fault = fault_of(boxes_M7, in_time=in_time, in_picture=in_picture, num_frames=own.num_frames, size=size)
            remedy = f": {self.remedy}" if self.remedy else ""
            return row, replace(own, error=f"its {self.name} of {fault}{remedy}")
        return row.with_field(
            self.name, repack(text, cut_to(boxes_M7, num_frames=own.num_frames, size=size), size)
        ), own

    def tell(self, rows: Sequence[Row], facts: Mapping[str, Facts], notes: Notes) -> None:
        """Boxes that are cut, those that fill another size than the video's, and videos without any."""
        texts: dict[str, dict[str, None]] = {}  # each once: val may be test
        for row in rows:
            texts.setdefault(row.path, {})[row.field(self.name)] = None
        tell_boxes(texts, facts, notes, cuts=self.beyond == "cut")

    def read(self, shown: Shown) -> "Ragged":
        """Of the sample's own K*V clips."""
        import torch

        from videxp.data.annotations.ragged import Ragged

        packed = unpack_boxes(self.values[FIELD + self.name][shown.row])
        boxes_M7 = torch.from_numpy(packed.boxes_M7)
        if packed.size:  # copies of videos may be smaller
            width, height = packed.size
            of_width, of_height = shown.picture_size[1] / width, shown.picture_size[0] / height
            boxes_M7[:, 1:5] *= boxes_M7.new_tensor((of_width, of_height, of_width, of_height))
        placements = shown.placements()
        views = len(placements) // len(shown.frames_KT)
        frames = [torch.from_numpy(frames_T) for frames_T in shown.frames_KT for _ in range(views)]
        return Ragged.join([boxes_of_clip(boxes_M7, *of_clip) for of_clip in zip(frames, placements)])

    def collate(self, values: list["Ragged"], stack: Stack) -> "Ragged":
        from videxp.data.annotations.ragged import Ragged

        return Ragged.join(values)

    def move(self, value: "Ragged", moves: Sequence["Move"], *, clip_THW: tuple[int, int, int]) -> "Ragged":
        """Boxes of a frame that a mirrored clip shows twice are there twice."""
        from videxp.data.annotations.ragged import Ragged

        frames, *size = clip_THW
        parts = []
        for number, move in enumerate(moves):
            rows = value.of_clip(number)
            order = rows["frame"].new_tensor(move.order(frames))
            time, row = (order[:, None] == rows["frame"]).nonzero(as_tuple=True)
            rows = {name: values[row] for name, values in rows.items()}
            rows |= {"frame": time, "xyxy": move.boxes(rows["xyxy"], size=(size[0], size[1]))}
            parts.append(Ragged.of_one(rows))
        return Ragged.join(parts)

    def join(self, value: "Ragged", mosaics: Sequence[Sequence["Tile"]], *, clip_HW: tuple[int, int]) -> "Ragged":
        """Boxes of all parts, cut to them. Tracks of a mosaic get new numbers: those of two parts are two things."""
        import torch

        from videxp.data.annotations.ragged import Ragged

        parts = []
        for tiles in mosaics:
            rows = [boxes_of_tile(value.of_clip(tile.source), tile, clip_HW=clip_HW) for tile in tiles]
            for number, of_tile in enumerate(rows):
                track = of_tile["track"]
                of_tile["track"] = torch.where(track < 0, track, len(tiles) * track + number)
            parts.append(Ragged.of_one({name: torch.cat([of_tile[name] for of_tile in rows]) for name in value.rows}))
        return Ragged.join(parts)

    def leave_hidden(self, value: "Ragged", *, min_visible: float) -> "Ragged":
        return value.among(value.rows["visible"] >= min_visible)


def boxes_of_clip(boxes_M7: "Tensor", frames_T: "Tensor", placement: "Placement") -> "Ragged":
    """The boxes of these frames of a video, where a clip has them, as one clip's rows."""
    from videxp.data.annotations.ragged import Ragged

    time, row = (frames_T[:, None] == boxes_M7[:, 0]).nonzero(as_tuple=True)
    chosen_M7 = boxes_M7[row]
    xyxy, visible = cut_boxes(placement.boxes(chosen_M7[:, 1:5]), size=placement.size)
    label, track = chosen_M7[:, 5:].long().unbind(1)
    rows = {"xyxy": xyxy.float(), "frame": time, "label": label, "track": track, "visible": visible.float()}
    return Ragged.of_one({name: values[visible > 0] for name, values in rows.items()})


def boxes_of_tile(rows: dict[str, "Tensor"], tile: "Tile", *, clip_HW: tuple[int, int]) -> dict[str, "Tensor"]:
    """Of a clip's rows those of which a mosaic's tile shows anything, in pixels of the mosaic."""
    top, left = tile.place
    xyxy, share = cut_boxes(tile.placement(clip_HW).boxes(rows["xyxy"]), size=tile.size)
    rows = rows | {"xyxy": xyxy + xyxy.new_tensor((left, top, left, top)), "visible": rows["visible"] * share}
    return {name: values[share > 0] for name, values in rows.items()}


def cut_boxes(xyxy_M4: "Tensor", *, size: tuple[int, int]) -> tuple["Tensor", "Tensor"]:
    """What of each box lies in a picture of (height, width), [M,4], and the share of its area that this is, [M]."""
    height, width = size
    cut_M4 = xyxy_M4.clone()
    cut_M4[:, 0::2].clamp_(0, width)
    cut_M4[:, 1::2].clamp_(0, height)
    return cut_M4, area(cut_M4) / area(xyxy_M4)


def area(xyxy_M4: "Tensor") -> "Tensor":
    x0, y0, x1, y1 = xyxy_M4.unbind(1)
    return (x1 - x0) * (y1 - y0)
