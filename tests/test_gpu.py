"""What needs a GPU: run by `pytest -m gpu` where one is there."""

import json
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import train, videxp
from tests.shrink import tiny
from videxp.training.callbacks.throughput import DeviceWait, HostWait
from videxp.training.loggers.metrics_file import read_metrics
from videxp.transforms import BicubicDown, BlurDown, EvalTransform, RestorationTrain, TrainTransform
from videxp.transforms.rand_augment import NAMES, apply, operation

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_main_job_trains_on_a_gpu(tmp_path: Path, precision: str):
    run = train("hardware=gpu", f"hardware.precision={precision}", "logger=csv", cwd=tmp_path)
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert json.loads((run / "provenance.json").read_text())["gpus"]
    speed = [row for row in read_metrics(run / "metrics.csv") if "throughput/data_wait_share" in row]
    assert all(0 <= row["throughput/data_wait_share"] < 1 for row in speed)
    assert all(0 < row["throughput/device_memory_gib"] < 4 for row in speed)


def test_a_gpu_waits_when_it_has_nothing_to_do_and_not_when_it_is_busy():
    host, device = HostWait(), DeviceWait()

    def wait() -> tuple[float, float]:
        for clock in (host, device):
            clock.begin()
        time.sleep(0.05)
        for clock in (host, device):
            clock.end()
        torch.cuda.synchronize()
        return host.read(), device.read()

    torch.cuda.synchronize()
    assert min(wait()) > 0.045
    torch.cuda._sleep(10**9)  # clock cycles: a third of a second or more
    by_host, by_device = wait()
    assert by_host > 0.045
    assert by_device < 0.005


def test_bench_tells_the_phases_of_a_step_on_a_gpu(tmp_path: Path):
    done = videxp("bench", "classification/moving_digits", *tiny("hardware=gpu"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert all(spread["median"] > 0 for spread in found["training"]["phases"].values())


def test_all_gpus_train_together(tmp_path: Path):
    devices = torch.cuda.device_count()
    run = train("hardware=ddp", f"dataset.batch_size={4 * devices}", "logger=csv", cwd=tmp_path)
    assert json.loads((run / "provenance.json").read_text())["world_size"] == devices


@pytest.mark.parametrize(
    "transform",
    [
        EvalTransform(size=56, resize=64, crops=3),
        TrainTransform(size=56, brightness=0.4, saturation=0.4, hue=0.1, seed=0),
        TrainTransform(size=56, random_erasing=1.0, seed=0),
    ],
    ids=["eval", "train", "erasing"],
)
def test_transforms_give_on_the_gpu_what_they_give_on_the_cpu(transform: torch.nn.Module):
    video = torch.randint(0, 256, (2, 4, 72, 96, 3), dtype=torch.uint8)
    batch = {"clip": video, "label": torch.zeros(2).long(), "index": torch.arange(2), "epoch": torch.zeros(2).long()}
    on_cpu = transform(batch)["video"]
    on_gpu = transform({**batch, "clip": video.cuda()})["video"].cpu()
    # uint8 resizing rounds to whole grey levels on the CPU; the GPU resizes in float32: one level of std 0.22
    torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=1.5 / 255 / 0.21)


@pytest.mark.parametrize("name", NAMES)
def test_operations_of_rand_augment_give_on_the_gpu_what_they_give_on_the_cpu(name: str):
    clip = torch.randint(0, 256, (4, 56, 56, 3), dtype=torch.uint8)
    step = operation(name, magnitude=9, height=56, width=56)
    difference = (apply(clip, step).int() - apply(clip.cuda(), step).cpu().int()).abs()
    assert (difference > 1).float().mean() < 0.02  # where a nearest pixel is as near as another


@pytest.mark.parametrize("degradation", [BicubicDown(scale=4), BlurDown(scale=4)], ids=["bicubic", "blur"])
def test_degradations_give_on_the_gpu_what_they_give_on_the_cpu(degradation: torch.nn.Module):
    video = torch.randint(0, 256, (2, 4, 72, 96, 3), dtype=torch.uint8)
    batch = {"clip": video, "index": torch.arange(2), "epoch": torch.zeros(2).long()}
    transform = RestorationTrain(degradation=degradation, reverse_time=0.5, mirror=True, seed=0)
    on_cpu, on_gpu = transform(batch), transform({**batch, "clip": video.cuda()})
    assert torch.equal(on_gpu["target"].cpu(), on_cpu["target"])
    torch.testing.assert_close(on_gpu["video"].cpu(), on_cpu["video"], rtol=0, atol=1.01 / 255)  # a level, at a half
