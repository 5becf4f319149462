"""ConcatInPlace: the operands of a concatenation are computed where they will lie in its result.

::

    a -> concat -> c         c:  [ a | b ]     each operand is a slice of c's buffer from the
    b --'                                      start, so the concatenation copies nothing

The pass sets the attribute ``in_place`` of ``dero.concat`` where every operand qualifies.  Slices
along the last axis are strided (``TensorSpec.pixel_stride``); slices are contiguous where all
axes before the concatenation's have length 1, and along other axes there are none.  Chains nest:
in ``concat(concat(x, a), b)`` all three operands become slices of one buffer.  DenseNets written
flat, ``concat(x, a)``, ``concat(x, a, b)``, are nested first if that takes less memory.

Preconditions, for each operand:

* it is computed, by an operator other than a reshape, and occurs once;
* neither it nor a tensor in the same buffer is a network input or output;
* no other concatenation in place contains it, except by nesting;
* nothing writes over its buffer after it is complete (``AccumulateResiduals`` may do so before);
* if the slice is strided, every operator that writes or reads the operand's buffer supports
  strides.  An accumulating function writes where its last operator writes.

The whole buffer is alive as soon as its first slice is; a concatenation for which that would
raise the peak (in the written order) is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import networkx as nx
import tvm
from tvm.ir import Call

from ..ir.decisions import LEFT_ALONE, Decision, record
from ..ir.operator_graph import Node, OperatorGraph, operator_graph
from ..ir.straight_line import StraightLine, read_function, unique_names, variables, write_function
from ..operators import attributes_of, make_call, operator_of, signature_of
from .graph_liveness import live_bytes, schedule, sharing

NAME = "ConcatInPlace"
_CONCAT = "dero.concat"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class ConcatInPlace:
    """The pass; see the module's docstring."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with qualifying concatenations in place and all decisions recorded."""
        mod = unique_names(mod)
        choices = [(mod, *_decide(mod))]
        nested = _nested(mod)
        if nested is not None:
            choices.append((nested, *_decide(nested)))
        mod, refusals, _ = min(choices, key=lambda choice: choice[2])
        decided = []
        for node, reason in refusals.items():
            action = LEFT_ALONE if reason else "in place"
            why = reason or "every operand is written into its slice"
            decided.append(Decision(NAME, node, action, why))
        return record(_flagged(mod, {n for n, why in refusals.items() if not why}), decided)


def _decide(mod: tvm.IRModule) -> tuple[dict[str, str], tuple[int, int]]:
    """For each concatenation why it is not in place ("" if it is), and the cost of that.

    The cost is the peak in bytes, then the bytes summed over all steps to tell equal peaks apart.
    """
    graph = operator_graph(mod)
    concats = [n for n in graph.operators_in_order() if graph[n].operator == _CONCAT]
    reasons = {n: "" if graph[n].is_concat_in_place else "not tried" for n in concats}
    peak = _peak(graph)
    changed = True
    while changed:  # one concatenation in place can make room for, or qualify, another
        changed = False
        for node in concats:
            if not reasons[node]:
                continue
            reasons[node] = next(_obstacles(graph, node), "")
            if reasons[node]:
                continue
            before = graph[node].signature
            attrs = {**before.attrs, "in_place": True}
            graph.change_signature(node, replace(before, attrs=attrs))
            after = _peak(graph)
            if after > peak:
                graph.change_signature(node, before)
                reasons[node] = (
                    f"its buffer, alive from the first operand on, would raise the peak from "
                    f"{peak:,} to {after:,} bytes"
                )
            else:
                peak, changed = after, True
    return reasons, (peak, sum(live_bytes(schedule(graph)).values()))


def _peak(graph: OperatorGraph) -> int:
    return max(live_bytes(schedule(graph)).values(), default=0)


def _obstacles(graph: OperatorGraph, concat: str) -> Iterator[str]:
    """Why the operands of `concat` cannot be slices of its result."""
    data = graph[concat]
    signature, operands = data.signature, data.operands
    axis = signature["axis"] % len(signature.output.shape)
    contiguous = prod(signature.output.shape[:axis]) == 1
    if not contiguous and axis != len(signature.output.shape) - 1:
        yield f"slices along axis {axis} are neither contiguous nor strided pixels"
    for operand in operands:
        if operand is None:
            yield "an operand is a constant, which has to be copied"
        elif operands.count(operand) > 1:
            yield f"{operand} occurs more than once"
        else:
            yield from _buffer_obstacles(graph, concat, operand)
            if not contiguous:
                yield from _stride_obstacles(graph, concat, operand)


