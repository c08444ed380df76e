"""The classes and videos that went least well, in a few lines."""

import math

import pytest
import torch

from videxp.core.contract import Contract
from videxp.evaluation.accuracy import worst_rows
from videxp.evaluation.tables import classes_table, worst_table
from videxp.tasks.pictures import CAPTION_PIXELS, PARTLY, RIGHT, WRONG, Example, save_prediction_clips
from videxp.video import open_video

CLASSES = Contract(metrics={"accuracy": "max"})


def test_the_least_classes_are_listed_first_with_how_many_videos_they_have():
    classes = [{"class": f"c{i}", "videos": i, "accuracy": None if i == 0 else i / 13} for i in range(13)]
    lines = classes_table(classes)
    assert lines[0] == "the least of 12 classes (1 without a video)  videos  accuracy"
    assert [line.split() for line in lines[1:]] == [[f"c{i}", str(i), f"{i / 13:.4f}"] for i in range(1, 11)]
    assert classes_table([]) == classes_table(classes[:1]) == []


def test_a_score_that_is_not_a_number_stands_first():
    lines = classes_table([{"class": "a", "videos": 1, "average_precision": s} for s in (0.0, None)])
    assert [line.split()[-1] for line in lines] == ["precision", "nan", "0.0000"]


def test_a_name_with_line_ends_stays_in_its_row():
    classes = [{"class": name, "videos": 1, "accuracy": 0.5} for name in ("a\nb", "c\td\x1b[2J")]
    assert [line.split()[0] for line in classes_table(classes)[1:]] == [r"a\x0ab", r"c\x09d\x1b[2J"]


def test_the_worst_videos_are_those_of_the_greatest_loss():
    rows = [{"loss": loss, "path": f"{loss}.mp4"} for loss in (0.5, 2.0, math.nan, 1.0)]
    assert [row["path"] for row in worst_rows(rows, CLASSES)] == ["nan.mp4", "2.0.mp4", "1.0.mp4", "0.5.mp4"]
    assert len(worst_rows(rows * 9, CLASSES)) == 8
    assert worst_rows([{"psnr": 30.0}], CLASSES) == []
    clips = [{"psnr": value} for value in (30.0, 20.0, math.nan, None)]
    shown = worst_rows(clips, Contract(metrics={"psnr": "max"}, headline=("psnr",)))
    assert math.isnan(shown[0]["psnr"]) and [row["psnr"] for row in shown[1:]] == [20.0, 30.0]
    assert worst_table([{"psnr": 20.0, "path": "a.mp4"}], by="psnr")[1].split() == ["20.000", "a.mp4"]


def test_parts_of_a_video_are_told_apart():
    parts = [(2.5, 4.0), (None, 2.5), (4.0, None)]
    rows = [{"loss": 1.0, "path": "a.mp4", "start_seconds": start, "end_seconds": end} for start, end in parts]
    found = [line.partition("a.mp4 ")[2] for line in worst_table(rows, by="accuracy")[1:]]
    assert found == ["(2.5 s to 4 s)", "(0 s to 2.5 s)", "(4 s to the end)"]


def test_paths_come_last_and_whole():
    path = "a/" * 60 + "x.mp4"
    row = {"loss": 2.5, "predicted": "up", "label": "down", "probability": 0.987, "path": path}
    several = {"loss": 0.5, "predicted": "", "label": "up|down", "path": "y.mp4"}
    heading, *lines = worst_table([row, several], by="accuracy")
    assert heading.split() == ["loss", "predicted", "true", "worst", "videos"]
    assert lines[0].split() == ["2.500", "up", "(0.99)", "down", path]
    assert lines[1].split() == ["0.500", "none", "up|down", "y.mp4"]
    told = worst_table([{"index": 7, "loss": 1.0}], by="accuracy")  # of boxes, say
    assert [line.split() for line in told] == [["loss", "worst", "videos"], ["1.000", "sample", "7"]]
    films = worst_table([{"path": "a.mp4", "predicted": 3, "f1": 0.5}], by="f1")  # transitions, not a class
    assert films[1].split() == ["0.500", "a.mp4"]
    assert worst_table([], by="psnr") == []


@pytest.mark.parametrize("count", [1, 5])
def test_clips_of_any_length_play_with_words_beneath(count: int, tmp_path):
    examples = [
        Example(
            torch.full((2 + i, 30, 40, 3), 90, dtype=torch.uint8), predicted="a" * 99, true="ä", note=f"loss {i}.00"
        )
        for i in range(count)
    ]
    path = save_prediction_clips(examples, tmp_path / "deep/worst.mp4", fps=5)
    rows, columns = -(-count // 4), min(count, 4)
    with open_video(path) as clips:
        assert (clips.num_frames, clips.size) == (1 + count, (rows * (200 + CAPTION_PIXELS), columns * 200))
        words = clips.frames([0])[0, 200 : 200 + CAPTION_PIXELS, :200].float().mean(-1)
    assert words.median() > 250  # white
    assert (words < 120).sum() > 100  # and written on: two lines and a note
    assert (words[:, -1] > 200).all()  # a long name is cut


def test_one_label_too_many_is_not_as_wrong_as_none_that_is_right():
    clip = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)

    def example(predicted: str, true: str, several: bool = True) -> Example:
        return Example(clip, predicted=predicted, true=true, several=several)

    pairs = [("a|b", "a|b"), ("a|b|c", "a|b"), ("a", "b"), ("", "a"), ("a", ""), ("", "")]
    colors = [example(*pair).color for pair in pairs]
    assert colors == [RIGHT, PARTLY, WRONG, WRONG, WRONG, RIGHT]
    assert example("a|b", "a", several=False).color == WRONG  # `|` is in the name of a class
    assert [example(*pair).text for pair in pairs[3:]] == ["none\n(true: a)", "a\n(true: none)", "none"]
