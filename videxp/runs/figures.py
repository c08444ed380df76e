"""Figures of a test as people read them: the network's beside those of what needs no training."""

from collections.abc import Iterable, Mapping

from videxp.core.contract import Contract
from videxp.core.printable import aligned

NETWORK = "network"


def split_figures(
    metrics: Mapping[str, float], contract: Contract
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]], dict[str, float]]:
    """(baseline -> its figures, the network's before them; degradation -> the network's figures; the others).

    metrics: `test/psnr`, `test/psnr_input`, ...; within the rows they have no split and no baseline in their names.
    """
    plain = {name.partition("/")[2]: value for name, value in metrics.items()}
    baselines = _rows(plain, of=contract.of_baselines, contract=contract)
    taken = {f"{metric}_{name}" for name, row in baselines.items() for metric in row}
    degradations = _rows(
        {name: value for name, value in plain.items() if name not in taken},
        of=contract.of_degradations,
        contract=contract,
    )
    taken |= {f"{metric}_{name}" for name, row in degradations.items() for metric in row}
    if baselines:
        columns = list(dict.fromkeys(metric for row in baselines.values() for metric in row))
        baselines = {NETWORK: {name: plain[name] for name in columns if name in plain}, **baselines}
        taken |= set(columns)
    others = {name: value for name, value in metrics.items() if name.partition("/")[2] not in taken}
    return baselines, degradations, others


def _rows(plain: Mapping[str, float], *, of: tuple[str, ...], contract: Contract) -> dict[str, dict[str, float]]:
    """Those names for which there is each metric of `of`, and any other `<metric>_<name>` of theirs."""
    if not of:
        return {}
    names = [metric.removeprefix(f"{of[0]}_") for metric in plain if metric.startswith(f"{of[0]}_")]
    whole = [name for name in names if all(f"{metric}_{name}" in plain for metric in of)]
    whole = [name for name in whole if not any(f"{metric}_{name}" in contract.metrics for metric in of)]
    return {name: {m: plain[f"{m}_{name}"] for m in plain if f"{m}_{name}" in plain} for name in whole}


def figure_lines(rows: Mapping[str, Mapping[str, float]], *, heading: str) -> list[str]:
    """A line for each row beneath a heading with the names of the figures."""
    columns = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    cells: Iterable[tuple[str, ...]] = (
        (name, *(f"{row[metric]:.4f}" if metric in row else "" for metric in columns)) for name, row in rows.items()
    )
    return aligned([(heading, *columns), *cells], right=set(range(1, len(columns) + 1))) if rows else []
