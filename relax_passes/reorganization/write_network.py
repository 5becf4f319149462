"""From the description of a network to Relax: every normalisation, pooling and fold spelled out.

::

    n = x * scale + shift                    normalisation, folded to a factor and a summand
    y = act(conv2d(n))
    p = pool2d(x, sum)                       where the size changes
    m = pad(p)  or  p[..:C] + p[C:..] + ...  where the number of channels changes
    s = m * scale + shift
    z = y + s

with the operators of docs/operators.md.  The variable of a node's result is its name with ``_``
for the dot; what belongs to it has that name as its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from ..ir.straight_line import read_function, write_function
from ..operators import make_call, spec_of
from . import description as net
from .cannot_reorganize import CannotReorganize, refusing


def write_network(network: net.Reorganization) -> relax.Function:
    """A Relax function over the network's inputs, in one dataflow block."""
    return _Writer(network.weights).write(network)


class _Writer:
    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights = weights
        self.builder = relax.BlockBuilder()
        self.tensors: dict[str, relax.Expr] = {}
        self.parts: dict[str, tuple[relax.Expr, relax.Expr]] = {}  # main path and shortcut

    def write(self, network: net.Reorganization) -> relax.Function:
        architecture = network.architecture
        pooled_apart = {
            node.inputs[0]
            for node in architecture.nodes
            if isinstance(node, net.GlobalPool) and node.apart
        }
        reads = [name for node in architecture.nodes for name in node.inputs]
        reads += [port.name for port in architecture.outputs]
        parameters = [
            relax.Var(port.name, relax.TensorType(port.shape, "float32"))
            for port in architecture.inputs
        ]
        with self.builder.function("main", parameters):
            with self.builder.dataflow():
                for parameter, port in zip(parameters, architecture.inputs):
                    self.tensors[port.name] = self._input(parameter, port)
                for node in architecture.nodes:
                    apart = node.name in pooled_apart and reads.count(node.name) == 1
                    with refusing(node.title):
                        self._node(node, apart)
                results = [self._output(port) for port in architecture.outputs]
                outputs = [self.builder.emit_output(result) for result in results]
            self.builder.emit_func_output(outputs[0] if len(outputs) == 1 else outputs)
        written = self.builder.get()
        return write_function(written, read_function(written))["main"]  # names of names go

    def _emit(self, label: str, operator: str, *operands: relax.Expr, **attrs: Any) -> relax.Var:
        return self.builder.emit(make_call(operator, operands, **attrs), label)

    def _input(self, parameter: relax.Var, port: net.Port) -> relax.Expr:
        x: relax.Expr = parameter
        if port.layout == "NCHW":
            x = self._emit(f"{port.name}_nhwc", "transpose", x, axes=(0, 2, 3, 1))
        if port.layout == "NCL":
            x = self._emit(f"{port.name}_nlc", "transpose", x, axes=(0, 2, 1))
        if port.layout in ("NCL", "NLC"):
            shape = (1, *port.image_shape)
            x = self._emit(f"{port.name}_image", "reshape", x, shape=shape)
        return x

    def _output(self, port: net.Port) -> relax.Expr:
        value = self.tensors[port.name]
        if port.layout == "NCHW" and len(spec_of(value.ty).shape) == 4:
            value = self._emit("output_nchw", "transpose", value, axes=(0, 3, 1, 2))
        if port.layout == "NCL" and len(spec_of(value.ty).shape) == 4:
            _, length, _, channels = spec_of(value.ty).shape
            value = self._emit("output_nlc", "reshape", value, shape=(1, length, channels))
            value = self._emit("output_ncl", "transpose", value, axes=(0, 2, 1))
        spec = spec_of(value.ty)
        if spec.elements != prod(port.shape):
            raise CannotReorganize(
                f"the output {port.name} of shape {list(port.shape)} would become "
                f"{list(spec.shape)} without a concatenation that is a residual connection; end "
                "the network in an operator that fixes its channels"
            )
        if spec.shape != port.shape:
            value = self._emit("output", "reshape", value, shape=port.shape)
        return value

    def _node(self, node: net.AnyNode, apart: bool) -> None:
        x, *others = self._operands(node)
        label = node.variable
        if isinstance(node, net.Convolution):
            self._convolution(node, x, apart)
            return
        if isinstance(node, net.KeptOperator):
            self.tensors[node.name] = self._kept(node)
            return
        if isinstance(node, net.GlobalPool) and node.apart and node.inputs[0] in self.parts:
            main, shortcut = (
                self._mean(f"{label}_{part}", value)
                for part, value in zip(("main", "shortcut"), self.parts[node.inputs[0]])
            )
            result = self._emit(label, "add", main, shortcut)
        elif isinstance(node, net.GlobalPool):
            result = self._mean(label, x)
        elif isinstance(node, net.Pool):
            result = self._pool(label, x, node.pool)
        elif isinstance(node, net.Upsample):
            result = self._emit(label, "resize2d", x, size=node.shape[:2])
        elif isinstance(node, net.Concat):
            result = self._emit(label, "concat", x, *others, axis=len(node.shape))
        elif isinstance(node, net.Slice):
            result = self._slice(label, x, node.begin, node.end)
        elif isinstance(node, net.Shuffle):
            result = self._shuffle(node, x)
        elif isinstance(node, net.Flatten):
            if node.channels_first:
                x = self._emit(f"{label}_nchw", "transpose", x, axes=(0, 3, 1, 2))
            result = self._emit(label, "reshape", x, shape=(1, *node.shape))
        elif isinstance(node, net.Dense):
            operands = [self._constant(f"{node.name}.{role}") for role in ("weight", "bias")]
            result = self._fused(label, node.activation, "dense", x, *operands)
        elif isinstance(node, net.Elementwise):
            result = self._fused(label, node.activation, node.function, *self._aligned(node))
        else:
            result = self._activation(label, x, node.activation)
        self.tensors[node.name] = result

    def _operands(self, node: net.AnyNode) -> list[relax.Expr | None]:
        """The tensors that a node reads; None for a sum that it reads in two parts."""
        apart = isinstance(node, net.GlobalPool) and node.apart
        return [
            None if apart and name in self.parts else self.tensors[name] for name in node.inputs
        ]

    def _kept(self, node: net.KeptOperator) -> relax.Expr:
        operands = {place: self.tensors[n] for n, place in zip(node.inputs, node.places)}
        for place, _ in node.constants:
            operands[place] = self._constant(f"{node.name}.constant{place}")
        ordered = [operands[place] for place in sorted(operands)]
        return self._emit(node.variable, node.operator, *ordered, **dict(node.attributes))

    def _slice(self, label: str, x: relax.Expr, begin: int, end: int) -> relax.Expr:
        ends = (*spec_of(x.ty).shape[:3], end)
        return self._emit(label, "slice", x, begin=(0, 0, 0, begin), end=ends)

    def _shuffle(self, node: net.Shuffle, x: relax.Expr) -> relax.Expr:
        height, width, channels = node.shape
        apart = (height * width, node.groups, channels // node.groups)
        x = self._emit(f"{node.variable}_apart", "reshape", x, shape=apart)
        x = self._emit(f"{node.variable}_swapped", "transpose", x, axes=(0, 2, 1))
        return self._emit(node.variable, "reshape", x, shape=(1, *node.shape))

    def _convolution(self, node: net.Convolution, x: relax.Expr, apart: bool) -> None:
        label = node.variable
        y = x
        if node.norm == "before":
            y = self._normalize(f"{label}_in", y, np.zeros(node.in_channels))
        bias = np.zeros(node.out_channels, np.float32)
        operands = [
            self._constant(f"{node.name}.weight"),
            self._constant(f"{node.name}.bias") if node.bias else relax.const(bias),
        ]
        window = node.window
        attrs = {
            "strides": window.strides,
            "padding": window.padding,
            "dilation": window.dilation,
            "groups": node.groups,
        }
        if node.norm == "after":
            y = self._emit(f"{label}_conv", "conv2d", y, *operands, **attrs)
            shift = self.weights[f"{node.name}.shift"]
            y = self._normalize(f"{label}_out", y, shift, node.activation)
        else:
            y = self._fused(f"{label}_conv", node.activation, "conv2d", y, *operands, **attrs)
        if node.pool is not None:
            y = self._pool(f"{label}_pool", y, node.pool)
        if node.shortcut is not None:
            shortcut = self._shortcut(f"{label}_shortcut", x, node.shortcut)
            if apart:
                self.parts[node.name] = (y, shortcut)
                return
            y = self._fused(label, node.final_activation, "add", y, shortcut)
        elif node.final_activation is not None:
            y = self._activation(label, y, node.final_activation)
        self.tensors[node.name] = y

    def _shortcut(self, label: str, x: relax.Expr, shortcut: net.Shortcut) -> relax.Expr:
        for index, step in enumerate(shortcut.steps):
            name = f"{label}{index}"
            if isinstance(step, net.PoolWindow):
                x = self._pool(name, x, step)
            elif isinstance(step, net.Normalize):
                x = self._normalize(name, x, np.zeros(step.channels))
            else:
                x = self._match(name, x, step)
        return x

    def _match(self, label: str, x: relax.Expr, match: net.MatchChannels) -> relax.Expr:
        width = match.out_channels
        missing = -match.in_channels % width
        if missing:
            after = (0, 0, 0, missing)
            x = self._emit(f"{label}_filled", "pad", x, pad_before=(0,) * 4, pad_after=after)
        chunks = (match.in_channels + missing) // width
        if chunks == 1:
            return x
        total: relax.Expr | None = None
        for chunk in range(chunks):
            part = self._slice(f"{label}_chunk{chunk}", x, chunk * width, (chunk + 1) * width)
            total = part if total is None else self._emit(f"{label}_sum", "add", total, part)
        return total

    def _normalize(
        self,
        label: str,
        x: relax.Expr,
        shift: np.ndarray,
        activation: net.Activation | None = None,
    ) -> relax.Expr:
        """A fresh batch normalisation with `shift`: mean 0, variance 1, scale 1."""
        channels = len(shift)
        scale = np.full((1, 1, 1, channels), 1 / np.sqrt(1 + net.EPSILON), np.float32)
        summand = shift.reshape(1, 1, 1, channels).astype(np.float32)
        x = self._emit(f"{label}_scaled", "multiply", x, relax.const(scale))
        return self._fused(f"{label}_normalized", activation, "add", x, relax.const(summand))

    def _pool(self, label: str, x: relax.Expr, pool: net.PoolWindow) -> relax.Expr:
        window: net.Window = pool.window
        return self._emit(
            label,
            "pool2d",
            x,
            kind=pool.kind,
            pool_size=window.kernel,
            strides=window.strides,
            padding=window.padding,
            dilation=window.dilation,
            count_include_pad=pool.count_include_pad,
        )

    def _mean(self, label: str, x: relax.Expr) -> relax.Expr:
        return self._emit(label, "reduce", x, kind="mean", axes=(1, 2))

    def _fused(
        self,
        label: str,
        activation: net.Activation | None,
        operator: str,
        *operands: relax.Expr,
        **attrs: Any,
    ) -> relax.Expr:
        """An operator with a clamp of its own, and a function behind it if that is no clamp."""
        if activation is not None and activation.function == "clip":
            attrs |= {"minimum": activation.minimum, "maximum": activation.maximum}
            activation = None
        x = self._emit(label, operator, *operands, **attrs)
        return x if activation is None else self._activation(f"{label}_activated", x, activation)

    def _activation(self, label: str, x: relax.Expr, activation: net.Activation) -> relax.Expr:
        if activation.function == "softmax":
            return self._emit(label, "softmax", x)
        if activation.function == "line":
            alpha, beta = (
                relax.const(value, "float32") for value in (activation.alpha, activation.beta)
            )
            x = self._emit(f"{label}_scaled", "multiply", x, alpha)
            limits = {"minimum": activation.minimum, "maximum": activation.maximum}
            return self._emit(label, "add", x, beta, **limits)
        attrs = {
            "function": activation.function,
            "alpha": activation.alpha,
            "beta": activation.beta,
            "minimum": activation.minimum,
            "maximum": activation.maximum,
        }
        return self._emit(label, "unary", x, **attrs)

    def _aligned(self, node: net.Elementwise) -> list[relax.Expr]:
        """The operands; vectors as images of one pixel where the result is an image."""
        operands = []
        for name in node.inputs:
            value = self.tensors[name]
            shape = spec_of(value.ty).shape
            if len(node.shape) == 3 and len(shape) == 2:
                shape = (1, 1, 1, shape[1])
                value = self._emit(f"{node.variable}_gate", "reshape", value, shape=shape)
            operands.append(value)
        return operands

    def _constant(self, key: str) -> relax.Expr:
        return relax.const(np.ascontiguousarray(self.weights[key]))
