"""Our transforms against torchvision's v2 applied to each sample: CPU milliseconds per clip, interleaved.

    python benchmarks/transforms.py --rounds 7

Both start from the same uint8 batch in the decoder's layout [N,T,H,W,C] and end in a normalized float batch.
`channels-last`: torchvision gets a [T,C,H,W] view of each clip (its fastest input) and its result is brought into the
same memory format as ours. `planar`: it gets a copy in [T,C,H,W], as most pipelines do, and its result stays planar.
A ratio above 1 says that ours is faster; the range is over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torchvision.transforms import v2

from videxp.transforms import EvalTransform, TrainTransform

MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
SHAPES = {"8x112 from 171x128": (8, 128, 171, 112, 128), "16x224 from 340x256": (16, 256, 340, 224, 256)}
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}


def rivals(size: int, resize: int) -> dict[str, tuple[torch.nn.Module, list[v2.Transform]]]:
    crop = [v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()]
    return {
        "train: crop, flip": (TrainTransform(size=size, seed=0), crop),
        "train: crop, flip, jitter": (TrainTransform(size=size, seed=0, **JITTER), [*crop, v2.ColorJitter(**JITTER)]),
        "eval: resize, center": (EvalTransform(size=size, resize=resize), [v2.Resize(resize), v2.CenterCrop(size)]),
    }


def theirs(steps: list[v2.Transform], layout: str) -> Callable[[dict[str, Any]], torch.Tensor]:
    transform = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])

    def run(batch: dict[str, Any]) -> torch.Tensor:
        clips = [clip.permute(0, 3, 1, 2) for clip in batch["clip"]]
        if layout == "planar":
            clips = [clip.contiguous() for clip in clips]
        video = torch.stack([transform(clip) for clip in clips])
        if layout == "planar":
            return video
        return video.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d).transpose(1, 2)

    return run


def cpu_ms_per_clip(run: Callable[[dict[str, Any]], Any], batch: dict[str, Any]) -> float:
    start = time.process_time()
    run(batch)
    return (time.process_time() - start) * 1e3 / len(batch["clip"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    print(f"{'CPU ms per clip (median)':<48}{'ours':>8}{'torchvision':>13}{'ratio (range)':>20}")
    for shape_name, (frames, height, width, size, resize) in SHAPES.items():
        video = torch.randint(0, 256, (options.batch_size, frames, height, width, 3), dtype=torch.uint8)
        batch = {
            "clip": video,
            "index": torch.arange(options.batch_size),
            "epoch": torch.zeros(options.batch_size).long(),
        }
        for name, (ours, steps) in rivals(size, resize).items():
            for layout in ("channels-last", "planar"):
                other = theirs(steps, layout)
                ours(batch), other(batch)  # warm up
                pairs = []
                for epoch in range(options.rounds):  # another epoch, other boxes
                    batch = {**batch, "epoch": torch.full_like(batch["index"], epoch)}
                    pairs.append((cpu_ms_per_clip(ours, batch), cpu_ms_per_clip(other, batch)))
                ratios = [b / a for a, b in pairs]
                a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
                spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
                print(f"{shape_name + ', ' + name:<48}{a:>8.2f}{b:>13.2f}{spread:>20}  {layout}", flush=True)


if __name__ == "__main__":
    main()
