"""Several inputs at a time, as `videxp predict` is given them."""

import argparse
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.deploy.networks import Identity
from tests.video.torture_set import source_frames
from videxp.core.errors import BadRequest
from videxp.deploy.inputs import expand
from videxp.deploy.restore_files import add_arguments, check, destinations, predict
from videxp.models.restoration.color_matching import ColorByLightness
from videxp.tasks.restoration_inputs import inputs_of
from videxp.transforms.grading import grey as lab_grey
from videxp.video import open_video, write_video

FRAMES = source_frames(4, (16, 24))


class Brighter(torch.nn.Module):
    """Brighter by what it is told."""

    scale, radius, told = 1, 1, "noise_level"

    def forward(self, video: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        assert condition.shape == (*video.shape[:2], 1, *video.shape[3:])
        return video + condition


def run(*arguments: object, network: torch.nn.Module | None = None) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([str(a) for a in arguments])
    check(options)
    network = network or Identity()
    inputs = partial(inputs_of, network)
    return predict(SimpleNamespace(deployed=network, network_inputs=inputs), None, options)


def test_one_input_becomes_the_output_and_several_go_into_it(tmp_path: Path):
    a, b, frames = Path("x/a.mp4"), Path("x/b.avi"), tmp_path
    assert destinations([a], Path("new.mkv")) == [(a, Path("new.mkv"))]
    assert destinations([a], Path("new")) == [(a, Path("new/a.mp4"))]
    assert destinations([a, b], Path("new")) == [(a, Path("new/a.mp4")), (b, Path("new/b.mp4"))]
    assert destinations([frames], Path("new")) == [(frames, Path("new"))]
    assert destinations([frames, a], Path("new")) == [(frames, Path("new") / frames.name), (a, Path("new/a.mp4"))]
    with pytest.raises(BadRequest, match="2 inputs need a folder"):
        destinations([a, b], Path("new.mp4"))
    with pytest.raises(BadRequest, match=r"x/b.avi and y/b.mp4 would both become new/b.mp4"):
        destinations([b, Path("y/b.mp4")], Path("new"))


def test_a_folder_of_frames_is_an_input_and_pictures_beside_videos_are_not(tmp_path: Path):
    for name in ("frames/a/1.png", "frames/b/1.jpg", "frames/.a-half/1.png", "videos/v.mp4", "videos/thumbnails/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert expand([str(tmp_path / "frames")]) == [tmp_path / "frames/a", tmp_path / "frames/b"]
    assert expand([str(tmp_path / "frames/*")]) == [tmp_path / "frames/a", tmp_path / "frames/b"]
    assert expand([str(tmp_path / "videos")]) == [tmp_path / "videos/v.mp4"]


def test_one_file_that_fails_does_not_cost_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_video(tmp_path / "in/good.mp4", FRAMES, fps=25) if (tmp_path / "in").mkdir() is None else None
    (tmp_path / "in/bad.mp4").write_bytes(b"no video")
    (tmp_path / "in/cut.mp4").write_bytes((tmp_path / "in/good.mp4").read_bytes()[:600])
    assert run(tmp_path / "in", "-o", tmp_path / "out") == 1
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("videxp: ")]
    assert len(errors) == 2 and "bad.mp4: unreadable video" in errors[0] and "truncated" in errors[1]
    assert f"1 of 3 videos -> {tmp_path / 'out'}" in printed.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.mp4"]


def test_a_batch_is_refused_before_its_work_begins(tmp_path: Path):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", FRAMES, fps=25)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.mp4").write_bytes(b"old")
    with pytest.raises(BadRequest, match=r"b.mp4 is there already"):
        run(tmp_path / "a.mp4", tmp_path / "b.mp4", "-o", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mp4"]
    assert run(tmp_path / "a.mp4", tmp_path / "b.mp4", "-o", tmp_path / "out", "--overwrite") == 0
    with pytest.raises(BadRequest, match="is the input itself"):
        run(tmp_path / "*.mp4", "-o", tmp_path)


def test_a_device_that_is_not_there_is_told(tmp_path: Path):
    write_video(tmp_path / "a.mp4", FRAMES, fps=25)
    with pytest.raises(BadRequest, match="--device cuda:99: not to be used here"):
        run(tmp_path / "a.mp4", "-o", tmp_path / "b.mp4", "--device", "cuda:99")


def test_files_and_folders_of_frames_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_video(tmp_path / "v.mkv", FRAMES, fps=25)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"frames/{number:03d}.png")
    assert run(tmp_path / "v.mkv", tmp_path / "frames", "-o", tmp_path / "out", "--crf", 0) == 0
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")) == [
        "frames",
        *[f"frames/{i:03d}.png" for i in range(4)],
        "v.mkv",
    ]
    assert "2 of 2 videos" in capsys.readouterr().out


