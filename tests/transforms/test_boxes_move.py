"""Rectangles drawn on real frames are found again where their boxes say, after any chain of changes of position.

Legend: N clips, T frames, H, W pixels, C = 3; a clip's rectangles are of a color of its own, its frames are grey.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from videxp.core.errors import BadRequest
from videxp.data.annotations.boxes import Boxes, cut_boxes
from videxp.data.annotations.ragged import Ragged
from videxp.data.annotations.single_label import SingleLabel
from videxp.data.following import check_following, lost_fields, moved_fields
from videxp.data.layouts.sample_clips import package_folder
from videxp.transforms import EvalTransform, TrainTransform
from videxp.transforms.geometry import crop, fit_pictures, place_box, resize
from videxp.transforms.mosaic import draw_tiles, join_tiles
from videxp.video import open_video
from videxp.video.placing import Move, Placement, fitted_placement

BOXES = Boxes("boxes", classes=["thing"])
COLORS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 0, 255]])
FRAMES = 2
LEAST = 3  # pixels; of smaller ones, resampling leaves no color


@dataclass
class Drawn:
    """N clips, uint8 [T,H,W,C], and their boxes."""

    clips: list[Tensor]
    boxes: Ragged

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.clips[0].shape[1:3]
        return height, width


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """Real ones, uint8 [T,240,320,C], without color."""
    folder = package_folder()
    assert folder is not None
    with open_video(folder / "bikes.mp4") as video:
        small = resize(video.frames((0, 40)), height=240, width=320)
    return small.float().mean(-1, keepdim=True).expand(-1, -1, -1, 3).to(torch.uint8)


def draw(frames: Tensor) -> Drawn:
    """Two rectangles a clip, which move; the corners are no whole numbers of anything."""
    rng = np.random.default_rng(5)
    clips, parts = [], []
    for place, color in enumerate(COLORS):
        clip, rows = frames.clone(), []
        for number, left in enumerate((10, 180)):
            height, width = rng.integers(40, 110, size=2)
            top = int(rng.integers(0, 120))
            for t in range(FRAMES):
                x, y = left + 5 * t, top + 3 * t
                clip[t, y : y + height, x : x + width] = color.to(torch.uint8)
                rows.append((t, x, y, x + width, y + height, number))
        table = torch.tensor(rows, dtype=torch.float32)
        parts.append(
            Ragged.of_one(
                {
                    "xyxy": table[:, 1:5],
                    "frame": table[:, 0].long(),
                    "label": torch.full((len(rows),), place),
                    "track": table[:, 5].long(),
                    "visible": torch.ones(len(rows)),
                }
            )
        )
        clips.append(clip)
    return Drawn(clips, Ragged.join(parts))


def amount(clip_THWC: Tensor, color: Tensor) -> np.ndarray:
    """How much of each pixel is of a color, float [T,H,W]: what its channels have more than the others."""
    has = color > 0
    clip = clip_THWC.float() / 255
    return (clip[..., has].amin(-1) - clip[..., ~has].amax(-1)).numpy()


def found(clip_THWC: Tensor) -> list[tuple[int, int, tuple[float, ...]]]:
    """(color, frame, x0 y0 x1 y1) of each patch of color."""
    patches = []
    for number, color in enumerate(COLORS):
        for t, amount_HW in enumerate(amount(clip_THWC, color)):
            for rows, columns in ndimage.find_objects(ndimage.label(amount_HW >= 0.5)[0]):
                patches.append((number, t, (columns.start, rows.start, columns.stop, rows.stop)))
    return patches


def assert_found(drawn: Drawn) -> int:
    """Each box has its patch, within a pixel, and each patch its box; a box's `label` is its color."""
    seen = 0
    for number, clip in enumerate(drawn.clips):
        patches, rows = found(clip), drawn.boxes.of_clip(number)
        boxes = list(zip(rows["label"].tolist(), rows["frame"].tolist(), rows["xyxy"].tolist()))
        for one, others in ((boxes, patches), (patches, boxes)):
            for color, t, xyxy in one:
                if min(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]) < LEAST:
                    continue
                same = [other for of, at, other in others if (of, at) == (color, t)]
                apart = min((np.abs(np.subtract(xyxy, other)).max() for other in same), default=np.inf)
                assert apart <= 1, (number, color, t, xyxy, same)
                seen += 1
    return seen


# ---- the changes ----------------------------------------------------------------------------------------------------


def place(drawn: Drawn, placement: Placement, change: Callable[[Tensor], Tensor]) -> Drawn:
    """What a worker does to all clips."""
    xyxy, share = cut_boxes(placement.boxes(drawn.boxes.rows["xyxy"]), size=placement.size)
    rows = drawn.boxes.rows | {"xyxy": xyxy, "visible": drawn.boxes.rows["visible"] * share}
    boxes = Ragged(rows, drawn.boxes.owner, drawn.boxes.count).among(share > 0)
    return Drawn([change(clip).contiguous() for clip in drawn.clips], boxes)


