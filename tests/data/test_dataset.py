import gc
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.films import Put, module, moving_bar, save_picture
from videxp.core.errors import BadRequest, VidexpError
from videxp.data import FolderPerClass, FrameFolders
from videxp.transforms.geometry import fit_pictures
from videxp.video import DecodeError
from videxp.video.timing import FrameTimes


@pytest.fixture
def root(put: Put, tmp_path: Path) -> Path:
    for i in range(9):
        put(f"train/{('run', 'walk')[i % 2]}/{i}.mp4")
    for i in range(3):
        put(f"val/run/{i}.mp4")
    return tmp_path / "root"


def column_of_bar(frame: torch.Tensor) -> int:
    """Which frame of the moving bar this is, from where its bar stands. frame: uint8 [H,W,C]."""
    return int(frame.float().mean(dim=(0, 2)).argmax()) // 2


def test_a_sample_is_the_frames_that_were_chosen(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass(), stride_frames=2)
    data.prepare()
    sample = data.dataset("val")[0, 1]
    assert sample["clip"].shape == (1, 4, 24, 32, 3)
    assert sample["clip"].dtype == torch.uint8
    assert {k: sample[k] for k in ("label", "index", "epoch")} == {"label": 0, "index": 1, "epoch": 0}
    assert [column_of_bar(frame) for frame in sample["clip"][0]] in ([2, 4, 6, 8], [3, 5, 7, 9])  # the center of 12
    starts = {column_of_bar(data.dataset("train")[epoch, 0]["clip"][0, 0]) for epoch in range(40)}
    assert starts == {0, 1, 2, 3, 4, 5}


def test_random_clips_depend_on_epoch_and_index_alone(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass())
    data.prepare()
    dataset = data.dataset("train")
    first = dataset[3, 5]["clip"]
    np.random.rand(3)
    dataset[0, 1]
    assert torch.equal(dataset[3, 5]["clip"], first)


def test_all_test_clips_of_a_video_are_adjacent(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass(), test_clips=3, eval_batch_size=2)
    data.prepare()
    batch = next(iter(data.test_dataloader()))
    assert batch["clip"].shape == (2 * 3, 4, 24, 32, 3)
    assert [column_of_bar(clip[0]) for clip in batch["clip"]] == [0, 4, 8, 0, 4, 8]


def test_segments_and_a_short_video(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass(), sampling="segments")
    data.prepare()
    assert [column_of_bar(frame) for frame in data.dataset("val")[0, 0]["clip"][0]] == [1, 4, 7, 10]
    for short, frames in (("loop", [*range(12), 0, 1]), ("clamp", [*range(12), 11, 11])):
        data = module(tmp_path, FolderPerClass(), short=short, num_frames=14)
        data.prepare()
        assert [column_of_bar(frame) for frame in data.dataset("val")[0, 0]["clip"][0]] == frames


def test_time_goes_by_seconds_at_29_97_fps(put: Put, tmp_path: Path) -> None:
    put("train/x/a.mp4", of="ntsc.mp4")
    put("val/x/b.mp4", of="ntsc.mp4")
    data = module(tmp_path, FolderPerClass(), clip_fps=12, num_frames=15, batch_size=1)
    data.prepare()
    assert data.manifest.row(0)["fps"] == pytest.approx(30000 / 1001)
    frames = data.dataset("val").choice.frames(
        FrameTimes(60, 30000 / 1001), start_seconds=np.nan, end_seconds=np.nan, rng=np.random.default_rng()
    )[0]
    center_seconds = (59 * 1001 / 30000 - 14 / 12) / 2
    expected = np.floor((center_seconds + np.arange(15) / 12) * 30000 / 1001)
    assert frames.tolist() == expected.tolist()
    assert set(np.diff(frames)) == {2, 3}  # 2.4975 on average; a rounded stride would be 2 throughout
    assert data.dataset("val")[0, 0]["clip"].shape[1] == 15


