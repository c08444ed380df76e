"""`@accepts` is true: at the declared limits a network runs, and below them it can't, or leaves pixels unseen."""

import inspect
from typing import Any

import pytest
import torch

from tests.models.zoo import CLASSIFIERS, MODELS, OPTIONAL, build_tiny, cases

pytestmark = pytest.mark.slow

NAMES = cases(CLASSIFIERS)


@pytest.fixture(autouse=True)
def _optional(request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["name"] in OPTIONAL:
        pytest.importorskip(OPTIONAL[request.node.callspec.params["name"]])


def runs(name: str, *, frames: int, size: int) -> bool:
    """Whether the network, made for such clips where it must know them, takes them. Widths play no part: shrunk."""
    try:
        with torch.device("meta"), torch.no_grad():
            net = build_tiny(name, **made_for(name, frames, size)).eval()
            return net(torch.empty(2, frames, 3, size, size)).shape == (2, 5)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError):
        return False


def made_for(name: str, frames: int, size: int) -> dict[str, Any]:
    """The arguments that the config fills from the data, for a constructor that has them."""
    parameters = inspect.signature(MODELS[name].constructor).parameters
    return {key: value for key, value in (("num_frames", frames), ("size", size)) if key in parameters}


def sees_all(name: str, *, frames: int, size: int) -> bool:
    """Whether every pixel of every frame reaches the logits of the shrunk network."""
    net = build_tiny(name, **made_for(name, frames, size)).eval()
    video = torch.randn(1, frames, 3, size, size, requires_grad=True)
    try:
        net(video).sum().backward()
    except (RuntimeError, ValueError):
        return False
    assert video.grad is not None
    return bool((video.grad != 0).any(dim=2).all())


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_clip_declared_runs_and_one_below_does_not(name: str):
    declared, (frames, size) = MODELS[name].accepts, MODELS[name].tiny_clip
    assert runs(name, frames=declared.min_frames, size=size)
    assert runs(name, frames=frames, size=declared.min_size)
    assert runs(name, frames=declared.min_frames, size=declared.min_size)
    if declared.min_frames > 1:
        assert not runs(name, frames=declared.min_frames - 1, size=size)
    if declared.min_size > 1:
        assert not runs(name, frames=frames, size=declared.min_size - 1)


def divisors(number: int) -> list[int]:
    """Proper ones. Were a smaller multiple enough, it would be one of them: the declared one is enough, too."""
    return [n for n in range(1, number) if number % n == 0]


@pytest.mark.parametrize("name", NAMES)
def test_a_multiple_is_declared_where_other_clips_fail_or_are_seen_in_part(name: str):
    declared, (frames, size) = MODELS[name].accepts, MODELS[name].tiny_clip
    if declared.frames_multiple > 1:
        assert all(not sees_all(name, frames=frames + n, size=size) for n in divisors(declared.frames_multiple))
    else:
        assert runs(name, frames=frames + 1, size=size)
    if declared.size_multiple > 1:
        assert all(not sees_all(name, frames=frames, size=size + n) for n in divisors(declared.size_multiple))
    else:
        assert runs(name, frames=frames, size=size + 1)
