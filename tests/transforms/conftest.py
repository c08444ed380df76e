import pytest
import torch


@pytest.fixture
def video() -> torch.Tensor:
    """uint8 [4 clips, 3 frames, 48, 64, 3]: smooth color gradients with a disc that moves; no two frames are equal."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    clips = []
    for n in range(4):
        frames = []
        for t in range(3):
            disc = ((x - 0.3 - 0.1 * t) ** 2 + (y - 0.2 - 0.15 * n) ** 2 < 0.03).float()
            waves = torch.stack([x * (0.6 + 0.1 * n), y, (6 * x + 9 * y + n + t).sin() * 0.4 + 0.5], dim=-1)
            frames.append((waves * 0.8 + 0.2 * disc[..., None]) * 255)
        clips.append(torch.stack(frames))
    return torch.stack(clips).to(torch.uint8)


@pytest.fixture
def batch(video: torch.Tensor) -> dict:
    return {
        "clip": video,
        "label": torch.arange(4),
        "index": torch.tensor([10, 11, 12, 13]),
        "epoch": torch.full((4,), 2),
    }
