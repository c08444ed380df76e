"""Int8 of an ONNX file: static QDQ, uint8 activations, int8 weights per channel, calibrated on clips that are given.

What a quantizer passes over stays float without a word; so the share that became int8 is counted in the file it left.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest
from videxp.core.files import replacing

if TYPE_CHECKING:
    from onnx import ModelProto

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def quantize(source: Path, target: Path, feeds: Sequence[Mapping[str, Any]], *, min_share: float) -> float:
    """Write `target`, the int8 of `source`; the share of weighted nodes that are int8.

    feeds: an array for each input, of each calibration clip. BadRequest: the share is below `min_share`, nothing left.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Clips(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[Mapping[str, Any]] = iter(feeds)

        def get_next(self) -> Mapping[str, Any] | None:
            return next(self.left, None)

    with replacing(target) as temporary:
        quantize_static(
            source,
            temporary,
            Clips(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=list(WEIGHTED),
        )
        share = quantized_share(onnx.load(temporary))
        if share < min_share:
            raise BadRequest(
                f"int8: {share:.0%} of convolutions and linear layers became int8, less than --min-share {min_share:g}"
            )
    return share


def quantized_share(model: "ModelProto") -> float:
    """Convolutions and linear layers whose activations and weights are both int8, over all of them; 0 of none."""
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    weighted = [node for node in model.graph.node if node.op_type in WEIGHTED]
    int8 = [node for node in weighted if all(made_by.get(name) == "DequantizeLinear" for name in node.input[:2])]
    return len(int8) / len(weighted) if weighted else 0.0
