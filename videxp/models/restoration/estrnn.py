"""ESTRNN: a recurrent cell of residual dense blocks and attention over five frames. Zhong et al. 2020, "Efficient
Spatio-Temporal Recurrent Neural Network for Video Deblurring", section 3.

The defaults are the paper's C80B15 (2,467,931 parameters); `blocks=9` has 1,763,387. The authors' files load. Their
code gives frames 2 to T-3 alone; here all T come out, and at both ends of a clip its frames' features are mirrored.

D = channels, h, w = the features' size, a quarter of the frames'.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from videxp.core.limits import Ge
from videxp.models.layers.restoration_blocks import initialize_small, pad_to_multiple, windows
from videxp.models.weights import Renames, load_weights

DENSE_LAYERS = 3
ESTRNN_NAMES: Renames = (
    (r"\bF_B0\.", "encoder.0."),
    (r"\bF_B1\.rdb\.", "encoder.1."),
    (r"\bF_B1\.down_sampling\.", "encoder.2."),
    (r"\bF_B2\.rdb\.", "encoder.3."),
    (r"\bF_B2\.down_sampling\.", "encoder.4."),
    (r"\bF_R\.RDBs\.", "body.blocks."),
    (r"\bF_R\.conv1x1\.", "body.join."),
    (r"\bF_R\.conv3x3\.", "body.smooth."),
    (r"\bF_h\.", "to_state."),
    (r"\bdense_layers\.(\d)\.conv\.", r"layers.\1."),
    (r"\bconv1x1\.", "join."),
    (r"\brecons\.model\.", "head."),
    (r"\bfusion\.F_f\.", "fusion.gate."),
    (r"\bfusion\.F_p\.", "fusion.pair."),
    (r"\bfusion\.fusion\.", "fusion.join."),
)


class ESTRNN(nn.Module):
    """[B,T,3,H,W] in [0,1] -> the same shape; a frame depends on all before it and on `neighbors` after it.

    neighbors: frames to either side whose features are fused. recurrent: False, with neighbors=0: each frame by itself,
    the control. skip: the output is added to the frame (not in the paper, whose 500 epochs also learn what is there).
    """

    scale = 1

    def __init__(
        self,
        *,
        channels: Annotated[int, Ge(2)] = 16,
        blocks: Annotated[int, Ge(1)] = 15,
        neighbors: Annotated[int, Ge(0)] = 2,
        recurrent: bool = True,
        skip: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.radius = None if recurrent else neighbors
        self.future = neighbors
        self.skip = skip
        self.cell = Cell(channels, blocks=blocks, recurrent=recurrent)
        frames = 2 * neighbors + 1
        self.fusion = Fusion(5 * channels, frames=frames)
        self.head = nn.Sequential(
            nn.ConvTranspose2d(frames * 5 * channels, 2 * channels, 3, stride=2, padding=1, output_padding=1),
            nn.ConvTranspose2d(2 * channels, channels, 3, stride=2, padding=1, output_padding=1),
            last := nn.Conv2d(channels, 3, 5, padding=2),
        )
        if skip:
            initialize_small(last)  # begins near the frame
        load_weights(self, weights, renames=ESTRNN_NAMES)

    def forward(self, video: Tensor) -> Tensor:
        frames = (pad_to_multiple(video, 4) - 0.5).unbind(1)
        state = frames[0].new_zeros(video.shape[0], self.channels, *(n // 4 for n in frames[0].shape[-2:]))
        features = []
        for frame in frames:
            known, state = self.cell(frame, state)
            features.append(known)
        outputs = [
            self.head(self.fusion([features[i] for i in around])) + (frame if self.skip else 0)
            for frame, around in zip(frames, windows(len(frames), self.future), strict=True)
        ]
        height, width = video.shape[-2:]
        return torch.stack(outputs, dim=1)[..., :height, :width] + 0.5


class Cell(nn.Module):
    """Frame [B,3,4h,4w] and state [B,D,h,w] -> features [B,5D,h,w] and the next state (section 3.2).

    recurrent: False: the state stays as it is.
    """

    def __init__(self, width: int, *, blocks: int, recurrent: bool = True) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 5, padding=2),
            ResidualDenseBlock(width, growth=width),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding=2),
            ResidualDenseBlock(2 * width, growth=3 * width // 2),
            nn.Conv2d(2 * width, 4 * width, 5, stride=2, padding=2),
        )
        self.body = Body(5 * width, growth=2 * width, blocks=blocks)
        self.to_state = (
            nn.Sequential(
                nn.Conv2d(5 * width, width, 3, padding=1),
                ResidualDenseBlock(width, growth=width),
                nn.Conv2d(width, width, 3, padding=1),
            )
            if recurrent
            else None
        )

    def forward(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(torch.cat([self.encoder(frame), state], dim=1))
        return features, state if self.to_state is None else self.to_state(features)


class Body(nn.Module):
    """Residual dense blocks, one after the other; all of their outputs joined: [B,D,h,w] -> [B,D,h,w]."""

    def __init__(self, width: int, *, growth: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualDenseBlock(width, growth=growth) for _ in range(blocks))
        self.join = nn.Conv2d(blocks * width, width, 1)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.smooth(self.join(torch.cat(outputs, dim=1)))


class ResidualDenseBlock(nn.Module):
    """x + join([x, y_1, ..., y_3]), each y made of all before it (Zhang et al. 2018): [B,D,h,w] -> [B,D,h,w]."""

    def __init__(self, width: int, *, growth: int) -> None:
        super().__init__()
        widths = [width + i * growth for i in range(DENSE_LAYERS + 1)]
        self.layers = nn.ModuleList(nn.Conv2d(d_in, growth, 3, padding=1) for d_in in widths[:-1])
        self.join = nn.Conv2d(widths[-1], width, 1)

    def forward(self, x: Tensor) -> Tensor:
        known = x
        for layer in self.layers:
            known = torch.cat([known, F.gelu(layer(known))], dim=1)
        return x + self.join(known)


class Fusion(nn.Module):
    """GSA, global spatio-temporal attention (section 3.3): the features of each neighbor beside the middle frame's pass
    a gate that the mean of both over space opens: frames x [B,D,h,w] -> [B,frames*D,h,w]."""

    def __init__(self, width: int, *, frames: int) -> None:
        super().__init__()
        if frames > 1:
            self.gate = nn.Sequential(
                nn.Linear(2 * width, 4 * width), nn.GELU(), nn.Linear(4 * width, 2 * width), nn.Sigmoid()
            )
            self.pair = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.Conv2d(4 * width, 2 * width, 1))
            self.condense = nn.Conv2d(2 * width, width, 1)
        self.join = nn.Conv2d(frames * width, frames * width, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        middle = features[len(features) // 2]
        neighbors = [one for i, one in enumerate(features) if i != len(features) // 2]
        gated = [self._gated(torch.cat([middle, neighbor], dim=1)) for neighbor in neighbors]
        return self.join(torch.cat([*gated, middle], dim=1))

    def _gated(self, both: Tensor) -> Tensor:
        return self.condense(self.gate(both.mean(dim=(-2, -1)))[..., None, None] * self.pair(both))
