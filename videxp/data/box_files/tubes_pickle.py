"""UCF101-24 and JHMDB as ACT and its followers have them: `UCF101v2-GT.pkl`, `JHMDB-GT.pkl`.

A dict of `labels` (names), `nframes` (video -> frames), `resolution` (video -> height, width), `train_videos` and
`test_videos` (a list for each fold) and `gttubes`: video -> class from 0 -> tubes, float [frames,5] of frame, x0, y0,
x1, y1. Frames: from 1. Boxes: corners in pixels of `resolution`, 320x240. The file is read without running what it
names: `plain_pickle`.
"""

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.files import replacing
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import (
    AnnotatedVideo,
    ClassNames,
    as_whole,
    check_unique,
    class_of,
    classes_of,
    corners_of,
    make_box,
)
from videxp.data.box_files.plain_pickle import as_array, read_pickle
from videxp.data.layouts.tables import cut
from videxp.data.manifest import Split
from videxp.data.notes import UNHEARD, Notes

KEYS = ("labels", "gttubes", "nframes", "train_videos", "test_videos", "resolution")


def read(
    path: Path, *, classes: ClassNames | None = None, fold: int = 1, notes: Notes = UNHEARD
) -> list[AnnotatedVideo]:
    """fold: from 1, whose lists say which videos train and which are the test."""
    found = read_pickle(path)
    if not isinstance(found, dict) or (lost := [key for key in KEYS if key not in found]):
        raise BadRequest(f"{path}: not a dict with {', '.join(KEYS if not isinstance(found, dict) else lost)}")
    names = dict(enumerate(map(str, _as(found, "labels", list, path))))
    splits = _splits(found, fold, path)
    tubes, counts, sizes = (_as(found, key, dict, path) for key in ("gttubes", "nframes", "resolution"))
    return [_video(name, names, (tubes[name], counts.get(name), sizes.get(name)), splits.get(name), path)
            for name in tubes]  # fmt: skip


def _as(found: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    if not isinstance(found[key], kind):
        raise BadRequest(f"{path}: {key} is no {kind.__name__}")
    return found[key]


def _splits(found: dict[str, Any], fold: int, path: Path) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    parts: tuple[tuple[str, Split], ...] = (("train_videos", "train"), ("test_videos", "test"))
    for key, split in parts:
        folds = _as(found, key, list, path)
        if not 1 <= fold <= len(folds) or not isinstance(folds[fold - 1], list | tuple):
            raise BadRequest(f"{path}: fold={fold} is none of {len(folds)} lists of {key}, 1 to {len(folds)}")
        splits |= dict.fromkeys(map(str, folds[fold - 1]), split)
    return splits


def _video(
    name: str, names: ClassNames, stated: tuple[Any, Any, Any], split: Split | None, path: Path
) -> AnnotatedVideo:
    place = f"{path}, {name}"
    by_class, count, size = stated
    if not isinstance(by_class, dict):
        raise BadRequest(f"{place}: its tubes are not by class")
    video = AnnotatedVideo(
        name,
        None if count is None else as_whole(count, "nframes", place),
        None if size is None else (as_whole(size[1], "width", place), as_whole(size[0], "height", place)),
        classes=tuple(names.values()),
        split=split,
    )
    for number, tubes in by_class.items():
        label = class_of(as_whole(number, "class", place), names, place)
        check_folder(name, label, names, place)
        for tube in tubes:
            track = 1 + max((box.track for box in video.boxes[-1:]), default=-1)
            video.boxes += _tube(as_array(tube), label, track, f"{place}, tube {track}")
    check_unique(video, str(path))
    return video


def check_folder(name: str, label: str, names: ClassNames, place: str) -> None:
    """Raises BadRequest where the folder of a video is a class, and its tubes are of another."""
    folder = name.partition("/")[0]
    if "/" in name and folder in names.values() and folder != label:
        raise BadRequest(f"{place}: lies in {cut(folder)}, and its tubes are of {cut(label)}: labels off by one?")


def _tube(tube: np.ndarray | None, label: str, track: int, place: str) -> list[BoxOnFrame]:
    if tube is None or tube.ndim != 2 or tube.shape[1] != 5 or tube.dtype.kind not in "fiu":
        raise BadRequest(f"{place}: no array [frames,5] of frame, x0, y0, x1, y1")
    return [
        make_box(as_whole(frame, "frame", place, least=1) - 1, corners, label, place=f"{place}, frame {frame:g}",
                 track=track)
        for frame, *corners in tube.tolist()
    ]  # fmt: skip


def write(videos: Iterable[AnnotatedVideo], path: Path, *, classes: Sequence[str] = ()) -> None:
    """With one fold, of the videos whose split is train, and of the others. Raises BadRequest for boxes without a
    track, and where the size that they refer to is not stated.
    """
    videos = list(videos)
    labels = list(classes or classes_of(videos))
    found: dict[str, Any] = {"labels": labels, "gttubes": {}, "nframes": {}, "resolution": {}}
    for video in videos:
        if video.size is None or video.num_frames is None or any(box.track < 0 for box in video.boxes):
            raise BadRequest(f"{video.name}: tubes need a size, a number of frames, and a track of each box")
        found["nframes"][video.name] = video.num_frames
        found["resolution"][video.name] = video.size[::-1]
        of_video: dict[int, list[np.ndarray]] = {}
        found["gttubes"][video.name] = of_video
        for track in dict.fromkeys(box.track for box in video.boxes):
            tube = [box for box in video.boxes if box.track == track]
            rows = np.array([[box.frame + 1, *corners_of(box)] for box in tube])
            of_video.setdefault(labels.index(tube[0].label), []).append(rows)
    found["train_videos"] = [[video.name for video in videos if video.split == "train"]]
    found["test_videos"] = [[video.name for video in videos if video.split != "train"]]
    with replacing(path) as temporary:
        temporary.write_bytes(pickle.dumps(found, protocol=2))
