"""ImageNet VID: Annotations/VID/<train/ILSVRC2015_VID_train_0000|val>/SNIPPET/000000.xml, VOC's XML with `trackid`.

Frames: from 0, by the names of the files. Boxes: corners in pixels of `<size>`, from 0 to the width and height (no 1 is
taken away, as VOC's reader does). Classes: 30, by their WordNet ids, which are read as names.
"""

from collections.abc import Iterable
from pathlib import Path

from videxp.core.errors import BadRequest
from videxp.data.box_files.form import AnnotatedVideo, ClassNames, as_whole, check_unique
from videxp.data.box_files.voc import read_picture, write_picture
from videxp.data.layouts.tables import read_each
from videxp.data.layouts.walk import walk
from videxp.data.manifest import Split
from videxp.data.notes import UNHEARD, Notes

NAMES = {
    "n02691156": "airplane", "n02419796": "antelope", "n02131653": "bear", "n02834778": "bicycle", "n01503061": "bird",
    "n02924116": "bus", "n02958343": "car", "n02402425": "cattle", "n02084071": "dog", "n02121808": "domestic_cat",
    "n02503517": "elephant", "n02118333": "fox", "n02510455": "giant_panda", "n02342885": "hamster",
    "n02374451": "horse", "n02129165": "lion", "n01674464": "lizard", "n02484322": "monkey", "n03790512": "motorcycle",
    "n02324045": "rabbit", "n02509815": "red_panda", "n02411705": "sheep", "n01726692": "snake",
    "n02355227": "squirrel", "n02129604": "tiger", "n04468005": "train", "n01662784": "turtle",
    "n04530566": "watercraft", "n02062744": "whale", "n02391049": "zebra",
}  # fmt: skip


def read(path: Path, *, classes: ClassNames | None = None, notes: Notes = UNHEARD) -> list[AnnotatedVideo]:
    """path: a folder of snippets, at any depth; those beneath folders called train and val are in that split. classes:
    None: the 30 of ImageNet VID; others are names as they stand in the files.
    """
    folders = [(name, path / name) for name, _, files in walk(path, "") if any(f.name.endswith(".xml") for f in files)]
    if not folders:
        raise BadRequest(f"{path} holds no folder of XML files")
    return read_each(sorted(folders), lambda one: _snippet(*one, classes))


def _snippet(name: str, folder: Path, classes: ClassNames | None) -> AnnotatedVideo:
    names = tuple(NAMES) if classes is None else tuple(classes.values())
    shown = tuple(NAMES.values()) if classes is None else names
    parts = Path(name).parts
    splits: tuple[Split, ...] = ("train", "val", "test")
    video = AnnotatedVideo(name, classes=shown, split=next((split for split in splits if split in parts), None))
    for file in sorted(folder.glob("*.xml")):
        frame = as_whole(file.stem, "frame", str(file))
        size, boxes, _ = read_picture(file, frame=frame, names=names, first_pixel=0)
        video.boxes += [box._replace(label=NAMES.get(box.label, box.label)) for box in boxes]
        video.num_frames = frame + 1
        if video.size not in (None, size):
            raise BadRequest(f"{file}: pictures of {size}, and others of {name} have {video.size}")
        video.size = size
    check_unique(video, str(folder))
    return video


def write(videos: Iterable[AnnotatedVideo], path: Path) -> None:
    """path/NAME/000000.xml of each frame. Raises BadRequest where the number of frames is not stated."""
    ids = {name: number for number, name in NAMES.items()}
    for video in videos:
        if video.num_frames is None:
            raise BadRequest(f"{video.name}: its number of frames is not stated: set AnnotatedVideo.num_frames")
        (path / video.name).mkdir(parents=True, exist_ok=True)
        boxes = [box._replace(label=ids.get(box.label, box.label)) for box in video.boxes]
        named = AnnotatedVideo(video.name, video.num_frames, video.size, boxes=boxes)
        for frame in range(video.num_frames):
            file = path / video.name / f"{frame:06d}.xml"
            write_picture(named, file, frame=frame, file_name=file.stem, first_pixel=0)
