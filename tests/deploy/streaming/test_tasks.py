"""What tasks answer of a stream is what they answer of the same frames of a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.deploy.networks import Convolutions, Identity, Recurrent
from tests.models.zoo import MODELS
from tests.shrink import model_overrides, tiny
from videxp import config
from videxp.core.errors import BadRequest
from videxp.data.loading.file_clips import read_file_clips
from videxp.deploy.labels import label_video
from videxp.deploy.restore import plan_for, restored
from videxp.deploy.scene_files import find_shots
from videxp.deploy.streaming.drawing import draw_line
from videxp.deploy.streaming.labels import LabelStreamer
from videxp.deploy.streaming.restore import RestoreStreamer
from videxp.deploy.streaming.sampler import Sampler
from videxp.deploy.streaming.scenes import SceneStreamer
from videxp.deploy.streaming.streamer import Answer
from videxp.models.restoration.basicvsr import BasicVSR
from videxp.models.restoration.bsvd import BSVD
from videxp.tasks.building import build_task
from videxp.video import open_video, write_video
from videxp.video.live.capture import LiveFrame
from videxp.video.sampling import clip_at_fps
from videxp.video.sequence import Picture
from videxp.video.timing import FrameTimes

FILM = np.random.default_rng(3).integers(0, 255, (45, 12, 16, 3), np.uint8).repeat(4, 1).repeat(4, 2)


def live(pictures: Any, *, fps: float = 25) -> list[LiveFrame]:
    return [LiveFrame(picture, number, number / fps, 0.0) for number, picture in enumerate(pictures)]


def of_file(path: Path, streamer: Any) -> list[LiveFrame]:
    with open_video(path) as reader:
        pictures = reader.pictures(range(reader.num_frames), size=streamer.picture_size(reader.size))
        return live([picture.copy() for _, picture in pictures], fps=reader.fps)


@torch.inference_mode()
def answers(streamer: Any, frames: list[LiveFrame], *, draw: bool = False) -> list[Answer]:
    return list(streamer.answers(iter(frames), draw=draw))


def told(streamer: Any, frames: list[LiveFrame]) -> list[dict[str, Any]]:
    return [answer.told for answer in answers(streamer, frames) if answer.told is not None]


# ---- which frames ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "fps"), [(30, 10), (29.97, 10), (10, 20), (25, 8)])
def test_frames_are_chosen_by_time_as_those_of_a_clip(rate: float, fps: float):
    sampler: Sampler[LiveFrame] = Sampler(fps=fps)
    frames = live([np.empty(0)] * 60, fps=rate)
    chosen = [one.number for frame in frames for one in sampler.take(frame)]
    expected = clip_at_fps(FrameTimes(60, rate), num_frames=len(chosen), target_fps=fps)
    assert chosen == expected.tolist() and len(chosen) >= int(59 / rate * fps)


def test_frames_are_chosen_by_number():
    sampler: Sampler[LiveFrame] = Sampler(stride=3)
    frames = live([np.empty(0)] * 10)
    assert [one.number for frame in frames for one in sampler.take(frame)] == [0, 3, 6, 9]


# ---- classification -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier() -> tuple[Any, Any]:
    """A task with fresh weights and the data module of its recipe."""
    torch.manual_seed(0)
    cfg = config.compose("classification/moving_digits", tiny("dataset.stride_frames=2")).cfg
    return build_task(cfg, classes=list("abcdefghij")).eval(), config.build(cfg.dataset)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "a.mp4"
    write_video(path, FILM, fps=25)
    return path


def window_answer(task: Any, data: Any, path: Path, numbers: list[int]) -> dict[str, float]:
    """The five likeliest classes of these frames of a file, read and answered as `videxp predict` does."""
    read = read_file_clips(
        path, choice=data.choice_of("test"), decoding=data.decoding, cutter=data.cutter("test"), frames=numbers
    )
    batch = {"clip": read.clip, "index": torch.zeros(1).long(), "epoch": torch.zeros(1).long()}
    with torch.inference_mode():
        video = data.transformed(batch, "test", device=torch.device("cpu"))
        probabilities_K = task.answer(video).softmax(-1).mean(0)
    best = probabilities_K.topk(5)
    return {task.classes[i]: round(float(p), 6) for p, i in zip(best.values, best.indices.tolist())}


@pytest.mark.slow
def test_windows_of_a_stream_are_those_of_its_file(classifier: tuple[Any, Any], film: Path):
    task, data = classifier
    length = data.choice_of("test").num_frames
    streamer = LabelStreamer(task, data, hop=3)
    assert streamer.about["latency_frames"] == 2 * (length - 1) and streamer.about["frames"] == "1 of 2"
    got = [answer for answer in answers(streamer, of_file(film, streamer)) if answer.told is not None]
    chosen = list(range(0, len(FILM), 2))
    windows = [chosen[start : start + length] for start in range(0, len(chosen) - length + 1, 3)]
    assert len(windows) > 3 and [answer.frame.number for answer in got] == [window[-1] for window in windows]
    for answer, window in zip(got, windows, strict=True):
        assert answer.told is not None
        assert answer.told["probabilities"] == window_answer(task, data, film, window)
        assert answer.told["label"] == next(iter(answer.told["probabilities"]))


def test_a_stream_of_one_window_is_answered_as_predict_answers_it(classifier: tuple[Any, Any], tmp_path: Path):
    """Also one that is shorter, which is looped as the run's clips are."""
    task, data = classifier
    length = data.choice_of("test").num_frames
    for frames in (2 * length - 1, 5):
        write_video(path := tmp_path / f"{frames}.mp4", FILM[:frames], fps=25)
        (got,) = told(streamer := LabelStreamer(task, data), of_file(path, streamer))
        expected = label_video(task, data, path)
        if frames == 5:  # predict loops over the frames themselves, a stream over those that it has chosen
            assert got["is_short"] and got["label"] in task.classes
        else:
            assert got["probabilities"] == expected["probabilities"] and got["label"] == expected["label"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["movinet_a0_stream", "tsm_r50_online"])
