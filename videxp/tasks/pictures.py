"""Pictures of what a task does: a confusion matrix, and strips of frames with labels."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from videxp.core.files import replacing
from videxp.video import write_video

DPI = 120
CAPTION_PIXELS = 44  # two lines of text
RIGHT, PARTLY, WRONG = "#1a7f37", "#9a6700", "#cf222e"


def figure(width: float, height: float) -> Any:
    """An empty matplotlib figure, in inches, that any process can draw and save."""
    # The object interface: pyplot would keep state and pick a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(empty)
    return empty


def sheet_figure(sheet: np.ndarray) -> tuple[Any, Any]:
    """A figure of the size of a sheet of pictures, uint8 [H,W,C], and its axes, whose units are the sheet's pixels.

    One pair of axes for all pictures: a pair for each takes seconds.
    """
    picture = figure(sheet.shape[1] / DPI, sheet.shape[0] / DPI)
    axes = picture.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return picture, axes


def saved(picture: Any, path: Path) -> Path:
    """With all that is written outside the axes."""
    with replacing(path) as temporary, warnings.catch_warnings():  # a letter that the font lacks is drawn as a box
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        picture.savefig(temporary, bbox_inches="tight", pil_kwargs={"compress_level": 1})  # 9 takes half a second
    return path


def drawable(name: str) -> str:
    """The name on one line, in characters that can be drawn: `�` for line feeds and for bytes that are not UTF-8."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def save_confusion_matrix(counts_KK: Tensor, classes: list[str], path: Path, *, title: str = "") -> Path:
    """counts_KK[true, predicted]: rows are shown as shares of the true class, with counts where they fit. title: "":
    the accuracy."""
    counts = counts_KK.numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(4 + 0.35 * len(classes), 24)
    picture = figure(side + 1, side)
    axes = picture.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    picture.colorbar(image, label="share of the true class", fraction=0.046)
    title = title or f"accuracy {np.trace(counts) / max(counts.sum(), 1):.3f}"
    axes.set(xlabel="predicted", ylabel="true", title=title)
    if len(classes) <= 60:  # more names than that overlap
        names = [drawable(name) for name in classes]
        axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)  # `$` stands for itself
        axes.set_yticks(range(len(names)), names, parse_math=False)
    if len(classes) <= 30:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, int(count), ha="center", va="center", color=color, fontsize=8)
    return saved(picture, path)


@dataclass(frozen=True)
class Example:
    """A clip, uint8 [T,H,W,C], with what was predicted for it; empty for no label. `several`: labels between `|`."""

    clip_THWC: Tensor
    predicted: str
    true: str
    note: str = ""
    several: bool = False

    @property
    def color(self) -> str:
        """Where a clip has several labels, one that is among both is not all wrong."""
        if self.predicted == self.true:
            return RIGHT
        shared = {*self.predicted.split("|")} & {*self.true.split("|")} if self.several else ()
        return PARTLY if shared else WRONG

    @property
    def words(self) -> tuple[str, str]:
        """What was predicted, and what is true."""
        return drawable(self.predicted or "none"), drawable(f"true: {self.true or 'none'}")

    @property
    def text(self) -> str:
        predicted, true = self.words
        return predicted if self.predicted == self.true else f"{predicted}\n({true})"


def save_prediction_strips(
    examples: list[Example], path: Path, *, frames_shown: int = 8, tile_pixels: int = 128
) -> Path:
    """One row per example: frames of its clip, with the predicted and, where that is wrong, the true label."""
    step = tile_pixels + 4  # with a gap
    sheet = np.full((step * len(examples), step * frames_shown, 3), 255, dtype=np.uint8)
    for row, example in enumerate(examples):
        times = np.linspace(0, len(example.clip_THWC) - 1, frames_shown).round().astype(int)
        frames = _fitted(example.clip_THWC[times], tile_pixels)
        height, width = frames.shape[1:3]
        for column, frame in enumerate(frames):
            top, left = row * step, column * step
            sheet[top : top + height, left : left + width] = frame
    picture, axes = sheet_figure(sheet)
    axes.imshow(sheet, interpolation="nearest")
    for row, example in enumerate(examples):
        middle = row * step + tile_pixels / 2
        style = {"fontsize": 9, "color": example.color, "parse_math": False}
        axes.text(-8, middle, example.text, ha="right", va="center", **style)
    return saved(picture, path)


