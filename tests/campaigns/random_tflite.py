"""Compiles random int8 TFLite networks and compares the C with LiteRT's reference kernels.

    python -m tests.campaigns.random_tflite 200       seeds 0 to 199

Operators read tensors that were computed before, often one tensor twice, transposed ones among
them.  Each network runs as C in all modes; all bits have to be equal.  Where LiteRT and the C
differ, TensorFlow Lite Micro decides, as everywhere.
"""

from __future__ import annotations

import argparse
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dero_tvm.aot.program import Program
from dero_tvm.boundary.errors import UserError
from tests.campaigns.batches import batches
from tests.campaigns.summary import Summary
from tests.compiled.c_batch import CLibrary, library_of, programs_of
from tests.frontends.tflite_sweep import ACTIVATIONS, quantization
from tests.models.tflite_builder import TFLiteBuilder, run_litert_reference
from tests.oracles.tflite_micro_runner import run_tflite_micro

BATCH = 20  # networks a C file
_MOST_ELEMENTS = 4000  # of a tensor


class RandomTFLite:
    """One network, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = TFLiteBuilder()
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.scales: dict[int, dict[str, Any]] = {}
        self.operators: Counter[str] = Counter()
        self._read: set[int] = set()
        self._constants = 0

    def build(self) -> bytes:
        """The file; outputs are what no operator reads."""
        size = tuple(int(n) for n in self.rng.integers(4, 12, 2))
        shape = (1, *size, int(self.rng.choice([1, 2, 4])))
        x = self._tensor(shape, quantization(self.rng), self.builder.input)
        layers: list[Callable[[int], int]] = [
            *(self._layer, self._layer, self._binary, self._binary, self._binary, self._pool),
            *(self._concat, self._transpose, self._pad, self._rescale, self._mean),
        ]
        for _ in range(self.rng.integers(6, 14)):
            if self.rng.random() < 0.25:
                x = int(self.rng.choice(list(self.shapes)))
            x = layers[self.rng.integers(len(layers))](x)
        outputs = [tensor for tensor in self.shapes if tensor not in self._read]
        return self.builder.build(outputs)

    def _tensor(
        self, shape: Sequence[int], scales: dict[str, Any], add: Callable[..., int] | None = None
    ) -> int:
        shape = tuple(int(n) for n in shape)
        tensor = (add or self.builder.tensor)(f"t{len(self.shapes)}", shape, "int8", **scales)
        self.shapes[tensor], self.scales[tensor] = shape, scales
        return tensor

    def _constant(self, values: Any, dtype: str = "int32", **scales: Any) -> int:
        self._constants += 1
        return self.builder.constant(f"c{self._constants}", values, dtype, **scales)

    def _add(self, code: str, operands: list[int], result: int, **options: Any) -> int:
        self.builder.operator(code, operands, [result], **options)
        self.operators[code] += 1
        self._read.update(operand for operand in operands if operand in self.shapes)
        return result

    def _activation(self) -> dict[str, str]:
        return {"fused_activation_function": str(self.rng.choice(ACTIVATIONS))}

    def _layer(self, x: int) -> int:
        batch, height, width, depth = self.shapes[x]
        kernel, stride = self.rng.integers(1, 4, 2), self.rng.integers(1, 3, 2)
        rows, columns = -(-height // stride[0]), -(-width // stride[1])
        depthwise = self.rng.random() < 0.4
        filters = depth if depthwise else int(self.rng.choice([1, 2, 4, 5]))
        weights = (1, *kernel, depth) if depthwise else (filters, *kernel, depth)
        scales = np.exp2(self.rng.uniform(-8, -4, filters)).astype("float32")
        unit = scales * np.float32(self.scales[x]["scale"])
        values = self.rng.integers(-127, 128, weights)
        w = self._constant(values, "int8", scale=scales, axis=3 if depthwise else 0)
        bias = self._constant(self.rng.integers(-3000, 3000, filters), scale=unit)
        fan_in = int(np.prod(kernel)) * (1 if depthwise else depth)
        scale = float(unit.max()) * 40 * np.sqrt(fan_in)
        y = self._tensor((batch, rows, columns, filters), quantization(self.rng, scale))
        windows = {"padding": "SAME", "stride_h": int(stride[0]), "stride_w": int(stride[1])}
        code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        return self._add(code, [x, w, bias], y, **windows, **self._activation())

    def _binary(self, x: int) -> int:
        """With any tensor that fits, which may be `x` itself; with many ties."""
        shape = self.shapes[x]
        fits = [t for t, s in self.shapes.items() if all(b in (a, 1) for a, b in zip(shape, s))]
        z = x if self.rng.random() < 0.3 else int(self.rng.choice(fits))
        code = str(self.rng.choice(["ADD", "SUB", "MUL"]))
        first, second = (self.scales[tensor]["scale"] for tensor in (x, z))
        scale = 8 * first * second if code == "MUL" else 2 * max(first, second)
        scales = quantization(self.rng, scale)
        if self.rng.random() < 0.5:
            scales["scale"] = float(np.float32(scale))
        operands = [x, z] if self.rng.random() < 0.5 else [z, x]
        return self._add(code, operands, self._tensor(shape, scales), **self._activation())

    def _pool(self, x: int) -> int:
        batch, height, width, depth = self.shapes[x]
        size, stride = self.rng.integers(1, 4, 2), self.rng.integers(1, 3, 2)
        shape = (batch, -(-height // stride[0]), -(-width // stride[1]), depth)
        y = self._tensor(shape, self.scales[x])
        names = ("filter_height", "filter_width", "stride_h", "stride_w")
        options = dict(zip(names, (int(n) for n in (*size, *stride))))
        code = str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        return self._add(code, [x], y, padding="SAME", **options, **self._activation())

    def _concat(self, x: int) -> int:
        axis = int(self.rng.integers(1, 4))
        like = [t for t, s in self.shapes.items() if self.scales[t] == self.scales[x]]
        rest = [np.delete(self.shapes[t], axis).tolist() for t in like]
        fits = [t for t, r in zip(like, rest) if r == np.delete(self.shapes[x], axis).tolist()]
        operands = [x, *(int(t) for t in self.rng.choice(fits, 2))]
        shape = list(self.shapes[x])
        shape[axis] = sum(self.shapes[t][axis] for t in operands)
        if np.prod(shape) > _MOST_ELEMENTS:
            return x
        return self._add("CONCATENATION", operands, self._tensor(shape, self.scales[x]), axis=axis)

    def _transpose(self, x: int) -> int:
        axes = [0, *self.rng.permutation([1, 2, 3])]
        y = self._tensor([self.shapes[x][axis] for axis in axes], self.scales[x])
        return self._add("TRANSPOSE", [x, self._constant(axes)], y)

    def _pad(self, x: int) -> int:
        amounts = np.zeros((4, 2), int)
        amounts[1:3] = self.rng.integers(0, 3, (2, 2))
        y = self._tensor(np.add(self.shapes[x], amounts.sum(axis=1)), self.scales[x])
        return self._add("PAD", [x, self._constant(amounts)], y)

    def _rescale(self, x: int) -> int:
        code = str(self.rng.choice(["QUANTIZE", "RELU", "HARD_SWISH"]))
        scales = quantization(self.rng, self.scales[x]["scale"])
        return self._add(code, [x], self._tensor(self.shapes[x], scales))

    def _mean(self, x: int) -> int:
        batch, _, _, depth = self.shapes[x]
        y = self._tensor((batch, 1, 1, depth), quantization(self.rng, self.scales[x]["scale"]))
        return self._add("MEAN", [x, self._constant([1, 2])], y, keep_dims=True)


def check_tflite(seeds: Sequence[int]) -> Summary:
    """Compile and run the networks of `seeds`; what fails is in the summary."""
    summary = Summary()
    programs: dict[str, Program] = {}
    made: dict[int, tuple[bytes, list[str]]] = {}
    for seed in seeds:
        network = RandomTFLite(seed)
        model = network.build()
        try:
            found = {f"n{seed}_{m.name.lower()}": p for m, p in programs_of(model).items()}
        except UserError as error:
            summary.failures.append(f"seed {seed}: refused: {error}")
            continue
        programs |= found
        made[seed] = model, list(found)
        summary.counts["networks"] += 1
        summary.counts.update(network.operators)
    library = library_of(programs)
    for seed, (model, names) in made.items():
        try:
            _compare(seed, model, names, library, summary)
        except Exception:
            summary.failures.append(f"seed {seed}: {traceback.format_exc(limit=-3)}")
    return summary


def _compare(
    seed: int, model: bytes, names: list[str], library: CLibrary, summary: Summary
) -> None:
    rng = np.random.default_rng(seed)
    (port,) = library.programs[names[0]].network.inputs
    shape = library.programs[names[0]].network.values[port.value].spec.shape
    x = rng.integers(-128, 128, shape).astype("int8")
    expected = run_litert_reference(model, {port.name: x})
    for name in names:
        summary.counts["programs"] += 1
        outputs = list(library.run(name, {port.name: x})[0].values())
        if all(map(np.array_equal, outputs, expected)):
            continue
        for have, want in zip(outputs, run_tflite_micro(model, [x]), strict=True):
            np.testing.assert_array_equal(have, want, err_msg=name)
        summary.counts["as TensorFlow Lite Micro"] += 1


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    total = Summary()
    for seeds in batches(arguments.first, arguments.networks, BATCH):
        found = check_tflite(seeds)
        total.counts += found.counts
        total.failures += found.failures
    print(total.text())
    raise SystemExit(bool(total.failures))


if __name__ == "__main__":
    main()
