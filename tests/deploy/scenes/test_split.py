"""A film split into a file for each shot: what is written, what is told, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from videxp.core.errors import BadRequest, VidexpError
from videxp.deploy.scenes import split
from videxp.deploy.scenes.film import CutFilm
from videxp.deploy.scenes.split import require_split_folder, split_film
from videxp.video import probe, write_video
from videxp.video.clock import read_clock
from videxp.video.shots import FilmTransition

Listing = Callable[[Path], set[str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames with a key frame every 10."""
    path = tmp_path_factory.mktemp("source") / "a b.mp4"
    frames = np.full((60, 24, 64, 3), 60, np.uint8)  # in what moves, x264 adds key frames
    write_video(path, frames, fps=25, keyframe_interval=10)
    return path


def cut_film(path: Path, *starts: int) -> CutFilm:
    return CutFilm(path, read_clock(path), tuple(FilmTransition(start - 1, start) for start in starts), 0.5)


def num_frames(folder: Path) -> dict[str, int]:
    return {path.name: probe(path).num_frames for path in sorted(folder.iterdir())}


def test_each_shot_is_a_file_and_an_earlier_split_is_gone(source: Path, tmp_path: Path):
    said: list[str] = []
    parts = split_film(cut_film(source, 7, 40), tmp_path / "out", copy=False, say=said.append)
    assert num_frames(tmp_path / "out") == {f"a b-scene-00{n}.mp4": k for n, k in ((1, 7), (2, 33), (3, 20))}
    assert [(part.first, part.last, part.path.name) for part in parts][1] == (7, 39, "a b-scene-002.mp4")
    assert said == []
    with pytest.raises(
        BadRequest, match=r"a b-scene-001.mp4 is there already: choose another name, or add --overwrite"
    ):
        split_film(cut_film(source, 30), tmp_path / "out", copy=False)
    split_film(cut_film(source, 30), tmp_path / "out", copy=False, overwrite=True)
    assert num_frames(tmp_path / "out") == {"a b-scene-001.mp4": 30, "a b-scene-002.mp4": 30}


def test_a_copy_tells_which_cuts_moved_and_which_shots_share_a_file(source: Path, tmp_path: Path):
    said: list[str] = []
    film = cut_film(source, 10, 23, 24, 38)
    split_film(film, tmp_path / "out", copy=True, say=said.append)
    assert num_frames(tmp_path / "out") == {f"a b-scene-00{n}.mp4": k for n, k in ((1, 10), (2, 10), (3, 20), (5, 20))}
    assert said == [
        "a b.mp4: copied, so cut at key frames; 3 of 4 cuts moved: shot 3 by -3, shot 4 by -4, shot 5 by +2 frames",
        "a b.mp4: no key frame of their own, so in the file of the shot before: 4",
    ]
    packets = [bytes(packet)[-100:] for path in sorted((tmp_path / "out").iterdir()) for packet in demuxed(path)]
    assert packets == [bytes(packet)[-100:] for packet in demuxed(source)]


def demuxed(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def test_where_a_part_fails_nothing_is_left(
    source: Path, tmp_path: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch
):
    def fails_after_two(*arguments: object, **options: object) -> object:
        parts = split_parts(*arguments, **options)
        yield next(parts)
        yield next(parts)
        raise VidexpError("the third part fails")

    split_parts = split.encode_parts
    monkeypatch.setattr(split, "encode_parts", fails_after_two)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/a b-scene-001.mp4").write_text("an earlier one")
    for folder in ("new/deep", "there"):
        with pytest.raises(VidexpError, match="the third part fails"):
            split_film(cut_film(source, 7, 40), tmp_path / folder, copy=False, overwrite=True)
    assert listing(tmp_path) - {"new"} == {"there", "there/a b-scene-001.mp4"}
    assert (tmp_path / "there/a b-scene-001.mp4").read_text() == "an earlier one"


def test_a_folder_that_cannot_take_the_parts_is_refused_before_any_work(source: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(BadRequest, match="file is a file: the parts of a film go to a folder"):
        require_split_folder(tmp_path / "file", [source], overwrite=True)
    with pytest.raises(BadRequest, match="two films are called a b: split them into folders of their own"):
        require_split_folder(tmp_path / "out", [source, Path("other/a b.mkv")], overwrite=True)
    (tmp_path / "a b-scene-001.mp4").write_bytes(source.read_bytes())
    films = [source, tmp_path / "a b-scene-001.mp4"]
    with pytest.raises(BadRequest, match=r"a b-scene-001.mp4 is an input and would be replaced: choose another folder"):
        require_split_folder(tmp_path, films, overwrite=True)
    require_split_folder(tmp_path / "out", films, overwrite=False)
