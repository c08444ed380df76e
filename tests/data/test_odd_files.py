"""Odd and broken files from the wild in a data set, if they lie beside the checkout: exactly the broken are left out.

What ffprobe, PyAV and decord made of each stands in MANIFEST.tsv. `UNREADABLE` is how it is to be read: no video in a
known format, or an error of FFmpeg, or an end before the container's own. Some of them decode without a word:
truncated.mkv gives 3 frames of 90, and ffmpeg presents opencv_box.mp4 in another order than its time stamps.
"""

import csv
import os
import shutil
from pathlib import Path

import pytest

from tests.films import module
from videxp.core.errors import BadRequest
from videxp.data import ManifestFile, VideoDataModule

ODD = Path(__file__).parents[2].parent / "shared" / "data" / "odd"
UNREADABLE = {
    "bit_flips.mp4": "damaged",
    "decord_corrupted.mp4": "damaged",
    "leading_garbage.mp4": "not a video file",
    "opencv_box.mp4": "comes out of order",
    "text_named.mp4": "not a video file",
    "truncated.mkv": "truncated",
    "truncated_faststart.mp4": "truncated",
    "audio_only.mp4": "no video stream",
    "torchcodec_nasa_13013.mp4.audio.mp3": "not a video file",
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ODD.is_dir(), reason="what is quarantined of odd files is not checked: they are not there"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of all of them, with one sound file for validation."""
    root = tmp_path_factory.mktemp("odd") / "root"
    shutil.copytree(ODD, root, copy_function=os.symlink, ignore=shutil.ignore_patterns("*.tsv"))
    (root / "sound.mp4").write_bytes((ODD / "made/all_intra.mp4").read_bytes() + b"\0\0\0\x08free")  # no copy of it
    files = sorted(str(file.relative_to(root)) for kind in ("made", "real") for file in (root / kind).iterdir())
    assert len(files) == 67
    lines = ["path,label,split", *(f"{file},{file[:4]},train" for file in files), "sound.mp4,made,val"]
    (root / "list.csv").write_text("\n".join(lines))
    return root


def prepared(root: Path, *, max_unreadable: int) -> VideoDataModule:
    data = module(
        root.parent,
        ManifestFile(file="list.csv"),
        max_unreadable=max_unreadable,
        frame_size=[24, 24],
        num_frames=2,
        batch_size=1,
    )
    data.prepare()
    return data


def test_exactly_the_unreadable_and_the_silently_wrong_are_quarantined_and_all_others_yield_a_clip(root: Path) -> None:
    with pytest.raises(BadRequest, match=f"{len(UNREADABLE)} of \\d+ files cannot be read"):
        prepared(root, max_unreadable=0)
    data = prepared(root, max_unreadable=len(UNREADABLE))
    reasons = {Path(path).name: cause for path, cause in data.manifest.unreadable.items()}
    for path, cause in sorted(data.manifest.unreadable.items()):
        print(f"{path}\tleft out\t{cause}")
    assert reasons.keys() == UNREADABLE.keys()
    assert all(UNREADABLE[name] in cause for name, cause in reasons.items())
    dataset = data.dataset("train")
    for index in range(len(dataset)):
        assert dataset[0, index]["clip"].shape == (1, 2, 24, 24, 3), dataset.path(index)
        print(f"{dataset.columns['path'][index]}\tclip\t{dataset.columns['decoder_reason'][index] or 'decord'}")
    assert not data.quarantine.causes


def test_the_stock_decoder_reads_some_of_them_without_a_word() -> None:
    """Negative control, from the table: decord gives frames of files whose end, or order, is not what it should be."""
    with (ODD / "MANIFEST.tsv").open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file, delimiter="\t")}
    silent = {name for name in UNREADABLE if not rows[name]["decord_frames"].startswith("ERR")}
    assert "truncated.mkv" in silent
    assert rows["truncated.mkv"]["decord_frames"] == "3/3"


def test_a_broken_file_in_the_place_of_a_sound_one_fails_when_it_is_read(root: Path, tmp_path: Path) -> None:
    """Of the same size as the sound one, so that only reading tells."""
    data = prepared(root, max_unreadable=len(UNREADABLE))
    dataset = data.dataset("train")
    sound = next(i for i in range(len(dataset)) if dataset.columns["path"][i] == "made/all_intra.mp4")
    dataset.root = str(tmp_path)
    (tmp_path / "made").mkdir()
    for name in ("truncated.mkv", "text_named.mp4", "leading_garbage.mp4", "truncated_faststart.mp4"):
        size_bytes = shutil.copy(ODD / "made" / name, tmp_path / "made/all_intra.mp4").stat().st_size
        dataset.columns["size_bytes"][sound] = size_bytes
        found = dataset.__getitems__([(0, sound)])
        assert not found.read
        assert [failure.path for failure in found.failures] == ["made/all_intra.mp4"], name
