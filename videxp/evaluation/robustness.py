"""The robustness axis: the task's own headline under the corruptions of a published table, and under attacks.

Classification: accuracy, mPC, rPC (mCE against a run), how often predictions flip from a clip to the next, FGSM, PGD.
Restoration: PSNR, and the gain over the input and over the best baseline under the same corruption. Generation: how
smoothly clips change with their codes. Figures are kept in RUN/robustness.jsonl as they come.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from videxp.core.contract import Contract
from videxp.core.errors import BadRequest

if TYPE_CHECKING:
    from videxp.evaluation.axis import Options
    from videxp.evaluation.subject import Subject

BETTER: Mapping[str, Literal["max", "min"]] = {
    "robustness/mpc": "max",
    "robustness/rpc": "max",
    "robustness/mce": "min",
    "robustness/gain": "max",
    "robustness/flips": "min",
    "robustness/pgd_2": "max",
    "robustness/latent_change": "min",
}


def add_arguments(parser: "Options") -> None:
    parser.add_argument(
        "--protocol", default="yi2021", metavar="TABLE", help="whose corruptions: yi2021 (default), schiappa2023, ..."
    )
    parser.add_argument("--corruptions", type=_names, metavar="A,B", help="only these of the table; default: all")
    parser.add_argument("--severities", type=_numbers, metavar="1,3,5", help="only these; default: 1,2,3,4,5")
    parser.add_argument(
        "--attacks", type=_names, metavar="fgsm,pgd", help="default: both, where the task has a loss; none: neither"
    )
    parser.add_argument("--baseline", metavar="RUN", help="a run whose errors mCE is relative to, evaluated before")
    parser.add_argument(
        "--save-clips", action="store_true", help="write corrupted clips and a contact sheet into RUN/samples"
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str) -> list[int]:
    names = _names(text)
    if not names or not all(name.isdecimal() for name in names):
        raise BadRequest(f"--severities {text}: write numbers with commas between them: 1,3,5")
    return sorted({int(name) for name in names})


def require_options(options: argparse.Namespace, subject: "Subject") -> None:
    """Raises BadRequest for names and severities that there are not, and a baseline without figures."""
    from videxp.evaluation.corrupting.measuring import baseline_of
    from videxp.evaluation.corrupting.request import read_request

    baseline_of(subject, options, read_request(options, subject.task.contract))


def measure(subject: "Subject", options: argparse.Namespace) -> dict[str, Any]:
    from videxp.evaluation.corrupting.measuring import measure_robustness

    return measure_robustness(subject, options)


def lines(section: Mapping[str, Any], contract: Contract) -> list[str]:
    from videxp.evaluation.corrupting.report import report_lines

    return report_lines(section)


def scalars(section: Mapping[str, Any]) -> dict[str, float]:
    """What there is of `BETTER`: the means, and of all attacks PGD within 2/255."""
    found = {f"robustness/{name}": section.get(name) for name in ("mpc", "rpc", "mce", "gain")}
    found["robustness/flips"] = section.get("consistency", {}).get("flips")
    for row in section.get("attacks", {}).get("rows", []):
        found[f"robustness/{row['attack']}_{row['epsilon']}"] = row["value"]
    latent = section.get("latent")
    found["robustness/latent_change"] = latent[0]["mean"] if latent else None
    return {name: value for name, value in found.items() if name in BETTER and value is not None}


def save_pictures(section: Mapping[str, Any], folder: Path) -> list[Path]:
    from videxp.evaluation.corrupting.pictures import save_severity_curves

    return [save_severity_curves(section, folder / "robustness.png")] if "figures" in section else []
