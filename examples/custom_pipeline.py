"""The residual passes in a pipeline of your own.

Builds a small residual network with TVM's ordinary operators, runs it through a
``tvm.transform.Sequential`` that mixes this project's passes with TVM's and with one defined
here, and prints what was decided, the peak of memory, and the rewritten module::

    python examples/custom_pipeline.py
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from relax_passes.canonicalization.canonicalize import Canonicalize
from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from relax_passes.residuals.concat_in_place import ConcatInPlace
from relax_passes.residuals.graph_liveness import live_bytes, schedule
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import read_residuals


def residual_network() -> tvm.IRModule:
    """Two residual blocks, the second with a projection, for an image of 3 x 16 x 16."""
    rng = np.random.default_rng(0)
    builder = relax.BlockBuilder()
    image = relax.Var("image", relax.TensorType((1, 3, 16, 16), "float32"))

    def conv(data: relax.Expr, filters: int, kernel: int = 3, stride: int = 1) -> relax.Var:
        shape = (filters, int(data.ty.shape[1]), kernel, kernel)
        weight = relax.const(rng.standard_normal(shape).astype("float32") / 10)
        padding = kernel // 2
        return builder.emit(relax.op.nn.conv2d(data, weight, strides=stride, padding=padding))

    def relu(data: relax.Expr) -> relax.Var:
        return builder.emit(relax.op.nn.relu(data))

    with builder.function("main", [image]):
        with builder.dataflow():
            stem = relu(conv(image, 8))
            branch = conv(relu(conv(stem, 8)), 8)
            block = relu(builder.emit(relax.op.add(branch, stem)))
            branch = conv(relu(conv(block, 16, stride=2)), 16)
            projection = conv(block, 16, kernel=1, stride=2)
            block = relu(builder.emit(relax.op.add(branch, projection)))
            result = builder.emit_output(relax.op.mean(block, axis=[2, 3]))
        builder.emit_func_output(result)
    return builder.get()


@tvm.transform.module_pass(opt_level=0, name="PrintPeak")
class PrintPeak:
    """A pass of one's own: reports the peak of memory and changes nothing."""

    def __init__(self, label: str) -> None:
        self.label = label

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Print the largest sum of live tensors, in the written order."""
        live = live_bytes(schedule(operator_graph(mod)))
        worst = max(live, key=lambda operator: live[operator])
        print(f"{self.label}: {live[worst]:,} bytes, at {worst}")
        return mod


def main() -> None:
    """Run the pipeline and print what it found and did."""
    pipeline = tvm.transform.Sequential(
        [
            Canonicalize(),
            PrintPeak("peak as written"),
            IdentifyResiduals(),
            AccumulateResiduals(),
            ConcatInPlace(),
            relax.transform.DeadCodeElimination(),
            PrintPeak("peak accumulated"),
        ]
    )
    before = residual_network()
    after = pipeline(before)

    for residual in read_residuals(after):
        print(
            f"{residual.join}: {residual.shortcut} shortcut from {residual.fork}, "
            f"{residual.bytes:,} bytes for {residual.steps} operators"
        )
    for decision in decisions(after):
        print(f"{decision.pass_name}: {decision.join} {decision.action}: {decision.reason}")
    print(after.script(show_meta=False))

    image = tvm.runtime.tensor(np.random.default_rng(1).random((1, 3, 16, 16), np.float32))
    results = [
        relax.VirtualMachine(tvm.compile(mod, "llvm"), tvm.cpu())["main"](image).numpy()
        for mod in (before, after)
    ]
    print(f"largest difference of the results: {np.abs(results[0] - results[1]).max():.1e}")


if __name__ == "__main__":
    main()
