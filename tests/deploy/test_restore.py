"""In windows and tiles the same comes out as in one piece; files come out whole or not at all."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.deploy.networks import Bicubic, Convolutions, Identity, Interrupted, Pyramid, Recurrent
from tests.video.torture_set import source_frames
from videxp.core.errors import BadRequest, VidexpError
from videxp.deploy import tiles
from videxp.deploy.restore import RestorePlan, plan_for, restore_video, restored
from videxp.models.restoration.lut3d import Lut3D
from videxp.video import open_video, write_video
from videxp.video.sequence import Picture

CLIPS = Path(__file__).parents[2].parent / "shared" / "data" / "clips"
FRAMES = source_frames(24, (45, 70))


def quiet(_: str) -> None:
    """Says nothing."""


def pictures(network: torch.nn.Module, frames: np.ndarray, **parts: int) -> np.ndarray:
    plan = RestorePlan(**{"window": len(frames), "overlap": 0, "tile": 0, "tile_overlap": 0, **parts})
    return np.stack([p.pixels_HWC for p in restored(network, [Picture(f) for f in frames], plan=plan)]).astype(int)


def largest_difference(network: torch.nn.Module, frames: np.ndarray = FRAMES, **parts: int) -> int:
    """Grey levels of 255 between pieces and the whole clip."""
    return int(np.abs(pictures(network, frames, **parts) - pictures(network, frames)).max())


def test_windows_change_nothing_where_they_overlap_by_the_radius():
    assert largest_difference(Convolutions(), window=7, overlap=2) == 0
    assert largest_difference(Convolutions(), window=7, overlap=0) > 5  # what comes of cutting a video into pieces


def test_tiles_change_nothing_where_half_their_overlap_is_the_receptive_field():
    assert largest_difference(Convolutions(), tile=24, tile_overlap=4) == 0
    assert largest_difference(Convolutions(), window=7, overlap=2, tile=24, tile_overlap=4) == 0
    assert largest_difference(Convolutions(), tile=24, tile_overlap=0) > 1


def test_tiles_keep_the_grid_of_a_network_that_halves_sizes(monkeypatch: pytest.MonkeyPatch):
    assert largest_difference(Pyramid(), tile=22, tile_overlap=4) == 0
    monkeypatch.setattr(tiles, "GRID_PIXELS", 1)
    assert largest_difference(Pyramid(), tile=22, tile_overlap=4) > 5


def test_windows_change_a_recurrent_network_the_less_the_more_they_overlap():
    noise = np.random.default_rng(5).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    found = [largest_difference(Recurrent(), noise, window=20, overlap=overlap) for overlap in (0, 2, 4, 6)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 50 and found[-1] <= 2, found


def test_colors_smoothed_over_time_are_the_same_in_windows_and_each_shot_has_its_own():
    """20 frames whose light flickers, then as many of another shot; a fresh network, in 8 bits."""
    picture = np.random.default_rng(5).integers(0, 256, (1, 16, 16, 3))
    light = 0.9 + 0.1 * np.resize([1, -1, 0.5], 40)[:, None, None, None]
    frames = (picture * light).astype(np.uint8)
    frames[20:] = 255 - frames[20:] // 2
    torch.manual_seed(0)
    network = Lut3D(luts=2, size=5, channels=2, radius=4).eval()
    assert largest_difference(network, frames, window=11, overlap=4) == 0
    assert largest_difference(network, frames, window=11, overlap=0) > 0


def test_a_network_that_sees_whole_frames_gets_no_tiles():
    network = Lut3D(luts=1, size=2, channels=1, radius=8)
    assert str(plan_for(network, (1080, 1920))) == "windows of 24 frames (overlap 8), whole frames"
    with pytest.raises(BadRequest, match="--tile 256: this network looks at whole frames"):
        plan_for(network, (1080, 1920), tile=256)
    assert plan_for(network, (1080, 1920), tile=0).tile == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 45, 70), (9, 3, 2)])
def test_one_frame_and_tiny_frames(shape: tuple[int, int, int]):
    out = pictures(Bicubic(), FRAMES[: shape[0], : shape[1], : shape[2]], window=4, tile=16, tile_overlap=4)
    assert out.shape == (shape[0], 2 * shape[1], 2 * shape[2], 3)


def test_the_plan_suits_the_network_and_the_frames():
    assert str(plan_for(Convolutions(), (120, 160))) == "windows of 12 frames (overlap 2), whole frames"
    assert str(plan_for(Recurrent(), (1080, 1920))) == "windows of 30 frames (overlap 6), tiles of 256 (overlap 16)"
    assert plan_for(Recurrent(), (120, 160), window=5).overlap == 2
    assert plan_for(Convolutions(), (120, 160), tile=20).tile_overlap == 4
    with pytest.raises(BadRequest, match="--window 12 --overlap 6"):
        plan_for(Recurrent(), (120, 160), window=12, overlap=6)
    with pytest.raises(BadRequest, match="--tile 32 --tile-overlap 16"):
        plan_for(Recurrent(), (120, 160), tile=32, tile_overlap=16)
    with pytest.raises(BadRequest, match="Linear restores no videos"):
        plan_for(torch.nn.Linear(1, 1), (120, 160))


def test_a_network_that_diverged_or_keeps_no_promise_is_told():
    class Diverged(Identity):
        def forward(self, video: torch.Tensor) -> torch.Tensor:
            return video / 0

    class Unkept(Identity):
        scale = 3

    with pytest.raises(VidexpError, match="not finite"):
        pictures(Diverged(), FRAMES)
    with pytest.raises(VidexpError, match="135, 210"):
        pictures(Unkept(), FRAMES)


def test_a_file_is_what_the_network_makes_of_its_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_video(tmp_path / "in.mkv", FRAMES, fps=12.5, codec="ffv1", pixel_format="bgr0")
    parts = {"window": 10, "tile": 32}
    count = restore_video(
        Bicubic(), tmp_path / "in.mkv", tmp_path / "out.mkv", codec="ffv1", pixel_format="bgr0", **parts
    )
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(FRAMES).permute(0, 3, 1, 2).float(), scale_factor=2, mode="bicubic"
    )
    with open_video(tmp_path / "out.mkv") as video:
        assert (count, video.num_frames, video.fps, video.size) == (24, 24, 12.5, (90, 140))
        found = video.frames(range(24)).permute(0, 3, 1, 2)
    assert (found - expected.clamp(0, 255)).abs().max() <= 0.501
    printed = capsys.readouterr()
    assert "24 frames, 70x45 -> 140x90, windows of 10 frames (overlap 0), tiles of 32 (overlap 7)" in printed.out
    assert "in.mkv: 24/24" in printed.err and "frames/s" in printed.err


def test_a_folder_of_pictures_gives_a_folder_of_pngs(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for number, frame in enumerate(FRAMES[:11], 1):
        Image.fromarray(frame).save(tmp_path / "in" / f"im{number}.png")  # im10.png would sort before im2.png
    assert restore_video(Bicubic(), tmp_path / "in", tmp_path / "out", window=3, say=quiet) == 11
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"im{i}.png" for i in range(1, 12))
    expected = pictures(Bicubic(), FRAMES[:11])
    for number in range(11):
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / f"im{number + 1}.png")), expected[number])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of luck")])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_interrupted_output_leaves_nothing_and_what_was_there_stays(tmp_path: Path, kind: str, error: BaseException):
    suffix = ".mp4" if kind == "file" else ""
    if kind == "file":
        write_video(tmp_path / "in.mp4", FRAMES, fps=25)
        (tmp_path / "there.mp4").write_bytes(b"old")
    else:
        for folder in ("in", "there"):
            (tmp_path / folder).mkdir()
            Image.fromarray(FRAMES[0]).save(tmp_path / folder / "1.png")
            Image.fromarray(FRAMES[0]).save(tmp_path / folder / "2.png")
            Image.fromarray(FRAMES[0]).save(tmp_path / folder / "3.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("new", "there"):
        with pytest.raises(type(error)):
            restore_video(
                Interrupted(error),
                tmp_path / f"in{suffix}",
                tmp_path / f"{name}{suffix}",
                window=1,
                overwrite=True,
                say=quiet,
            )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / f"new{suffix}").exists()


def test_what_is_there_is_replaced_only_on_request_and_the_input_never(tmp_path: Path):
    video, folder = tmp_path / "in.mp4", tmp_path / "frames"
    write_video(video, FRAMES[:3], fps=25)
    (tmp_path / "out.mp4").write_bytes(b"old")
    (tmp_path / "link.mp4").symlink_to(video)
    for target in (video, tmp_path / "link.mp4"):
        with pytest.raises(BadRequest, match="is the input itself"):
            restore_video(Identity(), video, target, overwrite=True, say=quiet)
    with pytest.raises(BadRequest, match="add --overwrite"):
        restore_video(Identity(), video, tmp_path / "out.mp4", say=quiet)
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert restore_video(Identity(), video, tmp_path / "out.mp4", overwrite=True, say=quiet) == 3

    folder.mkdir()
    Image.fromarray(FRAMES[0]).save(folder / "1.png")
    with pytest.raises(BadRequest, match="holds more than pictures"):  # a whole home folder, perhaps
        restore_video(Identity(), folder, tmp_path, overwrite=True, say=quiet)
    with pytest.raises(BadRequest, match="a folder of pictures gives a folder"):
        restore_video(Identity(), folder, video, overwrite=True, say=quiet)
    for _ in range(2):
        restore_video(Identity(), folder, tmp_path / "new", overwrite=True, say=quiet)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["1.png"]


MEMORY = """
import re, sys
from pathlib import Path
import torch
from tests.deploy.networks import Recurrent
from videxp.deploy.restore import restore_video
from videxp.video import open_video

