"""The data sets of restoration as a recipe composes them: checked without torch, built, and read from end to end."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import videxp
from videxp import config
from videxp.config.places import group_options
from videxp.core.errors import BadRequest
from videxp.data import VideoDataModule
from videxp.data.annotations.companion_clip import CompanionClip
from videxp.transforms import RealWorld

MADE_OF_IMAGES = [
    *("frame_sequences", "vid4", "reds", "reds_real_world", "vimeo90k", "udm10"),
    *("davis_denoising", "set8", "low_light_pairs", "fivek"),
]


def put_images(folder: Path, template: str, *, size: tuple[int, int] = (32, 40), count: int = 7) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(list(str(folder).encode()))  # no two folders alike
    for t in range(count):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / template.format(t + 1))


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """built("reds", "dataset.scale=2"): the data module of a config, small, over `tmp_path/NAME`."""
    monkeypatch.setenv("VIDEXP_CACHE", str(tmp_path / "cache"))

    def built(name: str, *overrides: str) -> VideoDataModule:
        small = ["dataset.num_frames=3", "dataset.crop_size=32", "dataset.batch_size=1", "hardware.num_workers=0"]
        place = [f"dataset.root={tmp_path / name}", f"dataset.preparing.cache_dir={tmp_path / 'cache'}"]
        return config.build(config.compose_dataset(name, [*small, *place, *overrides]).dataset)

    return built


@pytest.mark.slow
def test_every_data_set_of_restoration_says_what_is_missing_in_a_line(built, tmp_path: Path) -> None:
    names = [choice.name for choice in group_options("dataset")]
    assert {*MADE_OF_IMAGES, "video_folder", "sample_clips"} <= set(names)
    for name in (*MADE_OF_IMAGES, "video_folder"):
        with pytest.raises(BadRequest, match=rf"^dataset.root=[^\n]*/{name} does not exist: [^\n]*$"):
            built(name)


@pytest.mark.slow
def test_reds_from_config_to_batch(built, tmp_path: Path) -> None:
    for clip in ("000", "001"):
        put_images(tmp_path / "reds/train/train_sharp" / clip, "{:08d}.png")
        put_images(tmp_path / "reds/train/train_sharp_bicubic/X4" / clip, "{:08d}.png", size=(8, 10))
    put_images(tmp_path / "reds/val/val_sharp/000", "{:08d}.png")
    put_images(tmp_path / "reds/val/val_sharp_bicubic/X4/000", "{:08d}.png", size=(8, 10))
    inputs = ("train_inputs=train/train_sharp_bicubic/X4", "val_inputs=val/val_sharp_bicubic/X4")
    pairs = [f"dataset.layout.{text}" for text in inputs]
    nulls = ["dataset.train_transform.degradation=null", "dataset.eval_transform.degradation=null"]
    for overrides in ([], [*pairs, *nulls]):
        data = built("reds", *overrides)
        data.prepare()
        assert data.counts == {"train": 2, "val": 1, "test": 1}
        batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
        assert batch["video"].shape == (1, 7, 3, 8, 10) and batch["target"].shape == (1, 7, 3, 32, 40)
        batch = data.train_transform(next(iter(data.train_dataloader())))
        assert batch["video"].shape == (1, 3, 3, 8, 8) and batch["target"].shape == (1, 3, 3, 32, 32)
    with pytest.raises(BadRequest, match="set degradation=null"):
        data = built("reds", *pairs)
        data.prepare()
        data.eval_transform(next(iter(data.val_dataloader())))


@pytest.mark.slow
def test_davis_with_noise_from_config_to_batch(built, tmp_path: Path) -> None:
    """Any noise in training, of one strength in evaluations; of a test clip at most the first 85 frames."""
    lists = {"train": ["bear"], "val": ["camel"], "test-dev": ["aerobatics", "boxing"]}
    lengths = {"bear": 7, "camel": 7, "aerobatics": 9, "boxing": 4}
    for split, clips in lists.items():
        for clip in clips:
            put_images(tmp_path / "davis_denoising/JPEGImages/480p" / clip, "{:05d}.jpg", count=lengths[clip])
        (tmp_path / "davis_denoising/ImageSets/2017").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"davis_denoising/ImageSets/2017/{split}.txt").write_text("\n".join(clips))
    data = built("davis_denoising", "dataset.layout.test_first=6", "dataset.clips.train_repeats=3")
    data.prepare()
    assert data.counts == {"train": 1, "val": 1, "test": 2}
    lengths, noises = [], []
    for read in data.test_dataloader():
        batch = data.on_after_batch_transfer(read, 0)
        lengths.append(batch["video"].shape[1])
        noises.append(255 * float((batch["video"] - batch["target"]).std()))
        assert torch.equal(batch["condition"], torch.full_like(batch["video"][:, :, :1], 25 / 255))
    assert sorted(lengths) == [4, 6] and noises == pytest.approx([25, 25], rel=0.05)
    trained = [data.train_transform(read)["condition"].unique() * 255 for read in data.train_dataloader()]
    assert all(len(levels) == 1 and 5 <= levels[0] <= 55 for levels in trained) and trained[0] != trained[1]
    assert str(data.test_transform.degradation) == "Gaussian noise, sigma 25, not clipped"


def test_pictures_retouched_by_an_expert_are_clips_of_one_frame(built, tmp_path: Path) -> None:
    root = tmp_path / "fivek"
    names = [f"a{number:04d}-pic" for number in range(6)]
    for folder in ("input", "expertC"):
        (root / folder / "JPG/480p").mkdir(parents=True)
        for number, name in enumerate(names):
            noise = np.random.default_rng([number, len(folder)]).integers(0, 256, (32 + number, 40, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / folder / f"JPG/480p/{name}.jpg")
    lists = {"train_input.txt": names[:3], "train_label.txt": names[3:5], "test.txt": names[5:]}
    for file, listed in lists.items():
        (root / file).write_text("".join(f"{name}\n" for name in listed))
    data = built("fivek", "dataset.layout.val_fraction=0.3")
    data.prepare()
    assert data.counts == {"train": 3, "val": 2, "test": 1}
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    for key, folder in (("video", "input"), ("target", "expertC")):
        picture = np.asarray(Image.open(root / folder / f"JPG/480p/{names[5]}.jpg"))
        assert np.array_equal((batch[key][0, 0] * 255).round().byte().permute(1, 2, 0).numpy(), picture)
    batch = data.train_transform(next(iter(data.train_dataloader())))
    assert batch["video"].shape == batch["target"].shape == (1, 3, 3, 32, 32)  # `built` asks for three frames
    assert torch.equal(batch["video"][:, 0], batch["video"][:, 2])


def test_dark_footage_and_its_well_lit_twin(built, tmp_path: Path) -> None:
    for number in range(1, 7):
        for folder in ("input", "GT"):
            put_images(tmp_path / "low_light_pairs" / folder / f"pair{number}", "{:04d}.png", count=4)
    data = built("low_light_pairs")
    data.prepare()
    assert sum(data.counts.values()) == 6 and min(data.counts.values()) >= 1
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    pair = data.dataset("test").path(0).name
    for key, folder in (("video", "input"), ("target", "GT")):
        picture = np.asarray(Image.open(tmp_path / f"low_light_pairs/{folder}/{pair}/0002.png"))
        assert np.array_equal((batch[key][0, 1] * 255).round().byte().permute(1, 2, 0).numpy(), picture)


@pytest.mark.slow
def test_the_real_world_chain_from_config_to_batch(built, tmp_path: Path) -> None:
    for folder in ("train/train_sharp/000", "train/train_sharp/001", "val/val_sharp/000"):
        put_images(tmp_path / "reds_real_world" / folder, "{:08d}.png")
    data = built("reds_real_world")
    data.prepare()
    raw = next(iter(data.train_dataloader()))
    assert raw["degraded"].shape == (1, 3, 8, 8, 3) and raw["degraded"].dtype == torch.uint8
    batch = data.train_transform(raw)
    assert batch["video"].shape == (1, 6, 3, 8, 8)  # mirrored in time
    degraded = data.own_annotations["degraded"]
    assert isinstance(degraded, CompanionClip) and isinstance(degraded.make, RealWorld)
    assert degraded.make.steps[5].probability == 0.8  # the second blur
    assert degraded.make.scale == degraded.scale == 4


@pytest.mark.slow
def test_vimeo90k_vid4_and_videos_of_ones_own(built, tmp_path: Path) -> None:
    for clip in ("00001/0001", "00002/0001", "00003/0001"):
        put_images(tmp_path / "vimeo90k/sequences" / clip, "im{}.png")
    (tmp_path / "vimeo90k/sep_trainlist.txt").write_text("00001/0001\n00002/0001\n")
    (tmp_path / "vimeo90k/sep_testlist.txt").write_text("00003/0001\n")
    data = built("vimeo90k")
    data.prepare()
    assert data.counts == {"train": 1, "val": 1, "test": 1}
    batch = data.test_transform(next(iter(data.test_dataloader())))
    assert batch["video"].shape == (1, 14, 3, 8, 10)

    put_images(tmp_path / "vid4/calendar", "{:03d}.png", size=(33, 40))
    data = built("vid4")
    data.prepare()
    batch = data.test_transform(next(iter(data.test_dataloader())))
    assert batch["target"].shape == (1, 7, 3, 32, 40)  # cut to what x4 divides


@pytest.mark.slow
def test_prepare_tells_of_a_data_set_without_labels(tmp_path: Path) -> None:
    for name in "abcd":
        put_images(tmp_path / "data/frame_sequences" / name, "{:03d}.png")
    done = videxp("prepare", "frame_sequences", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "clips       2 train, 1 val, 1 test\n" in done.stdout and "classes     no labels\n" in done.stdout
    assert json.loads(videxp("prepare", "frame_sequences", "--json", cwd=tmp_path).stdout)["classes"] == 0


DVD_TEST = [
    f"quantitative_datasets/{name}"
    for name in ("720p_240fps_2", *(f"IMG_{number:04d}" for number in (3, 21, 30, 31, 32, 33, 37, 39, 49)))
]
PAIRS = {  # data set: its official folders, and clips of each split
    "gopro": (
        "{train,test}/{CLIP}/{sharp,blur}",
        {"train": ["train/GOPR0372_07_00", "train/GOPR0372_07_01"], "test": ["test/GOPR0384_11_00"]},
    ),
    "gopro_gamma": (
        "{train,test}/{CLIP}/{sharp,blur_gamma}",
        {"train": ["train/GOPR0372_07_00", "train/GOPR0372_07_01"], "test": ["test/GOPR0384_11_00"]},
    ),
    "bsd": (
        "{train,valid,test}/{CLIP}/{Sharp/RGB,Blur/RGB}",
        {"train": ["train/000"], "val": ["valid/010"], "test": ["test/020"]},
    ),
    "dvd": (
        "quantitative_datasets/{CLIP}/{GT,input}",
        {"train": ["quantitative_datasets/IMG_0001", "quantitative_datasets/IMG_0002"], "test": DVD_TEST},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_deblurring_in_their_official_folders(name: str, built, tmp_path: Path) -> None:
    pattern, clips = PAIRS[name]
    clean, blurred = pattern.rpartition("{")[2].removesuffix("}").split(",")
    ending = "jpg" if name == "dvd" else "png"
    for clip in chain.from_iterable(clips.values()):
        for folder in (clean, blurred, "other"):
            put_images(tmp_path / name / clip / folder, "{:06d}." + ending, count=3)
    data = built(name)
    data.prepare()
    assert data.name == {"gopro": "gopro_blur", "gopro_gamma": "gopro_blur_gamma", "bsd": "bsd_2ms16ms"}.get(name, name)
    assert data.counts["test"] == len(clips["test"])
    assert data.counts["train"] + data.counts["val"] == len(clips["train"]) + len(clips.get("val", []))
    found = {str(data.dataset("test").path(i).relative_to(tmp_path / name)) for i in range(len(clips["test"]))}
    assert found == {f"{clip}/{clean}" for clip in clips["test"]}
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    first = tmp_path / name / sorted(clips["test"])[0]
    for field, folder in (("target", clean), ("video", blurred)):
        pixels = np.asarray(Image.open(first / folder / f"000002.{ending}"))
        assert np.array_equal((batch[field][0, 1] * 255).round().byte().permute(1, 2, 0).numpy(), pixels)


def test_a_clip_for_the_test_that_is_not_there_is_named(built, tmp_path: Path) -> None:
    for folder in ("GT", "input"):
        put_images(tmp_path / "dvd/quantitative_datasets/IMG_0001" / folder, "{:06d}.jpg", count=1)
    with pytest.raises(
        BadRequest, match=r"dvd/quantitative_datasets has no clip 720p_240fps_2: dataset.layout.test_cl"
    ):
        built("dvd")


def test_reds_with_its_own_blur(built, tmp_path: Path) -> None:
    for clip in ("train/train_{}/000", "val/val_{}/001"):
        for kind in ("sharp", "blur"):
            put_images(tmp_path / "reds_blur" / clip.format(kind), "{:08d}.png", count=3)
    data = built("reds_blur")
    data.prepare()
    assert data.counts == {"train": 1, "val": 1, "test": 1} and data.name == "reds_blur"
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    pixels = np.asarray(Image.open(tmp_path / "reds_blur/val/val_blur/001/00000001.png"))
    assert np.array_equal((batch["video"][0, 0] * 255).round().byte().permute(1, 2, 0).numpy(), pixels)
