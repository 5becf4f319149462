"""Seeded random networks on small images, in which every operator may run in windows of columns.

Like `random_networks`, but with windows, strides and paddings along both axes: images are some ten
rows high and columns wide, and become at most twice as wide.
"""

from __future__ import annotations

import tvm
from tvm import relax

from relax_passes.operators import make_call

from .random_networks import CHANNELS, RandomNetwork, spec

_SIDES = (7, 8, 10, 13)
_LARGEST_SIDE = 16


def random_image_network(seed: int, channels: tuple[int, ...] = CHANNELS) -> tvm.IRModule:
    """A module whose ``main`` has one input, an image, and one or more outputs.

    Convolutions make one of so many `channels`.
    """
    network = _Images(seed)
    network.channels = channels
    return network.run()


class _Images(RandomNetwork):
    def run(self) -> tvm.IRModule:
        choose = self.random
        batch = 2 if choose.random() < 0.1 else 1
        shape = (batch, choose.choice(_SIDES), choose.choice(_SIDES), choose.choice(self.channels))
        x = relax.Var("x", relax.TensorType(shape, self.dtype))
        blocks = [self.one] * 5 + [self.residual, self.bottleneck, self.inception, self.dense_block]
        blocks += [self.down_and_up]
        with self.builder.function("main", [x]):
            with self.builder.dataflow():
                self.tensors.append(x)
                self.unread[x] = None
                for _ in range(choose.randint(2, 6)):
                    choose.choice(blocks)()
                if choose.random() < 0.3:
                    self.head()
                result = self.builder.emit_output(self.results([x]))
            self.builder.emit_func_output(result)
        return self.builder.get()

    # --- blocks ------------------------------------------------------------------------------

    def one(self) -> None:
        x = self.pick()
        makers = [self.window, self.window, self.window, self.pooling, self.depthwise]
        makers += [self.activation, self.surround, self.scaled, self.enlarged, self.transposed]
        self.emit(self.random.choice(makers)(x))

    def bottleneck(self) -> None:
        """Expanded, depthwise, and back, with a residual where shapes allow it."""
        x = self.pick()
        channels = spec(x).channels
        stride = self.random.choice((1, 1, 2))
        y = self.emit(self.conv(x, 3 * channels, (1, 1)))
        y = self.emit(self.depthwise_same(y, stride))
        y = self.emit(self.conv(y, channels, (1, 1)))
        if stride == 1:
            self.emit(self.binary("add", x, y))

    def down_and_up(self) -> None:
        """A skip over half the resolution."""
        x = self.pick()
        size = spec(x).shape[1:3]
        y = self.emit(self.conv(x, 3, (3, 3), (2, 2), 1))
        y = self.emit(self.same(y))
        y = self.emit(self.resized(y, size))
        self.emit(make_call("concat", [x, y], axis=3))

    # --- operators ---------------------------------------------------------------------------

    def window(self, x):
        """A convolution of any geometry."""
        lengths = spec(x).shape[1:3]
        kernel = tuple(self.random.choice((1, 2, 3, 3, 5)) for _ in lengths)
        dilation = tuple(self.random.choice((1, 1, 2)) for _ in lengths)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        before = [self.random.randint(0, span - 1) for span in spans]
        after = [self.random.randint(0, span - 1) for span in spans]
        for axis, (length, span) in enumerate(zip(lengths, spans)):
            after[axis] += max(0, span - length - before[axis] - after[axis])
        strides = tuple(self.random.choice((1, 1, 2, 3)) for _ in lengths)
        return self.conv(
            x, self.random.choice(self.channels), kernel, strides, (*before, *after), dilation
        )

    def pooling(self, x):
        kind = self.random.choice(("max", "average"))
        size = tuple(min(self.random.choice((2, 3)), side) for side in spec(x).shape[1:3])
        padding = tuple(self.random.randint(0, length - 1) for length in (*size, *size))
        strides = tuple(self.random.choice((1, 2)) for _ in size)
        return make_call("pool2d", [x], kind=kind, pool_size=size, strides=strides, padding=padding)

    def surround(self, x):
        before = (0, *(self.random.randint(0, 2) for _ in range(2)), 0)
        after = (0, *(self.random.randint(0, 2) for _ in range(2)), 0)
        return make_call("pad", [x], pad_before=before, pad_after=after, value=3)

    def scaled(self, x):
        """A product with a constant a channel."""
        rng = self.random.randrange(100)
        factor = tvm.relax.const(
            [[[[rng % (c + 2) - 1 for c in range(spec(x).channels)]]]], self.dtype
        )
        return self.binary("multiply", x, factor)

    def enlarged(self, x):
        factor = self.random.choice((2, 1.5))
        sides = spec(x).shape[1:3]
        return self.resized(x, tuple(min(int(side * factor), _LARGEST_SIDE) for side in sides))

    def resized(self, x, size):
        if self.random.random() < 0.5:
            coordinates = self.random.choice(("asymmetric", "half_pixel", "align_corners"))
            return make_call("resize2d", [x], size=size, coordinates=coordinates)
        coordinates = self.random.choice(("half_pixel", "align_corners"))
        return make_call("resize_bilinear", [x], size=size, coordinates=coordinates)

    def transposed(self, x):
        if max(spec(x).shape[1:3]) * 2 > _LARGEST_SIDE:
            return self.same(x)
        kernel = self.random.choice((2, 3))
        shape = (self.random.choice(self.channels), kernel, kernel, spec(x).channels)
        weights = self.weights(shape, spec(x).channels * kernel * kernel)
        cut = min(1, min(spec(x).shape[1:3]) - 1)  # of a single position, nothing would be left
        padding = tuple(self.random.randint(0, cut) for _ in range(4))
        return make_call("conv2d_transpose", [x, *weights], strides=(2, 2), padding=padding)
