"""Training against corruptions: the same ones as augmentation (`dataset.train_transform.corruptions`).

Legend: clips are uint8 [T,H,W,C].
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from videxp.core.errors import BadRequest
from videxp.core.randomness import Stream, generator
from videxp.transforms.corruptions.corruption import Corruption, Protocol
from videxp.transforms.corruptions.tables import PROTOCOLS

KEY = "dataset.train_transform.corruptions"
CorruptionOptions = str | dict[Literal["protocol", "names", "severities", "probability"], Any] | None
OPTIONS = ("protocol", "names", "severities", "probability")
PROBABILITY = 0.5


@dataclass(frozen=True)
class TrainingCorruptions:
    """Each clip is corrupted with this chance, by one of the corruptions at one of the severities, all equally likely;
    in each epoch by another."""

    corruptions: tuple[Corruption, ...]
    severities: tuple[int, ...]
    probability: float
    seed: int

    def corrupt(self, clip: np.ndarray, *, epoch: int, index: int, number: int, fps: float) -> np.ndarray:
        """The `number`-th clip of a sample; itself where chance leaves it as it is. fps: at which it plays."""
        rng = generator(self.seed, stream=Stream.CORRUPT, epoch=epoch, index=index, more=(number,))
        if rng.random() >= self.probability:
            return clip
        one = self.corruptions[rng.integers(len(self.corruptions))]
        severity = self.severities[rng.integers(len(self.severities))]
        return one.corrupt(clip, severity=severity, rng=rng, fps=fps)


def training_corruptions(given: CorruptionOptions, *, seed: int, in_place: bool = False) -> TrainingCorruptions | None:
    """What `dataset.train_transform.corruptions` asks for; None: nothing.

    given: a protocol's name, or {"protocol": "yi2021", "names": ["fog", "rain"], "severities": [1, 2, 3],
        "probability": 0.5}, of which all but the first may be left out: all corruptions, at all severities, of half of
        the clips.
    in_place: where it is known of each pixel or frame what should become of it, corruptions that move things are left
        out of a protocol.
    Raises BadRequest for names, severities and chances that there are not, and for corruptions asked for that move.
    """
    if given is None:
        return None
    options: Mapping[Any, Any] = {"protocol": given} if isinstance(given, str) else given
    if strange := [key for key in options if key not in OPTIONS]:
        raise BadRequest(f"{KEY}.{strange[0]}: no such option; {_hint(str(strange[0]), OPTIONS)}")
    if "protocol" not in options:
        raise BadRequest(f"{KEY}={dict(options)}: of which table? write {{protocol: yi2021, ...}}; {_known(PROTOCOLS)}")
    name = options["protocol"]
    if (protocol := PROTOCOLS.get(str(name))) is None:
        key = KEY if isinstance(given, str) else f"{KEY}.protocol"
        raise BadRequest(f"{key}={name}: no such table; {_hint(str(name), PROTOCOLS)}")
    chosen = _chosen(protocol, options.get("names"), in_place=in_place)
    severities = _severities(protocol, options.get("severities"))
    probability = options.get("probability", PROBABILITY)
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise BadRequest(f"{KEY}.probability={probability}: must be from 0 to 1")
    return TrainingCorruptions(chosen, severities, float(probability), seed)


def _chosen(protocol: Protocol, names: Any, *, in_place: bool) -> tuple[Corruption, ...]:
    of_table = protocol.corruptions
    if names is None:
        return tuple(one for one in of_table.values() if not (in_place and one.moves))
    if not isinstance(names, list | tuple) or not names:
        raise BadRequest(f"{KEY}.names={names}: must be a list such as [{next(iter(of_table))}], or null for all")
    for name in names:
        if str(name) not in of_table:
            raise BadRequest(f"{KEY}.names={name}: {protocol.name} has none of this name; {_hint(str(name), of_table)}")
        if in_place and of_table[name].moves:
            raise BadRequest(
                f"{KEY}.names={name}: it moves what is shown, but the target says where it should be; "
                f"write {', '.join(other for other, one in of_table.items() if not one.moves)}"
            )
    return tuple(of_table[name] for name in dict.fromkeys(names))


def _severities(protocol: Protocol, given: Any) -> tuple[int, ...]:
    if given is None:
        return protocol.severities
    known = protocol.severities
    if not isinstance(given, list | tuple) or not given or any(one not in known for one in given):
        raise BadRequest(f"{KEY}.severities={given}: must be some of {list(known)}")
    return tuple(given)


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else _known(known)


def _known(names: Iterable[str]) -> str:
    return f"known: {', '.join(names)}"
