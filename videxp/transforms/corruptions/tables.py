"""The tables, by the name of the paper that each is from: they disagree, so a figure is nothing without the name.

Five values a row, for severity 1 to 5. Lengths are in pixels of frames of 224, which is what the papers have.
"""

from collections.abc import Mapping

from videxp.transforms.corruptions import blur, camera, codec, color, noise, packets, temporal, weather
from videxp.transforms.corruptions.corruption import Protocol, protocol, row

# ImageNet-C's rows that other papers took as they are.
_GAUSSIAN_NOISE = row("gaussian_noise", "noise", noise.gaussian_noise, sigma=(0.08, 0.12, 0.18, 0.26, 0.38))
_SHOT_NOISE = row("shot_noise", "noise", noise.shot_noise, photons=(60, 25, 12, 5, 3))
_IMPULSE_NOISE = row("impulse_noise", "noise", noise.impulse_noise, share=(0.03, 0.06, 0.09, 0.17, 0.27))
_DEFOCUS_BLUR = row(
    "defocus_blur", "blur", blur.defocus_blur, radius=(3, 4, 6, 8, 10), alias_blur=(0.1, 0.5, 0.5, 0.5, 0.5)
)
_MOTION_BLUR = row("motion_blur", "blur", blur.motion_blur, radius=(10, 15, 15, 15, 20), sigma=(3, 5, 8, 12, 15))
_ZOOM_BLUR = row(
    "zoom_blur", "blur", blur.zoom_blur, top=(1.11, 1.16, 1.21, 1.26, 1.31), step=(0.01, 0.01, 0.02, 0.02, 0.03)
)
_FOG = row("fog", "weather", weather.fog, density=(1.5, 2.0, 2.5, 2.5, 3.0), decay=(2.0, 2.0, 1.7, 1.5, 1.4))
_BRIGHTNESS = row("brightness", "color", color.brightness, added=(0.1, 0.2, 0.3, 0.4, 0.5))
_SATURATE = row("saturate", "color", color.saturate, scale=(0.3, 0.1, 2.0, 5.0, 20.0), shift=(0.0, 0.0, 0.0, 0.1, 0.2))
_JPEG = (25, 18, 15, 10, 7)
_HALVED = (2, 4, 8, 16, 32)


def _yi2021(name: str, data: str, *, half_window: tuple[int, ...], rate: tuple[int, ...]) -> Protocol:
    return protocol(
        name,
        _SHOT_NOISE,
        row("motion_blur", "blur", blur.frame_blur, half_window=half_window),
        _FOG,
        row(
            "rain",
            "weather",
            weather.rain,
            area=(770, 770, 770, 500, 400),
            length=(10, 30, 60, 60, 80),
            contrast=(0.8, 0.8, 0.7, 0.6, 0.5),
        ),
        row("contrast", "color", color.contrast, factor=(0.5, 0.4, 0.3, 0.2, 0.1)),
        _BRIGHTNESS,
        _SATURATE,
        row("h264_crf", "compression", codec.h264_crf, crf=(23, 30, 37, 44, 51)),
        row("h264_abr", "compression", codec.h264_abr, divided_by=_HALVED),
        row("h265_crf", "compression", codec.h265_crf, crf=(27, 33, 39, 45, 51)),
        row("h265_abr", "compression", codec.h265_abr, divided_by=_HALVED),
        row(
            "bit_error",
            "transmission",
            packets.noise_filter,
            amount=(100000, 50000, 30000, 20000, 10000),
        ),
        row("frame_rate", "time", temporal.frame_rate, rate=rate),
        source=f"Yi et al., Benchmarking the Robustness of Spatial-Temporal Models, NeurIPS D&B 2021 ({data})",
        left_out={"packet_loss": "its parameters are not published; videxp has it for each second of video"},
    )


YI2021 = _yi2021("yi2021", "Mini Kinetics-C", half_window=(3, 5, 7, 9, 11), rate=(20, 16, 12, 9, 6))
YI2021_SSV2 = _yi2021("yi2021_ssv2", "Mini SSv2-C", half_window=(1, 2, 3, 4, 6), rate=(10, 8, 6, 4, 2))

