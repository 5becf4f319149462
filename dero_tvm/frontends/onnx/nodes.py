"""One node of an ONNX graph as a Relax expression: TVM's importer, put right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from functools import partial
from typing import Any

import onnx
from tvm import relax
from tvm.ir import Call
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter

from dero_tvm.boundary.errors import UserError, first_line
from relax_passes.ir.origins import Origin

from .cast import cast
from .clip import clip
from .cumulative import cumulative_sum
from .definitions import operator_of
from .dynamic_quantize import dynamic_quantize
from .is_infinite import is_infinite
from .joins import JOINS, join
from .local_response import local_response
from .lp_normalization import LP_NORMALIZATION, lp_normalization
from .old_operators import Node, in_newer_form, shape_of
from .one_hot import one_hot
from .pad import pad, tile
from .recurrent import RECURRENT, recurrent
from .resize import resize
from .windows import WINDOWS, resolve_padding, with_zeros

_WITH_BIAS = ("Conv", "ConvTranspose", "Gemm")
_CONVERTERS: Mapping[str, Callable[[Node], relax.Expr]] = {
    **dict.fromkeys(RECURRENT, recurrent),
    LP_NORMALIZATION: lp_normalization,
    "CumSum": cumulative_sum,
    "DynamicQuantizeLinear": dynamic_quantize,
    "IsInf": is_infinite,
    "LRN": local_response,
    "OneHot": one_hot,
}


class Importer(ONNXGraphImporter):
    """TVM's importer, with operators that it misreads converted here.

    It says which node it could not convert, and keeps from which node each tensor is.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], label: str) -> None:
        super().__init__({name: list(shape) for name, shape in shapes.items()}, "float32")
        self._label = label
        self.origins: dict[relax.Expr, Origin] = {}

    def _construct_nodes(self, graph: onnx.GraphProto) -> None:
        super()._construct_nodes(graph)
        for node in graph.node:
            origin = Origin(operator_of(node), node.name or next(iter(node.output), ""))
            for output in node.output:
                converted = self._nodes.get(output)
                if isinstance(converted, (relax.Var, Call, relax.TupleGetItem)):
                    self.origins.setdefault(converted, origin)

    def _check_for_unsupported_ops(self, graph: onnx.GraphProto) -> None:
        """Done before the import, which knows operators that TVM's importer does not."""

    def types(self) -> dict[str, relax.Type]:
        """The type of every tensor that has been imported, by its name in the file."""
        return {name: expr.ty for name, expr in self._nodes.items() if isinstance(expr, relax.Expr)}

    def _convert_operator(
        self, op_name: str, inputs: Any, attrs: dict[str, Any], opset: int
    ) -> relax.Expr:
        node = Node(op_name, inputs, attrs, opset, self.bb)
        try:
            in_newer_form(node)
            return self.bb.normalize(self._converted(node))
        except Exception as error:  # converters assert, look up and raise freely
            raise UserError(
                f"{self._label}: cannot import the operator {op_name} "
                f"(node {attrs['tvm_custom']['name']!r}): {first_line(error)}"
            ) from error

    def _converted(self, node: Node) -> relax.Expr:
        inputs, attrs = node.inputs, node.attrs
        if node.result is not None:
            return node.result
        if attrs.pop("channels_last", 0):
            return self._channels_last(node)
        if node.name in JOINS:
            return join(node.name, inputs, self.bb)
        if node.name == "Clip" and (clipped := clip(inputs)) is not None:
            return clipped
        if node.name == "Cast" and (converted := cast(inputs, attrs)) is not None:
            return converted
        if node.name == "Pad" and (padded := pad(inputs, attrs)) is not None:
            return padded
        if node.name == "Tile" and (tiled := tile(inputs)) is not None:
            return tiled
        if node.name == "Einsum":  # of which TVM's importer makes a function of loops
            return relax.op.einsum(list(inputs), str(attrs["equation"], "utf-8"))
        if node.name in _CONVERTERS:
            return _CONVERTERS[node.name](node)
        if node.name == "Dropout":
            return self._everything(inputs[0], attrs["tvm_custom"]["num_outputs"])
        if node.name == "Resize":
            return resize(inputs, attrs, partial(self._resized, node.opset), self.bb)
        if node.name == "Mod" and not attrs.get("fmod") and "float" in str(inputs[0].ty.dtype):
            raise ValueError("of floating-point numbers it is supported with fmod=1 alone")
        if node.name in WINDOWS:
            zeros = resolve_padding(node.name, inputs, attrs)
            inputs[0] = self.bb.normalize(with_zeros(inputs[0], zeros))
        if node.name in _WITH_BIAS:
            self._match_bias(inputs)
        return super()._convert_operator(node.name, inputs, attrs, node.opset)

    def _channels_last(self, node: Node) -> relax.Expr:
        """A quantized convolution or pooling of NHWC data; weights are as ever."""
        last = len(shape_of(node.inputs[0])) - 1
        first = relax.op.permute_dims(node.inputs[0], [0, last, *range(1, last)])
        node.inputs[0] = self.bb.normalize(first)
        converted = self.bb.normalize(self._converted(node))
        return relax.op.permute_dims(converted, [0, *range(2, last + 1), 1])

    def _everything(self, data: relax.Expr, results: int) -> relax.Expr:
        """Dropout as it is in a trained network; a second result says what it keeps."""
        if results == 1:
            return data
        kept = relax.op.full(data.ty.shape, relax.const(True), "bool")
        return relax.Tuple([data, self.bb.emit(kept)])

    def _resized(
        self, opset: int, inputs: MutableSequence[Any], attrs: dict[str, Any]
    ) -> relax.Expr:
        return super()._convert_operator("Resize", inputs, attrs, opset)

    def _match_bias(self, inputs: MutableSequence[Any]) -> None:
        """A bias of another type than the data is converted, as it would be by adding it."""
        if len(inputs) > 2 and inputs[2] is not None:
            kind = str(inputs[0].ty.dtype)
            if str(inputs[2].ty.dtype) != kind:
                inputs[2] = self.bb.emit(relax.op.astype(inputs[2], kind))
