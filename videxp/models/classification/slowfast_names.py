"""What the names of PySlowFast's and mmaction2's checkpoints of SlowFast, Slow-only and X3D become here.

Names here are pytorchvideo's. PySlowFast (facebookresearch/SlowFast, `model_state` of its .pyth files; the .pkl files
of its zoo are Caffe2's and not read): `s2.pathway0_res1.branch2.a_bn.bias`. mmaction2 (`state_dict` of its .pth files):
`backbone.layer1.1.conv1.bn.bias`, with `slow_path.` and `fast_path.` in SlowFast.
"""

import re
from collections.abc import Callable

import torch
from torch import Tensor

from videxp.models.weights import Renames


def _stage(template: str, *, first: int) -> Callable[[re.Match[str]], str]:
    """A replacement: the template's first {} is the match's first group less `first`, the others are its others."""

    def replace(match: re.Match[str]) -> str:
        number, *others = match.groups()
        return template.format(int(number) - first, *others)

    return replace


_PYSLOWFAST_BLOCK: Renames = (
    (r"\.branch1\.", ".branch1_conv."),
    (r"\.branch1_bn\.", ".branch1_norm."),
    (r"\.branch2\.([abc])\.", r".branch2.conv_\1."),
    (r"\.branch2\.([abc])_bn\.", r".branch2.norm_\1."),
)
_CONV = {"1": "a", "2": "b", "3": "c"}
_MMACTION2_BLOCK: Renames = (
    (r"(res_blocks\.\d+)\.downsample\.conv\.", r"\1.branch1_conv."),
    (r"(res_blocks\.\d+)\.downsample\.bn\.", r"\1.branch1_norm."),
    (r"(res_blocks\.\d+)\.conv([123])\.conv\.", lambda m: f"{m[1]}.branch2.conv_{_CONV[m[2]]}."),
    (r"(res_blocks\.\d+)\.conv([123])\.bn\.", lambda m: f"{m[1]}.branch2.norm_{_CONV[m[2]]}."),
)
_PYSLOWFAST_STAGE: Renames = (
    (r"^s([2-5])\.pathway0_res(\d+)\.", _stage("blocks.{}.res_blocks.{}.", first=1)),
    *_PYSLOWFAST_BLOCK,
)
_MMACTION2_STAGE: Renames = (
    (r"^backbone\.layer([1-4])\.(\d+)\.", _stage("blocks.{}.res_blocks.{}.", first=0)),
    *_MMACTION2_BLOCK,
)

SLOW_NAMES: Renames = (
    (r"^s1\.pathway0_stem\.conv\.", "blocks.0.conv."),
    (r"^s1\.pathway0_stem\.bn\.", "blocks.0.norm."),
    *_PYSLOWFAST_STAGE,
    (r"^head\.projection\.", "blocks.5.proj."),
    (r"^backbone\.conv1\.conv\.", "blocks.0.conv."),
    (r"^backbone\.conv1\.bn\.", "blocks.0.norm."),
    *_MMACTION2_STAGE,
    (r"^cls_head\.fc_cls\.", "blocks.5.proj."),
)

_PATH = "blocks.{}.multipathway_blocks.{}."
SLOWFAST_NAMES: Renames = (
    (r"^s1\.pathway(\d)_stem\.conv\.", r"blocks.0.multipathway_blocks.\1.conv."),
    (r"^s1\.pathway(\d)_stem\.bn\.", r"blocks.0.multipathway_blocks.\1.norm."),
    (r"^s(\d)_fuse\.conv_f2s\.", _stage("blocks.{}.multipathway_fusion.conv_fast_to_slow.", first=1)),
    (r"^s(\d)_fuse\.bn\.", _stage("blocks.{}.multipathway_fusion.norm.", first=1)),
    (r"^s([2-5])\.pathway(\d)_res(\d+)\.", _stage(f"{_PATH}res_blocks.{{}}.", first=1)),
    *_PYSLOWFAST_BLOCK,
    (r"^head\.projection\.", "blocks.6.proj."),
    (r"^backbone\.slow_path\.conv1_lateral\.conv\.", "blocks.0.multipathway_fusion.conv_fast_to_slow."),
    (
        r"^backbone\.slow_path\.layer(\d)_lateral\.conv\.",
        _stage("blocks.{}.multipathway_fusion.conv_fast_to_slow.", first=0),
    ),
    (r"^backbone\.slow_path\.", "path0."),
    (r"^backbone\.fast_path\.", "path1."),
    (r"^path(\d)\.conv1\.conv\.", r"blocks.0.multipathway_blocks.\1.conv."),
    (r"^path(\d)\.conv1\.bn\.", r"blocks.0.multipathway_blocks.\1.norm."),
    (r"^path(\d)\.layer(\d)\.(\d+)\.", r"blocks.\2.multipathway_blocks.\1.res_blocks.\3."),
    *_MMACTION2_BLOCK,
    (r"^cls_head\.fc_cls\.", "blocks.6.proj."),
)

