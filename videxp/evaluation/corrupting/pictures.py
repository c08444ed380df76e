"""Curves of a metric over severity, one for each corruption."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videxp.tasks.pictures import figure, saved

COLORS = ("#2f7de1", "#e2731d", "#17a37a", "#d1447c", "#8b63e6", "#b58a00", "#14a0b8", "#e04f45")
DASHES = ("-", "--", ":", "-.")
INK, MUTED = "#1c2128", "#8a94a0"


def save_severity_curves(section: Mapping[str, Any], path: Path) -> Path:
    """A panel for each group of corruptions, each from the clean figure at severity 0; the mean over all is in every
    panel, and where the input has the same metric, the mean of that."""
    groups = list(dict.fromkeys(section["groups"].values()))
    columns = min(4, max(1, len(groups)))
    rows = -(-len(groups) // columns) or 1
    picture = figure(3.1 * columns + 0.4, 2.7 * rows + 0.5)
    panels = picture.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    severities = [0, *section["severities"]]
    for panel, group in zip(panels, groups):
        members = [name for name in section["figures"] if section["groups"][name] == group]
        for number, name in enumerate(members):
            color, dash = COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
            panel.plot(severities, curve(section, name), dash, color=color, marker="o", markersize=3, label=name)
        panel.plot(severities, mean_curve(section, "value"), color=INK, linewidth=2.4, alpha=0.35, label="mean of all")
        if "baselines" in section["clean"]:
            panel.plot(severities, mean_curve(section, "input"), ":", color=MUTED, label="input, mean of all")
        panel.set_title(group, fontsize=9)
        panel.legend(fontsize=6.5, frameon=False, loc="lower left")
        panel.grid(alpha=0.25)
        panel.set_xticks(severities)
    for panel in panels[len(groups) :]:
        panel.set_axis_off()
    for row in range(rows):
        panels[row * columns].set_ylabel(section["metric"])
    for panel in panels[max(0, len(groups) - columns) : len(groups)]:
        panel.set_xlabel("severity (0: clean)")
        panel.tick_params(labelbottom=True)
    picture.suptitle(f"{section['metric']} under {section['protocol']}", fontsize=11)
    picture.tight_layout()
    return saved(picture, path)


def curve(section: Mapping[str, Any], name: str) -> list[float]:
    """Clean, then at each severity."""
    of = section["figures"][name]
    return [section["clean"]["value"], *(of[str(severity)]["value"] for severity in section["severities"])]


def mean_curve(section: Mapping[str, Any], what: str) -> list[float]:
    """The mean over corruptions of `value`, or of the `input`'s."""

    def of(figures: Mapping[str, Any]) -> float:
        return figures["value"] if what == "value" else figures["baselines"][what]

    points = [of(section["clean"])]
    for severity in section["severities"]:
        values = [of(figures[str(severity)]) for figures in section["figures"].values()]
        points.append(sum(values) / len(values))
    return points
