"""What a run's answers rest on: the axis "explanation" of an evaluation.

Some samples are explained: where and when, what the answer loses without each frame, and how faithful the map is beside
random maps, the plain gradient and a network of re-drawn weights. Of a task that reads order, its headline figures are
measured again with frames reversed and shuffled: do they tell whether time is used at all?
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from videxp.core.contract import MAP_METHODS, Contract
from videxp.core.errors import BadRequest
from videxp.core.ranges import whole_number

if TYPE_CHECKING:  # options are read without torch
    from videxp.evaluation.axis import Options
    from videxp.evaluation.explaining.pictures import ShownClip
    from videxp.evaluation.subject import Subject

BETTER: Mapping[str, Literal["max", "min"]] = {"explanation/gain": "max", "explanation/hits": "max"}
SAMPLES, ORDER_SAMPLES = 8, 480
AT_ONCE = 16  # samples whose order is changed
NOT_USED = 0.01  # share of predictions that may change with the order of frames, which is then said not to be used


class Explained(dict[str, Any]):
    """The axis's section, and what of it is shown: `examples`."""

    examples: "Sequence[ShownClip]" = ()
    fps: float = 1.0
    walks: "Mapping[str, Any]" = {}  # noqa: RUF012 - replaced, never changed


def add_arguments(parser: "Options") -> None:
    parser.add_argument(
        "--explain-samples",
        type=whole_number(1),
        default=SAMPLES,
        metavar="N",
        help=f"samples that are explained; default {SAMPLES}",
    )
    parser.add_argument("--explain-method", choices=MAP_METHODS, help="how maps are made; default: the task's own")
    parser.add_argument(
        "--order-samples",
        type=whole_number(1),
        default=ORDER_SAMPLES,
        metavar="N",
        help=f"samples that are tested with frames in another order; default {ORDER_SAMPLES}",
    )


def require_options(options: argparse.Namespace, subject: "Subject") -> None:
    """Raises BadRequest where the extra is not installed, and for a method that the network does not allow."""
    from videxp.evaluation.explaining.maps import captum_attributions, require_method

    explains = subject.task.contract.explains
    if explains and explains != ("walks",):
        captum_attributions()
        if subject.cfg.hardware.compile:
            raise BadRequest("--on explanation: maps look inside of the network: add hardware.compile=false")
        if options.explain_method is not None:
            require_method(subject.task.deployed, options.explain_method, option="--explain-method")