torch.set_num_threads(1)
how, *sources = sys.argv[1:]
for source in map(Path, sources):
    if how == "whole":
        with open_video(source) as video:
            Recurrent()(video.frames(range(video.num_frames)).permute(0, 3, 1, 2).unsqueeze(0).float() / 255)
    else:
        restore_video(Recurrent(), source, source.with_suffix(".mkv"), window=30, overlap=6, say=lambda _: None)
    # Not getrusage's maximum: that is inherited from the process which starts this one.
    print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells its peak memory on Linux only")
def test_memory_does_not_grow_with_the_video(tmp_path: Path):
    """Peak of a process after 10 s, and then 40 s, of 12 frames of 128x96 a second."""
    sources = []
    for seconds in (10, 40):
        frames = itertools.islice(itertools.cycle(source_frames(30, (96, 128))), 12 * seconds)
        sources.append(tmp_path / f"{seconds}.mp4")
        write_video(sources[-1], frames, fps=12)

    def growth_mb(how: str) -> float:
        command = [sys.executable, "-c", MEMORY, how, *map(str, sources)]
        short, long = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        return long - short

    assert growth_mb("whole") > 100  # the negative control: all frames at once
    assert growth_mb("windows") < 20


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.exists(), reason="the folder of real videos is not there")
def test_a_real_video_in_windows_and_tiles(tmp_path: Path):
    with open_video(CLIPS / "carphone_pristine.mp4") as video:
        frames = video.frames(range(60)).numpy()
    parts = {"window": 15, "overlap": 2, "tile": 64, "tile_overlap": 4}
    differences = np.abs(pictures(Convolutions(), frames, **parts) - pictures(Convolutions(), frames))
    assert differences.max() <= 1 and differences.mean() < 1e-4  # sums of another order, rounded
    differences = np.abs(pictures(Recurrent(), frames, window=30, overlap=6) - pictures(Recurrent(), frames))
    assert differences.max() <= 2 and differences.mean() < 0.01
