"""Weights of networks for pictures as a start for those for video: "inflation", Carreira & Zisserman 2017, section 2.4.

A kernel over a picture is repeated along time and divided by its length there, so that a still video gives what the
picture gives. Swin's biases of relative positions are repeated over the distances in time (Liu et al. 2022, "Video Swin
Transformer", section 3.4).
"""

from collections.abc import Mapping

from torch import Tensor

from videxp.models.weights import Renames, renamed

_SWIN_NAMES: Renames = (
    (r"^features\.0\.0\.", "patch_embed.proj."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    (r"^features\.(\d)\.", lambda match: f"features.{int(match[1]) - 1}."),
)


def inflated(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by the same names, kernels [D',D,H,W] as [D',D,T,H,W] where the network's `own` have a T."""

    def fit(key: str, value: Tensor) -> Tensor:
        if value.ndim != 4 or key not in own or own[key].ndim != 5:
            return value
        length = own[key].shape[2]
        return value[:, :, None].repeat(1, 1, length, 1, 1) / length

    return {key: fit(key, value) for key, value in state.items()}


def swin_in_time(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's Swin Transformer for pictures as its Video Swin Transformer; the latter's own tensors as they are.

    There the patches are embedded by features.0, and the stages follow it.
    """
    first = state.get("features.0.0.weight")
    if first is None or first.ndim != 4:
        return dict(state)

    def fit(key: str, value: Tensor) -> Tensor:
        if key not in own:
            return value
        if key.endswith(".relative_position_index"):
            return own[key]
        return value.repeat(len(own[key]) // len(value), 1) if key.endswith("_bias_table") else value

    return inflated({key: fit(key, value) for key, value in renamed(dict(state), _SWIN_NAMES).items()}, own)
