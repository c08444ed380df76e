"""torchmetrics comes without what only some of its metrics need, and with all of its names."""

import subprocess
import sys

import pytest

HEAVY = "[name for name in ('scipy', 'transformers', 'torchvision', 'matplotlib') if name in sys.modules]"
DEFER = "from videxp.deferred import defer_torchmetrics; defer_torchmetrics()"


def said(*lines: str) -> list[str]:
    """What these lines of Python print, in an interpreter of their own."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(["import sys", *lines])], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_lightning_alone_imports_packages_that_nothing_uses():
    assert "torchvision" in said("import pytorch_lightning", f"print(*{HEAVY})")[0].split()


@pytest.mark.slow
def test_all_names_are_there_and_what_they_need_comes_with_them():
    before, after, plots, *names = said(
        DEFER,
        "import pytorch_lightning, torchmetrics.classification",
        "from torchmetrics import MeanMetric, Metric, MetricCollection",
        f"print(*{HEAVY})",
        "import torchmetrics",
        "assert torchmetrics.__version__",
        "assert issubclass(MeanMetric, Metric) and torchmetrics.Accuracy",
        f"print(*{HEAVY})",
        "metric = torchmetrics.MeanMetric(); metric.update(1.0)",
        "print(type(metric.plot()[0]).__name__)",
        "from torchmetrics.functional import accuracy, structural_similarity_index_measure",
        "print(torchmetrics.Metric is Metric, torchmetrics.functional.accuracy is accuracy)",
        "try: torchmetrics.Nothing",
        "except AttributeError as error: print(error)",
    )
    assert before == ""
    assert "torchvision" in after.split()
    assert plots == "Figure"
    assert names == ["True True", "module 'torchmetrics' has no attribute 'Nothing'"]
