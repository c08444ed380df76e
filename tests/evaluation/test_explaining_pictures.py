"""Clips with their maps, as somebody sees them."""

from pathlib import Path

import numpy as np

from videxp.evaluation.explaining.pictures import ShownClip, save_overlays
from videxp.video import open_video


def test_clips_of_several_sizes_are_all_on_the_sheet(tmp_path: Path):
    red, blue = (255, 0, 0), (0, 0, 255)
    shapes = {red: (4, 224, 224), blue: (6, 240, 300)}
    clips = [ShownClip("", *[np.full((*shape, 3), color, np.uint8)] * 2) for color, shape in shapes.items()]
    with open_video(save_overlays(clips, tmp_path / "sheet.mp4", fps=5)) as reader:
        frames = reader.frames([0, 3]).numpy().astype(int)
        assert reader.num_frames == 4  # as the shortest
    assert frames.shape[1:3] == (240, 2 * 2 * 304)
    for left, color, (_, height, width) in zip((0, 608), shapes, shapes.values()):
        for column in (left + width // 2, left + width + 4 + width // 2):  # the clip, the map
            assert abs(frames[:, height // 2, column] - color).max() < 40
    assert frames[:, 232, 100].min() > 215  # white beneath the smaller one
