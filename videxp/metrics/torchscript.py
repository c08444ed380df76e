"""Feature networks from TorchScript files: any, and the I3D of FVD. Legend: N clips, T frames, C = 3 channels, H, W."""

import hashlib
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from videxp.core.errors import BadRequest
from videxp.core.files import hash_file
from videxp.metrics.features import FeatureNetwork, PixelInput


class TorchScriptNetwork(FeatureNetwork):
    """A TorchScript file. It is a program, and running it is the purpose: name only files that you trust.

    It may use every operator of TorchScript (reading and writing files among them), but is no Python; a pickle is not
    opened. The file is called with float [N,C,T,H,W] as `pixels` makes it, and `arguments` by name.
    """

    def __init__(
        self,
        path: str,
        *,
        name: str,
        pixels: PixelInput,
        input_text: str | None = None,
        arguments: dict[str, bool] | None = None,
    ) -> None:
        script, weights = _load_script(path), hash_file(Path(path), hashlib.sha256())
        super().__init__(script, name=name, weights=weights, input_text=input_text or str(pixels))
        self.path, self.pixels, self.arguments = path, pixels, arguments or {}

    def compute(self, video_NTCHW: Tensor) -> Tensor:
        given = self.pixels(video_NTCHW).transpose(1, 2)
        try:
            return self.network(given, **self.arguments).float()
        except (RuntimeError, torch.jit.Error) as error:
            cause = str(error).strip().splitlines()[-1][:200]
            raise BadRequest(f"{self.path}: fails on clips {list(given.shape)} [N,C,T,H,W]: {cause}") from error


class I3D(TorchScriptNetwork):
    """The I3D of FVD (Unterthiner et al. 2018), from the file `i3d_torchscript.pt` of StyleGAN-V: 400 features.

    resize="inside": called as StyleGAN-V calls it, the file scales to 224x224 (bilinear, not antialiased) and [-1,1];
    "antialiased": both are done here. Figures of the two are not comparable. Raises BadRequest for a file that returns
    anything but [N,400]: published figures came of wrong files.
    """

    def __init__(self, path: str, *, resize: Literal["inside", "antialiased"] = "inside") -> None:
        inside = resize == "inside"
        super().__init__(
            path,
            name="i3d",
            pixels=PixelInput(None) if inside else PixelInput(224, (127.5,), (127.5,)),
            input_text="224x224 and [-1,1] within the file, as in StyleGAN-V" if inside else None,
            arguments={"rescale": inside, "resize": inside, "return_features": True},
        )

    def compute(self, video_NTCHW: Tensor) -> Tensor:
        features = super().compute(video_NTCHW)
        if features.shape != (len(video_NTCHW), 400):
            raise BadRequest(
                f"{self.path} returns {list(features.shape)} for {len(video_NTCHW)} clips, not [N,400]: no I3D of FVD\n"
                "Use TorchScriptNetwork, whose figures are not called FVD"
            )
        return features


def _load_script(path: str) -> nn.Module:
    if not Path(path).is_file():
        raise BadRequest(f"{path}: no such file. Give the path of a TorchScript file")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.load")  # deprecated, but what the field's files are
            return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise BadRequest(f"{path}: no TorchScript file, or a damaged one") from error
