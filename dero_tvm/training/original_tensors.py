"""What the layers of the original network compute on given inputs, at some of their pixels."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call

from relax_passes.ir.straight_line import StraightLine, read_function, write_function
from relax_passes.operators import attributes_of, make_call, operator_of

SAMPLES = 1 << 14  # of one tensor: pixels of all images together, about


@dataclass(frozen=True, eq=False)
class Samples:
    """A tensor's values at pixels [P, 2] (row, column) of each of N images.

    `before` is the same in front of the layer's activation: both are [N, P, channels].
    """

    pixels: np.ndarray
    before: np.ndarray
    after: np.ndarray


def original_tensors(
    canonical: tvm.IRModule, names: Iterable[str], feeds: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, Samples]:
    """Samples of the images among the variables `names` of a canonical float32 module."""
    line = read_function(canonical)
    values = {var.name: (var, value) for var, value in line.bindings}
    wanted = [name for name in dict.fromkeys(names) if name in values]
    wanted = [name for name in wanted if len(values[name][0].ty.shape) == 4]
    bindings, outputs = list(line.bindings), []
    for name in wanted:
        var, value = values[name]
        before = _before_activation(value, values)
        if isinstance(before, Call):
            unclamped = relax.Var(f"{name}_before", before.ty)
            bindings.append((unclamped, before))
            before = unclamped
        outputs += [var, var if before is None else before]
    exposed = StraightLine(line.parameters, tuple(bindings), relax.Tuple(outputs))
    machine = relax.VirtualMachine(
        tvm.compile(write_function(canonical, exposed), "llvm"), tvm.cpu()
    )
    places = {name: _places(name, values[name][0].ty.shape, len(feeds)) for name in wanted}
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {n: ([], []) for n in wanted}
    for feed in feeds:
        arrays = [tvm.runtime.tensor(np.ascontiguousarray(feed[p.name])) for p in line.parameters]
        results = iter(machine["main"](*arrays))
        for name in wanted:
            rows, columns = places[name].T
            for kept in reversed(found[name]):
                kept.append(next(results).numpy()[0, rows, columns])
    return {
        name: Samples(places[name], np.stack(before), np.stack(after))
        for name, (before, after) in found.items()
    }


def _before_activation(
    value: relax.Expr, values: Mapping[str, tuple[relax.Var, relax.Expr]]
) -> relax.Expr | None:
    """The layer without its clamp, or what an activation of its own reads; None for neither."""
    if not isinstance(value, Call) or operator_of(value) is None:
        return None
    attrs = attributes_of(value)
    if value.op.name == "dero.unary":
        operand = value.args[0]
        return operand if isinstance(operand, relax.Var) and operand.name in values else None
    if attrs.get("minimum") is None and attrs.get("maximum") is None:
        return None
    bare = attrs | {"minimum": None, "maximum": None}
    if "in_place" in bare:
        bare["in_place"] = False
    call = make_call(value.op.name.removeprefix("dero."), list(value.args), **bare)
    return relax.BlockBuilder().normalize(call)


def _places(name: str, shape: Sequence[int], images: int) -> np.ndarray:
    """Pixels without repetition, the same whenever they are drawn."""
    height, width = int(shape[1]), int(shape[2])
    count = min(height * width, max(SAMPLES // images, 1))
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    chosen = np.sort(rng.choice(height * width, count, replace=False))
    return np.stack(np.unravel_index(chosen, (height, width)), axis=1)
