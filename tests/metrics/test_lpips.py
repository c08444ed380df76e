import pytest
import torch
import torchvision
from torch import Tensor
from torchmetrics.functional.image import lpips as published
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

from tests.image_networks import random_features
from videxp.core.errors import BadRequest
from videxp.metrics import Lpips
from videxp.metrics.lpips import _NETS


def frames(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_it_is_torchmetrics_with_the_same_weights(net, tmp_path, monkeypatch):
    features = random_features(_NETS[net][0])
    torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, tmp_path / "net.pth")
    monkeypatch.setattr(published, "_get_tv_model_features", lambda net, pretrained: features)
    reference = published._LPIPS(net=net, pnet_rand=True)
    output, target = frames(2, 3, 40, 48)
    expected = reference(output, target, normalize=True).flatten()
    values = Lpips(net=net, weights=str(tmp_path / "net.pth"))(output, target)
    assert values.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert values.min() > 1e-3


def test_torchmetrics_asks_the_network_for_weights(monkeypatch):
    """Negative control."""

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", refuse)
    with torch.device("meta"), pytest.raises(ConnectionError, match="no network"):
        LearnedPerceptualImagePatchSimilarity(net_type="alex")


def test_clips_give_a_value_for_each_frame_and_equal_frames_give_0(alex):
    lpips = Lpips(weights=str(alex))
    output, target = frames(1, 2, 3, 40, 40)
    output[0, 1] = target[0, 1]
    values = lpips(output, target)
    assert values.shape == (1, 2)
    assert values[0, 0] > 1e-3 and values[0, 1] == 0


def test_mixed_precision_is_the_networks_and_not_the_judges(alex):
    lpips = Lpips(weights=str(alex))
    output, target = frames(1, 3, 40, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lpips.features(output).dtype == torch.bfloat16  # negative control
        mixed = lpips(output, target)
    assert torch.equal(mixed, lpips(output, target))


def test_it_is_frozen(alex):
    assert not any(parameter.requires_grad for parameter in Lpips(weights=str(alex)).parameters())


def test_missing_weights_say_where_they_are_to_be_had(tmp_path, alex):
    with pytest.raises(BadRequest, match=r"weights of alexnet are needed.*\nFetch https://download.pytorch.org/models"):
        Lpips()
    with pytest.raises(BadRequest, match=r"weights=nowhere.pth: no such file"):
        Lpips(weights="nowhere.pth")
    with pytest.raises(BadRequest, match=r"doesn't fit vgg16: features.0.weight is torch.Size\(\[64, 3, 11, 11\]\)"):
        Lpips(net="vgg", weights=str(alex))
    with pytest.raises(BadRequest, match=r"holds no LPIPS weights of 5 layers: lin0.model.1.weight is missing"):
        Lpips(weights=str(alex), linear_weights=str(alex))
