"""Pictures of what a task does: a confusion matrix, and strips of frames with labels."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

RIGHT, WRONG = "#1a7f37", "#cf222e"


def _figure(width: float, height: float) -> Any:
    # The object interface: pyplot would keep state and pick a window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    return figure


def save_confusion_matrix(counts_KK: Tensor, classes: list[str], path: Path) -> Path:
    """counts_KK[true, predicted]: rows are shown as shares of the true class, with counts where they fit."""
    counts = counts_KK.numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(4 + 0.35 * len(classes), 24)
    figure = _figure(side + 1, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the true class", fraction=0.046)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {np.trace(counts) / max(counts.sum(), 1):.3f}")
    if len(classes) <= 60:  # more names than that overlap
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= 30:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, int(count), ha="center", va="center", color=colour, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def save_prediction_strip(examples: list[tuple[Tensor, str, str]], path: Path, *, frames_shown: int = 8) -> Path:
    """One row per example: frames of its clip, with the predicted and, where that is wrong, the true label.

    examples: (clip uint8 [T,H,W,C], predicted class, true class).
    """
    figure = _figure(1.1 * frames_shown + 1.8, 1.25 * len(examples) + 0.2)
    grid = figure.subplots(len(examples), frames_shown, squeeze=False)
    for row, (clip_THWC, predicted, true) in zip(grid, examples):
        times = np.linspace(0, len(clip_THWC) - 1, frames_shown).round().astype(int)
        for axes, time in zip(row, times):
            axes.imshow(clip_THWC[time].numpy())
            axes.set_xticks([])
            axes.set_yticks([])
        right = predicted == true
        text = predicted if right else f"{predicted}\n(true: {true})"
        colour = RIGHT if right else WRONG
        row[0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9, color=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
