"""What prediction reads of a file that is in no manifest."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.films import moving_bar
from videxp.data.loading.clips import ClipChoice
from videxp.data.loading.file_clips import read_clips
from videxp.video import UnreadableVideo, write_video


def test_a_folder_of_pictures_gives_the_clips_of_the_same_video(tmp_path: Path):
    frames = moving_bar(num_frames=12)
    write_video(tmp_path / "film.mkv", frames, fps=10, codec="ffv1", pixel_format="bgr0")
    (tmp_path / "film").mkdir()
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(tmp_path / f"film/{number}.png")
    choice = ClipChoice(num_frames=4, stride_frames=2, clips=2)
    of_pictures, of_video = (read_clips(tmp_path / name, choice=choice) for name in ("film", "film.mkv"))
    assert of_pictures.shape == (2, 4, 24, 32, 3)
    assert torch.equal(of_pictures, of_video)
    with pytest.raises(UnreadableVideo, match="pictures have no rate, and the run reads 5 frames a second"):
        read_clips(tmp_path / "film", choice=ClipChoice(num_frames=4, clip_fps=5, clips=2))
