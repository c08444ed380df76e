"""SRResNet, frame by frame: what a video network has to beat. Ledig et al. 2017, "Photo-Realistic Single Image
Super-Resolution Using a Generative Adversarial Network", section 2.1; here the "MSRResNet" of BasicSR and ESRGAN's
authors: 16 blocks of 64 channels without batch normalization, on top of a bilinear enlargement (1,517,571 at x4).

BasicSR's files load.
"""

from typing import Annotated

from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import Enlarge, Scale, enlarge_bilinear, initialize_small, residual_chain
from videxp.models.weights import Renames, load_weights

HEAD_NAMES: Renames = (
    (r"upsample(\d)\.upsample_conv\.", r"head.upconv\1."),  # mmagic
    (r"(?<!head\.)\b(upconv\d|conv_hr|conv_last)\.", r"head.\1."),
)


class SRResNet(nn.Module):
    """[B,T,3,h,w] in [0,1] -> [B,T,3,scale*h,scale*w]; each frame by itself."""

    radius = 0

    def __init__(
        self,
        *,
        scale: Scale = 4,
        channels: Annotated[int, Ge(1)] = 64,
        blocks: Annotated[int, Ge(1)] = 16,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.body = residual_chain(channels, blocks)
        self.head = Enlarge(channels, factor=scale)
        for conv in (self.conv_first, *self.head.children()):
            assert isinstance(conv, nn.Conv2d)
            initialize_small(conv)
        load_weights(self, weights, renames=HEAD_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        frames = video.flatten(0, 1)
        features = self.body(F.leaky_relu(self.conv_first(frames), 0.1))
        return (self.head(features) + enlarge_bilinear(frames, self.scale)).unflatten(0, video.shape[:2])
