"""What the compiler makes of one network, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import dero_tvm
from dero_tvm import UserError
from dero_tvm.frontends import LoadedModel
from dero_tvm.schedule.network import Network, Operation
from relax_passes.pipeline import Canonicalize

Result = dict[str, Any]


def rewritten(loaded: LoadedModel) -> Result:
    """Which operators are left to TVM behind all rewriting, and which transposes there are."""
    module = Canonicalize()(loaded.module)
    calls: Counter[str] = Counter()
    for block in module["main"].body.blocks:
        for binding in block.bindings:
            operator = getattr(binding.value, "op", None)
            if operator is not None:
                name = getattr(operator, "name", "") or str(operator)
                calls[name if name != "relax.call_tir" else binding.value.args[0].name_hint] += 1
    opaque = {name: count for name, count in calls.items() if not name.startswith("dero.")}
    return {"status": "rewritten", "opaque": opaque, "transposes": calls["dero.transpose"]}


def compiled(
    model: Any, feed: Mapping[str, np.ndarray], expected: Sequence[np.ndarray], *, run: bool = True
) -> Result:
    """Sizes of the compiled network, and how far its C is from `expected`.

    The error is the largest difference over the range of the expected output: of integers, in
    steps.
    """
    made = dero_tvm.compile(model, dero="stream", time_limit=1.0)
    report = made.report
    most = max(step.live_bytes for step in report.steps)
    at_peak = {
        operator.name
        for operator in report.operators
        if operator.step >= 0 and report.steps[operator.step].live_bytes == most
    }
    opaque = [operation for operation in _operations(made.network) if operation.function]
    result: Result = {
        "status": "compiled",
        "arena": report.arena_bytes,
        "whole": report.whole_bytes,
        "opaque": dict(Counter(operation.signature.operator for operation in opaque)),
        "opaque_at_peak": max((_bytes(o) for o in opaque if o.result in at_peak), default=0),
    }
    if run:
        outputs = list(made.run(feed, "host-c").values())
        result["error"] = max(_error(*pair) for pair in zip(outputs, expected, strict=True))
    return result


def refusal(error: UserError) -> Result:
    """A network that is refused, with the reason."""
    return {"status": "refused", "reason": str(error)}


def _operations(network: Network) -> list[Operation]:
    return [operation for cascade in network.cascades for operation in cascade.operations]


def _bytes(operation: Operation) -> int:
    """Of an operator's tensors and of its scratch."""
    specs = [*operation.signature.inputs, operation.signature.output]
    sizes = (spec.elements * np.dtype(spec.dtype).itemsize for spec in specs)
    return operation.scratch_bytes + sum(sizes)


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Steps of integers; the share of the range of float numbers."""
    if actual.shape != expected.shape:
        raise ValueError(f"an output has shape {actual.shape}, not {expected.shape}")
    difference = np.abs(actual.astype("float64") - expected.astype("float64")).max()
    if np.issubdtype(expected.dtype, np.integer):
        return float(difference)
    return float(difference / max(np.abs(expected).max(), 1e-30))
