"""A film made anew says of itself what it said; what its container has no place for is told.

The files are ffmpeg's, and are read back by PyAV alone.
"""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.deploy.networks import Identity
from tests.video.test_remaking import remake, stock
from tests.video.torture_set import run_ffmpeg
from videxp.deploy.restore import restore_video
from videxp.video import write_video
from videxp.video.sequence import PictureFolder, VideoFile

CHAPTERS = """;FFMETADATA1
title=Film
mine=1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=400
title=One
[CHAPTER]
TIMEBASE=1/1000
START=400
END=1000
title=Two
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two audio tracks of which the second is the default and for the deaf, titles, languages, chapters."""
    folder = tmp_path_factory.mktemp("film")
    (folder / "chapters.txt").write_text(CHAPTERS)
    picture, tone = "testsrc2=s=64x64:r=12:d=1", "sine=r=16000:d=1"
    words = f"-f lavfi -i {picture} -f lavfi -i {tone} -f lavfi -i {tone} -i {folder}/chapters.txt"
    words += " -map 0 -map 1 -map 2 -map_metadata 3 -map_chapters 3 -c:v libx264 -pix_fmt yuv420p -c:a aac"
    words += " -metadata:s:v:0 language=jpn -metadata:s:a:0 language=eng -metadata:s:a:1 language=ita"
    words += " -metadata:s:a:1 title=Second -disposition:a:0 0 -disposition:a:1 default+hearing_impaired"
    run_ffmpeg([*words.split(), str(folder / "film.mkv")])
    return folder / "film.mkv"


def facts(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as file:
        audio = file.streams.audio
        return {
            "title": file.metadata.get("title"),
            "mine": file.metadata.get("MINE"),
            "languages": [s.metadata.get("language") for s in (file.streams.video[0], *audio)],
            "titles": [s.metadata.get("title", s.metadata.get("name")) for s in audio],
            "default": [bool(s.disposition & 1) for s in audio],
            "deaf": [bool(s.disposition & 128) for s in audio],
            "chapters": [
                (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]) for c in file.chapters()
            ],
        }


def test_titles_languages_defaults_and_chapters_are_kept(film: Path, tmp_path: Path):
    remade, said = remake(film, tmp_path / "out.mkv")
    assert facts(remade) == facts(film)
    assert facts(film)["default"] == [False, True] and len(facts(film)["chapters"]) == 2
    assert said == []
    assert facts(stock(film, tmp_path / "stock.mkv"))["title"] is None


def test_what_the_container_has_no_place_for_is_told(film: Path, tmp_path: Path):
    remade, said = remake(film, tmp_path / "out.mp4")
    assert facts(remade) == {**facts(film), "mine": None}
    assert said == ["left out, since .mp4 has no place for it: mine of the film"]
    again, said = remake(remade, tmp_path / "again.mp4")  # its chapters are a stream of their own
    assert (facts(again), said) == (facts(remade), [])


def test_audio_that_is_encoded_again_is_described_as_before(film: Path, tmp_path: Path):
    remade, said = remake(film, tmp_path / "out.webm", crf=40)
    assert facts(remade) == {**facts(film), "deaf": [False, False]}
    assert len(said) == 3 and all("encoded again" in line for line in said[:2])
    assert said[2] == "left out, since .webm has no place for it: mark of audio 2 as hearing_impaired"


def test_transparency_interlacing_and_hdr_data_are_told(tmp_path: Path):
    clear, fields, bright = tmp_path / "clear.mkv", tmp_path / "fields.mp4", tmp_path / "bright.mkv"
    with av.open(str(clear), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgra"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 4), 99, np.uint8), format="bgra")))
        file.mux(stream.encode(None))
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=0.4"]
    run_ffmpeg([*source, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "tff=1", str(fields)])
    master = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
    run_ffmpeg(
        [*source, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", f"{master}:log-level=0", str(bright)]
    )
    assert VideoFile(clear).not_in_pictures == ["transparency"]
    assert VideoFile(fields).not_in_pictures == ["interlacing (both fields of a frame are shown at once)"]
    assert VideoFile(bright).not_in_pictures == ["HDR mastering data"]
    said: list[str] = []
    restore_video(Identity(), bright, tmp_path / "out.mkv", say=said.append, show_progress=False)
    assert said[1:] == ["pictures: left out: HDR mastering data", "pictures: 10 bits become 8"]


def test_what_pictures_have_beside_their_colors_is_told(tmp_path: Path):
    for name, kind in (("clear", np.full((8, 8, 4), 99, np.uint8)), ("wide", np.full((8, 8), 999, np.uint16))):
        (tmp_path / name).mkdir()
        Image.fromarray(kind).save(tmp_path / name / "take{1}_001.png", icc_profile=b"profile")
    assert PictureFolder(tmp_path / "clear").not_in_pictures == ["transparency", "color profile"]
    assert PictureFolder(tmp_path / "wide").not_in_pictures == ["16 bits (8 are written)", "color profile"]
    said: list[str] = []
    restore_video(Identity(), tmp_path / "clear", tmp_path / "out", say=said.append, show_progress=False)
    assert said[1:] == ["pictures: left out: transparency, color profile"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["take{1}_001.png"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_a_new_file_says_who_made_it_behind_the_comment_that_the_film_has(tmp_path: Path, suffix: str):
    source, target = tmp_path / "in.mkv", tmp_path / f"out.{suffix}"
    words = "-f lavfi -i testsrc2=s=64x64:r=12:d=0.5 -c:v libx264 -pix_fmt yuv420p -metadata title=Film"
    run_ffmpeg([*words.split(), "-metadata", "comment=Take 3", str(source)])
    said: list[str] = []
    restore_video(Identity(), source, target, made_by="made by videxp 1, run r", say=said.append, show_progress=False)
    with av.open(str(target)) as file:
        tags = {key.lower(): value for key, value in file.metadata.items()}
    assert (tags["title"], tags["comment"]) == ("Film", "Take 3; made by videxp 1, run r")
    assert not [line for line in said if "left out" in line]


def test_frames_alone_say_who_made_them_and_the_same_frames_still_give_the_same_bytes(tmp_path: Path):
    frames = np.zeros((3, 16, 16, 3), np.uint8)
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, frames, fps=5, made_by="made by videxp 1")
    write_video(tmp_path / "plain.mp4", frames, fps=5)
    with av.open(str(tmp_path / "a.mp4")) as file, av.open(str(tmp_path / "plain.mp4")) as plain:
        assert file.metadata["comment"] == "made by videxp 1" and "comment" not in plain.metadata
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
