"""`quantize`: a float32 ONNX model with int8 weights and activations, in QDQ form.

ONNX Runtime's quantizer does the work: one scale for each output channel of a weight, the range of
every activation from what it is on the calibration inputs.  What is added here are the choices
that suit the compiler (see `linear_nodes`), checks, and the accuracy on labelled data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from dero_tvm.boundary.errors import UserError, internal_errors
from dero_tvm.boundary.input_arrays import NamedTensor, inferences, read_npz
from dero_tvm.boundary.installation import pip_install
from dero_tvm.boundary.one_at_a_time import one_at_a_time
from dero_tvm.frontends.cut import Cut
from dero_tvm.frontends.load import model_bytes
from dero_tvm.frontends.onnx.cut import cut_model
from dero_tvm.frontends.onnx.importer import load_onnx
from dero_tvm.frontends.onnx.reader import parse_onnx

from .accuracy import LABELS, top_1

Feed = Mapping[str, np.ndarray]
Calibration = str | os.PathLike[str] | Mapping[str, np.ndarray] | Iterable[Feed]

_INTEGER_OPERATORS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
_INTEGER_PREFIXES = ("QLinear", "QGemm", "ConvInteger", "MatMulInteger")


@dataclass(frozen=True, eq=False)
class Quantized:
    """A quantized model, and the shares of labelled inputs that it and the original get right.

    The accuracies are top-1, between 0 and 1, computed by ONNX Runtime; None without labels.
    """

    model: onnx.ModelProto
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    labelled: int = 0  # inputs that the accuracies are over


@one_at_a_time
@internal_errors
def quantize(
    model: str | os.PathLike[str] | onnx.ModelProto,
    calibration: Calibration,
    *,
    labelled: str | os.PathLike[str] | Mapping[str, np.ndarray] | None = None,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    inputs: str | Sequence[str] | None = None,
    outputs: str | Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Quantized:
    """Quantize a float32 ONNX model, or a part of it, to int8.

    Parameters
    ----------
    model
        The path of an ONNX file, or an ``onnx.ModelProto``, which is not changed.
    calibration
        Inputs as the device will see them, a few dozen or more: the path of an .npz file or a
        mapping with an array for each input by name, with one more axis in front; or an iterable
        of mappings, each for one inference.
    labelled
        Inputs like `calibration`, and an integer array ``labels`` with the class of each: the
        accuracy before and after is computed.
    input_shapes
        Shapes by input name, for models that leave sizes open.
    inputs, outputs
        Tensors from which and up to which the model is quantized, as in `dero_tvm.load`.
    progress
        Called with the name of each stage as it begins, and how much of it is done.

    Raises
    ------
    UserError
        With one line that says what is wrong and what to do.
    """
    quantizer = _quantizer()
    label = "the ONNX model" if isinstance(model, onnx.ModelProto) else str(model)
    proto = model if isinstance(model, onnx.ModelProto) else _read(Path(model))
    proto = cut_model(proto, Cut(inputs, outputs), label)
    _refuse_integers(proto, label)
    ports = load_onnx(proto, label=label, name="model", input_shapes=input_shapes).inputs
    feeds = calibration_feeds(calibration, ports)
    labels, labelled_feeds = _labelled(labelled, ports)
    result = quantizer(proto, feeds, progress=progress)
    if labels is None:
        return Quantized(result)
    before, after = (top_1(m, labelled_feeds, labels) for m in (proto, result))
    return Quantized(result, before, after, len(labels))


def _quantizer() -> Any:
    try:
        from .onnx_runtime import quantize_static
    except ImportError:
        raise UserError(
            f"quantization needs ONNX Runtime, which is not installed: {pip_install('quantize')}"
        ) from None
    return quantize_static


def _read(path: Path) -> onnx.ModelProto:
    data = model_bytes(path)
    try:
        return parse_onnx(data, str(path))
    except UserError:
        raise UserError(
            f"{path} is not an ONNX model: quantization takes float32 ONNX models"
        ) from None


def _refuse_integers(proto: onnx.ModelProto, label: str) -> None:
    for node in proto.graph.node:
        if node.op_type in _INTEGER_OPERATORS or node.op_type.startswith(_INTEGER_PREFIXES):
            raise UserError(
                f"{label} is quantized already (it has {node.op_type}); quantization takes the "
                "float32 model"
            )


def calibration_feeds(calibration: Any, ports: Sequence[NamedTensor]) -> Sequence[Feed]:
    """One mapping for each inference, of any form that `quantize` takes; UserError otherwise."""
    if isinstance(calibration, (str, os.PathLike)):
        path = Path(calibration)
        arrays = {name: a for name, a in read_npz(path).items() if name != LABELS}
        return inferences(arrays, ports, str(path))
    if isinstance(calibration, Mapping):
        return inferences(calibration, ports, "the calibration inputs")
    feeds: list[Feed] = []
    for feed in calibration:
        feeds += inferences(feed, ports, "the calibration inputs")
    if not feeds:
        raise UserError("there are no calibration inputs")
    return feeds


def _labelled(
    labelled: Any, ports: Sequence[NamedTensor]
) -> tuple[np.ndarray | None, Sequence[Feed]]:
    if labelled is None:
        return None, []
    where = "the labelled inputs"
    arrays = labelled
    if isinstance(labelled, (str, os.PathLike)):
        where = str(labelled)
        arrays = read_npz(Path(labelled))
    if LABELS not in arrays:
        raise UserError(f"{where}: has no array {LABELS!r} with the class of each input")
    labels = np.asarray(arrays[LABELS])
    feeds = inferences({n: a for n, a in arrays.items() if n != LABELS}, ports, where)
    if labels.dtype.kind not in "iu" or labels.shape != (len(feeds),):
        raise UserError(
            f"{where}: {LABELS!r} is {labels.dtype} of shape {list(labels.shape)}, not one integer "
            f"for each of {len(feeds)} inputs"
        )
    return labels, feeds
