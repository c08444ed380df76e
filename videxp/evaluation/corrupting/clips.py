"""Corrupted clips on disk, so that a person can see what severity 3 is.

Legend: T frames, H, W pixels, C = 3 channels.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch.nn import functional as F

from videxp.evaluation.corrupting.one_severity import OneSeverity, changed
from videxp.evaluation.corrupting.request import RobustnessRequest
from videxp.evaluation.subject import Subject
from videxp.transforms.corruptions.corruption import Corruption
from videxp.transforms.corruptions.sheet import save_contact_sheet
from videxp.video import write_video

SAMPLES = 2
MAX_FRAMES = 200
TILE_PIXELS = 144  # the longer side
GAP_PIXELS = 4


def save_corrupted_clips(subject: Subject, request: RobustnessRequest, *, seed: int) -> list[Path]:
    """Into robustness_<protocol>/ beside the plots: of each corruption a video, `rain.mp4`, whose rows are a few of the
    test's clips, its columns the clip as it is and at each severity, as the evaluation corrupts it; and
    `contact_sheet.png`, the middle frame of the first one under all of them."""
    folder = subject.pictures / f"robustness_{request.protocol.name}"
    folder.mkdir(parents=True, exist_ok=True)
    dataset = subject.datamodule.dataset("test")
    count = min(SAMPLES, dataset.num_samples)
    indices = [i * dataset.num_samples // count for i in range(count)]
    files = []
    for corruption in request.corruptions:
        rows = [_versions(subject, index, corruption, request.severities, seed=seed) for index in indices]
        files.append(folder / f"{corruption.name}.mp4")
        write_video(files[-1], _grid(rows), fps=dataset.clip_fps(indices[0]))
    sheet = folder / "contact_sheet.png"
    save_contact_sheet(
        _corrupted_clip(subject, 0, OneSeverity(None, 0, seed))[:MAX_FRAMES],
        request.protocol,
        sheet,
        fps=dataset.clip_fps(0),
        seed=seed,
        names=[corruption.name for corruption in request.corruptions],
        severities=request.severities,
    )
    return [*files, sheet]


def _versions(
    subject: Subject, index: int, corruption: Corruption, severities: tuple[int, ...], *, seed: int
) -> list[np.ndarray]:
    """The sample's first clip, uint8 [T,h,w,C], as it is and at each severity."""
    steps = [OneSeverity(None, 0, seed), *(OneSeverity(corruption, severity, seed) for severity in severities)]
    return [_tile(_corrupted_clip(subject, index, step)) for step in steps]


def _corrupted_clip(subject: Subject, index: int, corrupting: OneSeverity) -> np.ndarray:
    """uint8 [T,H,W,C]: the clip that was read, or the network's input."""
    data = subject.datamodule
    with changed(data, corrupting), torch.inference_mode():
        batch = data.read("test", [index])
        if not data.tests_inputs:
            return cast(np.ndarray, batch["clip"][0].numpy())
        video_TCHW = data.transformed(batch, "test", device=torch.device("cpu"))["video"][0]
    return cast(np.ndarray, (video_TCHW * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())


def _tile(clip: np.ndarray) -> np.ndarray:
    """Frames of even sides, the longer one of TILE_PIXELS, no pixel smoothed away in what is enlarged."""
    video = torch.from_numpy(np.ascontiguousarray(clip[:MAX_FRAMES])).permute(0, 3, 1, 2)
    ratio = TILE_PIXELS / max(video.shape[2:])
    size = [max(2, 2 * round(ratio * side / 2)) for side in video.shape[2:]]
    how = {"mode": "nearest"} if ratio >= 1 else {"mode": "bilinear", "antialias": True}
    resized = F.interpolate(video, size=size, **how)
    return resized.permute(0, 2, 3, 1).numpy()


def _grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """uint8 [T,H,W,C]: white between tiles; the shortest clip sets the length."""
    frames = min(len(clip) for row in rows for clip in row)
    margins = ((0, 0), (0, GAP_PIXELS), (0, GAP_PIXELS), (0, 0))
    lines = [
        np.concatenate([np.pad(clip[:frames], margins, constant_values=255) for clip in row], axis=2) for row in rows
    ]
    width = max(line.shape[2] for line in lines)
    wide = [np.pad(line, ((0, 0), (0, 0), (0, width - line.shape[2]), (0, 0)), constant_values=255) for line in lines]
    return np.ascontiguousarray(np.concatenate(wide, axis=1))