def test_a_streaming_network_answers_every_frame_of_all_so_far(model: str, film: Path):
    torch.manual_seed(0)
    words = tiny(f"model={model}", "dataset.stride_frames=2", *model_overrides("++model", MODELS[model].tiny))
    cfg = config.compose("classification/moving_digits", words).cfg
    task, data = build_task(cfg, classes=list("abcdefghij")).eval(), config.build(cfg.dataset)
    streamer = LabelStreamer(task, data)
    assert (streamer.about["mode"], streamer.about["latency_frames"]) == ("frame by frame", 0)
    got = [answer for answer in answers(streamer, of_file(film, streamer)) if answer.told is not None]
    assert [answer.frame.number for answer in got] == list(range(0, len(FILM), 2))
    for answer in (got[0], got[4], got[-1]):
        assert answer.told is not None
        expected = window_answer(task, data, film, list(range(0, answer.frame.number + 1, 2)))
        assert answer.told["probabilities"] == pytest.approx(expected, abs=2e-6)
    again = told(streamer, of_file(film, streamer))  # nothing is left of the stream before
    assert again == [answer.told for answer in got]


@pytest.mark.slow
def test_clips_that_are_spread_over_a_whole_video_need_a_span():
    cfg = config.compose("classification/moving_digits", tiny("dataset.clips.sampling=segments")).cfg
    task, data = build_task(cfg, classes=list("abcdefghij")).eval(), config.build(cfg.dataset)
    with pytest.raises(BadRequest, match="a stream has no end: --span 32 spreads the 4 frames"):
        LabelStreamer(task, data)
    assert LabelStreamer(task, data, span=32).stride == 8


def test_the_latest_answer_is_drawn_on_every_frame(classifier: tuple[Any, Any], film: Path):
    streamer = LabelStreamer(*classifier)
    got = answers(streamer, of_file(film, streamer), draw=True)
    drawn = [answer.picture_HWC for answer in got if answer.picture_HWC is not None]
    assert len(drawn) == len(FILM)
    before, after = drawn[0], drawn[-1]
    with open_video(film) as reader:
        frames = reader.frames(range(len(FILM))).numpy()
    first, last = (frame.repeat(4, 0).repeat(4, 1) for frame in (frames[0], frames[-1]))  # 48x64: too small for letters
    assert np.array_equal(before, first)  # nothing is known yet
    assert not np.array_equal(after[:10], last[:10]) and np.array_equal(after[24:], last[24:])


@pytest.mark.parametrize(("size", "drawn"), [((27, 48), (162, 288)), ((40, 40), (160, 160)), ((240, 320), (240, 320))])
def test_a_line_is_read_in_a_picture_of_any_size_and_leaves_most_of_it(size: tuple[int, int], drawn: tuple[int, int]):
    picture = np.full((*size, 3), 128, np.uint8)
    seen = draw_line(picture, "playing the trombone 0.87", share=0.5)
    is_covered = (seen != 128).any(-1)
    assert seen.shape == (*drawn, 3) and is_covered.mean() < 1 / 8
    letters = np.flatnonzero((seen[:10] > 200).all(-1).any(0))
    assert letters.min() > 0 and letters.max() < drawn[1] - 1  # none is cut off


# ---- restoration ----------------------------------------------------------------------------------------------------


class Task:
    """As much of a restoration task as a `Restorer` asks for."""

    def __init__(self, network: nn.Module) -> None:
        self.deployed = network.eval()

    def network_inputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(batch[name] for name in ("video", "condition") if name in batch)


def streamer_of(network: nn.Module, **more: Any) -> RestoreStreamer:
    from videxp.deploy.restore import Restorer

    return RestoreStreamer(Restorer(Task(network)), **more)


@pytest.mark.parametrize("network", [Convolutions(), Recurrent(), Identity()])
def test_a_restored_stream_is_the_restored_file(network: nn.Module):
    streamer = streamer_of(network)
    got = answers(streamer, live(FILM))
    plan = plan_for(network, FILM.shape[1:3])
    expected = [picture.pixels_HWC for picture in restored(network, [Picture(f) for f in FILM], plan=plan)]
    assert [answer.frame.number for answer in got] == list(range(len(FILM)))
    assert all(np.array_equal(answer.picture_HWC, picture) for answer, picture in zip(got, expected, strict=True))