def measure(subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
    """Raises BadRequest for a method that the network does not say enough of itself for, VidexpError."""
    contract = subject.task.contract
    base = {"weights": subject.weights, "samples": subject.samples.fingerprint}
    if not contract.explains:
        name = type(subject.task).__name__
        return {**base, "does_not_apply": f"{name} says in its contract of no explanation (`explains`)"}
    if next(subject.task.deployed.parameters(), None) is None:
        network = type(subject.task.deployed).__name__
        return {**base, "does_not_apply": f"{network} has no weights: it has learned nothing that a map could show"}
    if "walks" in contract.explains:
        return _walks(subject, base)
    from videxp.evaluation.explaining.maps import NoGradient

    section = Explained(base)
    try:
        section.update(_explained(subject, options, section))
    except NoGradient as error:
        return {**base, "does_not_apply": str(error)}
    if "order" in contract.explains:
        section["order"] = order_figures(subject, count=options.order_samples)
    return section


def _walks(subject: "Subject", base: dict[str, Any]) -> dict[str, Any]:
    from videxp.evaluation.explaining.walks import STEPS, all_walks, describe_walks

    walks = all_walks(subject.task)
    section = Explained({**base, "protocol": {"steps": STEPS}, "walks": describe_walks(walks)})
    section.walks, section.fps = walks, float(getattr(subject.task, "clip_fps", 1.0))
    return section


# ---- some samples ---------------------------------------------------------------------------------------------------


def _explained(subject: "Subject", options: argparse.Namespace, section: Explained) -> dict[str, Any]:
    from videxp.evaluation.explaining.explanation import explain
    from videxp.evaluation.explaining.maps import default_method
    from videxp.evaluation.explaining.pictures import shown

    task, datamodule = subject.task, subject.datamodule
    method, note = options.explain_method, ""
    if method is None:
        method, note = default_method(task.contract.map_method, task.deployed)
    dataset = datamodule.dataset("test")
    indices = chosen_samples(subject.tested, count=options.explain_samples, seed=subject.cfg.seed)
    explained: list[dict[str, Any]] = []
    examples: list[ShownClip] = []
    left_out: dict[str, str] = {}
    for index, batch in read_each(subject, indices, left_out):
        for question in task.questions(batch, asked={}):
            found = explain(
                question,
                task.deployed,
                task.contract,
                method=method,
                seed=subject.cfg.seed,
                index=index,
                cause_THW=_cause(subject, index, batch, question),
            )
            explained.append({"path": dataset.file(index), **found.facts})
            examples.append(shown(found, datamodule.test_transform, title=f"{dataset.file(index)}: {question.about}"))
    section.examples, section.fps = examples, dataset.typical_clip_fps
    protocol = {"samples": len(indices), "method": method, "seed": subject.cfg.seed}
    means = summarize(explained) if explained else {}
    return {
        "protocol": {**protocol, **({"note": note} if note else {})},
        **means,
        "explained": explained,
        "left_out": left_out,
    }


def chosen_samples(samples: Sequence[int], *, count: int, seed: int) -> list[int]:
    """`count` of the samples, drawn once, ascending; all where there are no more."""
    from videxp.core.randomness import Stream, generator

    drawn = generator(seed, stream=Stream.EXPLAIN, epoch=3).permutation(len(samples))[:count]
    return sorted(samples[number] for number in drawn)


def read_each(
    subject: "Subject", indices: Sequence[int], left_out: dict[str, str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index, batch of this sample as the network gets it); of a file that cannot be read, path -> cause is noted."""
    from videxp.data.loading.dataset import FILE_ERRORS

    data = subject.datamodule
    for index in indices:
        try:
            read = data.read("test", [index])
        except FILE_ERRORS as error:
            left_out[data.dataset("test").file(index)] = str(error).splitlines()[0]
            continue
        yield index, data.transformed(read, "test", device=subject.device)


def _cause(subject: "Subject", index: int, batch: Mapping[str, Any], question: Any) -> Any:
    import numpy as np

    from videxp.evaluation.explaining.causes import cause_of_boxes, cause_of_row

    if (boxes := cause_of_boxes(batch, question)) is not None:
        return boxes
    dataset = subject.datamodule.dataset("test")
    frames_KT = dataset.frames(dataset.row(index), rng=np.random.default_rng(0))  # a test's clips: nothing is drawn
    views = len(batch["video"]) // len(frames_KT)
    frames_T = frames_KT[question.view // max(1, views)]
    span = slice(question.first_frame, question.first_frame + question.video.shape[1])
    return cause_of_row(subject.datamodule, dataset.file(index), frames_T[span].tolist(), question)


def summarize(explained: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over explanations: `faithfulness`, and `frames` where all clips have as many."""
    judged = [one["faithfulness"] for one in explained]
    pointed = [one["pointing"] for one in judged if "pointing" in one]
    of_three = {
        name: {key: _mean([get(one)[key] for one in judged]) for key in ("insertion", "deletion", "gain")}
        for name, get in (
            ("map", lambda one: one),
            ("plain_gradient", lambda one: one["plain_gradient"]),
            ("random", lambda one: one["random"]),
        )
    }
    correlations = [abs(one["weights"]["rank_correlation"]) for one in judged]
    faithfulness: dict[str, Any] = {
        **of_three,
        "better_than_random": _mean([one["better_than_random"] for one in judged]),
        "better_than_gradient": _mean([one["better_than_gradient"] for one in judged]),
        "rank_correlation": _mean(correlations),
    }
    if pointed:
        keys = ("hit", "chance", "share_on_object", "share_of_clip")
        faithfulness["pointing"] = {key: _mean([one[key] for one in pointed]) for key in keys}
    frames = [one["frames"] for one in explained if "frames" in one]
    lengths = {len(one["held"]) for one in frames}
    if len(lengths) != 1:
        return {"faithfulness": faithfulness}
    profile = {key: [_mean(values) for values in zip(*(one[key] for one in frames))] for key in ("held", "mean")}
    return {"faithfulness": faithfulness, "frames": {"effect": frames[0]["effect"], **profile}}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 6)


# ---- order ----------------------------------------------------------------------------------------------------------


def order_figures(subject: "Subject", *, count: int) -> dict[str, Any]:
    """The task's headline figures with frames in order, reversed and shuffled, and the share of predictions that change
    with it."""
    import torch

    from videxp.evaluation.explaining.removal import shuffled_order

    task, data, seed = subject.task, subject.datamodule, subject.cfg.seed
    indices = chosen_samples(subject.tested, count=count, seed=seed)

    def in_order(video: torch.Tensor, samples: Sequence[int]) -> torch.Tensor:
        return video

    def reversed_(video: torch.Tensor, samples: Sequence[int]) -> torch.Tensor:
        return video.flip(1)

    def shuffled(video: torch.Tensor, samples: Sequence[int]) -> torch.Tensor:
        views = len(video) // len(samples)
        orders = [shuffled_order(video.shape[1], seed=seed, index=index) for index in samples for _ in range(views)]
        return torch.stack([clip[torch.from_numpy(order)] for clip, order in zip(video, orders)])

    figures: dict[str, Any] = {"samples": len(indices)}
    predicted: dict[str, dict[int, Any]] = {}
    for name, change in (("in_order", in_order), ("reversed", reversed_), ("shuffled", shuffled)):
        task.on_test_epoch_start()
        for start in range(0, len(indices), AT_ONCE):
            part = indices[start : start + AT_ONCE]
            for group, batch in _batches(subject, part):
                with torch.inference_mode():  # as in a test, which the metrics may have been in before
                    task.evaluation_step({**batch, "video": change(batch["video"], group)}, "test")
        metrics = task.evaluation_metrics("test")
        figures[name] = {key: round(float(metrics[key]), 6) for key in task.contract.headline if key in metrics}
        predicted[name] = {row["index"]: row.get("predicted") for row in task.prediction_rows(data)}
    for name in ("reversed", "shuffled"):
        same = [predicted[name].get(index) == value for index, value in predicted["in_order"].items()]
        figures[f"changed_{name}"] = round(1 - sum(same) / len(same), 6) if same else 0.0
    figures["uses_order"] = figures["changed_shuffled"] > NOT_USED
    return figures


def _batches(subject: "Subject", part: Sequence[int]) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Samples of one size at once, as the network gets them; clips of other sizes one by one; unreadable ones never."""
    from videxp.core.errors import VidexpError

    data = subject.datamodule
    samples = [index for index, _ in read_each(subject, part, {})] if data.max_unreadable else list(part)
    try:
        batch = data.transformed(data.read("test", samples), "test", device=subject.device)
    except (VidexpError, RuntimeError):
        if len(samples) == 1:
            raise
        for index in samples:
            yield from _batches(subject, [index])
        return
    yield samples, batch


# ---- what is told ---------------------------------------------------------------------------------------------------


def lines(section: Mapping[str, Any], contract: Contract) -> list[str]:
    if "does_not_apply" in section:
        return [f"explanation: does not apply: {section['does_not_apply']}"]
    if "walks" in section:
        from videxp.core.printable import aligned

        keys = ("change", "change_of_mean_frame", "change_of_motion")
        rows = [(name, *(f"{facts[key]:.2f}" for key in keys)) for name, facts in section["walks"].items()]
        return aligned([("code (levels of 255 a step)", "pixels", "mean frame", "motion"), *rows], right={1, 2, 3})
    return [*_map_lines(section), *_order_lines(section.get("order"), contract), *_left_out(section["left_out"])]


def _map_lines(section: Mapping[str, Any]) -> list[str]:
    from videxp.core.printable import aligned

    if "faithfulness" not in section:
        return ["explanation: no sample could be read"]
    judged, protocol = section["faithfulness"], section["protocol"]
    names = {"map": protocol["method"], "plain_gradient": "plain gradient", "random": "random maps"}
    keys = ("insertion", "deletion", "gain")
    rows = [(words, *(f"{judged[name][key]:.3f}" for key in keys)) for name, words in names.items()]
    count = len(section["explained"])
    told = aligned([("maps", *keys), *rows], right={1, 2, 3})
    if note := protocol.get("note"):
        told.append(f"{note}: maps are made by {protocol['method']}")
    told.append(f"better than random maps: {judged['better_than_random']:.0%} of {count}")
    if empty := sum(one["map"]["is_empty"] for one in section["explained"]):
        told.append(f"EMPTY maps: {empty} of {count}")
    if judged["better_than_random"] < 0.5:
        told.append("on the whole these maps are NO BETTER than random ones")
    told.append(f"rank correlation with maps of re-drawn weights: {judged['rank_correlation']:.2f}")
    if pointed := judged.get("pointing"):
        told.append(f"maximum on the object: {pointed['hit']:.0%} (chance {pointed['chance']:.0%})")
        told.append(
            f"of the map on the object: {pointed['share_on_object']:.0%} (of the clip {pointed['share_of_clip']:.0%})"
        )
    return told


def _order_lines(order: Mapping[str, Any] | None, contract: Contract) -> list[str]:
    from videxp.core.printable import aligned

    if order is None:
        return []
    keys = list(order["in_order"])
    rows = [("order of frames", *keys, "predictions changed")]
    for name in ("in_order", "reversed", "shuffled"):
        changed = "" if name == "in_order" else f"{order[f'changed_{name}']:.0%}"
        rows.append((name.replace("_", " "), *(f"{order[name][key]:.4f}" for key in keys), changed))
    used = "the order of frames is used" if order["uses_order"] else "the order of frames is NOT used"
    return ["", *aligned(rows, right=set(range(1, len(keys) + 2))), f"{used} ({order['samples']} samples)"]


def _left_out(left_out: Mapping[str, str]) -> list[str]:
    return [f"left out: {path}: {cause}" for path, cause in left_out.items()]


def scalars(section: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    if judged := section.get("faithfulness"):
        found["explanation/gain"] = judged["map"]["gain"]
        found["explanation/gain_random"] = judged["random"]["gain"]
        found["explanation/rank_correlation"] = judged["rank_correlation"]
        if "pointing" in judged:
            found["explanation/hits"] = judged["pointing"]["hit"]
    if order := section.get("order"):
        for key in order["in_order"]:
            found[f"explanation/{key}_shuffled"] = order["shuffled"][key]
            found[f"explanation/{key}_reversed"] = order["reversed"][key]
    return found


def save_pictures(section: Mapping[str, Any], folder: Path) -> list[Path]:
    """The explained clips beside their maps, playing and as bars over time; a generator's walks."""
    if "does_not_apply" in section:
        return []
    from videxp.evaluation.explaining.pictures import save_overlays, save_profile
    from videxp.evaluation.explaining.walks import save_walk

    folder.mkdir(parents=True, exist_ok=True)
    examples, fps = getattr(section, "examples", ()), getattr(section, "fps", 1.0)
    paths = [
        path
        for name, clips in getattr(section, "walks", {}).items()
        for path in save_walk(clips, folder / name, fps=fps)
    ]
    if examples:
        paths.append(save_overlays(examples, folder / "explained.mp4", fps=fps))
    if "frames" in section:
        paths.append(save_profile(section, folder / "explanation.png"))
    return paths
