"""Batched transforms on the device: uint8 [N,T,H,W,C] in, normalized float [N',T,C,H,W] out.

Read `train.py` and `evaluate.py` first: they are the two modules that a recipe names. What they do stands in the pure
functions of `geometry.py`, `color.py`, `mixing.py` and `mosaic.py`; `memory.py` may be skipped.

For restoration it is `restoration.py`, whose degradations are those of `downscale.py`, `noise.py`, `motion_blur.py` and
`grading.py`, which takes color or light away; `real_world.py`, `mixed.py` and `reencode.py` make theirs on the CPU.
For scenes it is `scenes.py`; for inpainting `inpainting.py`, and `masks.py` draws what is hidden. What networks are
tested under, and trained against, is in `corruptions/`.
"""

from videxp.core.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "Blobs": "videxp.transforms.masks",
        "MixedMasks": "videxp.transforms.masks",
        "Rectangle": "videxp.transforms.masks",
        "Strokes": "videxp.transforms.masks",
        "InpaintingEval": "videxp.transforms.inpainting",
        "InpaintingTrain": "videxp.transforms.inpainting",
        "BicubicDown": "videxp.transforms.downscale",
        "BlurDown": "videxp.transforms.downscale",
        "Darkened": "videxp.transforms.grading",
        "Graded": "videxp.transforms.grading",
        "Greyed": "videxp.transforms.grading",
        "Blur": "videxp.transforms.real_world",
        "CameraShake": "videxp.transforms.motion_blur",
        "CRVDNoise": "videxp.transforms.noise",
        "GaussianNoise": "videxp.transforms.noise",
        "FrameAverage": "videxp.transforms.motion_blur",
        "Jpeg": "videxp.transforms.real_world",
        "Mixed": "videxp.transforms.mixed",
        "Noise": "videxp.transforms.real_world",
        "PoissonGaussianNoise": "videxp.transforms.noise",
        "OnCpu": "videxp.transforms.on_cpu",
        "RealWorld": "videxp.transforms.real_world",
        "Reencode": "videxp.transforms.reencode",
        "Resize": "videxp.transforms.real_world",
        "RestorationEval": "videxp.transforms.restoration",
        "RestorationTrain": "videxp.transforms.restoration",
        "SelfSupervised": "videxp.transforms.noise",
        "SceneEval": "videxp.transforms.scenes",
        "SceneTrain": "videxp.transforms.scenes",
        "VideoCompression": "videxp.transforms.real_world",
        "EvalTransform": "videxp.transforms.evaluate",
        "TrainTransform": "videxp.transforms.train",
        "color_matrices": "videxp.transforms.color",
        "crop_resize": "videxp.transforms.geometry",
        "flip": "videxp.transforms.geometry",
        "mix_": "videxp.transforms.mixing",
        "normalize": "videxp.transforms.color",
        "random_boxes": "videxp.transforms.geometry",
        "resize_short_side": "videxp.transforms.geometry",
        "resized_crop_boxes": "videxp.transforms.geometry",
        "view_boxes": "videxp.transforms.geometry",
    },
)