X3D_NAMES: Renames = (
    (r"^s1\.pathway0_stem\.conv_xy\.", "blocks.0.conv.conv_t."),
    (r"^s1\.pathway0_stem\.conv\.", "blocks.0.conv.conv_xy."),
    (r"^s1\.pathway0_stem\.bn\.", "blocks.0.norm."),
    *_PYSLOWFAST_STAGE,
    (r"\.branch2\.se\.fc1\.", ".branch2.norm_b.1.block.0."),
    (r"\.branch2\.se\.fc2\.", ".branch2.norm_b.1.block.2."),
    (r"^head\.conv_5\.", "blocks.5.pool.pre_conv."),
    (r"^head\.conv_5_bn\.", "blocks.5.pool.pre_norm."),
    (r"^head\.lin_5\.", "blocks.5.pool.post_conv."),
    (r"^head\.projection\.", "blocks.5.proj."),
    (r"^backbone\.conv1_s\.conv\.", "blocks.0.conv.conv_t."),
    (r"^backbone\.conv1_t\.conv\.", "blocks.0.conv.conv_xy."),
    (r"^backbone\.conv1_t\.bn\.", "blocks.0.norm."),
    *_MMACTION2_STAGE,
    (r"(res_blocks\.\d+)\.se_module\.fc1\.", r"\1.branch2.norm_b.1.block.0."),
    (r"(res_blocks\.\d+)\.se_module\.fc2\.", r"\1.branch2.norm_b.1.block.2."),
    (r"^backbone\.conv5\.conv\.", "blocks.5.pool.pre_conv."),
    (r"^backbone\.conv5\.bn\.", "blocks.5.pool.pre_norm."),
    (r"^cls_head\.fc1\.", "blocks.5.pool.post_conv."),
    (r"^cls_head\.fc2\.", "blocks.5.proj."),
    (r"\.branch2\.norm_b\.(weight|bias|running_mean|running_var|num_batches_tracked)$", r".branch2.norm_b.0.\1"),
)


def x3d_as_pytorchvideos(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """PySlowFast's and mmaction2's X3D under our names -> the tensors of pytorchvideo's, which has no norm on the first
    stage's shortcut.

    There gamma (Wx - mean) / sigma + beta becomes (gamma / sigma) Wx, and beta - gamma mean / sigma goes to the bias of
    the norm whose output the shortcut is added to: in evaluation the same but for rounding. mmaction2's fully connected
    layer becomes a convolution.
    """
    state = dict(state)
    block, last = "blocks.1.res_blocks.0", "blocks.5.pool.post_conv.weight"
    norm, conv, bias = f"{block}.branch1_norm", f"{block}.branch1_conv.weight", f"{block}.branch2.norm_c.bias"
    if f"{norm}.weight" in state:
        parts = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (state.pop(f"{norm}.{part}") for part in parts)
        state.pop(f"{norm}.num_batches_tracked", None)
        scale = gamma / torch.sqrt(variance + 1e-5)
        state[conv] = state[conv] * scale[:, None, None, None, None]
        state[bias] = state[bias] + beta - mean * scale
    if last in state and state[last].ndim == 2:
        state[last] = state[last][:, :, None, None, None]
    return state
