"""torchmetrics comes without what only some of its metrics need, and with all of its names."""

import subprocess
import sys

import pytest

HEAVY = "[name for name in ('scipy', 'transformers', 'torchvision', 'matplotlib') if name in sys.modules]"
OURS = f"""import sys
from videxp.core.deferred import defer_torchmetrics
defer_torchmetrics()
import pytorch_lightning, torchmetrics.classification
from torchmetrics import MeanMetric, Metric, MetricCollection
print(*{HEAVY})
import torchmetrics
assert torchmetrics.__version__
assert issubclass(MeanMetric, Metric) and torchmetrics.Accuracy
print(*{HEAVY})
metric = torchmetrics.MeanMetric(); metric.update(1.0)
print(type(metric.plot()[0]).__name__)
from torchmetrics.functional import accuracy, structural_similarity_index_measure
print(torchmetrics.Metric is Metric, torchmetrics.functional.accuracy is accuracy)
try: torchmetrics.Nothing
except AttributeError as error: print(error)"""


@pytest.mark.slow
def test_all_names_are_there_and_what_they_need_comes_with_them():
    """Once torchmetrics is run as it is, as Lightning by itself does, there are packages that nothing uses."""
    done = subprocess.run([sys.executable, "-c", OURS], capture_output=True, text=True, check=True)
    before, after, plots, *names = done.stdout.splitlines()
    assert before == ""
    assert "torchvision" in after.split()
    assert plots == "Figure"
    assert names == ["True True", "module 'torchmetrics' has no attribute 'Nothing'"]
