"""Every format of boxes: what is written is read again, foreign readers see the same boxes, faults are named."""

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from videxp.core.errors import BadRequest
from videxp.data.annotations.boxes import BoxOnFrame
from videxp.data.box_files.form import AnnotatedVideo, by_frame, check_unique, corners_of, read_class_file, resize
from videxp.data.box_files.formats import FORMATS, Format, read_boxes, write_boxes
from videxp.data.notes import Notes

UCF24 = Path(__file__).parents[3].parent / "shared" / "data" / "ucf24"
CLASSES = ("Run", "Walk")


def film(name: str = "Run/v1") -> AnnotatedVideo:
    """One thing on frames 2 to 4, another of the same class on frames 0 and 3."""
    first = [BoxOnFrame(t, 10.5 + t, 20, 30.25 + t, 60, "Run", track=0) for t in (2, 3, 4)]
    second = [BoxOnFrame(t, 100, 50.125, 160, 90, "Run", track=1) for t in (0, 3)]
    return AnnotatedVideo(name, 6, (320, 240), 25.0, [*first, *second], CLASSES, "train")


def picture(name: str) -> AnnotatedVideo:
    return AnnotatedVideo(name, 1, (320, 240), None, [BoxOnFrame(0, 0, 0, 320, 240, "Run"),
                                                      BoxOnFrame(0, 4, 5, 6, 8, "Walk", score=0)], CLASSES)  # fmt: skip


WRITTEN: dict[Format, tuple[str, AnnotatedVideo, set[str]]] = {
    # path, the video, what of it the format does not keep
    "ava": ("a.csv", film(), {"num_frames", "size", "classes", "split", "timed"}),
    "coco": ("a.json", film(), {"fps", "split"}),
    "cvat": ("", film("v1.mp4"), {"fps", "split"}),
    "frame_texts": ("", film(), {"num_frames", "size", "fps", "split", "classes", "track"}),
    "imagenet_vid": ("", film("train/a/v1"), {"fps"}),
    "label_studio": ("a.json", film(), {"size", "classes", "split", "timed"}),
    "mot": ("", film("v1"), {"split"}),
    "tubes_json": ("a.json", replace(film(), boxes=film().boxes[:3]), {"fps", "split"}),
    "tubes_pickle": ("a.pkl", film(), {"fps"}),
    "voc": ("", picture("v1.jpg"), {"fps"}),
}
READ_WITH: dict[Format, dict[str, Any]] = {
    "ava": {"classes": {1: "Run", 2: "Walk"}, "options": {"fps": 25}},
    "mot": {"classes": {1: "Run", 2: "Walk"}},
    "voc": {"classes": {1: "Run", 2: "Walk"}},
    "imagenet_vid": {"classes": {1: "Run", 2: "Walk"}},
}


def rounded(video: AnnotatedVideo, *, tracks: bool = True) -> list[tuple]:
    return sorted(
        (box.frame, *np.round(corners_of(box), 5), box.label, box.track if tracks else -1, box.score)
        for box in video.boxes
    )


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_format_writes_it_reads(format: Format, tmp_path: Path):
    where, video, lost = WRITTEN[format]
    write_boxes([video], tmp_path / where, format=format)
    (found,) = read_boxes(tmp_path / where, format=format, **READ_WITH.get(format, {}))
    assert found.name == video.name
    in_pixels = resize(replace(found, size=found.size or (320, 240)), (320, 240))
    tracks = "track" not in lost
    assert rounded(in_pixels, tracks=tracks) == rounded(video, tracks=tracks)
    for field in ("num_frames", "size", "fps", "classes", "split", "timed"):
        assert field in lost or getattr(found, field) == getattr(video, field), field


def test_a_track_with_a_gap_is_several_tubes(tmp_path: Path):
    write_boxes([film()], tmp_path / "a.json", format="tubes_json")
    tubes = json.loads((tmp_path / "a.json").read_text())["videos"]["Run/v1"]["tubes"]
    assert [(tube["start"], tube["end_exclusive"]) for tube in tubes] == [(2, 5), (0, 1), (3, 4)]
    (found,) = read_boxes(tmp_path / "a.json", format="tubes_json")
    assert {corners_of(box) for box in found.boxes} == {corners_of(box) for box in film().boxes}


