"""What a restoration network gets and what it is to restore: moved alike, reproducible, or refused in a line."""

import pytest
import torch

from videxp.core.errors import BadRequest
from videxp.transforms import BicubicDown, BlurDown, RestorationEval, RestorationTrain
from videxp.transforms.restoration import Degraded


def numbered(batch: dict, *, size: int = 16) -> dict:
    """Every pixel of every frame another value; a square clip. `input`: every fourth pixel of it."""
    video = torch.randint(0, 256, (4, 3, size, size, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return {**batch, "clip": video}


def with_input(batch: dict) -> dict:
    return {**batch, "degraded": batch["clip"][:, :, ::4, ::4]}


def test_evaluation_is_the_clip_and_its_degradation(batch: dict) -> None:
    out = RestorationEval(degradation=BicubicDown(scale=4))(batch)
    assert torch.equal((out["target"] * 255).round().to(torch.uint8), batch["clip"].permute(0, 1, 4, 2, 3))
    assert torch.equal(out["video"], BicubicDown(scale=4)(out["target"]).video)
    assert out["video"].shape == (4, 3, 3, 12, 16) and out["target"].shape == (4, 3, 3, 48, 64)
    assert out["label"] is batch["label"] and batch["clip"].dtype == torch.uint8


def test_an_input_from_the_data_is_taken_as_it_is(batch: dict) -> None:
    out = RestorationEval()(with_input(batch))
    assert torch.equal(out["video"], out["target"][..., ::4, ::4])
    assert "clip" not in out and "degraded" not in out


@pytest.mark.parametrize("transform", [RestorationEval, RestorationTrain])
def test_an_input_and_a_degradation_or_none_is_said_in_a_line(transform: type, batch: dict) -> None:
    with pytest.raises(BadRequest, match="brings the network's input: set degradation=null"):
        transform(degradation=BicubicDown(scale=4), seed=0)(with_input(batch))
    with pytest.raises(BadRequest, match="no degradation, and the data brings no input"):
        transform(seed=0)(batch)


def test_independent_flips_of_clip_and_input_would_not_fit_and_ours_do(batch: dict) -> None:
    pair = with_input(numbered(batch))
    stock = pair["degraded"].flip(3)  # flipped by itself
    assert not torch.equal(stock, pair["clip"][:, :, ::4, ::4])
    plain = RestorationEval()(pair)
    seen = set()
    for epoch in range(40):
        moved = RestorationTrain(seed=0, reverse_time=0.5)({**pair, "epoch": torch.full((4,), epoch)})
        for n in range(4):
            position = next(
                (flip, turns, back)
                for flip in (0, 1)
                for turns in range(4)
                for back in (0, 1)
                if torch.equal(at(plain["target"][n], flip, turns, back), moved["target"][n])
            )
            assert torch.equal(at(plain["video"][n], *position), moved["video"][n])
            seen.add(position)
    assert len(seen) == 16  # 8 positions of a square, forwards and backwards


def at(clip: torch.Tensor, flip: int, turns: int, back: int) -> torch.Tensor:
    clip = clip.flip(0) if back else clip
    clip = clip.flip(-1) if flip else clip
    return clip.rot90(turns, (-2, -1))


def test_frames_that_are_not_square_keep_their_shape(batch: dict) -> None:
    out = RestorationTrain(degradation=BlurDown(scale=4), seed=1)(batch)
    assert out["target"].shape == (4, 3, 3, 48, 64)


def test_what_is_drawn_depends_on_seed_epoch_and_index_alone(batch: dict) -> None:
    batch = numbered(batch)
    transform = RestorationTrain(degradation=BicubicDown(scale=4), seed=3)
    together = transform(batch)
    one = transform({name: value[2:3] for name, value in batch.items()})
    assert torch.equal(one["target"][0], together["target"][2]) and torch.equal(one["video"][0], together["video"][2])
    others = [transform({**batch, "epoch": batch["epoch"] + k})["target"] for k in (1, 2, 3)]
    assert not all(torch.equal(other, together["target"]) for other in others)


def test_a_mirrored_clip_goes_forth_and_back(batch: dict) -> None:
    out = RestorationEval(degradation=BicubicDown(scale=4), mirror=True)(batch)
    for name in ("video", "target"):
        clip = out[name]
        assert clip.shape[1] == 6
        assert torch.equal(clip, clip.flip(1))
        assert not torch.equal(clip[:, 0], clip[:, 1])


class TakesRngs(torch.nn.Module):
    def forward(self, clip: torch.Tensor, rngs: list) -> torch.Tensor:
        return clip


class AddsNoise(torch.nn.Module):
    """A degradation that draws, as denoising will have it."""

    scale = 1

    def forward(self, clip: torch.Tensor, rngs: list) -> Degraded:
        noise = torch.stack([torch.from_numpy(rng.standard_normal(one.shape)).float() for one, rng in zip(clip, rngs)])
        return Degraded(clip + noise, clip, condition=noise[:, :, :1])


def test_a_random_degradation_is_drawn_for_each_clip_by_its_own_generator(batch: dict) -> None:
    evaluation = RestorationEval(degradation=AddsNoise(), seed=1)
    first, again = evaluation(batch)["video"], evaluation(batch)["video"]
    assert torch.equal(first, again)
    alone = evaluation({name: value[1:2] for name, value in batch.items()})["video"]
    assert torch.equal(alone[0], first[1])
    assert not torch.equal(first, RestorationEval(degradation=AddsNoise(), seed=2)(batch)["video"])
    noise = first - evaluation(batch)["target"]
    condition = evaluation(batch)["condition"]
    assert torch.allclose(condition, noise[:, :, :1], atol=1e-5)
    mirrored = RestorationEval(degradation=AddsNoise(), seed=1, mirror=True)(batch)["condition"]
    assert torch.equal(mirrored, torch.cat([condition, condition.flip(1)], dim=1))
    assert not torch.equal(noise[0], noise[1])


def test_a_degradation_of_ones_own_that_gives_no_target_is_told_what_to_give(batch: dict) -> None:
    with pytest.raises(BadRequest, match=r"TakesRngs: forward gives a Tensor; write Degraded\(video, target\)"):
        RestorationEval(degradation=TakesRngs())(batch)