@pytest.mark.parametrize(("network", "late"), [(Convolutions(), 12), (Recurrent(), 30), (Identity(), 0)])
def test_no_frame_is_later_than_stated(network: nn.Module, late: int):
    streamer = streamer_of(network)
    assert streamer.about["latency_frames"] == late
    newest = [-1]

    def coming() -> Iterator[LiveFrame]:
        for frame in live(FILM):
            newest[0] = frame.number
            yield frame

    with torch.inference_mode():
        delays = [newest[0] - answer.frame.number for answer in streamer.answers(coming(), draw=True)]
    assert max(delays) == late


class Delayed(nn.Module):
    """The mean of a frame and the one after it, which it waits for; the last stands for its own."""

    scale, radius, delay_frames = 1, 1, 1

    def forward(self, video: Tensor) -> Tensor:
        return (video + torch.cat([video[:, 1:], video[:, -1:]], 1)) / 2

    def initial_state(self, batch: int, size: tuple[int, int], *, device: Any, dtype: Any = torch.float32) -> Any:
        return (torch.zeros(batch, 1, 3, *size, device=device, dtype=dtype),)

    def step(self, video: Tensor, state: Any) -> tuple[Tensor, Any]:
        both = torch.cat([state[0], video], 1)
        return (both[:, :-1] + both[:, 1:]) / 2, (both[:, -1:],)


def test_a_streaming_restorer_gives_its_clip_frame_by_frame():
    network = Delayed()
    streamer = streamer_of(network)
    assert streamer.about["mode"] == "frame by frame" and streamer.about["latency_frames"] == 1
    clip = torch.from_numpy(FILM).permute(0, 3, 1, 2).float().div(255)[None]
    expected = network(clip)[0].mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    got = answers(streamer, live(FILM))
    assert np.array_equal(np.stack([answer.picture_HWC for answer in got]), expected)
    assert [answer.frame.number for answer in got] == list(range(len(FILM)))
    assert np.array_equal(answers(streamer, live(FILM[:1]))[0].picture_HWC, FILM[0])
    with pytest.raises(BadRequest, match="--window 4: this network goes frame by frame"):
        streamer_of(network, sizes={"window": 4})


@pytest.mark.slow
def test_a_recurrent_network_without_a_way_back_streams_and_one_with_it_tells_what_would():
    torch.manual_seed(0)
    both, forward = (BasicVSR(channels=4, blocks=1, direction=way).eval() for way in ("both", "forward"))
    assert streamer_of(both).about["latency_frames"] == 30
    assert "model=basicvsr_forward" in streamer_of(both).remedy
    streamer = streamer_of(forward)
    assert (streamer.about["mode"], streamer.about["latency_frames"]) == ("frame by frame", 0)
    clip = torch.from_numpy(FILM[:8, :, :, :].copy()).permute(0, 3, 1, 2).float().div(255)[None]
    with torch.inference_mode():
        whole = forward(clip)[0].clamp(0, 1).mul(255)
    got = np.stack([answer.picture_HWC for answer in answers(streamer, live(FILM[:8]))])
    assert np.abs(got - whole.permute(0, 2, 3, 1).numpy()).max() <= 0.5 + 1e-3


def test_a_pipeline_gives_its_clip_frame_by_frame():
    torch.manual_seed(0)
    network = BSVD(channels=8).eval()
    streamer = streamer_of(network, condition=lambda numbers, clip: torch.full((len(clip), 1, *clip.shape[1:3]), 0.1))
    assert streamer.about["latency_frames"] == 16
    clip = torch.from_numpy(FILM[:24]).permute(0, 3, 1, 2).float().div(255)[None]
    with torch.inference_mode():
        whole = network(clip, torch.full((1, 24, 1, *clip.shape[-2:]), 0.1))[0].clamp(0, 1).mul(255)
    got = np.stack([answer.picture_HWC for answer in answers(streamer, live(FILM[:24]))])
    assert np.abs(got - whole.permute(0, 2, 3, 1).numpy()).max() <= 0.5 + 1e-3


# ---- scenes ---------------------------------------------------------------------------------------------------------


def test_transitions_of_a_stream_are_those_of_its_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    recipe = "scenes/content_difference"
    cfg = config.compose(recipe, tiny(recipe=recipe)).cfg
    task, data = build_task(cfg, classes=[]).eval(), config.build(cfg.dataset)
    levels = np.array([40] * 25 + [200] * 30 + [90] * 20, np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (75, 32, 48, 3))
    write_video(path := tmp_path / "a.mp4", frames, fps=25)
    streamer = SceneStreamer(task, data)
    got = told(streamer, of_file(path, streamer))
    film = find_shots(task, path, decoding=data.decoding)
    assert film.probabilities is not None
    assert [line["probability"] for line in got] == pytest.approx(film.probabilities.tolist(), abs=1e-6)
    found = [tuple(line["transition"]) for line in got if "transition" in line]
    assert found == [(cut.before, cut.after) for cut in film.transitions] == [(24, 25), (54, 55)]