def test_real_tubes_are_the_same_in_every_format_that_has_tracks(tmp_path: Path):
    if not UCF24.is_dir():
        pytest.skip("tubes of real videos are not read: their folder is absent")
    videos = read_boxes(UCF24 / "tubes.json", format="tubes_json")
    assert [len(video.boxes) for video in videos] == [48, 50, 55, 348, 98, 369]
    assert (videos[0].size, videos[0].num_frames, len(videos[0].classes)) == ((320, 240), 180, 24)
    first = json.loads((UCF24 / "tubes.json").read_text())["videos"]["v_Basketball_g01_c02"]["tubes"][0]
    x, y, width, height = first["boxes_xywh"][0]
    assert corners_of(videos[0].boxes[0]) == (x, y, x + width, y + height)
    assert videos[0].boxes[0].frame == first["start"]
    names = {1 + place: name for place, name in enumerate(videos[0].classes)}
    formats: list[tuple[Format, str]] = [
        ("coco", "a.json"),
        ("mot", "mot"),
        ("tubes_pickle", "a.pkl"),
        ("cvat", "cvat"),
    ]
    for format, where in formats:
        write_boxes(videos, tmp_path / where, format=format)
        found = {video.name: video for video in read_boxes(tmp_path / where, format=format,
                                                           classes=names if format == "mot" else None)}  # fmt: skip
        for video in videos:
            assert rounded(found[video.name]) == rounded(video), (format, video.name)


# ---- foreign readers ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Operation with tuple")
def test_motmetrics_reads_the_same_boxes():
    if not find_spec("motmetrics"):
        pytest.skip("MOTChallenge is not compared with motmetrics: pip install motmetrics")
    from motmetrics import io as reference

    found = find_spec("motmetrics")
    assert found is not None and found.origin is not None
    file = Path(found.origin).parent / "data/TUD-Campus/gt.txt"
    expected = reference.loadtxt(str(file), fmt=reference.Format.MOT15_2D)
    (video,) = read_boxes(file, format="mot")
    assert len(video.boxes) == len(expected) == 359
    for box, ((frame, track), row) in zip(sorted(video.boxes, key=lambda b: (b.frame, b.track)), expected.iterrows()):
        assert (box.frame + 1, box.track) == (frame, track)
        assert corners_of(box) == (row.X, row.Y, row.X + row.Width, row.Y + row.Height)


@pytest.mark.filterwarnings("ignore:Operation with tuple")
def test_what_is_written_for_mot_is_what_motmetrics_reads(tmp_path: Path):
    if not find_spec("motmetrics"):
        pytest.skip("MOTChallenge is not compared with motmetrics: pip install motmetrics")
    from motmetrics import io as reference

    write_boxes([film("v1")], tmp_path, format="mot")
    expected = reference.loadtxt(str(tmp_path / "v1/gt/gt.txt"), fmt=reference.Format.MOT16, min_confidence=0)
    assert [(frame - 1, track, row.X, row.Y) for (frame, track), row in expected.sort_index().iterrows()] == [
        (box.frame, box.track, box.x0, box.y0) for box in by_frame(film().boxes)
    ]


def test_pycocotools_reads_the_same_boxes(tmp_path: Path):
    reference = pytest.importorskip("pycocotools.coco", reason="COCO is not compared with pycocotools")
    write_boxes([film("v1")], tmp_path / "a.json", format="coco")
    with redirect_stdout(io.StringIO()):
        coco = reference.COCO(str(tmp_path / "a.json"))
    found = sorted(
        (coco.imgs[one["image_id"]]["frame_id"], one["instance_id"], *one["bbox"])
        for one in coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(catNms=["Run"])))
    )
    assert found == sorted((b.frame, b.track, b.x0, b.y0, b.x1 - b.x0, b.y1 - b.y0) for b in film().boxes)


