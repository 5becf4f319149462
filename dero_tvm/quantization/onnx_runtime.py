"""The call of ONNX Runtime's quantizer; importing this module needs ONNX Runtime."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from dero_tvm.boundary.errors import UserError, first_line
from relax_passes.operators.fixed_point import INT8_MAX, INT8_MIN

from .chain_convolutions import convolve_chains
from .linear_nodes import linear_nodes
from .onnx_means import merge_means

Feed = Mapping[str, np.ndarray]


def quantize_static(
    model: onnx.ModelProto,
    calibration: Sequence[Feed],
    *,
    linear_in_float: bool = True,
    progress: Callable[[str], None] | None = None,
) -> onnx.ModelProto:
    """The model with int8 weights (per output channel) and int8 activations, in QDQ form.

    Batch norms behind convolutions are folded first; with `linear_in_float`, other chains of
    factors and summands (see `linear_nodes`) are left in float32 between two quantized tensors, so
    that they are rounded once.  The range of every activation is the least and the greatest value
    that it takes while the float32 model runs on the `calibration` inputs; `progress` is told how
    many of them have run.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, result = (Path(folder, f"{i}.onnx") for i in range(3))
        onnx.save(model, source)
        try:
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            named = _with_names(onnx.load(prepared))
            if linear_in_float:
                merge_means(named.graph)
                convolve_chains(named.graph)
            onnx.save(named, prepared)
            excluded = linear_nodes(named.graph) if linear_in_float else []
            with _Quiet():
                quantization.quantize_static(
                    prepared,
                    result,
                    _Reader(calibration, progress),
                    quant_format=quantization.QuantFormat.QDQ,
                    per_channel=True,
                    weight_type=quantization.QuantType.QInt8,
                    activation_type=quantization.QuantType.QInt8,
                    nodes_to_exclude=excluded,
                )
        except Exception as error:  # raises whatever a kernel or pass of ONNX Runtime does
            raise UserError(
                f"ONNX Runtime cannot quantize the model: {first_line(error)}"
            ) from error
        quantized = onnx.load(result)
    _quantize_inputs(quantized.graph, calibration, set(excluded))
    _drop_unused_domains(quantized)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


def _with_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Nodes are excluded from quantization by name, so every one needs a name of its own."""
    seen = {""}
    for number, node in enumerate(model.graph.node):
        while node.name in seen:
            node.name = f"{node.name or node.op_type}_{number}"
        seen.add(node.name)
    return model


def _quantize_inputs(graph: onnx.GraphProto, calibration: Sequence[Feed], linear: set[str]) -> None:
    """Quantize the float32 inputs that only `linear` nodes read, which ONNX Runtime leaves."""
    for value in graph.input:
        readers = [node for node in graph.node if value.name in node.input]
        real = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        if not real or not readers or any(r.name not in linear for r in readers):
            continue
        low = min(0.0, *(float(feed[value.name].min()) for feed in calibration))
        high = max(0.0, *(float(feed[value.name].max()) for feed in calibration))
        scale = np.float32((high - low) / 255 or 1.0)
        zero = np.int8(np.clip(np.rint(INT8_MIN - low / scale), INT8_MIN, INT8_MAX))
        names = [f"{value.name}_{part}" for part in ("scale", "zero_point", "quantized", "real")]
        for name, number in zip(names, (scale, zero)):
            graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(number), name))
        for reader in readers:
            for index, name in enumerate(reader.input):
                if name == value.name:
                    reader.input[index] = names[3]
        make = onnx.helper.make_node
        graph.node.insert(0, make("QuantizeLinear", [value.name, *names[:2]], [names[2]]))
        graph.node.insert(1, make("DequantizeLinear", [names[2], *names[:2]], [names[3]]))


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    """ONNX Runtime imports every operator domain it knows; other tools may refuse them."""
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


class _Reader(quantization.CalibrationDataReader):
    """Hands ONNX Runtime one input at a time."""

    def __init__(
        self, feeds: Sequence[Feed], progress: Callable[[str], None] | None = None
    ) -> None:
        self._feeds = feeds
        self._taken = 0
        self._progress = progress

    def get_next(self) -> Feed | None:
        if self._taken == len(self._feeds):
            return None
        self._taken += 1
        if self._progress is not None:
            self._progress(f"calibrating ({self._taken} of {len(self._feeds)})")
        return self._feeds[self._taken - 1]


class _Quiet:
    """Keeps ONNX Runtime's advice, which is addressed to its own users, off the terminal."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *exception: object) -> None:
        logging.disable(self._before)
