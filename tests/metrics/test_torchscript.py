import hashlib
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.errors import BadRequest
from videxp.metrics.features import PixelInput
from videxp.metrics.torchscript import I3D, TorchScriptNetwork

VIDEO = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class LikeI3D(nn.Module):
    """The arguments of StyleGAN-V's file; its features say what the layers were given."""

    def __init__(self, features: int = 400) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        x = x.float()
        if resize:
            x = F.interpolate(x, [x.shape[2], 224, 224], mode="trilinear", align_corners=False)
        if rescale:
            x = x / 255 * 2 - 1
        if x.shape[1] != 3:
            raise ValueError("three channels")
        given = torch.stack([x.mean(), x.min(), x.max(), torch.tensor(float(x.shape[-1])), x[0, 0, 1].mean()])
        features = torch.zeros(x.shape[0], self.features)
        features[:, :5] = given
        return features if return_features else features.softmax(1)


def script(path: Path, network: nn.Module) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of TorchScript as such
        torch.jit.save(torch.jit.script(network), path)
    return str(path)


def test_i3d_is_called_as_stylegan_v_calls_it(tmp_path):
    path = script(tmp_path / "i3d.pt", LikeI3D())
    mean, lowest, highest, size, frame = I3D(path)(VIDEO)[0, :5].tolist()
    expected = LikeI3D()(VIDEO.permute(0, 2, 1, 3, 4), rescale=True, resize=True, return_features=True)[0, :5].tolist()
    assert [mean, lowest, highest, size, frame] == pytest.approx(expected, abs=1e-5)
    assert size == 224 and lowest >= -1 and highest <= 1
    assert frame == pytest.approx(float(VIDEO[0, 1, 0].float().mean() / 127.5 - 1), abs=2e-3)  # time is time


def test_i3d_with_our_own_resizing(tmp_path):
    judge = I3D(script(tmp_path / "i3d.pt", LikeI3D()), resize="antialiased")
    mean, lowest, highest, size, _ = judge(VIDEO)[0, :5].tolist()
    assert size == 224 and lowest >= -1 and highest <= 1
    assert mean == pytest.approx(float(PixelInput(224, (127.5,), (127.5,))(VIDEO).mean()), abs=1e-5)
    assert str(judge) != str(I3D(judge.path))


def test_a_file_with_other_features_is_no_i3d(tmp_path):
    path = script(tmp_path / "other.pt", LikeI3D(features=512))
    with pytest.raises(BadRequest, match=r"returns \[2, 512\] for 2 clips, not \[N,400\]: no I3D of FVD"):
        I3D(path)(VIDEO)


def test_a_classifier_is_called_with_pixels_and_nothing_else(tmp_path):
    """C3D of the inception score of UCF-101: probabilities of [N,3,T,H,W] in [0,255]."""
    judge = TorchScriptNetwork(script(tmp_path / "c3d.pt", LikeI3D(101)), name="c3d", pixels=PixelInput(None))
    torch.testing.assert_close(judge(VIDEO), LikeI3D(101)(VIDEO.permute(0, 2, 1, 3, 4)))
    assert judge(VIDEO).sum(1).tolist() == pytest.approx([1, 1])


def test_the_file_is_known_by_its_hash(tmp_path):
    path = script(tmp_path / "i3d.pt", LikeI3D())
    expected = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert I3D(path).weights == expected
    assert (
        str(I3D(path)) == f"i3d (weights sha256:{expected[:12]}; 224x224 and [-1,1] within the file, as in StyleGAN-V)"
    )


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_not_opened(tmp_path):
    went_off, file = tmp_path / "went_off", tmp_path / "i3d.pt"
    torch.save(Bomb(went_off), file)
    torch.load(file, weights_only=False)
    assert went_off.exists()  # negative control
    went_off.unlink()
    for content in (file.read_bytes(), pickle.dumps(Bomb(went_off)), b""):
        file.write_bytes(content)
        with pytest.raises(BadRequest, match=r"i3d\.pt: no TorchScript file, or a damaged one"):
            I3D(str(file))
    assert not went_off.exists()


def test_what_the_file_refuses_is_told_in_a_line(tmp_path):
    judge = I3D(script(tmp_path / "i3d.pt", LikeI3D()))
    with pytest.raises(
        BadRequest, match=r"fails on clips \[2, 1, 4, 16, 16\] \[N,C,T,H,W\]: .*three channels"
    ) as refused:
        judge(VIDEO[:, :, :1])
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(BadRequest, match=r"missing\.pt: no such file"):
        I3D("missing.pt")
