"""The contact sheet of a film: one page that holds everything and asks no network for anything.

A picture and the times of each shot, and a time line with the probability of each frame, the transitions that were
found and, where the truth is known, what was hit, missed and falsely found.
"""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videxp import __version__
from videxp.core.files import escape_name
from videxp.deploy.scenes.film import CutFilm
from videxp.tasks.shot_marks import ShotMarks
from videxp.video.shot_pictures import shot_pictures
from videxp.video.shots import FilmShot, FilmTransition, evenly_chosen

ASSETS = Path(__file__).parent / "assets"
SHOTS_PER_PAGE = 100
MAX_PICTURES = 2000  # some 6 MB
FEW_PICTURES, WIDTH, SMALL_WIDTH = 500, 160, 112  # pixels; small ones where there are more than a few
JPEG_QUALITY = 78


def shot_page(film: CutFilm, marks: ShotMarks | None = None) -> str:
    """The page as text; reads the film once more, for the pictures. marks: None where the truth is not known.

    Raises UnreadableVideo, DecodeError.
    """
    chosen = evenly_chosen(film.shots, most=MAX_PICTURES)
    pictures, aspect = _pictures(film.path, chosen)
    data = {
        "name": escape_name(film.path.name),
        "summary": _summary(film, marks),
        "frames": film.clock.num_frames,
        "seconds": float(film.clock.seconds(film.clock.num_frames)),
        "threshold": film.threshold,
        "aspect": aspect,
        "perPage": SHOTS_PER_PAGE,
        "shots": [
            {
                "number": shot.number,
                "first": shot.first,
                "last": shot.last,
                "start": round(float(shot.start_seconds), 4),
                "end": round(float(shot.end_seconds), 4),
                "picture": pictures.get(shot.number),
            }
            for shot in film.shots
        ],
        "truth": marks is not None,
        "true": _true_transitions(film, marks),
        "found": _found_transitions(film, marks),
        "probabilities": base64.b64encode((film.probabilities * 255).round().astype(np.uint8).tobytes()).decode(),
        "leftOut": f"pictures of {len(chosen):,} of the {len(film.shots):,} shots"
        if len(chosen) < len(film.shots)
        else "",
    }
    return _fill(data)


def _summary(film: CutFilm, marks: ShotMarks | None) -> str:
    clock = film.clock
    rate = f"{float(clock.rate):.5g} fps" if not clock.is_variable else "variable rate"
    found = f"{len(film.shots):,} shots at threshold {film.threshold:g}"
    return " · ".join([f"{clock.num_frames:,} frames, {rate}", found, *([str(marks)] if marks else [])])


def _true_transitions(film: CutFilm, marks: ShotMarks | None) -> list[dict[str, Any]]:
    if marks is None:
        return []
    kinds = {one: "hit" for one, _ in marks.hits} | dict.fromkeys(marks.missed, "missed")
    return [_transition(film, one, kinds[one]) for one in sorted(kinds, key=lambda one: one.before)]


def _found_transitions(film: CutFilm, marks: ShotMarks | None) -> list[dict[str, Any]]:
    """Each with the number of the shot that it opens, if it does."""
    hits = {found for _, found in marks.hits} if marks else set()
    kind = "false" if marks else "found"
    opens = {shot.first: shot.number for shot in film.shots[1:]}
    return [
        _transition(film, one, "hit" if one in hits else kind)
        | {"probability": round(one.probability, 4), "opens": opens.get(one.shot_end + 1)}
        for one in film.transitions
    ]


def _transition(film: CutFilm, one: FilmTransition, kind: str) -> dict[str, Any]:
    """first, last: frames that belong to it. seconds: when the next shot begins."""
    seconds = round(float(film.clock.seconds(one.shot_end + 1)), 4)
    frames = {"first": one.frames[0], "last": one.frames[-1], "end": one.shot_end}
    return {"kind": kind, **frames, "seconds": seconds}


def _pictures(path: Path, shots: Sequence[FilmShot]) -> tuple[dict[int, str], str]:
    """The middle frame of each shot as a data URI, by the shot's number; and the pictures' width / height for CSS."""
    width = WIDTH if len(shots) <= FEW_PICTURES else SMALL_WIDTH
    pictures, aspect = {}, "16 / 9"
    for number, picture_HWC in shot_pictures(path, shots, width=width):
        pictures[number] = _jpeg(picture_HWC)
        aspect = f"{picture_HWC.shape[1]} / {picture_HWC.shape[0]}"
    return pictures, aspect


def _jpeg(picture_HWC: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture_HWC).save(file, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _fill(data: dict[str, Any]) -> str:
    """The template with its parts; each is put in once, so no part can hold another's place."""
    script = (ASSETS / "sheet.js").read_text(encoding="utf-8")
    parts = {
        "TITLE": escape(f"{data['name']}: shots"),
        "STYLE": (ASSETS / "sheet.css").read_text(encoding="utf-8"),
        "SCRIPT": script,
        # Whatever the film is called, this page runs this one script and loads nothing.
        "SCRIPT_HASH": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "DATA": json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c"),
        "VERSION": escape(__version__),
    }
    pieces = (ASSETS / "sheet.html").read_text(encoding="utf-8").split("@@")  # text, name, text, name, ..., text
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))
