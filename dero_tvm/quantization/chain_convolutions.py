"""Shortcuts around more than a convolution become depthwise convolutions, before quantization.

    norm(sum_pool(norm(pad(sum_pool(x)))))   ->   conv(pad(conv(x), value))

Each tensor of such a chain is rounded to int8 (`linear_nodes` says why).  The rounding is small if
few operators are left, if each channel has a scale of its own, as weights have and tensors do not,
and if what is constant fills the range:

- a pooling, and the factors and summands behind it, are one depthwise convolution;
- channels of zeros are appended as late as possible.  A norm makes a constant of each, which may
  be much smaller than the range of the image's channels, and a second norm would multiply the
  error of its rounding.  So one large constant is appended to all, and the ratios are factors of
  the convolution that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dero_tvm.frontends.onnx.graph_nodes import attributes_of

from .linear_nodes import rounded_chains

_NORM = "BatchNormalization"
_SPREAD = 2.0  # standard deviations of a normalised channel that are surely in the image
_SMALLEST = 1e-4  # of a weight, relative to the bias, whose integers have the weight's scale


def convolve_chains(graph: onnx.GraphProto) -> None:
    """Rewrite, in place, the chains that have to be rounded.

    Shapes have to be known (``value_info``).  Of a chain that is more than poolings, factors,
    summands and appended zeros, the norms become convolutions of one pixel.
    """
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input)
    }
    constants = {tensor.name: tensor for tensor in graph.initializer}
    reader = _Reader(constants, shapes)
    for chain in rounded_chains(graph):
        try:
            _replace(graph, chain, _written(reader.stages(chain), chain))
        except _Unknown:
            for node in chain:
                if node.op_type == _NORM:
                    _convolve_norm(graph, node, reader)


class _Unknown(Exception):
    """The chain has an operator that is not read here."""


@dataclass(frozen=True)
class _Window:
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Stage:
    """``factor * sum of window + offset`` for each channel, then so many channels of zeros."""

    factor: np.ndarray
    offset: np.ndarray
    window: _Window | None = None
    appended: int = 0
    value: float = 0.0  # of the appended channels
    reach: float = field(default=0.0)  # a value that the result surely has; 0 if none is known

    @staticmethod
    def of(channels: int) -> _Stage:
        return _Stage(np.ones(channels), np.zeros(channels))

    def scaled(self, factor: np.ndarray | float) -> _Stage:
        return replace(self, factor=self.factor * factor, offset=self.offset * factor, reach=0.0)

    def shifted(self, summand: np.ndarray) -> _Stage:
        return replace(self, offset=self.offset + summand, reach=0.0)

    @property
    def idle(self) -> bool:
        return self.window is None and not self.offset.any() and bool((self.factor == 1.0).all())


class _Reader:
    def __init__(
        self, constants: Mapping[str, onnx.TensorProto], shapes: Mapping[str, Sequence[int]]
    ) -> None:
        self.constants = constants
        self.shapes = shapes

    def stages(self, chain: Sequence[onnx.NodeProto]) -> list[_Stage]:
        """What a chain computes, zeros appended as late as possible.  Raises `_Unknown`."""
        done: list[_Stage] = []
        (data,) = set(chain[0].input) - self.constants.keys()
        last = _Stage.of(self.channels(data))
        for node in chain:
            if [name for name in node.input if name and name not in self.constants] != [data]:
                raise _Unknown
            data = node.output[0]
            if node.op_type == "AveragePool":
                window = _window(node)
                if last.window is not None or last.offset.any() or last.appended:
                    done.append(last)
                    last = _Stage.of(len(last.factor) + last.appended)
                last = replace(last.scaled(1.0 / np.prod(window.size)), window=window)
            elif node.op_type == "Pad":
                last = replace(last, appended=last.appended + self._appended(node))
            else:
                if last.appended:
                    done.append(last)
                    last = _Stage.of(len(last.factor) + last.appended)
                last = self._affine(last, node)
        return _late([*done, last])

    def channels(self, name: str) -> int:
        shape = self.shapes.get(name, ())
        if len(shape) < 3 or not shape[1]:
            raise _Unknown
        return int(shape[1])

    def norm(self, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray, float]:
        """Factors and summands of a batch norm, and its reach."""
        if not self.constants.keys() >= set(node.input[1:]):
            raise _Unknown
        scale, shift, mean, variance = (self._numbers(name) for name in node.input[1:])
        factor = scale / np.sqrt(variance + attributes_of(node).get("epsilon", 1e-5))
        reach = float((np.abs(shift) + _SPREAD * np.abs(scale)).max())
        return factor, shift - mean * factor, reach

    def _affine(self, stage: _Stage, node: onnx.NodeProto) -> _Stage:
        if node.op_type == _NORM:
            factor, offset, reach = self.norm(node)
            return replace(stage.scaled(factor).shifted(offset), reach=reach)
        vectors = [self._vector(name, len(stage.factor)) for name in node.input]
        if len(vectors) != 2 or (vectors[0] is None) == (vectors[1] is None):
            raise _Unknown
        first = vectors[0] is not None
        vector = vectors[0] if vectors[0] is not None else vectors[1]
        assert vector is not None
        if node.op_type == "Mul":
            return stage.scaled(vector)
        if node.op_type == "Add":
            return stage.shifted(vector)
        if node.op_type == "Div" and not first and vector.all():
            return stage.scaled(1.0 / vector)
        if node.op_type == "Sub":
            return stage.scaled(-1.0).shifted(vector) if first else stage.shifted(-vector)
        raise _Unknown

    def _vector(self, name: str, channels: int) -> np.ndarray | None:
        """A constant with one number, or one for each channel; None for what is computed."""
        if name not in self.constants:
            return None
        values = self._numbers(name)
        if values.size == 1:
            return np.full(channels, values.item())
        shape = [1] * (3 - values.ndim) + list(values.shape)
        if values.size != channels or channels not in shape[:2] or values.ndim < 3:
            raise _Unknown
        return values.reshape(-1)

    def _appended(self, node: onnx.NodeProto) -> int:
        attributes = attributes_of(node)
        if attributes.get("mode", b"constant") != b"constant" or len(node.input) > 3:
            raise _Unknown
        if any(name and self._numbers(name).any() for name in node.input[2:3]):
            raise _Unknown
        amounts = attributes.get("pads") or [int(n) for n in self._numbers(node.input[1])]
        after = len(amounts) // 2 + 1
        if amounts[after] < 0 or any(n for i, n in enumerate(amounts) if i != after):
            raise _Unknown
        return int(amounts[after])

    def _numbers(self, name: str) -> np.ndarray:
        if name not in self.constants:
            raise _Unknown
        return numpy_helper.to_array(self.constants[name]).astype(np.float64)


def _window(node: onnx.NodeProto) -> _Window:
    attributes = attributes_of(node)
    size = tuple(attributes["kernel_shape"])
    padding = tuple(attributes.get("pads", [0] * (2 * len(size))))
    if (
        attributes.get("auto_pad", b"NOTSET") != b"NOTSET"
        or attributes.get("ceil_mode", 0)
        or set(attributes.get("dilations", [1])) != {1}
        or (any(padding) and not attributes.get("count_include_pad", 0))
    ):
        raise _Unknown
    return _Window(size, tuple(attributes.get("strides", [1] * len(size))), padding)


def _late(stages: list[_Stage]) -> list[_Stage]:
    """The same with channels appended behind later stages, if one follows that has factors."""
    for index in range(len(stages) - 2):
        before, here, behind = stages[index : index + 3]
        image = len(before.factor)
        if not before.appended or before.value or here.window is not None:
            continue
        # A sum of windows, then factors and summands: one stage, and constants beside it.
        constants = here.offset[image:]
        merged = before.scaled(here.factor[:image]).shifted(here.offset[:image])
        appended = before.appended + here.appended
        constants = np.append(constants, np.zeros(here.appended))
        value = here.reach or float(np.abs(constants).max())
        ratios = constants / value if value else np.ones(appended)
        stages = [
            *stages[:index],
            replace(merged, appended=appended, value=value),
            replace(behind, factor=behind.factor * np.append(np.ones(image), ratios)),
            *stages[index + 3 :],
        ]
        return _late(stages)
    return stages


# --- nodes -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Written:
    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]


def _written(stages: Sequence[_Stage], chain: Sequence[onnx.NodeProto]) -> _Written:
    """The nodes of stages, from the chain's input to its output."""
    data, result = chain[0].input[0], chain[-1].output[0]
    written = _Written([], [])
    zeros = 0  # channels of zeros at the end, whose factor does not matter
    for number, stage in enumerate(stages):
        name = f"{chain[-1].name}_{number}"
        if not stage.idle:
            conv, constants = _convolution(data, name, stage, zeros)
            written.nodes.append(conv)
            written.constants.extend(constants)
            data = conv.output[0]
        zeros = stage.appended if not stage.value else 0
        if stage.appended:
            spatial = len(stages[0].window.size) if stages[0].window else 2
            amounts = np.zeros(2 * (spatial + 2), np.int64)
            amounts[spatial + 3] = stage.appended
            names = [f"{name}_amounts", f"{name}_value"]
            for constant, values in zip(names, (amounts, np.float32(stage.value))):
                written.constants.append(numpy_helper.from_array(np.asarray(values), constant))
            written.nodes.append(
                helper.make_node("Pad", [data, *names], [f"{name}_padded"], f"{name}_pad")
            )
            data = f"{name}_padded"
    if not written.nodes:
        raise _Unknown
    written.nodes[-1].output[0] = result
    return written


