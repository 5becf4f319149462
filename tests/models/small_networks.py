"""Small networks whose blocks are worth streaming, as Relax modules of the operator set."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relax_passes.operators import make_call


class Builder:
    """Emits int8 operators one by one; names are those of the variables."""

    def __init__(self, *inputs: tuple[str, tuple[int, ...]], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = relax.BlockBuilder()
        self.inputs = [relax.Var(name, relax.TensorType(shape, "int8")) for name, shape in inputs]
        self.bindings: list[tuple[relax.Var, relax.Expr]] = []

    def emit(self, name: str, call: relax.Expr) -> relax.Var:
        return self._bind(relax.Var(name, self.builder.normalize(call).ty), call)

    def _bind(self, var: relax.Var, call: relax.Expr) -> relax.Var:
        self.bindings.append((var, call))
        return var

    def conv(self, name: str, x: relax.Var, channels: int, kernel: int = 3, stride: int = 1):
        depth, pad = int(x.ty.shape[-1]), kernel // 2
        rng = self.rng
        operands = [
            x,
            relax.const(rng.integers(-127, 128, (channels, kernel, kernel, depth)).astype("int8")),
            relax.const(rng.integers(-500, 500, channels).astype("int32")),
            relax.const(np.full(channels, 1 << 30, "int32")),
            relax.const(np.full(channels, -8, "int32")),
        ]
        call = make_call("conv2d", operands, strides=(stride, stride), padding=(pad,) * 4)
        return self.emit(name, call)

    def add(self, name: str, a: relax.Var, b: relax.Var):
        factors = {
            "zero_points": (0, 0, 0),
            "left_shift": 20,
            "multipliers": (1 << 30, 1 << 30, 1 << 30),
            "shifts": (0, 0, -19),
        }
        return self.emit(name, make_call("add", [a, b], **factors))

    def pool(self, name: str, x: relax.Var):
        _, height, width, _ = (int(n) for n in x.ty.shape)
        return self.emit(name, make_call("pool2d", [x], kind="average", pool_size=(height, width)))

    def build(self, *outputs: relax.Var) -> tvm.IRModule:
        with self.builder.function("main", self.inputs):
            with self.builder.dataflow():
                known: dict[relax.Var, relax.Var] = {}
                for var, call in self.bindings:
                    args = [known.get(arg, arg) for arg in call.args]
                    call = tvm.ir.Call(call.op, args, call.attrs)
                    last = len(outputs) == 1 and var.same_as(outputs[0])
                    emit = self.builder.emit_output if last else self.builder.emit
                    known[var] = emit(call, var.name)
                result = known.get(outputs[0], outputs[0])
                if len(outputs) > 1:
                    results = [known.get(var, var) for var in outputs]
                    result = self.builder.emit_output(relax.Tuple(results))
            self.builder.emit_func_output(result)
        return self.builder.get()


def residual_network(size: int = 24) -> tvm.IRModule:
    """Stem, a residual block, a wide convolution, global pooling: x [1, size, size, 3].

    Accumulating helps the block, overlapping the convolution behind it, streaming both.
    """
    net = Builder(("x", (1, size, size, 3)))
    stem = net.conv("stem", net.inputs[0], 8)
    wide = net.conv("wide", stem, 20)
    narrow = net.conv("narrow", wide, 8)
    joined = net.add("joined", narrow, stem)
    deep = net.conv("deep", joined, 24)
    return net.build(net.pool("pooled", deep))


def image_to_image(size: int = 16) -> tvm.IRModule:
    """A residual block between images: x [1, size, size, 3] -> [1, size, size, 4]."""
    net = Builder(("x", (1, size, size, 3)))
    stem = net.conv("stem", net.inputs[0], 8)
    joined = net.add("joined", net.conv("branch", stem, 8), stem)
    return net.build(net.conv("mask", joined, 4))


def two_images(size: int = 16) -> tvm.IRModule:
    """Two images of different size, added: a [1, size, size, 3], b [1, 2 * size, 2 * size, 3]."""
    net = Builder(("a", (1, size, size, 3)), ("b", (1, 2 * size, 2 * size, 3)))
    first = net.conv("first", net.inputs[0], 8)
    second = net.conv("second", net.inputs[1], 8, stride=2)
    return net.build(net.conv("mask", net.add("joined", first, second), 4))


def run_reference(module: tvm.IRModule, *data: np.ndarray) -> np.ndarray:
    """What TVM's own virtual machine computes."""
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    return machine["main"](*map(tvm.runtime.tensor, data)).numpy()


def image(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """A random int8 image."""
    return np.random.default_rng(seed).integers(-128, 128, shape).astype("int8")