def _fitted(clip_THWC: Tensor, side: int) -> np.ndarray:
    """Frames whose longer side has `side` pixels."""
    video_TCHW = clip_THWC.permute(0, 3, 1, 2)
    ratio = side / max(video_TCHW.shape[2:])
    size = [max(1, round(ratio * length)) for length in video_TCHW.shape[2:]]
    resized = F.interpolate(video_TCHW, size=size, mode="bilinear", antialias=True)
    return resized.permute(0, 2, 3, 1).numpy()


def save_prediction_clips(
    examples: list[Example], path: Path, *, fps: float, columns: int = 4, tile_pixels: int = 200
) -> Path:
    """A grid of all clips, playing, in the order of the strips, with what was predicted, the note and, beneath, what is
    true; frames are green around what is right, red around what is wrong, amber around what is partly right."""
    tiles = []
    for example, tile in zip(examples, _tiles(examples, tile_pixels)):
        caption_HWC = _caption(example, width=tile_pixels)
        caption = np.broadcast_to(caption_HWC, (len(tile), *caption_HWC.shape))
        tiles.append(np.concatenate([tile, caption], axis=1))
    write_video(path, _grid(tiles, columns=min(columns, len(tiles))), fps=fps)
    return path


def _tiles(examples: list[Example], side: int) -> list[np.ndarray]:
    """Framed clips [T,H,W,C]; a shorter one stands still at its end until the longest has played."""
    tiles = [_framed(example, side) for example in examples]
    length = max(map(len, tiles))
    return [np.concatenate([tile, np.repeat(tile[-1:], length - len(tile), axis=0)]) for tile in tiles]


def _grid(tiles: list[np.ndarray], *, columns: int) -> np.ndarray:
    """Tiles of one shape [T,H,W,C], in rows; what is left of the last one is black."""
    tiles = tiles + [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], axis=2) for i in range(0, len(tiles), columns)]
    return np.concatenate(rows, axis=1)


def _caption(example: Example, *, width: int) -> np.ndarray:
    """uint8 [CAPTION_PIXELS,width,3]: dark text on white; what does not fit in a line is cut."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    # matplotlib's own font has more alphabets than Pillow's.
    font = ImageFont.truetype(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 13)
    band = Image.new("RGB", (width, CAPTION_PIXELS), "white")
    draw = ImageDraw.Draw(band)
    note_width = draw.textlength(example.note, font=font)
    predicted, true = example.words
    lines = [(predicted, example.color, width - 12 - note_width), (true, "#1c2128", width - 8)]
    for number, (text, color, room) in enumerate(lines):
        draw.text(
            (4, 4 + 19 * number), cut_text(text, room=room, measure=partial(draw.textlength, font=font)), color, font
        )
    draw.text((width - 4 - note_width, 4), example.note, "#5b6673", font)
    return np.asarray(band)


def cut_text(text: str, *, room: float, measure: Callable[[str], float]) -> str:
    """As many of the first characters as there is room for; where not all, with an ellipsis."""
    if measure(text) <= room:
        return text
    while text and measure(text + "…") > room:
        text = text[:-1]
    return text + "…"


def _framed(example: Example, side: int, *, border: int = 4) -> np.ndarray:
    """The clip as squares of `side` pixels, uint8 [T,side,side,3], its middle cut out, in a colored frame."""
    video_TCHW = example.clip_THWC.permute(0, 3, 1, 2)
    height, width = video_TCHW.shape[2:]
    cut = min(height, width)
    top, left = (height - cut) // 2, (width - cut) // 2
    square = video_TCHW[:, :, top : top + cut, left : left + cut]
    inner = F.interpolate(square, size=(side - 2 * border,) * 2, mode="bilinear", antialias=True)
    color = np.array([int(example.color[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)
    tile = np.broadcast_to(color, (len(inner), side, side, 3)).copy()
    tile[:, border:-border, border:-border] = inner.permute(0, 2, 3, 1).numpy()
    return tile