def _buffer_obstacles(graph: OperatorGraph, concat: str, operand: str) -> Iterator[str]:
    """Why the buffer of `operand` cannot be part of another one."""
    data = graph[operand]
    if data.is_reshape:
        yield f"{operand} is a reshape of another tensor"
    if data.operator == "dero.part":
        yield f"{operand} is a part of another tensor"
    if data.operator == "TupleGetItem":
        yield f"{operand} is part of a tuple"
    for reader in graph.readers(operand):
        if reader != concat and graph[reader].is_concat_in_place:
            yield f"{operand} is a slice of {reader} already"
    before = nx.ancestors(graph.digraph, operand) | {operand}
    for tensor in sharing(graph, operand):
        if graph[tensor].kind == "input":
            yield f"{operand} lies in the buffer of the network input {tensor}"
        if graph[tensor].in_place is not None and tensor not in before:
            yield f"{operand} is overwritten by {tensor}"
        if any(graph[reader].kind == "output" for reader in graph.readers(tensor)):
            yield f"{operand} lies in the buffer of the network output {tensor}"


def _stride_obstacles(graph: OperatorGraph, concat: str, operand: str) -> Iterator[str]:
    """Operators that would have to read or write strided pixels and cannot."""
    for tensor in sharing(graph, operand):
        if not _writes_strided(graph[tensor]):
            yield f"{tensor} ({graph[tensor].operator}) cannot be written into a slice"
        for reader in graph.readers(tensor):
            if graph[reader].is_reshape:
                yield f"{reader} is the same memory in another shape, which a slice cannot be"
            elif reader != concat and not _reads_strided(graph, reader, tensor):
                yield f"{reader} ({graph[reader].operator}) cannot read a slice"


def _writes_strided(data: Node) -> bool:
    if data.inner is not None:
        return _accumulates_strided(data.inner)
    return data.known_signature is not None


def _accumulates_strided(inner: StraightLine) -> bool:
    """Whether the join inside a cascade, and all that follows it, can work in a slice."""
    for _, value in reversed(inner.bindings):
        operator = operator_of(value)
        if operator is None:
            return False
        if len(set(variables(value))) > 1:
            return True
        if 0 not in operator.row_arguments(signature_of(value)):
            return False
    return False


def _reads_strided(graph: OperatorGraph, reader: str, tensor: str) -> bool:
    data = graph[reader]
    arguments = graph.arguments(tensor, reader)
    if data.inner is not None:
        parameters = {data.inner.parameters[argument] for argument in arguments}
        calls = [value for _, value in data.inner.bindings]
        return all(_call_reads_strided(call, parameters) for call in calls)
    if data.known_signature is None:
        return False
    return set(arguments) <= set(data.implementation.row_arguments(data.signature))


def _call_reads_strided(call: Call, parameters: set) -> bool:
    operator = operator_of(call)
    used = {i for i, arg in enumerate(call.args) if arg in parameters}
    if not used:
        return True
    return operator is not None and used <= set(operator.row_arguments(signature_of(call)))


def _flagged(mod: tvm.IRModule, names: set[str]) -> tvm.IRModule:
    """`mod` with the attribute ``in_place`` set on the named concatenations."""
    line = read_function(mod)
    bindings = []
    for var, value in line.bindings:
        if var.name in names and not attributes_of(value)["in_place"]:
            value = _concat(value, value.args, in_place=True)
        bindings.append((var, value))
    return write_function(mod, replace(line, bindings=tuple(bindings)))


def _nested(mod: tvm.IRModule) -> tvm.IRModule | None:
    """`mod` with concatenations that contain an earlier one's operands reading its result.

    None if there is nothing to nest.  ``concat(x, a, b)`` after ``c = concat(x, a)`` becomes
    ``concat(c, b)``; the longest run of operands wins.
    """
    line = read_function(mod)
    known: list[tuple[tvm.relax.Var, int, list]] = []
    bindings, changed = [], False
    for var, value in line.bindings:
        if isinstance(value, Call) and operator_of(value) is operator_of(_CONCAT):
            axis = signature_of(value)["axis"] % len(value.ty.shape)
            operands = list(value.args)
            for earlier, same_axis, run in sorted(known, key=lambda k: -len(k[2])):
                place = _find(operands, run) if same_axis == axis else None
                if place is not None:
                    operands[place : place + len(run)] = [earlier]
                    changed = True
            known.append((var, axis, list(value.args)))
            if len(operands) != len(value.args):
                value = _concat(value, operands, in_place=attributes_of(value)["in_place"])
        bindings.append((var, value))
    return write_function(mod, replace(line, bindings=tuple(bindings))) if changed else None


def _find(operands: list, run: list) -> int | None:
    """Where `run` begins in `operands`, which is longer; None if it is not in there."""
    if not 1 < len(run) < len(operands):
        return None
    for place in range(len(operands) - len(run) + 1):
        if all(a.same_as(b) for a, b in zip(operands[place:], run)):
            return place
    return None


def _concat(old: Call, operands: list, in_place: bool) -> Call:
    """A concatenation like `old`, whose result type it keeps."""
    attrs = attributes_of(old) | {"in_place": in_place}
    call = make_call("concat", operands, **attrs)
    return Call(call.op, list(call.args), call.attrs, ret_ty=old.ty)
