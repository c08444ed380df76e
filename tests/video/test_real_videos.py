"""Odd and broken files from the wild, if they lie beside the checkout: read as ffmpeg does, or told to be broken."""

from pathlib import Path

import numpy as np
import pytest

from tests.video.torture_set import reference_frames
from videxp.video import UnreadableVideo, open_video, probe

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CLIPS = [path for path in DATA.glob("clips/*.*") if path.suffix in (".mp4", ".avi", ".mkv")]
FILES = sorted([*DATA.glob("odd/*/*.*"), *CLIPS])
BROKEN = {
    "decord_corrupted.mp4": "damaged",
    "opencv_box.mp4": "comes out of order",  # ffmpeg presents its second frame fourth
    "torchcodec_nasa_13013.mp4.audio.mp3": "not a video file",
    "audio_only.mp4": "no video stream",
    "bit_flips.mp4": "damaged",
    "leading_garbage.mp4": "not a video file",
    "text_named.mp4": "not a video file",
    "truncated.mkv": "truncated",
    "truncated_faststart.mp4": "truncated",
}
LONG = {"vtest.avi", "opencv_Megamind_bugy.avi"}  # their raw frames would take a gigabyte
# Ten bits to eight, and chroma of odd sizes, come out differently from one swscale to the next.
TOLERANCE = 4.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="frames of real files are not checked: they are not there"),
]


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in LONG], ids=lambda path: path.name)
def test_a_real_file_is_read_as_ffmpeg_reads_it_or_told_to_be_broken(path):
    if path.name in BROKEN:
        with pytest.raises(UnreadableVideo, match=BROKEN[path.name]):
            probe(path)
        return
    found = probe(path)
    reference = reference_frames(path, (found.height, found.width))
    assert found.num_frames == len(reference)
    numbers = sorted({0, found.num_frames - 1, *np.random.default_rng(1).integers(found.num_frames, size=4).tolist()})
    for decoder, given in [("auto", found), ("pyav", None)]:
        with open_video(path, decoder=decoder, probe=given) as reader:
            singles = [reader.frames([number])[0].numpy() for number in reversed(numbers)][::-1]
            clip = reader.frames(numbers).numpy()
        for number, single, picture in zip(numbers, singles, clip):
            assert np.array_equal(single, picture)
            differences = np.abs(reference[max(0, number - 1) : number + 2].astype(np.int16) - picture)
            assert differences[min(number, 1)].mean() < TOLERANCE


def test_the_broken_files_are_among_those_tested():
    assert BROKEN.keys() <= {path.name for path in FILES}
