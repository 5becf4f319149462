"""From the bytes of a TFLite file to a loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tflite
from tvm.relax.frontend.tflite import from_tflite

from dero_tvm.boundary.errors import InternalError, UserError, first_line
from relax_passes.ir.port_quantization import PortQuantization
from relax_passes.ir.unfinished import abandon

from ..cut import UNCUT, Cut
from ..loaded import LoadedModel, finish
from ..shapes import Dimension, resolve_input_shapes

# Importing a module registers its rules.
from . import arithmetic as _arithmetic  # noqa: F401
from . import choices as _choices  # noqa: F401
from . import integer_kernels as _integer_kernels  # noqa: F401
from . import moves as _moves  # noqa: F401
from . import recurrent as _recurrent  # noqa: F401
from . import transpose_conv as _transpose_conv  # noqa: F401
from .composites import inline_composites
from .converter import Converter
from .cut import cut_graph
from .expanded_weights import expand_weights
from .operator_order import refuse_order
from .reader import NamedModel, read_model, reading, shape_of
from .refusals import refuse_control_flow, refuse_operators, refuse_types
from .signatures import left_out
from .variables import take_variables

_QUANTIZED = (tflite.TensorType.INT8, tflite.TensorType.UINT8, tflite.TensorType.INT16)


def load_tflite(
    data: bytes,
    *,
    label: str,
    name: str,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    cut: Cut = UNCUT,
) -> LoadedModel:
    """Import a TFLite flatbuffer, or what `cut` leaves of it.

    `label` names the model in messages.  Dimensions that the file marks as open (usually the
    batch) have the size written beside the mark unless `input_shapes` says otherwise.  Raises
    :class:`UserError`.
    """
    model = read_model(data, label, cut.signature)
    with reading(label):
        inline_composites(model, len(data))
        if cut:
            cut_graph(model, cut, label)
        refuse_control_flow(model, label)
        states = take_variables(model, label, len(data))
        graph = model.Subgraphs(0)
        refuse_types(model, label)
        names = [graph.names[graph.Inputs(i)] for i in range(graph.InputsLength())]
        outputs = [graph.names[graph.Outputs(i)] for i in range(graph.OutputsLength())]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{label}: two inputs are the tensor {twice!r}; list each input once")
        shapes = _input_shapes(model, names, label, input_shapes)
        notes = [*left_out(model, model.main), *expand_weights(model)]
        graph = model.Subgraphs(0)
        refuse_operators(model, label)
        refuse_order(model, label)
        ports = names[: len(names) - len(states)]
        outputs = outputs[: len(outputs) - len(states)]
        quantization = _quantization(model, (*ports, *outputs))
        written = [shape_of(graph.Tensors(graph.Inputs(i))) for i in range(graph.InputsLength())]
        as_written = written == list(shapes.values())
    converters: list[Converter] = []

    def converter(*args: object) -> Converter:
        created = Converter(*args, label=label, declared_shapes=as_written)
        converters.append(created)
        return created

    try:
        module = from_tflite(model, shape_dict=dict(shapes), op_converter=converter)
    except Exception as error:  # from_tflite asserts and looks up freely
        for created in converters:
            abandon(created.bb)
        if isinstance(error, (UserError, InternalError)):
            raise
        raise UserError(f"{label}: cannot be imported: {first_line(error)}") from error
    return finish(
        module,
        label=label,
        name=name,
        format="tflite",
        rounding="double",
        input_names=tuple(ports),
        output_names=tuple(outputs),
        quantization=quantization,
        states=states,
        notes=notes,
        origins={k: origin for c in converters for k, origin in c.origins.items()},
    )


def _quantization(model: NamedModel, ports: Sequence[str]) -> dict[str, PortQuantization]:
    """Of the inputs and outputs that are integers with one scale."""
    graph = model.Subgraphs(0)
    found = {}
    for index, name in enumerate(graph.names):
        tensor = graph.Tensors(index)
        parameters = tensor.Quantization()
        if name in ports and tensor.Type() in _QUANTIZED and parameters is not None:
            if parameters.ScaleLength() == 1:
                found[name] = PortQuantization(
                    float(parameters.Scale(0)), int(parameters.ZeroPoint(0))
                )
    return found


def _input_shapes(
    model: NamedModel,
    names: Sequence[str],
    label: str,
    given: Mapping[str, Sequence[int]] | None,
) -> dict[str, tuple[int, ...]]:
    graph = model.Subgraphs(0)
    declared: dict[str, list[Dimension]] = {}
    defaults: dict[str, tuple[int, ...]] = {}
    for position, name in enumerate(names):
        tensor = graph.Tensors(graph.Inputs(position))
        shape = shape_of(tensor)
        signature = [int(tensor.ShapeSignature(i)) for i in range(tensor.ShapeSignatureLength())]
        if len(signature) != len(shape):
            signature = list(shape)
        declared[name] = [size if size > 0 else None for size in signature]
        if all(size > 0 for size in shape):
            defaults[name] = shape
    # What the user gives is checked against the open shape, then completed from the file.
    return resolve_input_shapes(label, declared, {**defaults, **(given or {})})
