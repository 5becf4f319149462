"""An int8 ONNX network compared with ONNX Runtime layer by layer.

Over a whole deep network with random weights, one tie that is rounded otherwise grows from layer to
layer, as it does between ONNX Runtime's own levels of optimization.  So each layer of the module is
given what ONNX Runtime computed before it, and its result is compared with ONNX Runtime's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
import onnxruntime
import tvm
from onnx import helper
from tvm import relax
from tvm.ir import Call

_MOVES = ("dero.transpose", "dero.reshape", "dero.pad", "dero.slice")


def layer_results(
    module: tvm.IRModule, image: np.ndarray, recorded: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Int8 layers of `main`, each computed from the recorded results of those before it.

    `recorded` has the result of each layer that is no mere move of data, in the order of the
    module, and with channels first.  Returns the layers' results and the recorded ones, both in
    the layout of the module.
    """
    main = module["main"]
    given = iter(recorded)
    params, arrays, results, expected = list(main.params), [image], [], []
    known = {param: param for param in params}
    builder = relax.BlockBuilder()
    bindings = [binding for block in main.body.blocks for binding in block.bindings]
    layers = [
        binding.var
        for binding in bindings
        if isinstance(binding.value, Call)
        and str(binding.var.ty.dtype) == "int8"
        and binding.value.op.name not in _MOVES
    ]
    stand_ins = {var: relax.Var(var.name, var.ty) for var in layers}
    with builder.function("main", [*params, *stand_ins.values()]):
        for binding in bindings:
            if not isinstance(binding.value, Call):
                continue
            call = binding.value
            operands = [known.get(operand, operand) for operand in call.args]
            emitted = builder.emit(Call(call.op, operands, call.attrs))
            known[binding.var] = stand_ins.get(binding.var, emitted)
            if binding.var in stand_ins:
                results.append(emitted)
                values = next(given)
                shape = tuple(int(n) for n in binding.var.ty.shape.values)
                if values.ndim == 4 and call.op.name != "dero.quantize":  # that is before NHWC
                    values = values.transpose(0, 2, 3, 1)
                arrays.append(values.reshape(shape))
                expected.append(arrays[-1])
        builder.emit_func_output(relax.Tuple(results))
    if next(given, None) is not None:
        raise ValueError(f"more results were recorded than the {len(layers)} layers have")
    machine = relax.VirtualMachine(tvm.compile(builder.finalize(), "llvm"), tvm.cpu())
    found = machine["main"](*[tvm.runtime.tensor(np.ascontiguousarray(array)) for array in arrays])
    return [result.numpy() for result in found], expected


def quantized_activations(
    model: onnx.ModelProto,
    feed: Mapping[str, np.ndarray],
    behind: Collection[str] | None = None,
) -> list[np.ndarray]:
    """Results of the QuantizeLinear nodes, in written order, as ONNX Runtime computes them.

    It computes them without any optimization.  Those after a node that only gives its operand
    another shape are left out; with `behind`, those too that neither quantize an input nor the
    result of one of these kinds of node.
    """
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    kind = {output: node.op_type for node in model.graph.node for output in node.output}
    names = [
        node.output[0]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
        and (source := kind.get(node.input[0])) not in ("Flatten", "Reshape")
        and (behind is None or source is None or source in behind)
    ]
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options)
    return session.run(names, dict(feed))