def test_torchvision_reads_the_same_corners_which_voc_counts_from_1(tmp_path: Path):
    from xml.etree.ElementTree import parse

    from torchvision.datasets import VOCDetection

    write_boxes([picture("v1.jpg")], tmp_path, format="voc")
    found = VOCDetection.parse_voc_xml(parse(tmp_path / "v1.xml").getroot())["annotation"]
    boxes = [{key: float(value) for key, value in one["bndbox"].items()} for one in found["object"]]
    assert boxes[0] == {"xmin": 1, "ymin": 1, "xmax": 320, "ymax": 240}
    assert corners_of(read_boxes(tmp_path, format="voc")[0].boxes[0]) == (0, 0, 320, 240)


# ---- each format's own ----------------------------------------------------------------------------------------------


def test_ava_has_seconds_several_actions_of_a_person_and_excluded_seconds(tmp_path: Path):
    (tmp_path / "list.pbtxt").write_text('item {\n name: "bend"\n id: 1\n}\nlabel {\n name: "sit"\n label_id: 11\n}\n')
    (tmp_path / "gt.csv").write_text("a,0902,0.1,0.2,0.5,0.9,11,7\na,0902,0.1,0.2,0.5,0.9,1,7\na,0903,0,0,1,1,1,7\n")
    (tmp_path / "out.csv").write_text("a,0903\n")
    classes = read_class_file(tmp_path / "list.pbtxt")
    assert classes == {1: "bend", 11: "sit"}
    notes = Notes()
    (video,) = read_boxes(
        tmp_path / "gt.csv", format="ava", classes=classes, options={"excluded": "out.csv"}, notes=notes
    )
    assert [(box.frame, box.label, box.track) for box in video.boxes] == [(60, "sit", 7), (60, "bend", 7)]
    assert notes.lines == [("boxes", "boxes at excluded seconds: a,0903")]
    (tmp_path / "predicted.csv").write_text("a,0902,0.1,0.2,0.5,0.9,,0.987\n")
    (video,) = read_boxes(tmp_path / "predicted.csv", format="ava")
    assert video.boxes == [BoxOnFrame(60, 0.1, 0.2, 0.5, 0.9, "person", score=0.987)]
    write_boxes([video], tmp_path / "again.csv", format="ava")
    assert (tmp_path / "again.csv").read_text() == "a,0902,0.1,0.2,0.5,0.9,,0.987\n"


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
 <meta><task><name>t</name><size>12</size><labels><label><name>car</name></label></labels></task>
  <original_size><width>64</width><height>48</height></original_size><source>a.mp4</source></meta>
 <track id="0" label="car">
  <box frame="1" outside="0" occluded="1" keyframe="1" xtl="0" ytl="0" xbr="10" ybr="10"/>
  <box frame="5" outside="1" occluded="0" keyframe="1" xtl="8" ytl="4" xbr="18" ybr="14"/>
  <box frame="9" outside="0" occluded="0" keyframe="1" xtl="0" ytl="0" xbr="10" ybr="20" rotation="90"/>
  <polygon frame="3" points="1,2;3,4"/>
 </track>
