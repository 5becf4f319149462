"""What becomes of each operator in a network's description: one rule for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from tvm.ir import GenericConst

from .cannot_reorganize import no_counterpart, one_axis
from .description import (
    Activate,
    Activation,
    Concat,
    Convolution,
    Dense,
    Flatten,
    GlobalPool,
    Pool,
    PoolWindow,
    Shuffle,
    Slice,
    Upsample,
    Window,
)
from .join_verdicts import averages_all
from .partial_description import DescribedTensor, PartialDescription, clamp_of

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_AFFINE = ("dero.multiply", "dero.add", "dero.subtract", "dero.divide")


class LayerRules(PartialDescription):
    """Each rule adds nodes and returns what stands for the operator's result."""

    def _rule(self, operator: str) -> Callable[[str, dict], DescribedTensor] | None:
        return {
            "dero.conv2d": self._conv2d,
            "dero.pool2d": self._pool2d,
            "dero.dense": self._dense,
            "dero.reduce": self._reduce,
            "dero.resize2d": self._resize2d,
            "dero.concat": self._concat,
            "dero.unary": self._unary,
            "dero.softmax": self._softmax,
            "dero.transpose": self._transpose,
            "dero.reshape": self._reshape,
            "dero.slice": self._slice,
            **dict.fromkeys(_AFFINE, self._affine),
        }.get(operator)

    def _conv2d(self, name: str, data: dict) -> DescribedTensor:
        signature, activation = data["signature"], clamp_of(data["signature"].attrs)
        weight, bias = (self._constant(name, data, index) for index in (1, 2))
        (tensor,) = self._operands(name, data)
        source, shape = tensor.source, self._shape(tensor.source)
        channels, filters = signature.inputs[0].channels, weight.shape[0]
        groups = signature["groups"]
        window = Window(
            weight.shape[1:3], *(signature[k] for k in ("strides", "padding", "dilation"))
        )
        if tensor.channels_first or (len(shape) == 1 and signature.inputs[0].shape[1:3] != (1, 1)):
            raise one_axis(name, data)
        scaling = window == Window((1, 1)) and groups == channels == filters > 1
        if scaling and name not in self.verdicts.gates:
            return self._normalization(name, tensor, activation)
        if len(shape) == 1:
            return self._dense_of(name, data, source, _of_one_pixel(weight, window, groups), bias)
        self._keep(name, weight, bias)
        shape = signature.output.shape[1:]
        made = Convolution(
            name, (source,), shape, channels, filters, window, groups, activation=activation
        )
        return self._add(replace(made, in_gate=name in self.verdicts.gates))

    def _dense(self, name: str, data: dict) -> DescribedTensor:
        weight, bias = (self._constant(name, data, index) for index in (1, 2))
        (source,) = self._sources(name, data)
        if len(self._shape(source)) != 1:
            raise no_counterpart(name, data, " on the pixels of an image")
        return self._dense_of(name, data, source, weight, bias)

    def _dense_of(
        self, name: str, data: dict, source: str, weight: np.ndarray | None, bias: np.ndarray
    ) -> DescribedTensor:
        if weight is None:
            raise no_counterpart(name, data, " on a single pixel with several results")
        self._keep(name, weight, bias)
        activation = clamp_of(data["signature"].attrs)
        filters, channels = weight.shape
        made = Dense(name, (source,), (filters,), channels, filters, activation)
        return self._add(replace(made, in_gate=name in self.verdicts.gates))

    def _pool2d(self, name: str, data: dict) -> DescribedTensor:
        signature = data["signature"]
        shape = signature.output.shape[1:]
        window = Window(*(signature[k] for k in ("pool_size", "strides", "padding", "dilation")))
        (tensor,) = self._operands(name, data)
        if window == Window((1, 1)):  # of a single pixel, perhaps
            return self._activated(name, tensor, clamp_of(signature.attrs))
        source = self._image(name, data)
        if averages_all(self.graph, name):
            tensor = self._add(self._global_pool(name, source, shape[-1]))
        else:
            pool = PoolWindow(signature["kind"], window, signature["count_include_pad"])
            conv = self.nodes.get(source)
            if (
                isinstance(conv, Convolution)
                and conv.pool is None
                and conv.final_activation is None
                and not conv.in_gate
                and signature["kind"] == "max"
                and window.strides != (1, 1)
                and conv.inputs[0] not in self.nodes  # but an input of the network
                and self.graph.out_degree(source) == 1
                and self._alone(source, name)
            ):
                self.nodes[source] = replace(conv, pool=pool, shape=shape)
                tensor = DescribedTensor(source)
            else:
                tensor = self._add(Pool(name, (source,), shape, pool))
        return self._activated(name, tensor, clamp_of(signature.attrs))

    def _global_pool(self, name: str, source: str, channels: int) -> GlobalPool:
        made = GlobalPool(name, (source,), (channels,))
        return replace(made, in_gate=name in self.verdicts.gates)

    def _reduce(self, name: str, data: dict) -> DescribedTensor:
        signature = data["signature"]
        (tensor,) = self._operands(name, data)
        rank, shape = len(signature.inputs[0].shape), self._shape(tensor.source)
        axes = {axis % rank for axis in signature["axes"]}
        pixels = {2, 3} if tensor.channels_first else {1, 2}
        if signature["kind"] != "mean" or rank != 4 or axes != pixels:
            raise no_counterpart(name, data, " that is no mean over the pixels")
        if len(shape) == 3:
            channels = signature.inputs[0].shape[1 if tensor.channels_first else 3]
            pooled = self._add(self._global_pool(name, tensor.source, channels))
            tensor = replace(tensor, source=pooled.source)
        first = tensor.channels_first and len(signature.output.shape) == 4
        return self._activated(
            name, replace(tensor, channels_first=first), clamp_of(signature.attrs)
        )

    def _resize2d(self, name: str, data: dict) -> DescribedTensor:
        source = self._image(name, data)
        old, shape = (s.shape[1:] for s in (data["signature"].inputs[0], data["signature"].output))
        factor = (shape[0] // old[0], shape[1] // old[1])
        if (old[0] * factor[0], old[1] * factor[1]) != shape[:2] or data["signature"][
            "coordinates"
        ] == "align_corners":
            raise no_counterpart(name, data, " by a factor that is no integer")
        return self._add(Upsample(name, (source,), shape, factor))

    def _concat(self, name: str, data: dict) -> DescribedTensor:
        shape = data["signature"].output.shape
        if None in data["operands"]:
            raise no_counterpart(name, data, " with a constant")
        sources = self._sources(name, data)
        ranks = {len(self._shape(source)) for source in sources}
        if data["signature"]["axis"] % len(shape) != len(shape) - 1 or len(ranks) > 1:
            raise no_counterpart(name, data, " that is not one of channels")
        return self._add(Concat(name, sources, shape[-ranks.pop() :]))

    def _unary(self, name: str, data: dict) -> DescribedTensor:
        (tensor,) = self._operands(name, data)
        (operand,) = data["operands"]
        attrs = data["signature"].attrs
        activation = Activation(*(attrs[k] for k in ("function", "minimum", "maximum")))
        activation = replace(activation, alpha=attrs["alpha"], beta=attrs["beta"])
        if attrs["function"] == "relu":
            activation = Activation("clip", 0.0, attrs["maximum"])
        if operand in self.verdicts.removed:
            return self._joined(name, tensor, activation)
        return self._activated(name, tensor, activation)

    def _softmax(self, name: str, data: dict) -> DescribedTensor:
        (source,) = self._sources(name, data)
        return self._add(Activate(name, (source,), self._shape(source), Activation("softmax")))

    def _slice(self, name: str, data: dict) -> DescribedTensor:
        source = self._image(name, data)
        old, shape = data["signature"].inputs[0].shape, data["signature"].output.shape
        begin, end = data["signature"]["begin"][-1], data["signature"]["end"][-1]
        if old[:-1] != shape[:-1] or end - begin != shape[-1]:
            raise no_counterpart(name, data, " of what is no run of channels")
        return self._add(Slice(name, (source,), shape[1:], begin, end))

    def _shuffled(self, name: str, data: dict) -> DescribedTensor | None:
        """An image whose pixels are made matrices, transposed, and made an image again; or None."""
        pixels = data["spec"].shape
        readers = list(self.graph.successors(name))
        swap = self.graph.nodes[readers[0]] if len(readers) == 1 else data
        after = list(self.graph.successors(readers[0])) if readers else []
        last = self.graph.nodes[after[0]] if len(after) == 1 else data
        old = data["signature"].inputs[0].shape
        if (
            len(old) != 4
            or len(pixels) != 3
            or pixels[0] != prod(old[:3])
            or swap["operator"] != "dero.transpose"
            or swap["signature"]["axes"] != (0, 2, 1)
            or last["operator"] != "dero.reshape"
            or last["spec"].shape != old
        ):
            return None
        source = self._image(name, data)
        tensor = self._add(Shuffle(name, (source,), old[1:], pixels[1]))
        self._tensors |= dict.fromkeys((readers[0], after[0]), tensor)
        return tensor

    def _transpose(self, name: str, data: dict) -> DescribedTensor:
        (operand,) = data["operands"]
        tensor, axes = self._tensors[operand], data["signature"]["axes"]
        wanted = TO_NHWC if tensor.channels_first else TO_NCHW
        if axes != wanted:
            raise no_counterpart(name, data, f" with the axes {axes}")
        return DescribedTensor(tensor.source, not tensor.channels_first)

    def _reshape(self, name: str, data: dict) -> DescribedTensor:
        (operand,) = data["operands"]
        tensor, shape = self._tensors[operand], data["signature"].output.shape
        old = self._shape(tensor.source)
        if len(old) == 3 and is_transposition(data, TO_NHWC if tensor.channels_first else TO_NCHW):
            return DescribedTensor(tensor.source, not tensor.channels_first)
        if shape == data["signature"].inputs[0].shape:
            return tensor
        if (shuffled := self._shuffled(name, data)) is not None:
            return shuffled
        if shape[0] != 1 or prod(shape) != max(shape):  # more than one axis that is not 1
            raise no_counterpart(name, data, f" to {shape}")
        if len(old) == 1:  # (1, C), (1, 1, 1, C), (1, C, 1, 1): the same vector
            return DescribedTensor(tensor.source, len(shape) == 4 and shape[1] == old[0] > 1)
        size = prod(data["signature"].inputs[0].shape)
        return self._add(Flatten(name, (tensor.source,), (size,), tensor.channels_first))

    def _affine(self, name: str, data: dict) -> DescribedTensor:
        tensors = self._operands(name, data)
        constants = [a for a in data["call"].args if isinstance(a, GenericConst)]
        arrays = [constant.value.numpy() for constant in constants]
        rank = len(data["spec"].shape)
        channels = 1 if tensors[0].channels_first and rank == 4 else rank - 1
        wanted = tuple(n if axis == channels else 1 for axis, n in enumerate(data["spec"].shape))
        fits = [_is_uniform(a) or (1,) * (rank - a.ndim) + a.shape == wanted for a in arrays]
        if len(tensors) != 1 or fits != [True]:
            raise no_counterpart(name, data, " with a constant that is not one number a channel")
        first = data["operands"][0] is None
        limits = clamp_of(data["signature"].attrs)
        if (first and data["operator"] == "dero.subtract") or name in self.verdicts.gates:
            line = _line(data["operator"], arrays[0], first)
            if line is None:
                raise no_counterpart(name, data, " in a gate with a number for each channel")
            tensor = self._activated(name, tensors[0], replace(limits or Activation(), **line))
            return tensor
        if first and data["operator"] == "dero.divide":
            raise no_counterpart(name, data, " of a constant by the tensor")
        return self._normalization(name, tensors[0], limits)


def _of_one_pixel(weight: np.ndarray, window: Window, groups: int) -> np.ndarray | None:
    """A convolution on an image of one pixel as a dense layer's weights; None if it gives more."""
    top, left, bottom, right = window.padding
    rows, columns = (d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel))
    # The pixel must lie under one weight, and the window fit only once.
    results = (1 + top + bottom - rows) // window.strides[0], (1 + left + right - columns)
    if results[0] or results[1] // window.strides[1]:
        return None
    places = (top / window.dilation[0], left / window.dilation[1])
    if any(place != int(place) for place in places):
        return None
    filters, channels = len(weight) // groups, weight.shape[-1]
    whole = np.zeros((groups, filters, groups, channels), weight.dtype)
    for group, part in enumerate(np.split(weight[:, int(places[0]), int(places[1]), :], groups)):
        whole[group, :, group] = part
    return whole.reshape(groups * filters, groups * channels)


