"""What a film says of itself beside pictures and sound: titles, languages, which track is the default, chapters."""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videxp.video.container import open_container

# What the writer of a file says of itself and of how it wrote; a new file has its own.
OF_THE_WRITER = {
    "encoder",
    "encoding_tool",
    "handler_name",
    "vendor_id",
    "duration",
    "bps",
    "variant_bitrate",
    "rotate",
}
OF_THE_FORMAT = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "number_of_frames",
    "number_of_bytes",
    "timecode",
    "alpha_mode",
}
SIDE_DATA = {
    "A53_CC": "closed captions",
    "MASTERING_DISPLAY_METADATA": "HDR mastering data",
    "CONTENT_LIGHT_LEVEL": "HDR mastering data",
    "DYNAMIC_HDR_PLUS": "dynamic HDR data",
    "DYNAMIC_HDR_VIVID": "dynamic HDR data",
    "DOVI_RPU_BUFFER": "Dolby Vision data",
    "DOVI_METADATA": "Dolby Vision data",
    "STEREO3D": "stereoscopic view",
    "SPHERICAL": "spherical view",
    "ICC_PROFILE": "color profile",
    "S12M_TIMECODE": "timecode",
    "GOP_TIMECODE": "timecode",
    "FILM_GRAIN_PARAMS": "film grain",
}


CLOCK_SECONDS = 0.002  # containers count in units of their own


@dataclass
class FileDescription:
    """Of a file; comparable with what was made of it."""

    tags: dict[str, str] = field(default_factory=dict)
    chapters: list[tuple[float, float, str]] = field(default_factory=list)
    """(start, end in seconds, title)."""
    tracks: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    """Of the pictures, then of each audio track: what it is called in messages, its tags, its dispositions."""


def other_streams(container: InputContainer, video: VideoStream) -> str:
    """All but the pictures and audio: `1 attachment, 2 subtitle`; "" for none."""
    kinds: Counter[str] = Counter(
        stream.type for stream in container.streams if stream is not video and stream.type != "audio"
    )
    if "mp4" in container.format.name and container.chapters():
        kinds -= Counter(data=1)  # that is how the format keeps chapters, which are copied
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def describe(path: Path) -> FileDescription:
    container, video = open_container(path)
    with container:
        chapters: list[Any] = container.chapters()
        names = ["picture", *(f"audio {number}" for number, _ in enumerate(container.streams.audio, start=1))]
        tracks = [video, *container.streams.audio]
        return FileDescription(
            tags=said_tags(container.metadata),
            chapters=[
                (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"].get("title", ""))
                for c in chapters
            ],
            tracks=[(name, said_tags(t.metadata), int(t.disposition)) for name, t in zip(names, tracks)],
        )


def said_tags(metadata: dict[str, str]) -> dict[str, str]:
    """Without what is technical, or says nothing: {"NAME": "Film", "language": "und"} -> {"title": "Film"}."""
    tags = {"title" if key.lower() == "name" else key.lower(): value for key, value in metadata.items()}
    said = {key: value for key, value in tags.items() if value and (key, value) != ("language", "und")}
    return {
        key: said[key]
        for key in said.keys() - OF_THE_WRITER - OF_THE_FORMAT
        if not key.startswith(("_statistics", "encoder-"))
    }


def with_maker(tags: dict[str, str], made_by: str) -> dict[str, str]:
    """The tags, with who made the file behind the comment that they hold; made_by "": unchanged.

    {"comment": "Take 3"}, "made by videxp" -> {"comment": "Take 3; made by videxp"}
    """
    if not made_by:
        return tags
    return {**tags, "comment": "; ".join(filter(None, (tags.get("comment"), made_by)))}


def copy_description(
    source: InputContainer, output: OutputContainer, *, start_seconds: Fraction, made_by: str = ""
) -> None:
    """The film's tags and chapters, and who made the new file; times in it count from `start_seconds` of the old."""
    output.metadata.update(with_maker(said_tags(source.metadata), made_by))
    chapters: list[Any] = source.chapters()
    for chapter in chapters:
        shift = round(start_seconds / chapter["time_base"])
        chapter["start"], chapter["end"] = max(0, chapter["start"] - shift), max(0, chapter["end"] - shift)
    output.set_chapters(chapters)


def copy_track_description(track: Stream, new: Stream) -> None:
    """Its language, title and other tags, and whether it is the default, forced, a commentary, ..."""
    new.metadata.update(said_tags(track.metadata))
    new.disposition = track.disposition


def lost_descriptions(before: FileDescription, after: FileDescription, *, start_seconds: float) -> list[str]:
    """What a new file does not say any more, because its container has no place for it: `language of audio 2`."""
    lost = [f"{key} of the film" for key in sorted(before.tags) if after.tags.get(key) != before.tags[key]]
    moved = [(*(max(0.0, time - start_seconds) for time in times), title) for *times, title in before.chapters]
    if not _same_chapters(moved, after.chapters):
        lost.append(f"chapters ({len(moved)})")
    for (name, tags, disposition), (_, new_tags, new_disposition) in zip(before.tracks, after.tracks):
        lost += [f"{key} of {name}" for key in sorted(tags) if new_tags.get(key) != tags[key]]
        gone = av.stream.Disposition(disposition & ~new_disposition)
        lost += [f"mark of {name} as {flag.name}" for flag in gone]
    return lost


def not_in_pictures(frame: VideoFrame, stream: VideoStream) -> list[str]:
    """What a frame has beside its colors and its turn, which are kept."""
    said = {key.lower() for key in stream.metadata}
    clear = any(component.is_alpha for component in frame.format.components) or "alpha_mode" in said
    found = ["transparency"] if clear else []
    found += ["interlacing (both fields of a frame are shown at once)"] if frame.interlaced_frame else []
    side_data: Any = frame.side_data
    found += [kind for name, kind in SIDE_DATA.items() if side_data.get(name) is not None]
    found += ["timecode"] if "timecode" in said else []
    return list(dict.fromkeys(found))


def _same_chapters(old: list[Any], new: list[Any]) -> bool:
    return len(old) == len(new) and all(
        a[2] == b[2] and max(abs(a[0] - b[0]), abs(a[1] - b[1])) < CLOCK_SECONDS for a, b in zip(old, new)
    )
