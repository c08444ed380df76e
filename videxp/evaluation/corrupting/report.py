"""Robustness on a terminal of 80 columns."""

import textwrap
from collections.abc import Mapping
from typing import Any

from videxp.core.printable import aligned

WIDTH = 80
TOLD = {"noise": "random noise", "fgsm": "FGSM", "pgd": "PGD"}


def report_lines(section: Mapping[str, Any]) -> list[str]:
    """Tables, what they sum up to, and what does not apply."""
    if "does_not_apply" in section:
        return [f"robustness does not apply: {section['does_not_apply']}"]
    if "latent" in section:
        return _latent_lines(section)
    return [
        *textwrap.wrap(f"{section['metric']} under {section['protocol']}: {section['source']}", WIDTH),
        *_table(section),
        *_summary_lines(section),
        *_left_out_lines(section),
        *_consistency_lines(section["consistency"]),
        *_attack_lines(section["attacks"]),
    ]


def _table(section: Mapping[str, Any]) -> list[str]:
    severities = [str(severity) for severity in section["severities"]]
    show = _Numbers("baselines" in section["clean"])
    there = {key for row in section["by_corruption"].values() for key in row}
    keys = ["mean", *(key for key in ("ce", "relative", "absolute", "gain", "gain_over_best") if key in there)]
    if "ce" in keys:  # all would be wider than a terminal
        keys.remove("absolute")
    heads = {"ce": "CE", "relative": "rel.", "absolute": "abs.", "gain_over_best": "over best"}
    rows = [
        (name, *(show(of[severity]["value"]) for severity in severities), *(show(by[key], key) for key in keys))
        for (name, of), by in zip(section["figures"].items(), section["by_corruption"].values())
    ]
    heading = ("severity", *severities, *(heads.get(key, key) for key in keys))
    return aligned([heading, *rows], right=set(range(1, len(heading)))) if rows else []


class _Numbers:
    """Figures of parts of 1 with four places, of decibels with two; gains with their sign."""

    def __init__(self, decibels: bool) -> None:
        self.decibels = decibels

    def __call__(self, value: float | None, key: str = "value") -> str:
        if value is None:
            return "-"
        if key in ("relative", "absolute", "ce"):
            return f"{value:.3f}"
        if key.startswith("gain"):
            return f"{value:+.2f}"
        return f"{value:.2f}" if self.decibels else f"{value:.4f}"


def _summary_lines(section: Mapping[str, Any]) -> list[str]:
    show = _Numbers("baselines" in section["clean"])
    means = {"mpc": "mPC", "mean": "mean", "rpc": "rPC", "mce": "mCE"}
    told = [f"clean {show(section['clean']['value'])}"]
    told += [f"{word} {show(section[key])}" for key, word in means.items() if key in section]
    found = ["   ".join(told)]
    if "rpc" in section:
        found.append("rel.: 1 - (clean - mean) / clean, abs.: 1 - (clean - mean)")
    if "baseline" in section:
        found += textwrap.wrap(f"CE: the error over that of {section['baseline']}", WIDTH)
    if "gain" in section:
        gains = section["clean_gain"]
        for key, what in (("gain", "the input"), ("gain_over_best", "the best baseline of each")):
            found.append(f"gain over {what}: clean {gains[key]:+.2f}, corrupted {section[key]:+.2f} on average")
    if worse := section.get("worse_than_input"):
        losses = ", ".join(f"{name} ({' '.join(severities)})" for name, severities in worse.items())
        found += textwrap.wrap(f"WORSE than its own input under (at severity): {losses}", WIDTH, subsequent_indent="  ")
    if section["moved"]:
        names = ", ".join(section["moved"])
        found += textwrap.wrap(f"The truth stays where it was, though {names} moved what is shown.", WIDTH)
    if section.get("clips"):
        found.append(f"how it looks: {section['clips'][-1]} and videos beside it")
    return found


def _left_out_lines(section: Mapping[str, Any]) -> list[str]:
    left_out = section["left_out"]
    if section["is_whole"]:
        return []
    reasons = dict.fromkeys(left_out.values())
    told = [f"{', '.join(name for name in left_out if left_out[name] == why)}: {why}" for why in reasons]
    part = f"These means are of a part of {section['protocol']}'s table: compare them with such means alone."
    return textwrap.wrap(part, WIDTH) + [
        line for text in told for line in textwrap.wrap(f"left out: {text}", WIDTH, subsequent_indent="  ")
    ]


def _consistency_lines(found: Mapping[str, Any]) -> list[str]:
    if "does_not_apply" in found:
        return textwrap.wrap(f"consistency of neighboring clips: {found['does_not_apply']}", WIDTH)
    told = f"{found['flips']:.1%} of {found['videos']} videos are predicted otherwise"
    return [f"{told} when clips begin {found['shift_frames']} frames later"]


def _attack_lines(found: Mapping[str, Any]) -> list[str]:
    if "does_not_apply" in found:
        return textwrap.wrap(f"attacks: {found['does_not_apply']}", WIDTH)
    epsilons = list(dict.fromkeys(row["epsilon"] for row in found["rows"]))
    values = {(row["attack"], row["epsilon"]): row["value"] for row in found["rows"]}
    rows = [
        (TOLD[kind], *(f"{values[kind, epsilon]:.4f}" for epsilon in epsilons))
        for kind in dict.fromkeys(row["attack"] for row in found["rows"])
    ]
    heading = (f"attack, not AutoAttack ({found['steps']} steps of PGD)", *(f"{epsilon}/255" for epsilon in epsilons))
    return ["", *aligned([heading, *rows], right={1, 2, 3})]


def _latent_lines(section: Mapping[str, Any]) -> list[str]:
    rows = [(f"{row['distance']:g}", f"{row['mean']:.3f}", f"{row['worst']:.3f}") for row in section["latent"]]
    heading = ("distance of codes", "mean change", "worst of codes")
    return [
        f"change of a clip for each unit of distance, levels of 0..255, {section['codes']} codes",
        *aligned([heading, *rows], right={0, 1, 2}),
        *textwrap.wrap(section["rest"], WIDTH),
    ]
