"""Weights of networks for pictures start those for video: a still video gets the picture's answer."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torchvision.models.swin_transformer import SwinTransformer

from tests.models.zoo import MODELS, build, build_tiny
from videxp.core.errors import BadRequest
from videxp.models.layers.inflation import inflated, swin_in_time


def test_a_video_swin_answers_to_a_still_video_as_the_swin_that_it_was_inflated_from(tmp_path: Path):
    torch.manual_seed(0)
    tiny: Any = MODELS["swin3d_t"].tiny
    heads = [tiny["heads"] * 2**stage for stage in range(4)]
    image = SwinTransformer([4, 4], tiny["width"], list(tiny["depths"]), heads, [7, 7], num_classes=5).eval()
    for key, value in image.state_dict().items():
        if "bias_table" in key:
            value.normal_()
    torch.save(image.state_dict(), tmp_path / "swin.pth")
    fresh, video = build_tiny("swin3d_t").eval(), build_tiny("swin3d_t", weights=str(tmp_path / "swin.pth")).eval()
    picture = torch.randn(1, 3, 224, 224)  # whole windows of 7 in each stage: what is less is padded in another way
    still = picture[:, None].expand(-1, 4, -1, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(video(still), image(picture), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(fresh(still), image(picture), rtol=0.1)
        moving = torch.randn(1, 4, 3, 56, 56)
        assert not torch.allclose(video(moving), video(moving.flip(1)), rtol=1e-3)  # time is in it


@pytest.mark.parametrize("name", ["swin3d_t", "swin3d_b"])
def test_torchvisions_swins_for_pictures_fit_by_name_and_shape(name: str):
    with torch.device("meta"):
        own, theirs = build(name).state_dict(), getattr(torchvision.models, f"swin_{name[-1]}")().state_dict()
    found = swin_in_time(theirs, own)
    assert found.keys() == own.keys() != theirs.keys()
    head = {"head.weight", "head.bias"}  # of 1000 classes
    assert [key for key in own if found[key].shape != own[key].shape and key not in head] == []
    assert swin_in_time(own, own).keys() == own.keys()  # weights of Video Swin stay


def test_a_uniformer_for_pictures_is_inflated(tmp_path: Path):
    net = build_tiny("uniformer_s")
    video = net.state_dict()
    pictures = {key: value.sum(2) if value.ndim == 5 else value for key, value in video.items()}
    torch.save({"model": pictures}, tmp_path / "uniformer.pth")
    loaded = build_tiny("uniformer_s", weights=str(tmp_path / "uniformer.pth")).state_dict()
    for key, value in pictures.items():
        torch.testing.assert_close(loaded[key].sum(2) if video[key].ndim == 5 else loaded[key], value)
    kernel = loaded["blocks1.0.attn.weight"]  # [D,1,5,5,5]
    assert torch.equal(kernel[:, :, 0], kernel[:, :, 4])
    assert inflated(video, video)["blocks1.0.attn.weight"] is video["blocks1.0.attn.weight"]
    del pictures["norm.bias"]
    torch.save({"model": pictures}, tmp_path / "less.pth")
    with pytest.raises(BadRequest, match=r"norm\.bias is missing"):
        build_tiny("uniformer_s", weights=str(tmp_path / "less.pth"))
