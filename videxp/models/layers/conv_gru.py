"""A recurrent layer over feature maps: Ballas et al. 2016, "Delving Deeper into Convolutional Networks for Learning
Video Representations", section 3. Legend: B clips, T frames, D features."""

import torch
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """[B,T,D,h,w] -> the state after each frame, [B,T,D,h,w]; 3x3 convolutions. reverse: from the last frame on."""

    def __init__(self, width: int, *, reverse: bool = False) -> None:
        super().__init__()
        self.reverse = reverse
        self.gates = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        state = torch.zeros_like(features[:, 0])
        states = []
        for x in features.flip(1).unbind(1) if self.reverse else features.unbind(1):
            reset, update = self.gates(torch.cat([x, state], 1)).sigmoid().chunk(2, dim=1)
            fresh = self.candidate(torch.cat([x, reset * state], 1)).tanh()
            state = state + update * (fresh - state)
            states.append(state)
        return torch.stack(states[::-1] if self.reverse else states, dim=1)
