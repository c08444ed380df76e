"""Walks through a generator's codes: one of them changes, all others stay, and what changes in the clip is told.

Shapes: N steps of a walk, T frames, C channels, H, W.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from videxp.core.files import write_text
from videxp.core.printable import as_json
from videxp.evaluation.explaining.explanation import rounded
from videxp.evaluation.explaining.outputs import ENDING, PAGE, renewing_explanations
from videxp.evaluation.explaining.page import PageEntry, page
from videxp.tasks.generated import save_clip_grid, save_clip_strips

STEPS = 8


def walk_facts(clips: Tensor) -> dict[str, float]:
    """Of a walk [N,T,C,H,W] in [0,1], mean changes in levels of 255: from step to step of all pixels, of the mean frame
    (what is seen), and of the differences between frames (how it moves); and between frames, for comparison."""
    steps = clips.diff(dim=0).abs()
    moving = clips.diff(dim=1)
    return {
        "change": 255 * float(steps.mean()),
        "change_of_mean_frame": 255 * float(clips.mean(1).diff(dim=0).abs().mean()),
        "change_of_motion": 255 * float(moving.diff(dim=0).abs().mean()) if clips.shape[1] > 1 else 0.0,
        "change_between_frames": 255 * float(moving.abs().mean()) if clips.shape[1] > 1 else 0.0,
        "largest_step": 255 * float(steps.flatten(1).mean(1).max()),
    }


def all_walks(task: Any) -> dict[str, Tensor]:
    """Name of each code of a `Generation` -> clips along it."""
    return {name: clips.cpu() for name, clips in task.walks(steps=STEPS).items()}


def describe_walks(walks: dict[str, Tensor]) -> dict[str, Any]:
    return {name: rounded(walk_facts(clips)) for name, clips in walks.items()}


def save_walk(clips: Tensor, stem: Path, *, fps: float | Fraction) -> list[Path]:
    """The clips side by side, playing, and a strip of frames of each."""
    stem = stem.with_name(stem.name + ENDING)
    files = save_clip_grid(clips, stem.with_name(f"{stem.name}.mp4"), fps=fps, columns=STEPS)
    return [*files, save_clip_strips(clips, stem.with_name(f"{stem.name}.png"))]


def write_walks(task: Any, folder: Path, *, about: dict[str, Any]) -> list[str]:
    """Write all walks of a generator into `folder`, at once; returns lines for a terminal."""
    walks = all_walks(task)
    facts = describe_walks(walks)
    entries = []
    with renewing_explanations(folder) as temporary:
        for name, clips in walks.items():
            files = save_walk(clips, temporary / name, fps=task.clip_fps)
            write_text(
                temporary / f"{name}{ENDING}.json", as_json({**about, "code": name, **facts[name]}, indent=2) + "\n"
            )
            entries.append(PageEntry(name, [walk_line(facts[name])], videos=files[:1], pictures=files[-1:]))
        told = [f"run {about['run']}, weights {about['weights'][:12]}", "From left to right one code changes alone."]
        write_text(temporary / PAGE, page("What the codes of a generator do", told, entries))
    return [f"{name}: {walk_line(of_walk)}" for name, of_walk in facts.items()]


def walk_line(facts: dict[str, float]) -> str:
    """What one code does, in a line."""
    if facts["change"] == 0:
        return "changes NOTHING: the generator does not use it"
    of = {name: f"{facts[name]:.2f}" for name in ("change", "change_of_mean_frame", "change_of_motion")}
    return (
        f"each step changes pixels by {of['change']} of 255, the mean frame by {of['change_of_mean_frame']}, "
        f"motion by {of['change_of_motion']}"
    )
