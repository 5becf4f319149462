"""Constants that a graph computes are computed once, before the import, and so are shapes.

Exporters write the sizes of a Reshape, the amounts of a Pad, or a grid of positions as chains of
nodes on constants and on shapes of activations, and TVM's importer wants many of them as constants.
A node whose operands are all known becomes an initializer, and an If whose condition is known the
branch that is taken, an operator that ONNX defines by others and that is not converted itself those
others; on the way every tensor's type and shape is inferred, as ONNX defines them.

What is computed is bounded, because a few bytes can ask for a constant of any size.  What quantizes
or dequantizes stays: integer arithmetic is made of it later.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import shape_inference
from onnx.reference import ReferenceEvaluator

from dero_tvm.boundary.errors import UserError

from .blocked_quantization import without_blocks
from .branches import taken_branch
from .constant_forms import constant_value
from .constants import Constants
from .definitions import defined_by
from .functions import MOST_NODES
from .graph_nodes import replace_nodes
from .types import rounds_up

Types = dict[str, onnx.TypeProto]

_VECTORISED = frozenset(  # operators whose time is that of reading and writing their tensors
    "Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BatchNormalization BitShift "
    "BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Clip Concat ConstantOfShape "
    "Cos Cosh CumSum DepthToSpace Div Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather "
    "GatherElements Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization "
    "IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log Max Mean Min Mod Mul Neg "
    "NonZero Not OneHot Or Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum "
    "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu "
    "Reshape Round Selu Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth "
    "Split Sqrt Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor".split()
)
_READ_ONCE = frozenset(  # others that do a fixed number of steps for an element
    "Celu Compress Hardmax Gelu GatherND GroupNormalization LRN LogSoftmax LpNormalization "
    "MeanVarianceNormalization Mish PRelu RMSNormalization ReverseSequence ScatterElements "
    "ScatterND Shrink Swish ThresholdedRelu".split()
)
_UNTOUCHED = frozenset(  # what quantizes, and what is not the same at every run
    "Bernoulli Constant DequantizeLinear Dropout DynamicQuantizeLinear Multinomial QuantizeLinear "
    "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Shape".split()
)
# The reference evaluator knows operators as they are since this set; before, these alone.
_OPERATORS_ARE_AS_TODAY = 13
_UNCHANGED_SINCE_7 = frozenset(
    "Abs Add Ceil Concat ConstantOfShape Div Equal Exp Expand Floor Gather Identity Max Min Mod "
    "Mul Neg Not Range ReduceProd Reshape Slice Sqrt Squeeze Sub Tile Transpose Unsqueeze "
    "Where".split()
)
_BROADCAST_IS_AN_ATTRIBUTE = 7  # before this set
_COUNTS_WINDOWS_SINCE = 22  # as they are computed

_MOST_ELEMENTS = 1 << 24  # of a result that is larger than its operands together
_MOST_FILLED = 1 << 27  # of weights that are all the same, which later stages make
_MOST_WORK = 1 << 26  # elements that all nodes read and write
_MOST_SLOW_WORK = 1 << 13  # of a node with an operator that is not of the first list above
_MOST_PRODUCTS = 1 << 31  # of all matrices, convolutions and windows on constants


def fold_constants(model: onnx.ModelProto, opset: int, label: str) -> Types:
    """Replace the nodes of `model` whose results are known by these results, in place.

    `model` has its nodes in order, its constants as initializers, and inputs of fixed shapes.
    Returns the types of all tensors as ONNX infers them, where it does.  Raises
    :class:`UserError` for constants that would need too much memory or time.
    """
    return _Folding(model, opset, label).run()


class _Folding:
    def __init__(self, model: onnx.ModelProto, opset: int, label: str) -> None:
        self._graph = model.graph
        self._opset = opset
        self._label = label
        self._ir_version = model.ir_version
        self._opsets = list(model.opset_import)
        self._constants = Constants(model.graph)
        self._declared = {value.name: value.type for value in model.graph.value_info}
        self._outputs = {value.name for value in model.graph.output}
        self._inlined = False
        self._defined = 0  # nodes that operators were spelled out as
        self._work = 0
        self._products = 0
        self.types: Types = {value.name: value.type for value in model.graph.input}
        for tensor in model.graph.initializer:
            self._note_type(tensor)

    def run(self) -> Types:
        kept = []
        computed: set[str] = set()
        waiting = deque(self._graph.node)
        while waiting:
            node = waiting.popleft()
            inside = taken_branch(node, self._constants)
            if inside is not None:
                waiting.extendleft(reversed(inside))
                self._inlined = True
                continue
            if self._inlined and self._holds_constant(node):
                continue
            self.types.update(self._inferred(node))
            results = self._results(node)
            if results is None:
                definition = without_blocks(node, self.types, self._constants)
                if definition is None:
                    definition = defined_by(node, self.types, self._opsets, self._constants)
                if definition is None:
                    kept.append(node)
                else:
                    self._count(definition)
                    waiting.extendleft(reversed(definition))
                    self._inlined = True
                continue
            for name, value in zip(node.output, results):
                if name:
                    self._constants.define(name, value)
                    computed.add(name)
                    self.types[name] = onnx.helper.make_tensor_type_proto(
                        self._constants.element_type(name) or 0, list(value.shape)
                    )
        if self._inlined or len(kept) < len(self._graph.node):
            replace_nodes(self._graph, kept)
            self._constants.drop_unread(computed)
        return self.types

    def _count(self, definition: Sequence[onnx.NodeProto]) -> None:
        self._defined += len(definition)
        if self._defined > MOST_NODES:
            raise UserError(
                f"{self._label}: the definitions of its operators have more than {MOST_NODES:,} "
                "nodes; that is no network for a microcontroller"
            )

    def _holds_constant(self, node: onnx.NodeProto) -> bool:
        """Make an initializer of a branch's Constant node; False for others."""
        if node.op_type != "Constant" or not self._outputs.isdisjoint(node.output):
            return False
        tensor = constant_value(node, self._label)
        if tensor is not None:
            self._constants.hold(tensor)
            self._note_type(tensor)
        return tensor is not None

    def _note_type(self, tensor: onnx.TensorProto) -> None:
        self.types[tensor.name] = onnx.helper.make_tensor_type_proto(
            tensor.data_type, list(tensor.dims)
        )

    # --- types -------------------------------------------------------------------------------

    def _inferred(self, node: onnx.NodeProto) -> Mapping[str, onnx.TypeProto]:
        """What ONNX infers for the results; else what the file declares, so that it goes on."""
        declared = {name: self._declared[name] for name in node.output if name in self._declared}
        known = {name: self.types[name] for name in node.input if name in self.types}
        if len(known) < len({name for name in node.input if name}):
            return declared
        small = {
            name: tensor
            for name in node.input
            if name and (tensor := self._constants.tensor(name, _MOST_SLOW_WORK)) is not None
        }
        try:
            # Before, ONNX counted windows that no runtime computes: see `declared_types`.
            opset = max(self._opset, _COUNTS_WINDOWS_SINCE) if rounds_up(node) else self._opset
            schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
            found = shape_inference.infer_node_outputs(
                schema, node, known, small, opset_imports=self._opsets, ir_version=self._ir_version
            )
        except Exception:  # no such operator in ONNX, or operands that do not fit
            return declared
        return {
            **declared,
            **{name: ty for name, ty in found.items() if fixed_shape(ty) is not None},
        }

    # --- values ------------------------------------------------------------------------------

    def _results(self, node: onnx.NodeProto) -> Sequence[np.ndarray] | None:
        """What `node` computes; None if that is not known, or is left to later stages."""
        if node.domain not in ("", "ai.onnx") or not node.output:
            return None
        if node.op_type == "Shape":
            return self._shape_of(node)
        if not self._outputs.isdisjoint(node.output):
            self._known_operands(node)  # too large a constant is refused as an output, too
            return None
        if node.op_type == "ConstantOfShape" and (
            _MOST_ELEMENTS < self._elements(node.output[0]) <= _MOST_FILLED
        ):
            return None
        operands = self._known_operands(node)
        if operands is None or not self._is_evaluated(node):
            return None
        elements = sum(map(self._elements, {*node.input, *node.output}))
        if node.op_type not in _VECTORISED and elements > _MOST_SLOW_WORK:
            return None
        return _evaluate(node, operands, self._opsets)

    def _is_evaluated(self, node: onnx.NodeProto) -> bool:
        if self._opset >= _OPERATORS_ARE_AS_TODAY:
            return True
        old = any(attribute.name in ("broadcast", "tiles") for attribute in node.attribute)
        if self._opset < _BROADCAST_IS_AN_ATTRIBUTE and old:
            return False
        return node.op_type in _UNCHANGED_SINCE_7 or (
            node.op_type == "Cast" and self._opset >= _BROADCAST_IS_AN_ATTRIBUTE
        )

    def _shape_of(self, node: onnx.NodeProto) -> Sequence[np.ndarray] | None:
        shape = fixed_shape(self.types[node.input[0]]) if node.input[0] in self.types else None
        if shape is None:
            return None
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        return [np.array(shape[ends.get("start", 0) : ends.get("end")], np.int64)]

    def _known_operands(self, node: onnx.NodeProto) -> dict[str, np.ndarray] | None:
        """The operands if all are known, and the result may be computed: else an error."""
        names = {name for name in node.input if name}
        if node.op_type in _UNTOUCHED or any(name not in self._constants for name in names):
            return None
        if not names and node.op_type != "ConstantOfShape":
            return None
        self._limit(node, names)
        operands = {}
        for name in sorted(names):
            value = self._constants.value(name)
            if value is None or value.dtype.kind not in "biuf" or value.dtype.name == "bfloat16":
                return None
            operands[name] = value
        return operands

    def _limit(self, node: onnx.NodeProto, names: set[str]) -> None:
        read = sum(map(self._elements, names))
        for name in node.output:
            written = self._elements(name)
            if written > max(_MOST_ELEMENTS, read):
                raise UserError(
                    f"{self._label}: {node.op_type} (node {node.name!r}) computes a constant of "
                    f"{written:,} elements, more than the {_MOST_ELEMENTS:,} that are computed "
                    "beforehand; make it smaller"
                )
            self._work += written
            self._products += written * self._products_of_one(node)
        self._work += read
        if self._work > _MOST_WORK + 8 * self._constants.initial_elements:
            what = "read and write too many elements"
        elif self._products > _MOST_PRODUCTS:
            what = "multiply too many elements"
        else:
            return
        raise UserError(
            f"{self._label}: the nodes that compute constants {what} for it to be done beforehand "
            f"(at the {node.op_type} that computes {node.output[0]!r}); store their results"
        )

    def _products_of_one(self, node: onnx.NodeProto) -> int:
        """About how many elements are combined into one of the result."""
        window = next((list(a.ints) for a in node.attribute if a.name == "kernel_shape"), [])
        if node.op_type in _VECTORISED or node.op_type in _READ_ONCE:
            return 0
        if "Conv" in node.op_type or node.op_type in ("Gemm", "MatMul", "MatMulInteger"):
            return max((max(self._dims(name), default=1) for name in node.input), default=1) * max(
                prod(window), 1
            )
        largest = max((self._elements(name) for name in node.input), default=1)
        return max(prod(window), 1) if window else largest

    def _dims(self, name: str) -> Sequence[int]:
        return fixed_shape(self.types[name]) or () if name in self.types else ()

    def _elements(self, name: str) -> int:
        """Of a tensor; those of one whose shape is not known count as few."""
        if not name or name not in self.types:
            return 0
        return prod(fixed_shape(self.types[name]) or ())


def fixed_shape(ty: onnx.TypeProto) -> list[int] | None:
    """The shape of a type of tensors, if all of it is known."""
    tensor = ty.tensor_type
    if not ty.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    return [int(dim.dim_value) for dim in tensor.shape.dim]


def _evaluate(
    node: onnx.NodeProto,
    operands: Mapping[str, np.ndarray],
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> Sequence[np.ndarray] | None:
    """The results by the onnx package's own evaluator; None if it cannot."""
    names = [name for name in node.output if name]
    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [onnx.ValueInfoProto(name=name) for name in operands],
        [onnx.ValueInfoProto(name=name) for name in names],
    )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            evaluator = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opsets))
            found: Any = evaluator.run(None, dict(operands))
    except Exception:  # the evaluator asserts, looks up and raises freely
        return None
    known = dict(zip(names, (np.asarray(value) for value in found)))
    if any(value.dtype.kind not in "biuf" for value in known.values()):
        return None
    empty = np.zeros(0)
    return [known.get(name, empty) for name in node.output]
