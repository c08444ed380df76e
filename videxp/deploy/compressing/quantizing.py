"""Int8 of an ONNX file: static QDQ, uint8 activations, int8 weights per channel, calibrated on clips that are given.

What a quantizer passes over stays float without a word; so the share that became int8 is counted in the file it left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from videxp.core.errors import BadRequest
from videxp.core.files import replacing

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
SCHEME = "static QDQ, uint8 activations, int8 weights per channel"
METHOD = "least and greatest value"
"""By which the range of an activation is found."""


@dataclass(frozen=True)
class Layers:
    """Convolutions and linear layers of a file."""

    of: int
    int8: int
    kept: Sequence[str]
    """Names of those that were to stay float."""

    @property
    def share(self) -> float:
        """Of those that were to become int8, those that are; 0 of none."""
        return self.int8 / (self.of - len(self.kept)) if self.of > len(self.kept) else 0.0

    def in_words(self) -> str:
        kept = f"; {len(self.kept)} of few channels stay{'s' * (len(self.kept) == 1)} float" if self.kept else ""
        return f"{self.int8} of {self.of} convolutions and linear layers are int8{kept}"


def quantize(
    source: Path, target: Path, feeds: Sequence[Mapping[str, Any]], *, min_share: float, min_channels: int
) -> Layers:
    """Write `target`, the int8 of `source`.

    feeds: an array for each input, of each calibration clip. min_channels: convolutions that read fewer stay float.
    Raises BadRequest where less than `min_share` of the others became int8; nothing is left then.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Feeds(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[Mapping[str, Any]] = iter(feeds)

        def get_next(self) -> Mapping[str, Any] | None:
            return next(self.left, None)

    with TemporaryDirectory(dir=target.parent, prefix=".folded_") as held, replacing(target) as temporary:
        folded = Path(held) / "folded.onnx"  # batch norms in convolutions
        quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)  # which knows few operators
        kept = of_few_channels(onnx.load(folded), least=min_channels)
        quantize_static(
            folded,
            temporary,
            Feeds(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=list(WEIGHTED),
            nodes_to_exclude=kept,
        )
        layers = count_layers(onnx.load(temporary), kept=kept)
        if layers.share < min_share:
            raise BadRequest(f"int8: {layers.in_words()}: {layers.share:.0%}, less than --min-share {min_share:g}")
    return layers


def of_few_channels(model: "ModelProto", *, least: int) -> list[str]:
    """Names of convolutions that read fewer channels, such as the colors of pictures: onnxruntime gathers what a
    convolution in int8 reads channel by channel, which takes longer there than float does."""
    dims = {one.name: one.dims for one in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] in dims and dims[node.input[1]][1] * groups_of(node) < least
    ]


def groups_of(node: "NodeProto") -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def count_layers(model: "ModelProto", *, kept: Sequence[str]) -> Layers:
    """A layer is int8 where its activations and its weights both are."""
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    weighted = [node for node in model.graph.node if node.op_type in WEIGHTED]
    int8 = [node for node in weighted if all(made_by.get(name) == "DequantizeLinear" for name in node.input[:2])]
    return Layers(of=len(weighted), int8=len(int8), kept=kept)
