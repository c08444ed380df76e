"""What an evaluation of robustness was asked for: which corruptions of which table, at which severities."""

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest
from videxp.runs.folder import open_run
from videxp.runs.reading import read_json
from videxp.transforms.corruptions.corruption import Corruption, Protocol
from videxp.transforms.corruptions.tables import PROTOCOLS

ATTACKS = ("fgsm", "pgd")
LABELS = {"label", "labels"}  # what a video has as a whole


@dataclass(frozen=True)
class RobustnessRequest:
    """A table, those of its corruptions and severities that are measured, and what is not."""

    protocol: Protocol
    corruptions: tuple[Corruption, ...]
    severities: tuple[int, ...]
    left_out: dict[str, str]
    """Corruption of the table -> why it is not measured."""
    attacks: tuple[str, ...]
    moved: tuple[str, ...]
    """Corruptions that were asked for by name, though the task's truth doesn't follow them."""

    @property
    def is_whole(self) -> bool:
        """Whether the means are those of the table, not of a part of it."""
        return not self.left_out and self.severities == tuple(self.protocol.severities)


def read_request(options: argparse.Namespace, contract: Contract) -> RobustnessRequest:
    """Raises BadRequest for names and severities that there are not."""
    protocol = PROTOCOLS.get(options.protocol)
    if protocol is None:
        raise BadRequest(f"--protocol {options.protocol}: no such table; write {_any_of(PROTOCOLS)}")
    of_table = list(protocol.corruptions)
    for name in options.corruptions or ():
        if name not in of_table:
            raise BadRequest(f"--corruptions {name}: {protocol.name} has no such corruption{_remedy(name, of_table)}")
    severities = tuple(options.severities or protocol.severities)
    for severity in severities:
        if severity not in protocol.severities:
            known = f"{protocol.severities[0]} to {protocol.severities[-1]}"
            raise BadRequest(f"--severities {severity}: {protocol.name} has severities {known}")
    attacks = tuple(ATTACKS if options.attacks is None else () if options.attacks == ["none"] else options.attacks)
    for name in attacks:
        if name not in ATTACKS:
            raise BadRequest(f"--attacks {name}: no such attack; write {_any_of(ATTACKS)} or none")
    left_out = {**protocol.left_out}
    for name, corruption in protocol.corruptions.items():
        if options.corruptions is None and corruption.moves and _is_of_frames(contract):
            left_out[name] = "what the task is to answer is known of each frame, and this moves frames or pixels"
        elif options.corruptions is not None and name not in options.corruptions:
            left_out[name] = "not asked for"
    chosen = tuple(one for name, one in protocol.corruptions.items() if name not in left_out)
    if not chosen:
        raise BadRequest(f"--corruptions: none is left of {protocol.name}; write some of {_any_of(of_table)}")
    moved = tuple(one.name for one in chosen if one.moves and _is_of_frames(contract))
    return RobustnessRequest(protocol, chosen, severities, left_out, attacks, moved)


def _is_of_frames(contract: Contract) -> bool:
    """Whether the task's truth is that of frames or pixels, not of whole videos."""
    return bool({*contract.needs} - LABELS)


def _any_of(names: Any) -> str:
    return ", ".join(names)


def _remedy(name: str, known: list[str]) -> str:
    if tables := [table for table, protocol in PROTOCOLS.items() if name in protocol.corruptions]:
        return f", but {_any_of(tables)}: --protocol {tables[0]}"
    near = get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else f"; write {', '.join(known)}"


def read_baseline(
    run: str, request: RobustnessRequest, *, metric: str, samples: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Corruption -> severity -> the metric of another run, from the evaluation of it on the same samples.

    samples: what its section has to say of the samples. Raises BadRequest where there is none under all that is asked.
    """
    wanted = [(one.name, str(severity)) for one in request.corruptions for severity in request.severities]
    files = sorted(open_run(run).path.glob("evaluation*.json"))
    for section in (read_json(path).get("robustness", {}) for path in files):
        same = {"protocol": request.protocol.name, "metric": metric, **samples}
        figures = section.get("figures", {})
        if same == {key: section.get(key) for key in same} and all(
            severity in figures.get(name, {}) for name, severity in wanted
        ):
            return {name: {severity: one["value"] for severity, one in of.items()} for name, of in figures.items()}
    command = f"videxp evaluate {shlex.quote(run)} --on robustness --protocol {request.protocol.name}"
    raise BadRequest(
        f"--baseline {run}: it was not evaluated on these samples under all that is asked for; before this one, type\n"
        f"{command}  (and the overrides of this one)"
    )
