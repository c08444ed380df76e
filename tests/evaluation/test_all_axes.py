"""`videxp evaluate --on all` of a classifier and of a restorer; a generator and scenes have theirs in tests/cli."""

from pathlib import Path

import pytest

from tests.evaluation.all_axes import evaluate_on_all

pytestmark = pytest.mark.slow


def test_a_classifier_has_figures_on_every_axis(finished, workplace: Path):
    result = evaluate_on_all("runs/finished", cwd=workplace)
    assert result["robustness"]["scalars"].keys() >= {"robustness/mpc", "robustness/rpc"}
    assert result["speed"]["scalars"]["speed/latency_ms"] > 0
    assert result["explanation"]["order"]["in_order"]["accuracy"] <= 1


def test_a_restorer_has_figures_on_every_axis(restored: Path, workplace: Path):
    result = evaluate_on_all("runs/restored", cwd=workplace)
    assert result["robustness"]["scalars"]
    assert result["speed"]["scalars"]["speed/latency_ms"] > 0
