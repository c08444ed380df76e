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
from videxp.core.errors import BadRequest, VidexpError
from videxp.core.ranges import whole_number

if TYPE_CHECKING:  # options are read without torch
    from videxp.evaluation.axis import Options
    from videxp.evaluation.explaining.pictures import ShownClip
    from videxp.evaluation.subject import Subject

BETTER: Mapping[str, Literal["max", "min"]] = {"explanation/gain": "max", "explanation/hits": "max"}
SAMPLES, ORDER_SAMPLES = 8, 480
NOT_USED = 0.01  # share of predictions that may change with the order of frames, which is then said not to be used


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
    from videxp.evaluation.explaining.maps import choose_method

    contract = subject.task.contract
    if contract.explains and contract.explains != ("walks",):
        choose_method(options.explain_method, contract.map_method, subject.task.deployed, option="--explain-method")
        if subject.cfg.hardware.compile:
            raise BadRequest("--on explanation: maps look inside of the network: add hardware.compile=false")


def measure(subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
    """The section of evaluation.json; its `clips` are written, into `subject.pictures`. Raises VidexpError."""
    from videxp.evaluation.explaining.maps import NoMap, require_weights

    contract = subject.task.contract
    base = {"weights": subject.weights, "samples": subject.samples.fingerprint}
    if not contract.explains:
        name = type(subject.task).__name__
        return {**base, "does_not_apply": f"{name} says in its contract of no explanation (`explains`)"}
    try:
        require_weights(subject.task.deployed)
        found = _walks(subject) if "walks" in contract.explains else _explained(subject, options)
    except NoMap as error:
        return {**base, "does_not_apply": str(error)}
    return {**base, **found}


def _walks(subject: "Subject") -> dict[str, Any]:
    from videxp.evaluation.explaining.walks import STEPS, all_walks, describe_walks, save_walk

    task: Any = subject.task
    walks = all_walks(task)
    subject.pictures.mkdir(parents=True, exist_ok=True)
    files = [
        path for name, clips in walks.items() for path in save_walk(clips, subject.pictures / name, fps=task.clip_fps)
    ]
    clips = [path.name for path in files]
    return {"protocol": {"steps": STEPS}, "walks": describe_walks(walks), "clips": clips}


# ---- some samples ---------------------------------------------------------------------------------------------------


def _explained(subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
    from videxp.evaluation.explaining.explanation import explain
    from videxp.evaluation.explaining.maps import choose_method
    from videxp.evaluation.explaining.pictures import save_overlays, shown

    task, datamodule = subject.task, subject.datamodule
    method, note = choose_method(
        options.explain_method, task.contract.map_method, task.deployed, option="--explain-method"
    )
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
    protocol = {"samples": len(indices), "method": method, "seed": subject.cfg.seed}
    means = summarize(explained) if explained else {}
    section: dict[str, Any] = {
        "protocol": {**protocol, **({"note": note} if note else {})},
        **means,
        "explained": explained,
        "left_out": left_out,
        "clips": [],
    }
    if "order" in task.contract.explains:
        section["order"] = order_figures(subject, count=options.order_samples)
    if examples:
        subject.pictures.mkdir(parents=True, exist_ok=True)
        clips = save_overlays(examples, subject.pictures / "explained.mp4", fps=dataset.typical_clip_fps)
        section["clips"] = [clips.name]
    return section


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

    from videxp.evaluation.explaining.causes import cause_of_boxes, cause_of_path

    if (boxes := cause_of_boxes(batch, question)) is not None:
        return boxes
    dataset = subject.datamodule.dataset("test")
    frames_KT = dataset.frames(dataset.row(index), rng=np.random.default_rng(0))  # a test's clips: nothing is drawn
    views = len(batch["video"]) // len(frames_KT)
    frames_T = frames_KT[question.view // max(1, views)]
    return cause_of_path(subject.datamodule, dataset.file(index), frames_T[question.span].tolist(), question)


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
    loader = data.chosen_loader("test", indices)
    for name, change in (("in_order", in_order), ("reversed", reversed_), ("shuffled", shuffled)):
        task.on_test_epoch_start()
        for read in loader:
            batch = data.transformed(read, "test", device=subject.device)
            with torch.inference_mode():  # as in a test, which the metrics may have been in before
                task.evaluation_step({**batch, "video": change(batch["video"], batch["index"].tolist())}, "test")
        predicted[name] = {row["index"]: row.get("predicted") for row in task.prediction_rows(data)}
        if not predicted[name]:
            raise VidexpError(f"--on explanation: none of the {len(indices)} samples with frames in order can be read")
        metrics = task.evaluation_metrics("test")
        figures[name] = {key: round(float(metrics[key]), 6) for key in task.contract.headline if key in metrics}
    data.quarantine.settle()
    for name in ("reversed", "shuffled"):
        same = [predicted[name].get(index) == value for index, value in predicted["in_order"].items()]
        figures[f"changed_{name}"] = round(1 - sum(same) / len(same), 6)
    figures["uses_order"] = figures["changed_shuffled"] > NOT_USED
    return figures


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
    """The explained clips beside their maps, or a generator's walks, which are there already; and what frames are
    worth, as a plot."""
    paths = [folder / name for name in section.get("clips", ())]
    if "frames" in section:
        from videxp.evaluation.explaining.pictures import save_profile

        paths.append(save_profile(section, folder / "explanation.png"))
    return paths