SCHIAPPA2023 = protocol(
    "schiappa2023",
    _GAUSSIAN_NOISE,
    row("shot_noise", "noise", noise.shot_noise, photons=(250, 100, 50, 30, 15)),
    _IMPULSE_NOISE,
    row("speckle_noise", "noise", noise.speckle_noise, sigma=(0.15, 0.2, 0.25, 0.3, 0.35)),
    _DEFOCUS_BLUR,
    _MOTION_BLUR,
    _ZOOM_BLUR,
    row("compression", "compression", codec.jpeg, quality=_JPEG),
    row("translate", "camera", camera.translate, pixels=(8, 16, 24, 32, 40)),
    row("rotate", "camera", camera.rotate, degrees=(7, 13, 19, 25, 31)),
    row("static_rotate", "camera", camera.static_rotate, degrees=(7.5, 15, 30, 45, 90)),
    row("sampling", "time", temporal.sampling, every=_HALVED),
    row("reverse_sampling", "time", temporal.reverse_sampling, every=_HALVED),
    row("jumble", "time", temporal.jumble, segment=(32, 16, 8, 4, 2)),
    row("box_jumble", "time", temporal.box_jumble, segment=(4, 9, 16, 25, 36)),
    row("freeze", "time", temporal.freeze, kept=(0.4, 0.2, 0.1, 0.05, 0.0), least=(1, 1, 1, 2, 1)),
    source="Schiappa et al., Large-scale Robustness Analysis of Video Action Recognition Models, CVPR 2023",
)

IMAGENET_C = protocol(
    "imagenet_c",
    _GAUSSIAN_NOISE,
    _SHOT_NOISE,
    _IMPULSE_NOISE,
    row("speckle_noise", "noise", noise.speckle_noise, sigma=(0.15, 0.2, 0.35, 0.45, 0.6)),
    row("gaussian_blur", "blur", blur.gaussian_blur, sigma=(1, 2, 3, 4, 6)),
    _DEFOCUS_BLUR,
    _MOTION_BLUR,
    _ZOOM_BLUR,
    _FOG,
    row(
        "snow",
        "weather",
        weather.snow,
        mean=(0.1, 0.2, 0.55, 0.55, 0.55),
        sigma=(0.3, 0.3, 0.3, 0.3, 0.3),
        zoom=(3, 2, 4, 4.5, 2.5),
        threshold=(0.5, 0.5, 0.9, 0.85, 0.85),
        radius=(10, 12, 12, 12, 12),
        blur=(4, 4, 8, 8, 12),
        kept=(0.8, 0.7, 0.7, 0.65, 0.55),
    ),
    row("contrast", "color", color.contrast, factor=(0.4, 0.3, 0.2, 0.1, 0.05)),
    _BRIGHTNESS,
    _SATURATE,
    row("pixelate", "compression", codec.pixelate, factor=(0.6, 0.5, 0.4, 0.3, 0.25)),
    row("jpeg", "compression", codec.jpeg, quality=_JPEG),
    source="Hendrycks & Dietterich, Benchmarking Neural Network Robustness, ICLR 2019 (ImageNet-C)",
    left_out={
        "frost": "it needs photographs of frost",
        "spatter": "its drops are drawn by OpenCV's edge detector",
        "glass_blur": "it moves each pixel by itself, one after another",
        "elastic_transform": "its strengths differ between the versions of its code",
    },
)

VIDEXP = protocol(
    "videxp",
    row("packet_loss", "transmission", packets.packet_loss, per_second=(0.5, 1, 2, 4, 8)),
    row("bit_errors", "transmission", packets.bit_errors, per_second=(0.5, 1, 2, 4, 8)),
    row(
        "flash",
        "color",
        color.flash,
        per_second=(1, 1, 1, 1, 1),
        strength=(0.2, 0.35, 0.5, 0.7, 0.9),
    ),
    row("frame_drop", "time", temporal.frame_drop, share=(0.05, 0.1, 0.2, 0.4, 0.6)),
    row("reversal", "time", temporal.reversal, segment=(2, 4, 8, 16, None)),
    source="what the papers lack, stated for each second of video or each frame",
)

PROTOCOLS: Mapping[str, Protocol] = {one.name: one for one in (YI2021, YI2021_SSV2, SCHIAPPA2023, IMAGENET_C, VIDEXP)}
