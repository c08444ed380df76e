"""Lists of a film's shots: JSON, CSV as PySceneDetect has it, EDL (CMX3600) and OTIO."""

import csv
import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from videxp.core.errors import BadRequest
from videxp.core.files import escape_name
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.timeline import DROP_FRAME_RATES, rate_text, timecode

CSV_COLUMNS = (
    "Scene Number",
    "Start Frame",
    "Start Timecode",
    "Start Time (seconds)",
    "End Frame",
    "End Timecode",
    "End Time (seconds)",
    "Length (frames)",
    "Length (timecode)",
    "Length (seconds)",
)
EDL_EVENTS = 999  # numbered with three digits in CMX3600
EDL_TITLE = 70  # characters


def json_list(film: CutFilm) -> dict[str, Any]:
    """Frames count from 0, and the last of a shot is in it; seconds count from the start of the file. A transition is
    between the last frame that a shot has to itself and the first that the next one has; frames in between are parted
    among the two in their middle."""
    return {
        "path": str(film.path),
        "num_frames": film.clock.num_frames,
        "fps": round(float(film.clock.rate), 6),
        "variable_rate": film.clock.is_variable,
        "threshold": film.threshold,
        "shots": [
            {
                "first_frame": shot.first,
                "last_frame": shot.last,
                "start_seconds": _seconds(shot.start_seconds),
                "end_seconds": _seconds(shot.end_seconds),
            }
            for shot in film.shots
        ],
        "transitions": [
            {
                "kind": "cut" if one.is_cut else "gradual",
                "last_before": one.before,
                "first_after": one.after,
                "start_seconds": _seconds(film.clock.seconds(one.before + 1)),
                "end_seconds": _seconds(film.clock.seconds(one.after)),
                "probability": round(one.probability, 6),
            }
            for one in film.transitions
        ],
    }


def csv_list(film: CutFilm) -> str:
    """As `scenedetect list-scenes` writes it: the cuts on top, frames from 1, timecodes of hours to milliseconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Timecode List:", *(_clock_time(shot.start_seconds) for shot in film.shots[1:])])
    writer.writerow(CSV_COLUMNS)
    for shot in film.shots:
        start, end = shot.start_seconds, shot.end_seconds
        times = [[_clock_time(seconds), f"{float(seconds):.3f}"] for seconds in (start, end, end - start)]
        writer.writerow([shot.number, shot.first + 1, *times[0], shot.last + 1, *times[1], shot.num_frames, *times[2]])
    return text.getvalue()


def edl_list(film: CutFilm, *, drop_frame: bool = False, say: Callable[[str], None] = print) -> str:
    """CMX3600: an event for each shot, in its place in the film. `say` is told what a time line cannot hold.

    Raises BadRequest for a film of more than 24 hours, and for drop frames at a rate that has none.
    """
    line, name = film.timeline, film.path.name
    if drop_frame and line.rate not in DROP_FRAME_RATES:
        raise BadRequest(f"{name}: {rate_text(line.rate)} has no drop-frame timecode: leave it out")
    lines = [f"TITLE: {_ascii(film.path.stem)[:EDL_TITLE]}", f"FCM: {'DROP FRAME' if drop_frame else 'NON-DROP FRAME'}"]
    missing = {shot.number: shot for shot in film.shots if line.place(shot.first) == line.place(shot.last + 1)}
    held = [shot for shot in film.shots if shot.number not in missing]
    for event, shot in enumerate(held, start=1):
        start, end = (_event_time(film, place, drop_frame=drop_frame) for place in (shot.first, shot.last + 1))
        lines += [
            f"{event:03d}  AX       V     C        {start} {end} {start} {end}",
            f"* FROM CLIP NAME: {_ascii(name)}",
        ]
    if line.per_frame != 1:
        lines.insert(4, f"* TIME LINE: {line}")  # readers take comments of events only
        say(f"{name}: EDL at {line}")
    if missing:
        say(f"{name}: shots too short for a frame of the EDL, left out of it: {', '.join(map(str, missing))}")
    if len(held) > EDL_EVENTS:
        say(f"{name}: {len(held):,} events in the EDL: CMX3600 numbers {EDL_EVENTS}, and some editors stop there")
    return "\n".join(lines) + "\n"


def _event_time(film: CutFilm, frame: int, *, drop_frame: bool) -> str:
    try:
        return timecode(film.timeline.place(frame), film.timeline.rate, drop_frame=drop_frame)
    except ValueError as error:
        raise BadRequest(f"{film.path.name}: no EDL of it: {error}: ask for .otio, .csv or .json") from None


def otio_list(film: CutFilm) -> dict[str, Any]:
    """An OpenTimelineIO time line: a clip for each shot, one after the other; places between frames are not rounded."""
    line, rate = film.timeline, float(film.timeline.rate)

    def time(value: Fraction) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(value)}

    def time_range(first: int, end: int) -> dict[str, Any]:
        start = line.exact_place(first)
        return {
            "OTIO_SCHEMA": "TimeRange.1",
            "start_time": time(start),
            "duration": time(line.exact_place(end) - start),
        }

    media = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "name": escape_name(film.path.name),
        "available_range": time_range(0, film.clock.num_frames),
        "target_url": film.path.absolute().as_uri(),
    }
    clips = [
        {
            "OTIO_SCHEMA": "Clip.2",
            "name": f"{escape_name(film.path.stem)} {shot.number}",
            "source_range": time_range(shot.first, shot.last + 1),
            "media_references": {"DEFAULT_MEDIA": media},
            "active_media_reference_key": "DEFAULT_MEDIA",
        }
        for shot in film.shots
    ]
    kinds = ("Video", "Audio") if film.has_sound else ("Video",)
    tracks = [{"OTIO_SCHEMA": "Track.1", "name": kind, "kind": kind, "children": clips} for kind in kinds]
    return {
        "OTIO_SCHEMA": "Timeline.1",
        "name": escape_name(film.path.stem),
        "global_start_time": time(Fraction(0)),
        "tracks": {"OTIO_SCHEMA": "Stack.1", "name": "tracks", "children": tracks},
    }


def _seconds(value: Fraction) -> float:
    return round(float(value), 6)


def _clock_time(seconds: Fraction) -> str:
    """`01:02:03.456`"""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{milliseconds:03d}"


def _ascii(name: str) -> str:
    """The name in the characters that an EDL may have, on one line."""
    return "".join(letter if " " <= letter <= "~" else "_" for letter in name)
