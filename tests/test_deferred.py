"""torchmetrics comes without what only some of its metrics need, and with all of its names."""

import subprocess
import sys

import pytest

HEAVY = "[name for name in ('scipy', 'transformers', 'torchvision', 'matplotlib') if name in sys.modules]"
STOCK = f"""import pytorch_lightning
print(*{HEAVY})"""
OURS = f"""from videxp.core.deferred import defer_torchmetrics
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
BOTH = """import os, sys
import torch
if os.fork() == 0:
    exec(sys.argv[1])
else:
    assert os.wait()[1] == 0
    exec(sys.argv[2])"""


@pytest.mark.slow
def test_all_names_are_there_and_what_they_need_comes_with_them():
    """Both in an interpreter that has torch alone. Lightning by itself imports packages that nothing uses."""
    done = subprocess.run([sys.executable, "-c", BOTH, STOCK, OURS], capture_output=True, text=True, check=True)
    stock, before, after, plots, *names = done.stdout.splitlines()
    assert "torchvision" in stock.split()
    assert before == ""
    assert "torchvision" in after.split()
    assert plots == "Figure"
    assert names == ["True True", "module 'torchmetrics' has no attribute 'Nothing'"]