</annotations>"""


def test_cvat_outside_ends_a_span_and_key_frames_are_filled_in_between(tmp_path: Path):
    (tmp_path / "a.xml").write_text(CVAT)
    notes = Notes()
    (video,) = read_boxes(tmp_path / "a.xml", format="cvat", notes=notes)
    assert (video.name, video.num_frames, video.size, video.classes) == ("a.mp4", 12, (64, 48), ("car",))
    assert [(box.frame, box.x0, box.y0, box.visible) for box in video.boxes[:4]] == [
        (1, 0, 0, 0.0), (2, 2, 1, 0.0), (3, 4, 2, 0.0), (4, 6, 3, 0.0)
    ]  # fmt: skip
    assert [box.frame for box in video.boxes[4:]] == [9]
    assert corners_of(video.boxes[4]) == pytest.approx((-5, 5, 15, 15))  # turned by a right angle about its middle
    assert [text.partition(": ")[2] for _, text in notes.lines] == [
        "key frames alone, boxes between them are interpolated", f"{tmp_path}/a.xml, line 9",
    ]  # fmt: skip


def label_studio(sequence: list[dict], **value: Any) -> str:
    value = {"labels": ["Airplane"], "framesCount": 10, "duration": 0.4, "sequence": sequence} | value
    result = [{"id": "x", "type": "videorectangle", "value": value}]
    return json.dumps(
        [{"id": 1, "data": {"video": "/data/upload/1/1a2b3c4d-a.mp4"}, "annotations": [{"result": result}]}]
    )


def test_label_studio_key_frames_are_filled_in_between_and_to_the_end(tmp_path: Path):
    """The figures are those of the tests of Label Studio's own `extract_key_frames`."""
    first = {"frame": 1, "enabled": True, "x": 38, "y": 38, "width": 41, "height": 22, "rotation": 0, "time": 0.04}
    last = first | {"frame": 5, "enabled": False, "x": 40, "y": 49, "width": 56, "height": 34}
    again = first | {"frame": 8}
    (tmp_path / "a.json").write_text(label_studio([first, last, again]))
    notes = Notes()
    (video,) = read_boxes(tmp_path / "a.json", format="label_studio", notes=notes)
    assert (video.name, video.fps, video.size, video.num_frames) == ("a.mp4", 25.0, (100, 100), 10)
    assert [box.frame for box in video.boxes] == [0, 1, 2, 3, 4, 7, 8, 9]
    third = video.boxes[2]
    assert (third.x0, third.y0, third.x1 - third.x0, third.y1 - third.y0) == (39, 43.5, 48.5, 28)
    assert notes.lines == [("boxes", "Label Studio exports key frames alone: boxes between them are interpolated")]


def test_imagenet_vid_counts_from_0_and_its_classes_have_names(tmp_path: Path):
    video = replace(film("val/v1"), boxes=[BoxOnFrame(1, 0, 0, 320, 240, "zebra", track=3)], split="val")
    write_boxes([video], tmp_path, format="imagenet_vid")
    assert "<name>n02391049</name>" in (tmp_path / "val/v1/000001.xml").read_text()
    (found,) = read_boxes(tmp_path, format="imagenet_vid")
    assert (found.boxes, found.split, len(found.classes)) == (video.boxes, "val", 30)


# ---- faults ---------------------------------------------------------------------------------------------------------