def test_a_network_that_is_told_the_noise_gets_it_in_all_windows_and_tiles(tmp_path: Path):
    frames = np.full((9, 32, 40, 3), 100, dtype=np.uint8)
    write_video(tmp_path / "a.mkv", frames, fps=10, codec="ffv1", pixel_format="bgr0")
    lossless = ("--codec", "ffv1", "--pixel-format", "bgr0")
    cut = ("--window", 4, "--tile", 24, "--tile-overlap", 4)
    given = (tmp_path / "a.mkv", "-o", tmp_path / "b.mkv", *cut, *lossless)
    assert run(*given, "--sigma", 20, network=Brighter()) == 0
    with open_video(tmp_path / "b.mkv") as reader:
        assert np.unique(reader.frames(range(9)).numpy()).tolist() == [120]
    for words, network, message in (
        (("--sigma", 900), Brighter(), "--sigma 900: a standard deviation"),
        (("--sigma", 20), Identity(), "--sigma 20: this network is told no level of noise"),
    ):
        with pytest.raises(BadRequest, match=message):
            run(*given, "--overwrite", *words, network=network)


def test_the_noise_of_each_video_is_estimated_where_nobody_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, sigma in (("a", 6), ("b", 20)):
        noise = np.random.default_rng(0).normal(110, sigma, (9, 64, 64, 3)).round().clip(0, 255).astype(np.uint8)
        write_video(tmp_path / f"{name}.mkv", noise, fps=10, codec="ffv1", pixel_format="bgr0")
    lossless = ("--codec", "ffv1", "--pixel-format", "bgr0", "--window", 4)
    assert run(tmp_path / "*.mkv", "-o", tmp_path / "out", *lossless, network=Brighter()) == 0
    said = [float(text) for text in re.findall(r"noise: sigma (\S+) of 255", capsys.readouterr().out)]
    assert said == pytest.approx([6, 20], rel=0.05)
    for name, sigma in zip("ab", said):
        with open_video(tmp_path / f"{name}.mkv") as before, open_video(tmp_path / f"out/{name}.mkv") as after:
            added = after.frames(range(9)).double() - before.frames(range(9))
        assert float(added.mean()) == pytest.approx(sigma, abs=0.6)


def test_a_network_that_is_shown_a_frame_in_color_gives_each_frame_its_colors(tmp_path: Path):
    color = np.full((1, 32, 40, 3), (180, 90, 60), dtype=np.uint8)
    color[:, :, 20:] = (40, 80, 160)
    grey = (255 * lab_grey(torch.from_numpy(color).movedim(-1, 1) / 255)).round().byte().movedim(1, -1).numpy()
    write_video(tmp_path / "a.mkv", grey.repeat(9, axis=0), fps=10, codec="ffv1", pixel_format="bgr0")
    Image.fromarray(color[0]).save(tmp_path / "a.png")
    Image.fromarray(color[0, :16]).save(tmp_path / "small.png")
    given = (tmp_path / "a.mkv", "-o", tmp_path / "b.mkv", "--window", 4, "--codec", "ffv1", "--pixel-format", "bgr0")
    assert run(*given, "--exemplar", tmp_path / "a.png", network=ColorByLightness()) == 0
    with open_video(tmp_path / "b.mkv") as reader:
        assert np.abs(reader.frames(range(9)).numpy().astype(int) - color).max() <= 2
    for words, network, message in (
        ((), ColorByLightness(), "shown a picture in color: --exemplar FRAME.png"),
        (("--exemplar", tmp_path / "small.png"), ColorByLightness(), "is 40x16, the video 40x32: bring it"),
        (("--exemplar", tmp_path / "a.mkv"), ColorByLightness(), "no picture that can be read"),
        (("--exemplar", tmp_path / "a.png"), Identity(), "is shown no picture: leave --exemplar out"),
        (("--sigma", 20, "--exemplar", tmp_path / "a.png"), ColorByLightness(), "is told no level of noise"),
    ):
        with pytest.raises(BadRequest, match=message):
            run(*given, "--overwrite", *words, network=network)
