"""TSN and TSM on image networks of timm are those on ResNet-50, whatever network; what can't be shifted is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from videxp.core.errors import BadRequest, NotInstalled
from videxp.models.classification.timm_backbones import residual_branches, tsm_timm, tsn_timm
from videxp.models.classification.tsn import tsm_r50, tsn_r50

pytestmark = pytest.mark.slow  # importing timm


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(NotInstalled, match=r"pip install 'videxp\[timm\]'"):
        tsm_timm()


@pytest.mark.parametrize(("ours", "on_timm"), [(tsn_r50, tsn_timm), (tsm_r50, tsm_timm)])
def test_on_resnet50_the_logits_are_those_of_our_own(ours, on_timm):
    pytest.importorskip("timm")
    torch.manual_seed(0)
    own, other = ours(num_classes=3).eval(), on_timm(num_classes=3, backbone="resnet50").eval()
    own.load_state_dict(other.network.state_dict())  # torchvision's names are timm's
    video = torch.randn(2, 4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(other(video), own(video), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("backbone", "count"),
    [("resnet50", 16), ("resnet18", 8), ("mobilenetv2_100", 10), ("efficientnet_b0", 9), ("vit_tiny_patch16_224", 0)],
)
def test_the_branches_that_are_shifted_are_the_authors(backbone: str, count: int):
    """All of a ResNet; of MobileNetV2 the ten blocks that expand and have a shortcut, as in the paper's code."""
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        assert len(residual_branches(timm.create_model(backbone))) == count


def test_only_the_shift_lets_the_order_of_frames_matter_to_mobilenet():
    pytest.importorskip("timm")
    torch.manual_seed(0)
    video = torch.randn(1, 4, 3, 32, 32, dtype=torch.float64)
    changes = []
    for make in (tsn_timm, tsm_timm):
        net = make(num_classes=3, backbone="mobilenetv2_035").double().eval()
        with torch.no_grad():
            out = net(video)
            changes.append(((net(video.flip(1)) - out).abs().max() / out.abs().max()).item())
    per_frame, shifted = changes
    assert per_frame < 1e-9
    assert shifted > 1e-5


def test_a_copy_shifts_by_its_own_number_of_frames():
    pytest.importorskip("timm")
    from copy import deepcopy

    net = tsm_timm(num_classes=3, backbone="test_resnet").eval()
    twin = deepcopy(net)
    video = torch.randn(1, 6, 3, 32, 32)
    with torch.no_grad():
        expected = net(video)
        net(video[:, :2])
        torch.testing.assert_close(twin(video), expected)


def test_timms_own_checkpoints_load_by_name(tmp_path: Path):
    timm = pytest.importorskip("timm")
    image_network = timm.create_model("test_resnet", num_classes=1000)
    save_file(image_network.state_dict(), tmp_path / "model.safetensors")
    net = tsm_timm(num_classes=3, backbone="test_resnet", weights=str(tmp_path / "model.safetensors"))
    for key, value in net.network.state_dict().items():
        assert key.startswith("fc.") or torch.equal(value, image_network.state_dict()[key])


@pytest.mark.parametrize(
    ("backbone", "message"),
    [("resnet_50", r"backbone=resnet_50: timm .* no such"), ("vit_tiny_patch16_224", r"vit_tiny.*\n.*model=tsn_timm")],
)
def test_a_backbone_that_does_not_do_is_refused_with_one_that_does(backbone: str, message: str):
    pytest.importorskip("timm")
    with torch.device("meta"), pytest.raises(BadRequest, match=message):
        tsm_timm(backbone=backbone)
