"""The adapters are torchvision's own networks: the same keys, and with the same weights the same logits."""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torchvision
import torchvision.models.video as tv

from tests.models.zoo import build, build_tiny
from videxp.core.errors import BadRequest
from videxp.core.weight_files import TORCHVISIONS

NAMES = ["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v1_b", "mvit_v2_s", "swin3d_t", "swin3d_s", "swin3d_b"]
CLIPS = {  # frames, size
    "r3d_18": (4, 32),
    "mc3_18": (4, 32),
    "r2plus1d_18": (4, 32),
    "mvit_v1_b": (8, 64),
    "mvit_v2_s": (8, 64),
    "swin3d_t": (4, 36),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_published_checkpoints_fit_by_name_and_shape(name: str):
    with torch.device("meta"):
        ours, theirs = build(name).state_dict(), getattr(tv, name)().state_dict()
    assert [(key, value.shape) for key, value in ours.items()] == [(key, v.shape) for key, v in theirs.items()]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_torchvisions_names_of_weights_are_asked_of_its_server(name: str, monkeypatch: pytest.MonkeyPatch):
    with torch.device("meta"):
        state = getattr(tv, name)().state_dict()
        asked = []
        monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: asked.append(url) or state)
        for weights in torchvision.models.get_model_weights(name):
            build(name, weights=weights.name)
            assert asked.pop() == weights.url
        with pytest.raises(BadRequest, match="weights=KINETICS400_V9: no such file"):
            build(name, weights="KINETICS400_V9")


def test_videxp_check_knows_torchvisions_names_of_weights():
    assert {weights.name for name in NAMES for weights in torchvision.models.get_model_weights(name)} == set(
        TORCHVISIONS
    )


def made_for(mvit: Callable[..., Any], *, frames: int, size: int, **settings: Any) -> Any:
    """Where torchvision's constructors say 16 frames of 224 pixels."""
    return mvit(**{**settings, "temporal_size": frames, "spatial_size": (size, size)})


def assert_same_logits(name: str, *, frames: int, size: int) -> None:
    torch.manual_seed(0)
    is_made_for_a_size = name.startswith("mvit")
    with patch.object(tv.mvit, "_mvit", partial(made_for, tv.mvit._mvit, frames=frames, size=size)):
        theirs = getattr(tv, name)().eval()
    ours = build(name, **{"num_frames": frames, "size": size} if is_made_for_a_size else {}).eval()
    video = torch.randn(1, frames, 3, size, size)
    with torch.no_grad():
        ours.load_state_dict(theirs.state_dict())
        torch.testing.assert_close(ours(video), theirs(video.transpose(1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_logits_are_torchvisions(name: str):
    assert_same_logits(name, frames=CLIPS[name][0], size=CLIPS[name][1])


@pytest.mark.slow
def test_s3d_is_torchvisions_at_the_size_that_torchvision_takes_and_runs_below_it():
    assert_same_logits("s3d", frames=14, size=224)
    small = torch.randn(1, 14, 3, 112, 112)
    with pytest.raises(RuntimeError, match="smaller than kernel"):
        tv.s3d().eval()(small.transpose(1, 2))
    assert build("s3d").eval()(small).shape == (1, 400)


@pytest.mark.slow
def test_tsn_averages_torchvisions_resnet50_over_frames_and_takes_its_checkpoints():
    torch.manual_seed(0)
    resnet, tsn = torchvision.models.resnet50(num_classes=400).eval(), build("tsn_r50").eval()
    tsn.load_state_dict(resnet.state_dict())
    video = torch.randn(1, 3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(tsn(video)[0], resnet(video[0]).mean(dim=0), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_tsm_is_tsn_but_for_the_shift(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    tsn, tsm = build_tiny("tsn_r50").eval(), build_tiny("tsm_r50").eval()
    tsm.load_state_dict(tsn.state_dict())
    video = torch.randn(1, 3, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(tsm(video), tsn(video), rtol=1e-3)
        monkeypatch.setattr("videxp.models.classification.tsn.shift_in_time", lambda x: x)
        torch.testing.assert_close(tsm(video), tsn(video))
