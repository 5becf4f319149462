"""Operator calls with made-up weights, for building small networks in tests.

Each function takes Relax expressions of known type and returns a call, so it serves in TVMScript
and with a ``BlockBuilder`` alike.  Weights depend on `seed` and shape alone: the same line gives
the same operator before and after a rewrite.  The type (float32 or int8) is that of the data.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relax_passes.ir.attributes import DECISIONS, FINDINGS, main_attribute, with_main_attribute
from relax_passes.ir.decisions import decisions
from relax_passes.operators import make_call, quantized, spec_of

SCALE = 0.05  # of all int8 tensors, unless a test says otherwise


def conv(x, filters, kernel=3, *, stride=1, groups=1, seed=0, padding=None, **attrs):
    """A convolution with "same" padding."""
    data = spec_of(x.ty)
    rng = np.random.default_rng(seed)
    depth = data.channels // groups
    shape = (filters, kernel, kernel, depth)
    attrs |= {"strides": (stride, stride), "groups": groups}
    attrs["padding"] = (kernel // 2,) * 4 if padding is None else padding
    if data.dtype == "float32":
        weight = rng.standard_normal(shape).astype("float32") / (kernel * kernel * depth) ** 0.5
        bias = rng.standard_normal(filters).astype("float32")
        return make_call("conv2d", [x, relax.const(weight), relax.const(bias)], **attrs)
    weight = rng.integers(-127, 128, shape, dtype=np.int8)
    bias = rng.integers(-500, 500, filters, dtype=np.int32)
    scales = rng.uniform(0.002, 0.004, filters)
    factors = quantized.convolution_factors(SCALE, list(scales), SCALE, filters)
    constants = [relax.const(array) for array in (weight, bias, *factors)]
    return make_call("conv2d", [x, *constants], **attrs)


def depthwise(x, kernel=3, **attrs):
    """A depthwise convolution."""
    channels = spec_of(x.ty).channels
    return conv(x, channels, kernel, groups=channels, **attrs)


def add(a, b, *, scale_a=SCALE, scale_b=SCALE, scale=SCALE, **attrs):
    """A sum, requantized for int8."""
    if spec_of(a.ty).dtype == "int8":
        attrs |= quantized.add_factors(scale_a, scale_b, scale)
    return make_call("add", [a, b], **attrs)


def multiply(a, b, **attrs):
    """A product, requantized for int8."""
    if spec_of(a.ty).dtype == "int8":
        multiplier, shift = quantized.multiply_factors(0.1, 0.1, 0.1)
        attrs |= {"multiplier": multiplier, "shift": shift}
    return make_call("multiply", [a, b], **attrs)


def activation(x, *, seed=0):
    """ReLU for float32, some table for int8."""
    if spec_of(x.ty).dtype == "float32":
        return make_call("unary", [x], function="relu")
    table = np.random.default_rng(seed).integers(-128, 128, 256, dtype=np.int8)
    return make_call("lookup", [x, relax.const(table)])


def concat(*operands, axis=-1, **attrs):
    """A concatenation, of channels by default."""
    return make_call("concat", list(operands), axis=axis, **attrs)


def network(build, *shapes, dtype="float32", attrs=None):
    """A module whose main is ``build(emit, *inputs)``; `emit` binds an expression to a name.

    Inputs are called x, y, ...; `dtype` is that of all, or of each.  `build` returns the result, or
    a tuple of results; what is an operand in it, and was not emitted, gets a name of the builder's.
    """
    builder = relax.BlockBuilder()
    dtypes = [dtype] * len(shapes) if isinstance(dtype, str) else dtype
    types = map(relax.TensorType, shapes, dtypes)
    inputs = [relax.Var(name, of_input) for name, of_input in zip("xyzw", types)]
    with builder.function("main", inputs, attrs):
        with builder.dataflow():
            result = build(lambda value, name="": builder.emit(value, name), *inputs)
            result = builder.emit_output(result)
        builder.emit_func_output(result)
    return builder.get()


def random_inputs(mod, seed=0):
    """One array for each input of main."""
    rng = np.random.default_rng(seed)
    arrays = []
    for parameter in mod["main"].params:
        spec = spec_of(parameter.ty)
        if spec.dtype == "int8":
            arrays.append(rng.integers(-128, 128, spec.shape, dtype=np.int8))
        else:
            arrays.append(rng.standard_normal(spec.shape).astype(spec.dtype))
    return arrays


def run(mod, inputs):
    """The results of main through ``tvm.compile``."""
    machine = relax.VirtualMachine(tvm.compile(mod, "llvm"), tvm.cpu())
    result = machine["main"](*(tvm.runtime.tensor(array) for array in inputs))
    if isinstance(result, tvm.runtime.Tensor):
        result = [result]
    return [tensor.numpy() for tensor in result]


def assert_same_results(before, after, seed=0):
    """Both modules give the same bits."""
    inputs = random_inputs(before, seed)
    for old, new in zip(run(before, inputs), run(after, inputs), strict=True):
        np.testing.assert_array_equal(old, new)


def assert_rewritten(rewrite, before, expected):
    """The pass makes `expected` of `before`, and lets that be."""
    after = rewrite(before)
    tvm.ir.assert_structural_equal(after, expected)
    tvm.ir.assert_structural_equal(rewrite(after), after)


def assert_left_alone(rewrite, mod):
    """The pass changes nothing."""
    tvm.ir.assert_structural_equal(rewrite(mod), mod)


def verdicts(mod):
    """What passes decided, by join."""
    return {d.join: d.action for d in decisions(mod)}


def reason(mod, join="c"):
    """Why a join was left alone."""
    (found,) = [d for d in decisions(mod) if d.join == join]
    assert found.action == "left alone"
    return found.reason


def without_findings(mod):
    """A copy whose main carries no findings, for comparisons of structure."""
    for name in (DECISIONS, *FINDINGS):
        if main_attribute(mod, name) is not None:
            mod = with_main_attribute(mod, name, None)
    return mod


def binding_names(mod, function="main"):
    """Names of the variables of a function, in written order."""
    return [b.var.name for block in mod[function].body.blocks for b in block.bindings]
