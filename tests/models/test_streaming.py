"""Networks that take a video in steps answer what they answer of the whole clip, and nothing of the video before."""

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from tests.models.zoo import CLASSIFIERS, MODELS, build, build_tiny
from videxp.models.classification.movinet import MoViNetStream, same_average
from videxp.models.classification.tsn import shift_from_past
from videxp.models.layers.streaming import Streaming, join_past, running_mean
from videxp.models.summary import gmacs

State = tuple[Tensor, ...]
STREAMING = ["cnn3d_small_stream", "movinet_a0_stream", "tsm_r50_online", "basicvsr_forward"]
A1_A2 = (("a1", 6.0), ("a2", 10))
SIZE = (35, 42)  # odd, and not a multiple of what the networks divide by


def network(name: str) -> Any:
    """Shrunk, in evaluation, with weights and statistics that let every layer be seen in the answer."""
    torch.manual_seed(0)
    net: nn.Module = build(name, **({"num_classes": 5} if name in CLASSIFIERS else {}), **MODELS[name].tiny).eval()
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.uniform_(parameter, 0.5, 1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net


def video(*, frames: int = 7, batch: int = 1, seed: int = 1) -> Tensor:
    return torch.rand(batch, frames, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def stream(net: Any, clip: Tensor, *, frames: int, state: State | None = None) -> tuple[Tensor, State]:
    """The answers to steps of so many frames, and the state at the end."""
    state = net.initial_state(len(clip), SIZE, device="cpu") if state is None else state
    answers = []
    for part in clip.split(frames, dim=1):
        answer, state = net.step(part, state)
        answers.append(answer)
    return torch.cat(answers, dim=1), cast(State, state)


def assert_same(answers: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-3
    assert (answers - expected).abs().max() < 1e-6 * max(1, float(expected.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMING)
def test_steps_of_any_length_answer_what_the_whole_clip_answers(name: str):
    net, clip = network(name), video(batch=2)
    assert isinstance(net, Streaming) and net.delay_frames == 0
    whole, last = stream(net, clip, frames=7)
    assert whole.shape[:2] == (2, 7)
    for frames in (1, 2, 5):
        answers, state = stream(net, clip, frames=frames)
        assert_same(answers, whole)
        assert [part.shape for part in state] == [part.shape for part in last]  # memory stays as it is
        assert all(len(part) == 2 for part in state)


@pytest.mark.parametrize("name", STREAMING)
def test_the_answer_after_a_frame_is_the_forward_of_the_clip_that_ends_there(name: str):
    net, clip = network(name), video(frames=5)
    answers, _ = stream(net, clip, frames=1)
    with torch.no_grad():
        whole = [net(clip[:, : i + 1]) for i in range(5)]
    expected = torch.stack([answer if answer.ndim == 2 else answer[:, -1] for answer in whole], dim=1)
    assert_same(answers, expected)


class KeepsItsState(nn.Module):
    """The stock way: buffers in the module, for its user to clear between videos."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.state: State | None = None

    def forward(self, clip: Tensor) -> Tensor:
        answers, self.state = stream(self.net, clip, frames=1, state=self.state)
        return answers


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMING)
def test_a_second_video_starts_clean(name: str):
    net, first, second = network(name), video(seed=1), video(seed=2)
    expected, _ = stream(net, second, frames=7)
    stock = KeepsItsState(network(name))
    stock(first)
    assert (stock(second) - expected).abs().max() > 1e-4  # it answers from the first video's frames
    before = {key: value.clone() for key, value in net.state_dict().items()}
    stream(net, first, frames=1)
    assert_same(stream(net, second, frames=1)[0], expected)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMING)
def test_states_of_several_videos_are_joined_along_the_batch(name: str):
    """One began three frames before the other."""
    net, early, late = network(name), video(seed=1), video(seed=2, frames=4)
    _, ahead = stream(net, early[:, :3], frames=1)
    state = tuple(map(torch.cat, zip(ahead, net.initial_state(1, SIZE, device="cpu"), strict=True)))
    answers, _ = stream(net, torch.cat([early[:, 3:], late]), frames=1, state=state)
    assert_same(answers[:1], stream(net, early, frames=1)[0][:, 3:])
    assert_same(answers[1:], stream(net, late, frames=1)[0])


@pytest.mark.parametrize("name", STREAMING)
def test_no_step_depends_on_what_is_in_the_tensors(name: str):
    """On the meta device there are no values: a branch on one would raise, as it does while a graph is exported."""
    net = network(name).to("meta")
    state = net.initial_state(2, SIZE, device="meta")
    answers, after = net.step(video(frames=3, batch=2).to("meta"), state)
    assert answers.shape[:2] == (2, 3) and [part.shape for part in after] == [part.shape for part in state]


def test_the_past_is_the_last_frames_before_even_where_a_step_has_fewer():
    past, frames = torch.zeros(1, 2, 3), torch.arange(12.0).reshape(1, 4, 3)
    both, past = join_past(past, frames[:, :1], dim=1)
    assert both[0, :, 0].tolist() == [0, 0, 0] and past[0, :, 0].tolist() == [0, 0]
    both, past = join_past(past, frames[:, 1:], dim=1)
    assert both[0, :, 0].tolist() == [0, 0, 3, 6, 9] and past[0, :, 0].tolist() == [6, 9]


def test_means_over_all_frames_so_far():
    x = torch.tensor([[[2.0], [4.0], [9.0]], [[1.0], [0.0], [2.0]]])
    first, total = running_mean(torch.zeros(2, 1), torch.zeros(2), x[:, :2])
    assert first[..., 0].tolist() == [[2, 3], [1, 0.5]] and total[:, 0].tolist() == [6, 1]
    last, total = running_mean(total, torch.full([2], 2.0), x[:, 2:])
    assert last[..., 0].tolist() == [[5], [1]] and total[:, 0].tolist() == [15, 3]


def test_the_online_shift_shows_an_eighth_of_the_channels_of_the_frame_before():
    clip = torch.arange(1.0, 4.0).view(1, 3, 1, 1, 1).repeat(1, 1, 8, 1, 1)  # frames of ones, twos and threes
    shifted, past = shift_from_past(clip, torch.zeros(1, 1, 1, 1, 1))
    assert shifted[0, :, :, 0, 0].tolist() == [[1, 0, *[1] * 6], [2, 1, *[2] * 6], [3, 2, *[3] * 6]]
    assert past.flatten().tolist() == [3]


def test_weights_of_a_bidirectional_tsm_mean_the_same_online_but_for_the_next_frame(monkeypatch: pytest.MonkeyPatch):
    tsm, online, clip = network("tsm_r50"), build_tiny("tsm_r50_online").eval(), video()
    online.load_state_dict(tsm.state_dict())

    def own_for_next(x: Tensor) -> Tensor:
        shifted, n = x.clone(), x.shape[2] // 8
        shifted[:, 1:, n : 2 * n] = x[:, :-1, n : 2 * n]
        shifted[:, 0, n : 2 * n] = 0
        return shifted

    with torch.no_grad():
        assert not torch.allclose(online(clip), tsm(clip), atol=1e-4)  # it had learned to look ahead
        monkeypatch.setattr("videxp.models.classification.tsn.shift_in_time", own_for_next)
        assert_same(online(clip), tsm(clip))


def test_basicvsr_forward_is_basicvsr_that_makes_nothing_of_what_was_carried_backward():
    both, forward, clip = network("basicvsr"), network("basicvsr_forward"), video()
    state = {key: value for key, value in both.state_dict().items() if not key.startswith("backward_trunk.")}
    channels = both.channels
    with torch.no_grad():
        both.fusion.weight[:, :channels] = 0  # backward features come first
        state["fusion.weight"] = both.fusion.weight[:, channels:]
        forward.load_state_dict(state)
        assert_same(stream(forward, clip, frames=1)[0], both(clip))
    assert not isinstance(both, Streaming)


def test_a_cleaning_that_goes_by_the_whole_clip_is_refused_forwards():
    with pytest.raises(ValueError, match="cleaning_blocks=1 goes by the whole clip, direction=forward does not"):
        build("basicvsr_forward", cleaning_blocks=1)


def test_averages_at_the_edge_are_of_the_pixels_that_there_are():
    """As TensorFlow's: of an even side the last window has two, of an odd one the first and the last."""
    assert same_average(torch.arange(4.0).view(1, 1, 1, 4)).flatten().tolist() == [1, 2.5]
    assert same_average(torch.arange(5.0).view(1, 1, 1, 5)).flatten().tolist() == [0.5, 2, 3.5]


def test_a_clip_keeps_or_loses_a_block_as_a_whole():
    net = cast(MoViNetStream, network("movinet_a0_stream"))
    block: Any = net.blocks["b1_l1"].train()
    block.drop_path.p = 0.5
    x = torch.randn(64, block.expand.conv.in_channels, 4, 4)  # 16 clips of 4 frames
    state = tuple(torch.zeros(shape) for shape in block.state_shapes(16, (4, 4)))
    with torch.no_grad():
        kept = (block(x, torch.zeros(16), state)[0] != x).flatten(1).any(dim=1).view(16, 4)
    assert (kept.all(dim=1) | ~kept.any(dim=1)).all() and 0 < kept.sum() < 64


@pytest.mark.slow
@pytest.mark.parametrize(("name", "printed"), [("a0", 2.7), *(pytest.param(*p, marks=pytest.mark.slow) for p in A1_A2)])
def test_multiply_accumulates_are_near_the_figures_that_the_authors_print_for_base_and_stream(
    name: str, printed: float
):
    model = MODELS[f"movinet_{name}_stream"]
    frames, size = model.published["clip"]
    with torch.device("meta"):
        net = build(model.name)
    assert gmacs(net, num_frames=frames, size=size) == pytest.approx(printed, rel=0.11)
