from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models as torchvision_models
from torchvision.transforms.v2 import functional as tv

from videxp.core.errors import BadRequest
from videxp.metrics import features
from videxp.metrics.features import (
    ClassifierFeatures,
    PixelInput,
    eight_bit,
    last_layer_input,
    random_features,
    through_batch,
    torchvision_features,
)
from videxp.metrics.frechet import Moments, frechet_distance
from videxp.models.classification.small import FrameCNN, SmallCNN3D
from videxp.models.classification.torchvision_video import r3d_18
from videxp.transforms import EvalTransform

VIDEO = torch.randint(0, 256, (2, 4, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
UNIT = PixelInput(None, (127.5,), (127.5,))

Classifier = partial(ClassifierFeatures, name="net", transform=UNIT, input_text="[-1,1]")


class ConvHead(nn.Module):
    """As S3D and X3D: the last layer is a 1x1x1 convolution, whose outputs are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv3d(3, 5, 3), nn.Conv3d(5, 7, 1)

    def forward(self, video: Tensor) -> Tensor:
        return self.head(self.body(video.transpose(1, 2))).mean((2, 3, 4))


def test_features_are_what_a_network_without_its_last_layer_returns():
    network = r3d_18(num_classes=9, width=8, depths=(1, 1, 1, 1)).eval()
    given = UNIT(VIDEO)
    logits = network(given)
    found = last_layer_input(network, given)
    torch.testing.assert_close(network(given), logits)  # the network is as it was
    network.fc = nn.Identity()
    torch.testing.assert_close(found, network(given))


@pytest.mark.parametrize("network", [FrameCNN(num_classes=7), SmallCNN3D(num_classes=7), ConvHead()])
def test_the_last_layer_of_the_features_gives_the_logits(network):
    """Also where it is applied to every frame, or at every position."""
    network.eval()
    found = last_layer_input(network, UNIT(VIDEO))
    assert len(found) == 2 and found.ndim == 2
    torch.testing.assert_close(found @ network.head.weight.flatten(1).T + network.head.bias, network(UNIT(VIDEO)))


def test_a_network_without_layers_has_no_features():
    with pytest.raises(BadRequest, match="Flatten has no linear layer"):
        last_layer_input(nn.Flatten(), VIDEO.float())


def test_training_precision_and_training_mode_change_no_feature():
    def differs() -> bool:
        return not torch.equal(network(given), expected)

    network, given = SmallCNN3D(num_classes=7).eval(), UNIT(VIDEO)
    expected = network(given)
    with torch.autocast("cpu", torch.bfloat16):
        assert differs()  # negative control
        network.train()
    assert differs()  # negative control: batch statistics
    judge = Classifier(network, output="logits").train()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(judge(VIDEO), judge.eval()(VIDEO), rtol=0, atol=0)
    assert judge(VIDEO).dtype == torch.float32 and not judge(VIDEO).requires_grad


def test_a_run_is_given_what_its_test_gave_it():
    network, transform = SmallCNN3D(num_classes=7).eval(), EvalTransform(size=16, resize=20, crops=3)
    wide = VIDEO.repeat(1, 1, 1, 1, 2)
    judge = Classifier(network, transform=through_batch(transform), output="logits")
    views = transform({"clip": wide.permute(0, 1, 3, 4, 2).contiguous()})["video"]
    assert len(views) == 6
    torch.testing.assert_close(judge(wide), network(views).unflatten(0, (2, 3)).mean(1))


def test_float_clips_are_rounded_as_a_file_would():
    video = torch.tensor([-0.1, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 1.2])
    assert eight_bit(video).tolist() == [0, 0, 0, 1, 255, 255]
    assert eight_bit(VIDEO) is VIDEO


def test_pixels_meet_torchvision():
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    expected = tv.normalize(
        tv.resize(VIDEO.float() / 255, [10, 10], antialias=True), [x / 255 for x in mean], [x / 255 for x in std]
    )
    aliased = PixelInput(10, mean, std, antialias=False)
    assert (aliased(VIDEO) - expected).abs().max() > 0.5  # negative control
    torch.testing.assert_close(PixelInput(10, mean, std)(VIDEO), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(PixelInput(10, mean, std)(VIDEO / 255), expected, atol=1e-5, rtol=0)


def test_the_text_says_network_weights_and_input():
    torch.manual_seed(0)
    judge, other = Classifier(ConvHead()), Classifier(ConvHead())
    assert str(judge) == f"net (weights sha256:{judge.weights[:12]}; [-1,1])"
    assert judge.weights != other.weights
    assert str(PixelInput(112, (1.5,), (2,))) == "112x112 bilinear, antialiased, (x - 1.5) / 2"


def state_of(architecture: str) -> dict[str, Tensor]:
    """Some weights with the shapes of torchvision's."""
    with torch.device("meta"):
        options = {"init_weights": False} if architecture == "googlenet" else {}
        state = torchvision_models.get_model(architecture, **options).state_dict()
    random = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(value.shape, generator=random) * 0.02 if value.is_floating_point() else torch.zeros(()).long()
        for key, value in state.items()
    }


def test_torchvision_image_network_frame_by_frame(tmp_path):
    torch.save(state_of("shufflenet_v2_x0_5"), tmp_path / "weights.pth")
    judge = torchvision_features("shufflenet_v2_x0_5", weights=str(tmp_path / "weights.pth"))
    assert judge.name == "shufflenet_v2_x0_5_frames"
    assert judge.input_text == "224x224 bilinear, antialiased, (x - 123.675, 116.28, 103.53) / 58.395, 57.12, 57.375"
    found = judge(VIDEO[:, :2])
    assert found.shape == (2 * 2, 1024)
    torch.testing.assert_close(found[2:], judge(VIDEO[1:, :2]))


@pytest.mark.slow
def test_torchvision_video_network(monkeypatch):
    state = state_of("mc3_18")
    monkeypatch.setattr(features, "read_tensors", lambda path: state)
    judge = torchvision_features("mc3_18", weights="weights.pth", output="logits")
    stock = torchvision_models.video.mc3_18().eval()
    stock.load_state_dict(state)
    given = PixelInput(112, (110.201, 100.640, 95.996), (58.148, 56.47, 55.332))(VIDEO[:1, :1]).transpose(1, 2)
    assert judge.name == "mc3_18"
    torch.testing.assert_close(judge(VIDEO[:1, :1]), stock(given), rtol=1e-4, atol=1e-4)


def test_inception_weights_bring_their_own_normalization(monkeypatch):
    stock = torchvision_models.get_model("googlenet", weights=None, init_weights=False)
    assert not stock.transform_input  # negative control: the published weights would be fed wrong pixels in silence
    monkeypatch.setattr(features, "read_tensors", lambda path: state_of("googlenet"))
    assert torchvision_features("googlenet", weights="weights.pth").network.transform_input


def test_wrong_torchvision_weights_are_refused(tmp_path):
    torch.save({"conv1.0.weight": torch.zeros(3)}, tmp_path / "weights.pth")
    with pytest.raises(BadRequest, match="doesn't fit torchvision's shufflenet_v2_x0_5: ") as refused:
        torchvision_features("shufflenet_v2_x0_5", weights=str(tmp_path / "weights.pth"))
    assert len(str(refused.value).splitlines()) <= 3
    with pytest.raises(BadRequest, match="no such file"):
        torchvision_features("shufflenet_v2_x0_5", weights="missing.pth")
    with pytest.raises(BadRequest, match="fasterrcnn_resnet50_fpn: torchvision has no such classifier"):
        torchvision_features("fasterrcnn_resnet50_fpn", weights="missing.pth")


def test_random_features_are_the_same_everywhere_and_see_blur_and_stillness():
    network = random_features()
    state = torch.get_rng_state()
    assert random_features().weights == network.weights and torch.equal(torch.get_rng_state(), state)
    assert network.weights[:8] == "e721ba7b"
    video = torch.zeros(256, 6, 3, 32, 32)
    draw = torch.Generator().manual_seed(0)
    for clip in video:  # a square that moves by three pixels in each frame
        y, x = torch.randint(0, 26, (2,), generator=draw).tolist()
        for t in range(6):
            left = (x + 3 * t) % 26
            clip[t, :, y : y + 6, left : left + 6] = 1.0
    still, blurred = video[:, :1].expand_as(video), F.avg_pool2d(video.flatten(0, 1), 5, 1, 2).unflatten(0, (256, 6))
    small = random_features(width=4)
    features = [small(clips) for clips in (video, still, blurred)]
    assert features[0].shape == (256, 28) and network(video[:2]).shape == (2, 112)
    halves = frechet_distance(Moments.of(features[0][::2]), Moments.of(features[0][1::2]))
    of_still, of_blurred = (frechet_distance(Moments.of(features[0]), Moments.of(other)) for other in features[1:])
    assert of_still > 3 * halves and of_blurred > 10 * halves