FAULTS: list[tuple[Format, str, str, str]] = [
    ("ava", "a.csv", "a,0902,0.1,0.2,0.5,0.9,11", "line 1: 7 columns"),
    ("ava", "a.csv", "a,902,0,0,1,1,1,7\na,0902,nan,0.2,0.5,0.9,1,7", "line 2: from nan, 0.2 to 0.5, 0.9 is no box"),
    ("ava", "a.csv", "a,nan,0.1,0.2,0.5,0.9,1,7", "line 1: second nan is no number"),
    ("ava", "a.csv", "a,902,0.1,x,0.5,0.9,1,7", "line 1: second or corner='x' is no number"),
    ("ava", "a.csv", "a,0902,0.5,0.2,0.1,0.9,1,7", "line 1: from 0.5, 0.2 to 0.1, 0.9 is no box"),
    ("ava", "a.csv", "a,0002,0.1,0.2,0.5,0.9,1,7", "second 2 lies before the first, 900"),
    ("ava", "a.csv", "a,902,0.1,0.2,0.5,0.9,1,7\na,902,0.1,0.2,0.5,0.9,1,7", "has two boxes of track 7 on frame 60"),
    ("mot", "a.txt", "0,1,10,10,5,5,1,1,1", "line 1: frame='0' is no whole number from 1"),
    ("mot", "a.txt", "1,1,10,10,-5,5,1,1,1", "line 1: from 9, 9 to 4, 14 is no box"),
    ("mot", "a.txt", "1,1,10,10,5,5,1,0,1", "class 0 is none of 13, 1 to 13: do the file's labels count from 0, not"),
    ("mot", "a.txt", "1,1,1,1,5,5,1,1,1\n1,1,2,2,5,5,1,1,1", "a has two boxes of track 1 on frame 0"),
    ("mot", "a.txt", "1,1,1e999,1,5,5,1,1,1", "x,y,w,h='1e999' is no number"),
    ("coco", "a.json", '{"images": [], "categories": [{"id": 1}, {"id": 1}]}', "id 1 is given twice"),
    ("coco", "a.json", '{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "x"}],'
     ' "annotations": [{"id": 5, "image_id": 1, "category_id": 0, "bbox": [0, 0, 1, 1]}]}', "class 0 is none of 1"),
    ("coco", "a.json", '{"images": NaN}', "NaN is no number"),
    ("cvat", "a.xml", CVAT.replace('label="car"', 'label="cart"'), "label 'cart' is none of its labels: car"),
    ("cvat", "a.xml", CVAT.replace('xbr="10" ybr="20"', 'xbr="inf" ybr="20"'), "line 8: xbr='inf' is no number"),
    ("cvat", "a.xml", CVAT.replace("<track", "<image/><track"), "line 5: CVAT for images, which tears tracks apart"),
    ("cvat", "a.xml", "<annotations><meta>", "no XML: no element found: line 1"),
    ("label_studio", "a.json", label_studio([{"frame": 0}]), "key frame 0: x='None' is no number"),
    ("label_studio", "a.json", "[{}]", "task 0: no annotations: export as JSON, not as JSON-MIN"),
    ("tubes_json", "a.json", '{"classes": ["a"], "videos": {"v": {"tubes": [{"start": 0, "end_exclusive": 2,'
     ' "class_index": 0, "boxes_xywh": [[0, 0, 1, 1]]}]}}}', "1 boxes for frames 0 to 2, the end exclusive"),
    ("tubes_json", "a.json", '{"classes": ["a", "b"], "videos": {"v": {"class": "a", "tubes": [{"start": 0,'
     ' "end_exclusive": 1, "class_index": 1, "boxes_xywh": [[0, 0, 1, 1]]}]}}}', "labels off by one?"),
    ("voc", "a.xml", "<annotation><object><name>x</name><bndbox><xmin>5</xmin><ymin>1</ymin><xmax>2</xmax>"
     "<ymax>9</ymax></bndbox></object></annotation>", "line 1: from 4, 0 to 2, 9 is no box"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "name", "text", "fault"), FAULTS, ids=[f"{f[0]}: {f[3]}"[:60] for f in FAULTS])
def test_faults_are_named_with_file_and_place(format: Format, name: str, text: str, fault: str, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadRequest) as raised:
        read_boxes(tmp_path / name, format=format)
    assert fault in str(raised.value) and str(tmp_path / name) in str(raised.value)


def test_labels_from_0_are_noticed_where_folders_are_classes(tmp_path: Path):
    write_boxes([film("Run/v1"), film("Walk/v2")], tmp_path, format="frame_texts", classes=["Run", "Walk"])
    with pytest.raises(BadRequest, match=r"Walk/v2: lies in 'Walk', and its labels are Run"):
        read_boxes(tmp_path, format="frame_texts")
    file = next((tmp_path / "Run/v1").glob("*.txt"))
    file.write_text("0 1 2 3 4\n")
    with pytest.raises(
        BadRequest, match=r"class 0 is none of 2, 1 to 2: do the file's labels count from 0, not from 1\?"
    ):
        read_boxes(tmp_path, format="frame_texts")


def test_an_unknown_option_is_refused_with_those_that_there_are(tmp_path: Path):
    with pytest.raises(BadRequest, match="format ava has no option 'fsp': it has first_second, fps, excluded"):
        read_boxes(tmp_path, format="ava", options={"fsp": 25})


def test_two_boxes_of_one_track_on_a_frame_are_refused():
    twice = [BoxOnFrame(0, 0, 0, 1, 1, "a", track=1), BoxOnFrame(0, 0, 0, 1, 1, "b", track=1)]
    check_unique(AnnotatedVideo("v", boxes=twice), "here", several_labels=True)
    with pytest.raises(BadRequest, match="here: v has two boxes of track 1 on frame 0"):
        check_unique(AnnotatedVideo("v", boxes=twice), "here")
