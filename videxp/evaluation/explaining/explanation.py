"""The explanation of one answer: its map, what it loses without frames and their order, and how faithful the map is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from videxp.core.contract import Contract
from videxp.evaluation.explaining.faithfulness import judge_map, judge_weights, point
from videxp.evaluation.explaining.maps import SpaceTimeMap, gradient, make_map
from videxp.evaluation.explaining.removal import frame_importance, order_importance
from videxp.tasks.questions import Question

DIGITS = 6


@dataclass(frozen=True)
class Explanation:
    """Of one clip. `facts`: all figures, as JSON."""

    question: Question
    map: SpaceTimeMap
    facts: dict[str, Any]


def explain(
    question: Question,
    network: nn.Module,
    contract: Contract,
    *,
    method: str,
    seed: int,
    index: int = 0,
    cause_THW: Tensor | None = None,
) -> Explanation:
    """What the contract's `explains` says of the answer to one clip.

    network: the one that the question is asked of. index: of the sample: what is random hangs on (seed, index) alone.
    cause_THW: bool, the pixels that the answer ought to rest on, where they are known.
    """
    made = make_map(question, network, method)
    judged = judge_map(question, made.values_THW, gradient(question, network).values_THW, seed=seed, index=index)
    weights = judge_weights(made.values_THW, network, lambda: make_map(question, network, method).values_THW, seed=seed)
    pointed = {} if cause_THW is None else {"pointing": point(made.values_THW, cause_THW)}
    facts: dict[str, Any] = {
        "about": question.about,
        **question.facts,
        "score": question.score_is,
        "measure": question.measure_is,
        "map": {
            "method": made.method,
            **made.parameters,
            "is_empty": not bool((made.values_THW > 0).any()),
            "share_of_frames": made.share_of_frames,
            "peak": _peak(made),
        },
        "faithfulness": {**judged, "weights": weights, **pointed},
    }
    if "frames" in contract.explains:
        facts["frames"] = {"effect": question.effect_is, **frame_importance(question)}
    if "order" in contract.explains:
        facts["order"] = {"measure": question.measure_is, **order_importance(question, seed=seed, index=index)}
    return Explanation(question, made, rounded(facts))


def _peak(made: SpaceTimeMap) -> dict[str, int]:
    """Where the map is highest: the frame of the clip, and pixels from the left and from the top."""
    _, height, width = made.values_THW.shape
    place = int(made.values_THW.flatten().argmax())
    return {"frame": place // (height * width), "x": place % width, "y": place // width % height}


def rounded(value: Any) -> Any:
    """The same with floats of DIGITS digits after the point."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def verdict(facts: Mapping[str, Any]) -> str:
    """In words, what the map of an explanation's `facts` is worth: that it is worth nothing before all else."""
    judged = facts["faithfulness"]
    if facts["map"]["is_empty"]:
        return "an EMPTY map: nothing of the clip speaks for the answer by this method"
    if not judged["better_than_random"]:
        return "NO BETTER than random maps: what it shows is not what the answer rests on"
    if not judged["weights"]["hangs_on_weights"]:
        return "does NOT hang on the weights: a network that knows nothing gives much the same map"
    plain = "and than" if judged["better_than_gradient"] else "but not than"
    return f"better than random maps, {plain} the plain gradient"