def cut(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    height, width = (int(side * rng.uniform(0.6, 1)) for side in drawn.size)
    top, left = int(rng.integers(drawn.size[0] - height + 1)), int(rng.integers(drawn.size[1] - width + 1))
    box = top, left, height, width
    return place(drawn, place_box(Placement(drawn.size), box), lambda clip: crop(clip, box))


def resized(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    height, width = (int(side * rng.uniform(0.7, 1.3)) for side in drawn.size)
    return place(drawn, Placement(drawn.size).resize((height, width)), lambda c: resize(c, height=height, width=width))


def fitted(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    size, fit = (int(rng.integers(150, 260)), int(rng.integers(150, 260))), rng.choice(["crop", "pad", "stretch"])
    return place(drawn, fitted_placement(drawn.size, size, fit), lambda clip: fit_pictures(clip, size=size, fit=fit))


def moved(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    quarters = int(rng.integers(4))  # alike in all clips, which stay of one size
    moves = [Move(bool(rng.integers(2)), bool(rng.integers(2)), quarters, bool(rng.integers(2))) for _ in drawn.clips]
    moves = [Move(m.reverse_time, m.flip, m.quarters, moves[0].mirror) for m in moves]
    boxes = BOXES.move(drawn.boxes, moves, clip_THW=(len(drawn.clips[0]), *drawn.size))
    clips = [move.pixels(clip.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for clip, move in zip(drawn.clips, moves)]
    return Drawn([torch.cat([c, c.flip(0)]) if moves[0].mirror else c.contiguous() for c in clips], boxes)


def mosaic(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    square = min(drawn.size)
    drawn = place(
        drawn,
        fitted_placement(drawn.size, (square, square), "stretch"),
        lambda clip: fit_pictures(clip, size=(square, square), fit="stretch"),
    )
    tiles = [draw_tiles(rng, range(len(COLORS)), size=square) for _ in drawn.clips]
    boxes = BOXES.join(drawn.boxes, tiles, clip_HW=(square, square))
    return Drawn([join_tiles(drawn.clips, of_clip) for of_clip in tiles], boxes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_rectangles_are_found_where_boxes_say_after_any_chain(frames: Tensor, seed: int):
    rng = np.random.default_rng(seed)
    drawn = draw(frames)
    chain = [(cut, resized, fitted, moved)[i] for i in rng.integers(4, size=1 + seed % 4)]
    if seed % 3 == 0:
        chain[int(rng.integers(len(chain)))] = mosaic
    for change in chain:
        drawn = change(drawn, rng)
    assert assert_found(drawn) > 20, chain


def test_boxes_that_stay_behind_are_not_found(frames: Tensor):
    """What the chain above would say if a transform forgot the boxes."""
    drawn = draw(frames)
    flipped = Drawn([clip.flip(2) for clip in drawn.clips], drawn.boxes)
    with pytest.raises(AssertionError):
        assert_found(flipped)


# ---- training's own -------------------------------------------------------------------------------------------------

WHOLE = {"mean": (0, 0, 0), "std": (1, 1, 1), "seed": 4, "min_visible": 0.0}


def trained(frames: Tensor, transform: TrainTransform, *, epoch: int = 0) -> tuple[dict, dict]:
    """(what the device gets, what the network gets) of all clips, cut in the worker as boxes are."""
    drawn = draw(frames)
    clips, parts = [], []
    for number, clip in enumerate(drawn.clips):
        ((view,),) = transform.views(drawn.size, epoch=epoch, index=number, clips=1)
        ((placement,),) = transform.placements(drawn.size, epoch=epoch, index=number, clips=1)
        one = place(Drawn([clip], Ragged.of_one(drawn.boxes.of_clip(number))), placement, view)
        clips += one.clips
        parts.append(one.boxes)
    count = len(clips)
    batch = {
        "clip": torch.stack(clips),
        "boxes": Ragged.join(parts),
        "index": torch.arange(count),
        "epoch": torch.full((count,), epoch),
    }
    moved_boxes = moved_fields(batch, [BOXES], transform)
    return batch, transform.finish(batch) | moved_boxes


@pytest.mark.parametrize("crop", ["resized", "random", "pad", "stretch"])
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_training_moves_boxes_with_pixels(frames: Tensor, crop: str, chance: float):
    transform = TrainTransform(size=160, crop=crop, scale=(0.4, 1), mosaic=chance, **WHOLE)
    _, given = trained(frames, transform)
    clips = [(clip.permute(0, 2, 3, 1) * 255).round().to(torch.uint8) for clip in given["video"]]
    owners = set(zip(given["boxes"].owner.tolist(), given["boxes"].rows["label"].tolist()))
    assert (len(owners) > 4) == (chance > 0)  # clips show things of others
    assert assert_found(Drawn(clips, given["boxes"])) > 12


def test_a_mosaic_is_drawn_from_the_sample_alone(frames: Tensor):
    transform = TrainTransform(size=64, crop="stretch", mosaic=0.7, **WHOLE)
    batch, given = trained(frames, transform, epoch=3)
    _, again = trained(frames, transform, epoch=3)
    _, other = trained(frames, transform, epoch=4)
    assert torch.equal(given["video"], again["video"]) and not torch.equal(given["video"], other["video"])
    twins = [int(tiles[0].source) for tiles in transform.mosaics(batch) if len(tiles) == 1]
    plain = TrainTransform(size=64, crop="stretch", **WHOLE)
    _, unmixed = trained(frames, plain, epoch=3)
    for clip in twins:  # the chance that it is joined shifts nothing else
        assert torch.equal(given["video"][clip], unmixed["video"][clip])
    assert 0 < len(twins) < 4


def test_tracks_of_two_parts_are_two_things(frames: Tensor):
    _, given = trained(frames, TrainTransform(size=160, crop="stretch", mosaic=1.0, **WHOLE))
    rows = given["boxes"].of_clip(0)
    pairs = set(zip(rows["label"].tolist(), rows["track"].tolist()))
    assert len({track for _, track in pairs}) == len(pairs) > 2


def test_boxes_that_are_cut_to_less_than_a_share_are_left_out(frames: Tensor):
    changes = {"size": 100, "scale": (0.1, 0.3), **WHOLE}
    shares = trained(frames, TrainTransform(**changes))[1]["boxes"].rows["visible"]
    least = float(shares.median())
    kept = trained(frames, TrainTransform(**{**changes, "min_visible": least}))[1]["boxes"].rows["visible"]
    assert 0 < len(kept) < len(shares) and torch.equal(kept, shares[shares >= least])


def test_a_mosaic_has_no_class_and_needs_boxes():
    transform = TrainTransform(size=32, mosaic=0.5, seed=0)
    assert lost_fields([BOXES], transform) == set()
    assert lost_fields([BOXES, SingleLabel()], transform) == {"label"}
    with pytest.raises(BadRequest, match=r"set dataset\.train_transform.mosaic=0$"):
        check_following([SingleLabel()], {"train_transform": transform}, frame_size=None)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_evaluation_can_see_whole_pictures(frames: Tensor, fit: str):
    drawn = draw(frames)
    transform = EvalTransform(size=128, fit=fit, mean=(0, 0, 0), std=(1, 1, 1))
    ((placement,),) = transform.placements(drawn.size, clips=1)
    ((view,),) = transform.views(drawn.size, clips=1)
    seen = place(drawn, placement, view)
    assert torch.equal(
        (transform({"clip": torch.stack(drawn.clips)})["video"][0, 0].permute(1, 2, 0) * 255).round(),
        seen.clips[0][0].float(),
    )
    assert seen.boxes.rows["visible"].allclose(torch.ones(1))
    assert assert_found(seen) == 2 * len(seen.boxes.owner)


def test_whole_pictures_have_one_view():
    with pytest.raises(BadRequest, match="set resize=null crops=1"):
        EvalTransform(size=32, crops=3, fit="pad")
    with pytest.raises(BadRequest, match="cuts out the middle, or stretches"):
        EvalTransform(size=32, fit="pad").preparation()


@pytest.mark.parametrize("transform", [EvalTransform(size=32, resize=40), EvalTransform(size=32, fit="stretch")])
def test_a_files_graph_has_boxes_where_the_transform_puts_them(transform: EvalTransform):
    preparation, size = transform.preparation(), (48, 96)
    clip = torch.zeros(1, 2, *size, 3, dtype=torch.uint8)
    corners = torch.tensor([[20.0, 10.0, 50.0, 40.0], [0.0, 0.0, 96.0, 48.0]])
    ((placement,),) = transform.placements(size, clips=1)
    placed = preparation.placed(corners, clip)
    torch.testing.assert_close(placed, placement.boxes(corners), atol=0.5, rtol=0)  # its cut is of whole pixels
    seen = torch.tensor([[3.0, 4.0, 20.0, 30.0]])
    undone = preparation.undone(transform({"clip": clip})["video"])
    torch.testing.assert_close(preparation.placed(preparation.placed_before(seen), undone), seen)
    clip[:, :, 10:40, 20:50] = 255  # the first box, seen where it is said to be
    y, x = (preparation(clip)[0, 0, 0] > 0).nonzero().unbind(1)
    found = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1]).float()
    assert (found - placed[0].clamp(0, 32)).abs().max() <= 1