def _convolution(
    data: str, name: str, stage: _Stage, zeros: int, rank: int = 2
) -> tuple[onnx.NodeProto, Iterator[onnx.TensorProto]]:
    window = stage.window or _Window((1,) * rank, (1,) * rank, (0,) * (2 * rank))
    channels = len(stage.factor)
    factor = stage.factor.copy()
    if zeros:
        factor[channels - zeros :] = 0.0
    # Biases are rounded to multiples of the weight's step, and have 32 bits.
    smallest = _SMALLEST * np.abs(stage.offset)
    factor = np.where(np.abs(factor) < smallest, smallest, factor)
    weight = np.broadcast_to(
        factor.reshape(-1, 1, *(1 for _ in window.size)), (channels, 1, *window.size)
    )
    names = [f"{name}_weight", f"{name}_bias"]
    node = helper.make_node(
        "Conv",
        [data, *names],
        [f"{name}_result"],
        f"{name}_convolution",
        kernel_shape=window.size,
        strides=window.strides,
        pads=window.padding,
        group=channels,
    )
    arrays = (weight, stage.offset)
    return node, (numpy_helper.from_array(np.float32(a), n) for n, a in zip(names, arrays))


def _convolve_norm(graph: onnx.GraphProto, node: onnx.NodeProto, reader: _Reader) -> None:
    try:
        factor, offset, _ = reader.norm(node)
        reader.channels(node.input[0])
    except _Unknown:
        return
    rank = len(reader.shapes[node.input[0]]) - 2
    conv, constants = _convolution(node.input[0], node.name, _Stage(factor, offset), 0, rank)
    conv.output[0] = node.output[0]
    graph.initializer.extend(constants)
    node.CopyFrom(conv)


def _replace(graph: onnx.GraphProto, chain: Sequence[onnx.NodeProto], written: _Written) -> None:
    gone = {name for node in chain for name in node.output[:1]} - {chain[-1].output[0]}
    position = list(graph.node).index(chain[0])
    for node in chain:
        graph.node.remove(node)
    for offset, node in enumerate(written.nodes):
        graph.node.insert(position + offset, node)
    graph.initializer.extend(written.constants)
    for value in [value for value in graph.value_info if value.name in gone]:
        graph.value_info.remove(value)
