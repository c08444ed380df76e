"""Model FLOPs utilization (MFU): the operations that a training step needs, over what the devices could do meanwhile.

Chowdhery et al. 2022 (PaLM), appendix B: of forward and backward, three times the forward's; what is computed a second
time to save memory does not count.
"""

import warnings

import torch

from videxp.tasks import VideoTask

OPERAND = {
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "bf16-true": torch.bfloat16,
    "16-mixed": torch.float16,
    "16-true": torch.float16,
}
"""Type that a precision multiplies in."""


def share_of_clip(
    task: VideoTask, device: torch.device, precision: str, *, num_frames: int, size: int
) -> tuple[float | None, str]:
    """(share of a second's operations of one device that training on one clip needs, why it is unknown).

    MFU is this times clips per second and device. Of a clip 3 x forward, 2 operations of a multiply-accumulate.
    """
    if len(task.parts) > 1:
        return None, f"a step trains {' and '.join(task.parts)}, each as often as its recipe says"
    peak, unknown = peak_flops(device, precision)
    if peak is None:
        return None, unknown
    return 3 * 2e9 * task.work_of_one_clip(num_frames=num_frames, size=size) / peak, ""


def peak_flops(device: torch.device, precision: str) -> tuple[float | None, str]:
    """(operations per second that the device's maker names for the precision, why they are unknown)."""
    from lightning_fabric.utilities.throughput import get_available_flops

    if device.type != "cuda":
        return None, f"no peak is known of a {device.type.upper()}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it does not know
        found = get_available_flops(device, OPERAND.get(precision, precision))
    name = torch.cuda.get_device_name(device)
    return (float(found), "") if found else (None, f"no peak is known of {name} in {precision}")
