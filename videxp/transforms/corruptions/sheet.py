"""What corruptions look like: a sheet of each at each severity.

Legend: clips are uint8 [T,H,W,C].
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from videxp.core.files import replacing
from videxp.transforms.corruptions.corruption import Corruption, Protocol, rng_of

CELL = 176  # width of a picture, pixels
BAND = 18  # height of a line of text
NAMES = 150  # width of the column of names
MARGIN = 4
_INK, _PAPER, _LINE = (20, 20, 20), (255, 255, 255), (214, 39, 40)


def save_contact_sheet(
    clip: np.ndarray,
    protocol: Protocol,
    path: Path,
    *,
    fps: float,
    seed: int = 0,
    names: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
) -> None:
    """A PNG: a row for each corruption (None: all of the protocol), a column for each severity, the clean clip first.

    Each picture is the clip's middle frame, or the one that is changed most where that is changed twice as much: a
    flash; the parameters are beneath. Corruptions of time show their order instead, in a diagram: to the right the
    time, upwards the frame that is shown then.
    """
    rows = [protocol.corruptions[name] for name in names or protocol.corruptions]
    columns = [0, *(severities or protocol.severities)]
    height = round(CELL * clip.shape[1] / clip.shape[2])
    step = CELL + MARGIN, height + BAND + MARGIN
    size = NAMES + step[0] * len(columns), 2 * BAND + step[1] * len(rows)
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf")), 11)
    draw.text((MARGIN, 2), f"{protocol.name}: {protocol.source}", fill=_INK, font=font)
    for place, severity in enumerate(columns):
        title = f"severity {severity}" if severity else "clean"
        draw.text((NAMES + place * step[0], BAND + 2), title, fill=_INK, font=font)
    for line, one in enumerate(rows):
        top = 2 * BAND + line * step[1]
        draw.text((MARGIN, top + height // 2 - 6), one.name, fill=_INK, font=font)
        for place, severity in enumerate(columns):
            corner = NAMES + place * step[0], top
            sheet.paste(_cell(clip, one, severity, size=(CELL, height), fps=fps, seed=seed), corner)
            text = _parameters(one, severity) if severity else ""
            draw.text((corner[0], top + height + 1), text, fill=_INK, font=font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _cell(
    clip: np.ndarray, one: Corruption, severity: int, *, size: tuple[int, int], fps: float, seed: int
) -> Image.Image:
    """Severity 0 is the clean clip."""
    if one.group == "time":
        return _diagram(order_of(one, len(clip), severity=severity, fps=fps, seed=seed), size=size)
    shown, place = clip, len(clip) // 2
    if severity:
        shown = one.corrupt(clip, severity=severity, rng=rng_of(seed, 0, one.name, severity), fps=fps)
        changes = np.abs(shown.astype(np.int16) - clip).mean(axis=(1, 2, 3))
        place = int(changes.argmax()) if changes.max() > 2 * changes[place] else place
    return Image.fromarray(shown[place]).resize(size, Image.Resampling.BICUBIC)


def order_of(one: Corruption, num_frames: int, *, severity: int, fps: float, seed: int = 0) -> np.ndarray:
    """Which frame a corruption of time shows at each time, int64 [T]: by what it does to a clip of frames that are
    their own numbers."""
    numbers = np.arange(num_frames)
    if severity == 0:
        return numbers
    clip = np.zeros((num_frames, 1, 1, 3), np.uint8)
    clip[:, 0, 0, 0], clip[:, 0, 0, 1] = numbers % 256, numbers // 256
    shown = one.corrupt(clip, severity=severity, rng=rng_of(seed, 0, one.name, severity), fps=fps)[:, 0, 0].astype(int)
    return shown[:, 0] + 256 * shown[:, 1]


def _diagram(order: np.ndarray, *, size: tuple[int, int]) -> Image.Image:
    picture = Image.new("RGB", size, (240, 240, 240))
    draw = ImageDraw.Draw(picture)
    across, up = size[0] / len(order), size[1] / len(order)
    for time, frame in enumerate(order.tolist()):
        left, bottom = time * across, size[1] - frame * up
        draw.rectangle((left, bottom - max(up, 2), left + max(across, 2), bottom), fill=_LINE)
    return picture


def _parameters(one: Corruption, severity: int) -> str:
    """`sigma 0.18`; of several the values alone, as their row has them."""
    values = {name: "all" if value is None else f"{value:g}" for name, value in one.parameters(severity).items()}
    if len(values) == 1:
        return " ".join(f"{name} {value}" for name, value in values.items()).replace("_", " ")
    return ", ".join(values.values())
