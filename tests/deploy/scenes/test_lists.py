"""Lists of shots as their readers read them: OpenTimelineIO, its EDL adapter, csv, and PySceneDetect's own text."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import opentimelineio
import pytest

from videxp.core.errors import BadRequest
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.lists import csv_list, edl_list, json_list, otio_list
from videxp.video.clock import FrameClock, frame_clock
from videxp.video.shots import FilmTransition

NTSC = Fraction(30000, 1001)
# What PySceneDetect 0.7.2 writes (write_scene_list with its cuts) for shots of 29.97 fps that begin with these frames.
STARTS = (0, 100, 1799, 107892)
PYSCENEDETECT = """\
Timecode List:,00:00:03.337,00:01:00.027,00:59:59.996
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,End Time (seconds),Length (frames),Length (timecode),Length (seconds)
1,1,00:00:00.000,0.000,100,00:00:03.337,3.337,100,00:00:03.337,3.337
2,101,00:00:03.337,3.337,1799,00:01:00.027,60.027,1699,00:00:56.690,56.690
3,1800,00:01:00.027,60.027,107892,00:59:59.996,3599.996,106093,00:58:59.970,3539.970
4,107893,00:59:59.996,3599.996,200000,01:51:13.333,6673.333,92108,00:51:13.337,3073.337
"""  # noqa: E501  # as PySceneDetect writes it


def cut_film(clock: FrameClock, starts: tuple[int, ...], **more: object) -> CutFilm:
    """Hard cuts before each of `starts` but the first."""
    transitions = tuple(FilmTransition(start - 1, start, 0.9) for start in starts[1:])
    return CutFilm(Path("films/Ein Füm.mp4"), clock, transitions, 0.5, **more)


def ntsc(num_frames: int = 200_000) -> FrameClock:
    return frame_clock(np.arange(num_frames) * 1001, time_base=Fraction(1, 30000), stated_rates=[NTSC])


def uneven(seconds: list[float]) -> FrameClock:
    """The last is when the film ends."""
    ticks = np.array([round(each * 1000) for each in seconds])
    return frame_clock(ticks[:-1], time_base=Fraction(1, 1000), last_ticks=int(ticks[-1] - ticks[-2]))


def shots_of_edl(text: str, rate: Fraction) -> list[tuple[int, int]]:
    timeline = opentimelineio.adapters.read_from_string(text, "cmx_3600", rate=float(rate))
    return [ends(clip.source_range) for clip in timeline.find_clips()]


def ends(found: opentimelineio.opentime.TimeRange) -> tuple[int, int]:
    return round(found.start_time.value), round(found.end_time_exclusive().value)


def test_the_csv_is_what_pyscenedetect_writes_and_its_frames_are_those_of_the_film():
    assert csv_list(cut_film(ntsc(), STARTS)) == PYSCENEDETECT
    text = csv_list(cut_film(uneven([0, 0.1, 0.2, 5.0, 5.1, 9.0]), (0, 3)))
    assert text.splitlines()[2:] == [  # frames by their number; PySceneDetect would make 126 of the fourth
        "1,1,00:00:00.000,0.000,3,00:00:05.000,5.000,3,00:00:05.000,5.000",
        "2,4,00:00:05.000,5.000,5,00:00:09.000,9.000,2,00:00:04.000,4.000",
    ]
    assert csv_list(cut_film(ntsc(9), (0,))).startswith("Timecode List:\nScene Number,")


@pytest.mark.parametrize("drop_frame", [False, True])
def test_an_edl_of_two_hours_at_29_97_fps_is_read_back_to_the_frame(drop_frame: bool):
    starts = tuple(range(0, 200_000, 997))
    text = edl_list(cut_film(ntsc(), starts), drop_frame=drop_frame, say=pytest.fail)
    assert shots_of_edl(text, NTSC) == list(zip(starts, (*starts[1:], 200_000)))
    lines = text.splitlines()
    assert lines[:2] == ["TITLE: Ein F_m", "FCM: DROP FRAME" if drop_frame else "FCM: NON-DROP FRAME"]
    sign = ";" if drop_frame else ":"
    assert (
        lines[2] == f"001  AX       V     C        00:00:00{sign}00 00:00:33{sign}07 00:00:00{sign}00 00:00:33{sign}07"
    )
    assert lines[3] == "* FROM CLIP NAME: Ein F_m.mp4"


def test_an_edl_of_a_variable_rate_says_its_own_rate_and_what_it_cannot_hold():
    said: list[str] = []
    film = cut_film(uneven([0, 0.04, 0.08, 5.0, 5.01, 5.05, 9.0]), (0, 3, 4))
    text = edl_list(film, say=said.append)
    assert shots_of_edl(text, Fraction(25)) == [(0, 125), (125, 225)]
    rate = "25 fps (the film's rate is variable: each cut is at the nearest frame)"
    assert text.splitlines()[4] == f"* TIME LINE: {rate}"
    assert said == [
        f"Ein Füm.mp4: EDL at {rate}",
        "Ein Füm.mp4: shots too short for a frame of the EDL, left out of it: 2",
    ]


def test_what_cmx3600_has_no_room_for_is_said_or_refused():
    said: list[str] = []
    text = edl_list(cut_film(ntsc(), tuple(range(0, 200_000, 100))), say=said.append)
    assert said == ["Ein Füm.mp4: 2,000 events in the EDL: CMX3600 numbers 999, and some editors stop there"]
    assert len(shots_of_edl(text, NTSC)) == 2000
    with pytest.raises(BadRequest, match=r"Ein Füm.mp4: 25 fps has no drop-frame timecode: leave it out"):
        edl_list(cut_film(uneven([0, 0.04, 0.08, 0.12]), (0, 2)), drop_frame=True)
    with pytest.raises(BadRequest, match=r"no EDL of it: timecode has 24 hours, .*: ask for .otio, .csv or .json"):
        edl_list(cut_film(uneven([0, 0.04, 0.08, 90_000]), (0, 2)), say=said.append)


def test_an_otio_file_has_exact_places_at_any_rate():
    film = cut_film(ntsc(), STARTS, has_sound=True)
    timeline = opentimelineio.adapters.read_from_string(json.dumps(otio_list(film)), "otio_json")
    assert [(track.kind, len(track)) for track in timeline.tracks] == [("Video", 4), ("Audio", 4)]
    assert [ends(clip.source_range) for clip in timeline.video_tracks()[0]] == list(zip(STARTS, (*STARTS[1:], 200_000)))
    clip = timeline.video_tracks()[0][1]
    assert clip.source_range.start_time.rate == float(NTSC)
    assert clip.media_reference.target_url.endswith("/films/Ein%20F%C3%BCm.mp4")
    assert timeline.duration() == opentimelineio.opentime.RationalTime(200_000, float(NTSC))
    film = cut_film(uneven([0, 0.04, 0.08, 5.011, 5.05, 9.0]), (0, 3))
    timeline = opentimelineio.adapters.read_from_string(json.dumps(otio_list(film)), "otio_json")
    clip, other = timeline.tracks[0]
    assert clip.source_range.end_time_exclusive().to_seconds() == pytest.approx(5.011, abs=1e-12)
    assert other.range_in_parent().start_time.to_seconds() == pytest.approx(5.011, abs=1e-12)


def test_json_has_frames_seconds_and_what_the_network_said():
    film = cut_film(uneven([0, 0.1, 0.2, 5.0, 5.1, 9.0]), (0, 3))
    assert json_list(film) == {
        "path": "films/Ein Füm.mp4",
        "num_frames": 5,
        "fps": 10.0,
        "variable_rate": True,
        "threshold": 0.5,
        "shots": [
            {"first_frame": 0, "last_frame": 2, "start_seconds": 0.0, "end_seconds": 5.0},
            {"first_frame": 3, "last_frame": 4, "start_seconds": 5.0, "end_seconds": 9.0},
        ],
        "transitions": [
            {
                "kind": "cut",
                "last_before": 2,
                "first_after": 3,
                "start_seconds": 5.0,
                "end_seconds": 5.0,
                "probability": 0.9,
            }
        ],
    }
