"""A file's answers beside the run's, on real clips, in a process of its own that knows nothing of the run."""

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from videxp.core.errors import VidexpError
from videxp.core.processes import program
from videxp.deploy.exporting.opening import open_exported
from videxp.deploy.exporting.steps import answer_clip
from videxp.tasks.deployable import Deployable

PROGRAM = program(f"from {__name__} import main\nmain()")
"""For python -c, followed by FILE CLIPS ANSWERS: opens the file and answers."""

MOST_FLOAT, MOST_LEVELS, MOST_MEAN_LEVELS = 1e-3, 2, 0.02
"""By which answers may differ: of floats, times the greatest one where that is above 1; of 8-bit frames, at most, and
on average."""

Clips = list[dict[str, np.ndarray]]


def answers_of_run(deployable: Deployable, clips: Clips) -> Clips:
    with torch.inference_mode():
        return [
            {
                name: value.numpy()
                for name, value in zip(
                    deployable.outputs,
                    deployable.answer_clip(*(torch.from_numpy(clip[name]) for name in deployable.axes)),
                )
            }
            for clip in clips
        ]


def answers_of_file(file: Path, clips: Clips, *, folder: Path, time_limit: float) -> Clips:
    """By a fresh process. Raises VidexpError where it fails, or takes longer than the limit, in seconds."""
    given, made = folder / "clips.safetensors", folder / "answers.safetensors"
    _pack(clips, given)
    command = [sys.executable, "-c", PROGRAM, str(file), str(given), str(made)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=time_limit, check=False)
    except subprocess.TimeoutExpired:
        raise VidexpError(
            f"{file}: it had not answered {len(clips)} clips after {time_limit:.2g} s; a longer --time-limit may help"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise VidexpError(f"{file}: it cannot be used where it was opened: {last}")
    return _unpack(made)


def compare_answers(run: Clips, file: Clips) -> dict[str, Any]:
    """Of each output how far the two are apart: `max_abs`, `mean_abs`; of scores the share of clips, or boxes, with the
    same greatest one, of 8-bit frames their PSNR in dB (None: equal)."""
    found: dict[str, Any] = {"clips": len(run), "outputs": {}}
    for name in run[0]:
        ours, theirs = ([answer[name] for answer in answers] for answers in (run, file))
        difference = np.concatenate([np.abs(a.astype(float) - b).reshape(-1) for a, b in zip(ours, theirs)])
        facts: dict[str, Any] = {"max_abs": float(difference.max()), "mean_abs": float(difference.mean())}
        facts["largest"] = float(max(np.abs(answer.astype(float)).max() for answer in ours))
        if ours[0].dtype == np.uint8:
            squared = float((difference**2).mean())
            facts["psnr"] = 10 * math.log10(255**2 / squared) if squared else None
        elif name == "scores":
            same = [(a.argmax(-1) == b.argmax(-1)).reshape(-1) for a, b in zip(ours, theirs)]
            facts["agreement"] = float(np.concatenate(same).mean())
        found["outputs"][name] = facts
    return found


def require_parity(parity: Mapping[str, Any], *, file: Path) -> None:
    """Raises VidexpError where an output is too far from the run's."""
    for name, facts in parity["outputs"].items():
        of_levels = "psnr" in facts
        most = MOST_LEVELS if of_levels else MOST_FLOAT * max(1.0, facts["largest"])
        is_far = facts["max_abs"] > most or (of_levels and facts["mean_abs"] > MOST_MEAN_LEVELS)
        if is_far or not math.isfinite(facts["max_abs"]):
            raise VidexpError(
                f"{file}: not written: on {parity['clips']} test clips its {name} differs by up to "
                f"{facts['max_abs']:.3g} from the run's (mean {facts['mean_abs']:.3g}; {most:.3g} is allowed)"
            )


def parity_line(parity: Mapping[str, Any]) -> str:
    parts = []
    for name, facts in parity["outputs"].items():
        more = f", same class in {facts['agreement']:.1%}" if "agreement" in facts else ""
        parts.append(f"{name} within {facts['max_abs']:.2g}{' levels' if 'psnr' in facts else ''}{more}")
    sizes = f", and one of them at {parity['other_sizes']} other sizes" if parity["other_sizes"] else ""
    return f"{parity['clips']} test clips{sizes}, beside the run: {'; '.join(parts)}"


def _pack(clips: Clips, path: Path) -> None:
    arrays = {
        f"{n}/{name}": np.ascontiguousarray(value) for n, clip in enumerate(clips) for name, value in clip.items()
    }
    save_file(arrays, path)


def _unpack(path: Path) -> Clips:
    clips: dict[int, dict[str, np.ndarray]] = {}
    for key, value in load_file(path).items():
        number, name = key.split("/", 1)
        clips.setdefault(int(number), {})[name] = value
    return [clips[number] for number in sorted(clips)]


def main() -> None:
    file, given, made = map(Path, sys.argv[1:])
    exported = open_exported(file)
    answers = [{name: value.numpy() for name, value in answer_clip(exported, clip).items()} for clip in _unpack(given)]
    _pack(answers, made)