def _is_uniform(constant: np.ndarray) -> bool:
    """Whether it is one number, however often it is written."""
    return bool((constant == constant.reshape(-1)[0]).all())


def _line(operator: str, constant: np.ndarray, first: bool) -> dict[str, Any] | None:
    """A factor and a summand as an activation; None if it is none."""
    if not _is_uniform(constant) or (first and operator == "dero.divide"):
        return None
    number = float(constant.reshape(-1)[0])
    alpha, beta = {
        "dero.add": (1.0, number),
        "dero.subtract": (-1.0, number) if first else (1.0, -number),
        "dero.multiply": (number, 0.0),
        "dero.divide": (1.0 / number if number else 0.0, 0.0),
    }[operator]
    return {"function": "line", "alpha": alpha, "beta": beta}


def is_transposition(data: dict, axes: tuple[int, ...]) -> bool:
    """Whether an operator transposes an image so; of one channel, that is a mere reshape."""
    if data["operator"] == "dero.transpose":
        return data["signature"]["axes"] == axes
    if data["operator"] != "dero.reshape":
        return False
    old, new = data["signature"].inputs[0].shape, data["signature"].output.shape
    channels = old[1] if axes == TO_NHWC else old[-1]
    return len(old) == 4 and channels == 1 and new == tuple(old[axis] for axis in axes)