def test_sizes_that_differ_are_refused_before_training(root: Path, put: Put, tmp_path: Path) -> None:
    put("train/walk/wide.mp4", of="wide.mp4")
    message = (
        r"train/run/0.mp4 is 32x24, train/walk/wide.mp4 is 64x24: set dataset.decoding.frame_size=\[height,width\]"
    )
    with pytest.raises(BadRequest, match=message):
        module(tmp_path, FolderPerClass()).prepare()
    data = module(tmp_path, FolderPerClass(), frame_size=[16, 20], batch_size=10)
    data.prepare()
    assert next(iter(data.train_dataloader()))["clip"].shape == (10, 4, 16, 20, 3)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_fits(fit: str) -> None:
    clip = torch.zeros(2, 10, 30, 3, dtype=torch.uint8)
    clip[:, :, :10], clip[:, :, 10:20], clip[:, :, 20:] = 50, 100, 150
    out = fit_pictures(clip, size=(10, 10), fit=fit)
    assert out.shape == (2, 10, 10, 3)
    assert out.is_contiguous()
    row = out[0, 5, :, 0].tolist()
    if fit == "crop":
        assert row == [100] * 10
    elif fit == "stretch":
        assert (row[0], row[-1], row[5]) == (50, 150, 100)
    else:
        assert out[0, :, 5, 0].tolist() == [0, 0, 0, 100, 100, 100, 0, 0, 0, 0]
        assert (row[0], row[-1]) == (50, 150)


def test_resizing_is_antialiased() -> None:
    stripes = torch.zeros(1, 8, 64, 3, dtype=torch.uint8)
    stripes[:, :, ::2] = 200
    assert (
        fit_pictures(stripes, size=(8, 16), fit="stretch").float().std() < 15
    )  # every fourth column would be 0 or 200


def test_an_unreadable_video_is_an_error_and_never_another_video(root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass())
    data.prepare()
    file = data.dataset("val").path(1)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DecodeError, match=r"val/run/1.mp4: cannot decode frames \[4, 5, 6, 7\]\nthe file has changed"):
        data.dataset("val")[0, 1]
    damaged = bytearray(file.read_bytes() + b"x")  # as long as it was
    middle = len(damaged) // 2
    damaged[middle : middle + 200] = bytes(255 - byte for byte in damaged[middle : middle + 200])
    file.write_bytes(damaged)
    with pytest.raises(VidexpError, match=r"val/run/1.mp4"):
        data.dataset("val")[0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_failure_in_a_worker_is_said_in_its_own_words(num_workers: int, root: Path, tmp_path: Path) -> None:
    data = module(tmp_path, FolderPerClass(), num_workers=num_workers)
    data.prepare()
    data.dataset("val").path(1).unlink()
    with pytest.raises(VidexpError, match=r"^[^\n]*val/run/1.mp4") as caught:
        list(data.val_dataloader())
    assert len(str(caught.value).splitlines()) <= 3
    del caught
    gc.collect()  # the loader, which the traceback holds: in the middle of a later test its worker would be waited for


def test_parts_of_a_video_stay_inside(root: Path, tmp_path: Path) -> None:
    from videxp.data import ManifestFile

    lines = ["path,label,split,start_seconds,end_seconds", "train/run/0.mp4,a,train,0.5,1.0", "val/run/0.mp4,a,val,,"]
    (root / "list.csv").write_text("\n".join(lines))
    data = module(tmp_path, ManifestFile(file="list.csv"), num_frames=2, batch_size=1)
    data.prepare()
    seen = {column_of_bar(f) for e in range(30) for f in data.dataset("train")[e, 0]["clip"][0]}
    assert seen == {5, 6, 7, 8, 9}


def test_frame_folders_are_read_like_videos(tmp_path: Path) -> None:
    for folder in ("train/x/a", "val/x/b"):
        (tmp_path / "root" / folder).mkdir(parents=True)
        for t, frame in enumerate(moving_bar()):
            save_picture(frame, tmp_path / "root" / folder / f"{t:04d}.png", mark=folder)
    data = module(tmp_path, FrameFolders(template="{:04d}.png", fps=10), batch_size=1)
    data.prepare()
    assert [column_of_bar(frame) for frame in data.dataset("val")[0, 0]["clip"][0]] == [4, 5, 6, 7]


def test_a_dataset_is_small_to_send(root: Path, tmp_path: Path) -> None:
    """To a worker that is not forked goes a fixed amount and about 200 bytes per sample."""
    data = module(tmp_path, FolderPerClass())
    data.prepare()
    dataset = data.dataset("train")
    small = len(pickle.dumps(dataset))
    rows = np.arange(len(dataset)).repeat(1000)
    dataset.columns = {name: column[rows] for name, column in dataset.columns.items()}
    for annotation in dataset.annotations:
        annotation.class_of = annotation.class_of[rows]
    per_sample = (len(pickle.dumps(dataset)) - small) / len(rows)
    assert per_sample < 220
