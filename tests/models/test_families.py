"""What makes a family what it is, on numbers that can be checked by eye."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from videxp.models.classification.frame_lstm import caffenet_cells, caffenet_features, lrcn
from videxp.models.classification.huggingface import timesformer_b, vjepa2_l
from videxp.models.classification.recurrent import convlstm
from videxp.models.classification.slowfast import slow_frames
from videxp.models.classification.small import FrameCNN, SmallCNN3D
from videxp.models.classification.tsn import shift_in_time, tsm_r50
from videxp.models.classification.vgg3d import c3d
from videxp.models.summary import count_parameters, gmacs


def test_the_temporal_shift_moves_an_eighth_each_way_and_fills_with_zeros():
    frames = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1, 1).expand(1, 3, 8, 1, 1)
    next_frame, previous_frame, *own = shift_in_time(frames)[0, :, :, 0, 0].T.tolist()
    assert next_frame == [2, 3, 0]
    assert previous_frame == [0, 1, 2]
    assert own == [[1, 2, 3]] * 6


@pytest.mark.parametrize(("frames", "alpha", "expected"), [(32, 8, [0, 10, 20, 31]), (8, 4, [0, 7]), (8, 8, [0])])
def test_the_slow_pathway_sees_the_frames_of_the_authors_code(frames: int, alpha: int, expected: list[int]):
    assert slow_frames(frames, alpha=alpha) == expected
    assert torch.linspace(0, frames - 1, frames // alpha).long().tolist() == expected


def test_convlstm_with_one_layer_of_16_is_the_lstm_counted_by_hand():
    net = convlstm(num_classes=4, patch=1, states=[16], kernel=3)
    assert count_parameters(net) == (3 + 16) * 9 * 64 + 64 + 17 * 4 == 11_076


def test_a_convlstm_of_1x1_kernels_is_an_lstm_at_each_pixel():
    torch.manual_seed(0)
    layer = convlstm(num_classes=2, patch=1, states=[5], kernel=1).layers[0]
    lstm = torch.nn.LSTM(3, 5, batch_first=True)
    order = [0, 1, 3, 2]  # torch.nn.LSTM stores i, f, g, o; ours i, f, o, g
    with torch.no_grad():
        for ours, theirs in (
            (layer.from_input.weight, lstm.weight_ih_l0),
            (layer.from_state.weight, lstm.weight_hh_l0),
        ):
            theirs.copy_(torch.cat([ours[:, :, 0, 0].chunk(4)[i] for i in order]))
        lstm.bias_ih_l0.copy_(torch.cat([layer.from_input.bias.chunk(4)[i] for i in order]))
        lstm.bias_hh_l0.zero_()
        video = torch.randn(1, 6, 3, 1, 1)
        torch.testing.assert_close(layer(video).flatten(2), lstm(video.flatten(2))[0])


def test_an_even_kernel_is_refused_with_the_next_odd_one():
    with pytest.raises(ValueError, match=r"kernel=4: .* take 5"):
        convlstm(kernel=4)


def test_counts_that_papers_give_for_other_data_sets():
    with torch.device("meta"):
        assert count_parameters(c3d(num_classes=101)) == 78_409_573  # UCF101
        assert count_parameters(tsm_r50(num_classes=174)) == 23_864_558  # Something-Something v2: 23.87 M


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "parameters", "expected_gmacs"),
    [("joint_space_time", 86_112_400, 179.56), ("space_only", 86_106_256, 140.51)],
)
def test_timesformers_other_attentions(attention, parameters: int, expected_gmacs: float):
    pytest.importorskip("transformers")
    with torch.device("meta"):
        net = timesformer_b(attention=attention)
    assert count_parameters(net) == parameters
    assert gmacs(net, num_frames=8, size=224) == pytest.approx(expected_gmacs, rel=0.01)


def test_the_small_networks_are_cheap_and_alike_in_cost():
    with torch.device("meta"):
        costs = [gmacs(net(), num_frames=16, size=48) for net in (SmallCNN3D, FrameCNN)]
    assert all(0.05 < cost < 0.15 for cost in costs)


def moving_squares(num_clips: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A square on noise goes left or right, from anywhere and around the edge: one frame says nothing of the label."""
    label = torch.randint(2, (num_clips,))
    video = torch.rand(num_clips, 6, 3, 16, 16) * 0.3
    start = torch.randint(16, (num_clips, 2))
    for clip in range(num_clips):
        for frame in range(6):
            columns = (start[clip, 0] + frame * (2 * label[clip] - 1) + torch.arange(4)) % 16
            rows = (start[clip, 1] + torch.arange(4)) % 16
            video[clip, frame, :, rows[:, None], columns] = 1.0
    return video, label


@pytest.mark.slow
def test_the_3d_network_learns_motion_and_its_per_frame_control_does_not():
    accuracy = {}
    for network in (FrameCNN, SmallCNN3D):
        torch.manual_seed(0)
        (video, label), (test_video, test_label) = moving_squares(256), moving_squares(128)
        net = network(num_classes=2, width=8)
        optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
        for step in range(64):
            batch = slice(32 * (step % 8), 32 * (step % 8) + 32)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(video[batch]), label[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy[network] = (net.eval()(test_video).argmax(dim=1) == test_label).float().mean().item()
    assert accuracy[SmallCNN3D] > 0.95
    assert accuracy[FrameCNN] < 0.65


@pytest.mark.parametrize("size", [227, 224, 112, 39])
def test_lrcns_features_have_as_many_cells_as_it_was_made_for(size: int):
    with torch.device("meta"):
        cells = caffenet_features((96, 256, 384, 384, 256))(torch.empty(1, 3, size, size)).shape[2:]
    assert cells == (caffenet_cells(size), caffenet_cells(size))
    assert caffenet_cells(227) == caffenet_cells(224) == 6  # as Caffe rounds; down it would be 5 at 224


def test_lrcn_averages_over_frames_and_a_frame_knows_only_what_went_before():
    torch.manual_seed(0)
    net = lrcn(num_classes=3, size=47, widths=(8, 8, 8, 8, 8), hidden=16, state=8).eval()
    video = torch.rand(1, 4, 3, 47, 47)
    with torch.no_grad():
        at_frame = [n * net(video[:, :n]) - (n - 1) * net(video[:, : n - 1]) for n in (2, 3)]
        frames = net.relu(net.fc6(net.features(video[0]).flatten(1)))
        states, _ = net.lstm(frames[None])
        torch.testing.assert_close(at_frame[0], net.head(states[:, 1]), rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(at_frame[1], net.head(states[:, 2]), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_vjepa2_is_the_hubs_classifier_without_what_only_pretraining_needs(tmp_path: Path):
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2, "num_pooler_layers": 1}
    predictor = {"pred_hidden_size": 32, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = library.VJEPA2Config(num_labels=3, frames_per_clip=4, crop_size=32, **shape, **predictor)
    hubs = library.VJEPA2ForVideoClassification(config).eval()
    save_file(hubs.state_dict(), tmp_path / "model.safetensors")
    assert any(key.startswith("vjepa2.predictor.") for key in hubs.state_dict())
    arguments = {"num_frames": 4, "size": 32, "width": 32, "heads": 2, "depth": 2, "pooler_depth": 1}
    net = vjepa2_l(num_classes=3, weights=str(tmp_path / "model.safetensors"), **arguments).eval()
    video = torch.randn(1, 4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(video), hubs(pixel_values_videos=video).logits)
    with torch.device("meta"):
        encoder = vjepa2_l().network.vjepa2.encoder
    assert count_parameters(encoder) == 303_885_312  # the README's 300 M
