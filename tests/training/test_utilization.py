"""Model FLOPs utilization: of GPUs whose peak Lightning knows, and absent with a reason elsewhere."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from videxp.runs.reading import better
from videxp.training.utilization import peak_flops, share_of_clip

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")


def task(*parts: str, gmacs: float = 10.0) -> Any:
    return SimpleNamespace(parts=dict.fromkeys(parts or ("",)), work_of_one_clip=lambda **_: gmacs)


@pytest.fixture
def a100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100-SXM4-80GB")


@pytest.mark.usefixtures("a100")
def test_a_clips_operations_are_six_times_its_multiply_accumulates() -> None:
    """312 TFLOPS in bf16, by NVIDIA's data sheet: at 1000 clips of 10 GMACs a second, 60 TFLOPS of them."""
    assert peak_flops(GPU, "bf16-mixed") == (312e12, "")
    share, _ = share_of_clip(task(), GPU, "bf16-mixed", num_frames=16, size=112)
    assert share is not None
    assert 1000 * share == pytest.approx(60 / 312)


def test_where_it_is_unknown_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_of_clip(task(), CPU, "32-true", num_frames=4, size=8) == (None, "no peak is known of a CPU")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA Tomorrow")
    assert peak_flops(GPU, "bf16-mixed") == (None, "no peak is known of NVIDIA Tomorrow in bf16-mixed")
    _, why = share_of_clip(task("generator", "discriminators"), GPU, "32-true", num_frames=4, size=8)
    assert why.startswith("a step trains generator and discriminators")


def test_more_of_it_is_better() -> None:
    assert (better({}, "throughput/mfu"), better({}, "throughput/latency_ms")) == ("max", "min")
