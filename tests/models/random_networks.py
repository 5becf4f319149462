"""Seeded random networks of canonical operators, float32 and int8, for tests of scheduling.

    random_network(7)        the network of seed 7: always the same, with the same weights

Residual blocks, inception blocks, squeeze-and-excitation, detours through half the resolution and
dense blocks are mixed with single operators of all kinds; shapes are small and odd.  Sizes come
from short lists, so that many networks share their kernels: parsing one takes 30 ms.
"""

from __future__ import annotations

import random

import numpy as np
import tvm
from tvm import relax

from relax_passes.operators import TensorSpec, make_call, quantized, spec_of

HEIGHTS = (1, 4, 5, 7, 8, 11)
WIDTHS = (3, 3, 1)
CHANNELS = (2, 3)
LARGEST_ROWS, LARGEST_CHANNELS = 16, 8
SCALE = 0.05


def random_network(seed: int) -> tvm.IRModule:
    """A module whose ``main`` has one to three inputs and one or more outputs."""
    return RandomNetwork(seed).run()


class RandomNetwork:
    """Chooses operators one after the other."""

    channels: tuple[int, ...] = CHANNELS

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.dtype = self.random.choice(("int8", "float32"))
        self.builder = relax.BlockBuilder()
        self.tensors: list[relax.Var] = []
        self.unread: dict[relax.Var, None] = {}

    # --- the network -------------------------------------------------------------------------

    def run(self):
        choose = self.random
        batch = 2 if choose.random() < 0.1 else 1
        shape = (
            batch,
            choose.choice(HEIGHTS[1:]),
            choose.choice(WIDTHS),
            choose.choice(self.channels),
        )
        shapes = [shape]
        for _ in range(choose.choice((0, 0, 0, 1, 2))):
            again = choose.random() < 0.5
            shapes.append(shape if again else (batch, choose.choice(HEIGHTS), *shape[2:]))
        inputs = [
            relax.Var(name, relax.TensorType(s, self.dtype)) for name, s in zip("xyz", shapes)
        ]
        blocks = (
            [self.single] * 6
            + [self.residual] * 3
            + [self.inception, self.excitation, self.detour, self.dense_block]
            + [self.move] * 3
        )
        with self.builder.function("main", inputs):
            with self.builder.dataflow():
                for x in inputs:
                    self.tensors.append(x)
                    self.unread[x] = None
                for _ in range(choose.randint(2, 6)):
                    choose.choice(blocks)()
                if choose.random() < 0.4:
                    self.head()
                result = self.builder.emit_output(self.results(inputs))
            self.builder.emit_func_output(result)
        return self.builder.get()

    def results(self, inputs: list[relax.Var]) -> relax.Expr:
        """Everything that nobody reads, and sometimes an inner tensor or an input as well."""
        found = [t for t in self.unread if t not in inputs] or [
            self.emit(self.activation(inputs[0]))
        ]
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 2))):
            found.append(self.random.choice(self.tensors))
        return found[0] if len(found) == 1 else relax.Tuple(found)

    def emit(self, call: relax.Expr) -> relax.Var:
        call = self.builder.normalize(call)
        for argument in call.args:
            self.unread.pop(argument, None)
        var = self.builder.emit(call)
        self.tensors.append(var)
        self.unread[var] = None
        return var

    def pick(self, rank: int = 4) -> relax.Var:
        """A tensor, most likely one of the latest."""
        known = [t for t in self.tensors if len(spec_of(t.ty).shape) == rank]
        back = min(int(self.random.expovariate(0.9)), len(known) - 1)
        return known[-1 - back]

    # --- blocks ------------------------------------------------------------------------------

    def single(self) -> None:
        x = self.pick()
        makers = [self.convolution] * 3 + [self.pointwise, self.depthwise, self.pool, self.pool]
        makers += [self.activation, self.combine, self.combine, self.concat_rows, self.resize]
        self.emit(self.random.choice(makers)(x))

    def residual(self) -> None:
        x = y = self.pick()
        stride = self.random.choice((1, 1, 2))
        if spec(x).shape[1] < 2:
            stride = 1
        for number in range(self.random.randint(1, 3)):
            make = self.random.choice((self.same, self.same, self.depthwise_same, self.activation))
            y = self.emit(make(y, stride) if number == 0 and make != self.activation else make(y))
        channels = spec(y).channels
        if spec(x).shape != spec(y).shape:
            step = -(-spec(x).shape[1] // spec(y).shape[1])
            x = self.emit(self.conv(x, channels, (1, 1), (step, step)))
        if spec(x).shape == spec(y).shape:
            operands = (x, y) if self.random.random() < 0.5 else (y, x)
            self.emit(self.binary("add", *operands))

    def inception(self) -> None:
        x = self.pick()
        branches = [self.emit(self.pointwise(x)), self.emit(self.same(x))]
        if self.random.random() < 0.5:
            branches.append(self.emit(self.same(branches[-1])))
        if self.random.random() < 0.5:
            branches.append(self.emit(self.pool_same(x)))
        self.random.shuffle(branches)
        self.emit(make_call("concat", branches, axis=-1))

    def excitation(self) -> None:
        x = self.pick()
        s = self.emit(self.reduce(x, (1, 2), keepdims=True))
        s = self.emit(self.conv(s, spec(x).channels, (1, 1)))
        self.emit(self.binary("multiply", x, s))

    def detour(self) -> None:
        """Down to half the resolution, up again, and joined with where it came from."""
        x = self.pick()
        if spec(x).shape[1] < 2:
            return
        height, width = spec(x).shape[1:3]
        y = self.emit(self.conv(x, 2, (3, 1), (2, 1), (1, 0, 1, 0)))
        y = self.emit(self.activation(y))
        size = (height, width)
        y = self.emit(make_call("resize2d", [y], size=size, coordinates="half_pixel"))
        self.emit(make_call("concat", [x, y], axis=3))

    def dense_block(self) -> None:
        x = self.pick()
        for _ in range(self.random.randint(2, 3)):
            y = self.emit(self.same(x))
            x = self.emit(make_call("concat", [x, y], axis=-1))

    def move(self) -> None:
        """An operator that moves elements."""
        x = self.pick()
        n, h, w, c = spec(x).shape
        kind = self.random.choice(("pad", "slice", "slice", "transpose", "reshape", "softmax"))
        if kind == "pad":
            value = self.random.choice((0, 3))
            before, after = (
                (0, self.random.randint(0, 2), 1, 0),
                (0, self.random.randint(0, 2), 0, 0),
            )
            self.emit(make_call("pad", [x], pad_before=before, pad_after=after, value=value))
        elif kind == "slice" and h > 2:
            begin, step = self.random.randint(0, min(2, h - 2)), self.random.choice((1, 1, 2))
            end = self.random.randint(begin + 1, min(begin + 4, h))
            self.emit(
                make_call("slice", [x], begin=(0, begin, 0, 0), end=(n, end, w, c),
                          strides=(1, step, 1, 1))
            )  # fmt: skip
        elif kind == "transpose":
            axes = self.random.choice(((0, 2, 1, 3), (0, 3, 1, 2), (0, 1, 3, 2)))
            if max(h, w, c) <= LARGEST_CHANNELS:
                self.emit(make_call("transpose", [x], axes=axes))
        elif kind == "reshape":
            self.emit(make_call("reshape", [x], shape=(n, w, h, c) if w > 1 else (n, h, c, w)))
        elif kind == "softmax" and self.dtype == "float32":
            self.emit(make_call("softmax", [x]))

    def head(self) -> None:
        """Global pooling or flattening, and fully connected layers."""
        x = self.pick()
        batch = spec(x).shape[0]
        if self.random.random() < 0.6:
            x = self.emit(self.reduce(x, (1, 2), keepdims=False))
        else:
            x = self.emit(make_call("reshape", [x], shape=(batch, spec(x).elements // batch)))
        for _ in range(self.random.randint(1, 2)):
            x = self.emit(self.fully_connected(x, 3))

    # --- operators ---------------------------------------------------------------------------

    def convolution(self, x, stride=None):
        height, width = spec(x).shape[1:3]
        kernel = self.random.choice(((3, 3), (3, 3), (2, 1), (5, 1), (1, 3)))
        dilation = self.random.choice((1, 1, 1, 2))
        span = (kernel[0] - 1) * dilation + 1
        most = span - 1
        padding = [self.random.randint(0, most), kernel[1] // 2, self.random.randint(0, most), 0]
        if self.random.random() < 0.6:
            padding[0] = padding[2] = most // 2
        padding[0] += max(0, span - height - padding[0] - padding[2])
        padding[3] = max(0, kernel[1] - width - padding[1])
        stride = self.random.choice((1, 1, 2, 3)) if stride is None else stride
        filters = self.random.choice(self.channels)
        return self.conv(x, filters, kernel, (stride, 1), padding, (dilation, 1))

    def same(self, x, stride=1):
        return self.conv(x, spec(x).channels if stride == 1 else 3, (3, 3), (stride, stride), 1)

    def depthwise_same(self, x, stride=1):
        return self.conv(x, spec(x).channels, (3, 3), (stride, stride), 1, groups=spec(x).channels)

    def pointwise(self, x):
        return self.conv(x, self.random.choice(self.channels), (1, 1))

    def depthwise(self, x):
        return self.depthwise_same(x, self.random.choice((1, 2)))

    def conv(self, x, filters, kernel, strides=(1, 1), padding=0, dilation=(1, 1), groups=1):
        padding = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
        shape = (filters, *kernel, spec(x).channels // groups)
        constants = self.weights(shape, int(np.prod(shape[1:])))
        return make_call(
            "conv2d", [x, *constants], strides=strides, padding=padding, dilation=dilation,
            groups=groups,
        )  # fmt: skip

    def fully_connected(self, x, units):
        depth = spec(x).channels
        return make_call("dense", [x, *self.weights((units, depth), depth)])

    def weights(self, shape, fan_in):
        rng = np.random.default_rng(self.random.randrange(1 << 30))
        filters = shape[0]
        if self.dtype == "float32":
            weight = rng.standard_normal(shape).astype("float32") / fan_in**0.5
            return relax.const(weight), relax.const(rng.standard_normal(filters).astype("float32"))
        weight = rng.integers(-127, 128, shape).astype("int8")
        bias = rng.integers(-2000, 2000, filters).astype("int32")
        scales = list(rng.uniform(0.8, 1.2, filters) / (74 * fan_in**0.5))
        if rng.random() < 0.2:  # a factor above 1, which cores round in another way
            scales[0] *= 100 * fan_in**0.5
        factors = quantized.convolution_factors(SCALE, scales, SCALE, filters)
        return tuple(relax.const(array) for array in (weight, bias, *factors))

    def pool(self, x):
        height, width = spec(x).shape[1:3]
        kind = self.random.choice(("max", "average"))
        size = (min(self.random.choice((2, 3)), height), 1)
        stride = self.random.choice((1, 2, 3))
        top, bottom = (self.random.randint(0, size[0] - 1) for _ in range(2))
        return make_call(
            "pool2d", [x], kind=kind, pool_size=size, strides=(stride, 1),
            padding=(top, 0, bottom, 0),
        )  # fmt: skip

    def pool_same(self, x):
        kind = self.random.choice(("max", "average"))
        return make_call("pool2d", [x], kind=kind, pool_size=(3, 3), padding=(1, 1, 1, 1))

    def activation(self, x):
        if self.dtype == "float32":
            return make_call("unary", [x], function=self.random.choice(("relu", "silu")))
        table = np.random.default_rng(self.random.randrange(4)).permutation(256) - 128
        return make_call("lookup", [x, relax.const(table.astype("int8"))])

    def combine(self, x):
        """An operator of two operands: another tensor, itself, a broadcast one or a constant."""
        name = self.random.choice(("add", "add", "subtract", "multiply"))
        shape = spec(x).shape
        same = [t for t in self.tensors if spec(t).shape == shape]
        small = [
            t for t in self.tensors
            if len(spec(t).shape) == 4
            and all(a in (1, b) for a, b in zip(spec(t).shape, shape))
        ]  # fmt: skip
        rng = np.random.default_rng(self.random.randrange(8))
        broadcast = self.random.choice(((1, 1, 1, shape[3]), (1, shape[1], 1, 1), shape[2:]))
        constant = rng.integers(-100, 100, broadcast).astype(self.dtype)
        others = [self.random.choice(same), self.random.choice(same), self.random.choice(small)]
        other = self.random.choice([*others, relax.const(constant)])
        operands = (x, other) if self.random.random() < 0.6 else (other, x)
        return self.binary(name, *operands)

    def binary(self, name, a, b):
        attrs = {}
        if self.dtype == "int8":
            if name == "multiply":
                multiplier, shift = quantized.multiply_factors(SCALE, SCALE, SCALE)
                attrs = {"multiplier": multiplier, "shift": shift}
            else:
                attrs = quantized.add_factors(SCALE, SCALE, SCALE)
        return make_call(name, [a, b], **attrs)

    def concat_rows(self, x):
        n, _, w, c = spec(x).shape
        fitting = [t for t in self.tensors if spec(t).shape[:1] + spec(t).shape[2:] == (n, w, c)]
        operands = [x, self.random.choice(fitting)]
        self.random.shuffle(operands)
        if sum(spec(t).shape[1] for t in operands) > LARGEST_ROWS:
            return self.activation(x)
        return make_call("concat", operands, axis=1)

    def resize(self, x):
        height, width = spec(x).shape[1:3]
        factor = self.random.choice((2, 1.5, 0.5))
        rows = max(1, min(int(height * factor), LARGEST_ROWS))
        coordinates = self.random.choice(("asymmetric", "half_pixel", "align_corners"))
        return make_call("resize2d", [x], size=(rows, width), coordinates=coordinates)

    def reduce(self, x, axes, *, keepdims):
        attrs = {"kind": self.random.choice(("mean", "max")), "axes": axes, "keepdims": keepdims}
        if self.dtype == "int8" and attrs["kind"] == "mean":
            count = spec(x).shape[1] * spec(x).shape[2]
            factor = quantized.mean_factors(SCALE, SCALE, count)
            attrs |= {"multiplier": factor[0], "shift": factor[1]}
        return make_call("reduce", [x], **attrs)


def spec(x: relax.Expr) -> TensorSpec:
    """Shape and type of an expression."""
    return spec_of(x.ty)
