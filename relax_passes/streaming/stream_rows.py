"""`StreamRows`: whole blocks run row by row, with rings of rows instead of whole tensors.

    main:  a = conv(x); b = conv(a); c = add(b, x)      x, a, b, c whole
        ->
    main:  c = stream_c(x)                              x and c whole, overlapping
    stream_c:  a = conv(x); b = conv(a); c = add(b, x)  a and b rings of a few rows

Which operators run together is found by dynamic programming over all runs of the written order
(`segmentation`), with the row schedule of each (`row_schedule`).  Nothing is computed twice, and
every row kernel computes what it computed before: the results are the same bits.

Each run becomes a private function with the attributes ``dero.cascade = "stream"`` and
``dero.direction``.  Rows that ascend want the output below the input in memory, rows that descend
want it above; where one cascade's result feeds the next, the next one goes the other way, so that
both may overlap.  A last operator that may work in place ascends: its result takes the place of
its operand.  Single operators are outlined only to say that they descend.

Precondition: a canonical module.  Functions outlined before are inlined first, concatenations in
place become ordinary ones again, and operators whose results nobody needs are dropped.
What became of each join, and why, is among the decisions (`join_decisions`).

States that last from one inference to the next (`states`) lie whole, in memory of their own.

Inputs and outputs that `StreamPorts` marked are the first and last operators of their cascades
(`row_ports`), which get the attribute ``dero.row_ports``.

Does not handle: operators that are not of the project's set run alone, over whole tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.attributes import CASCADE, DIRECTION, HAS_PORTS, attribute
from ..ir.decisions import Decision, forget, record
from ..ir.inline import inlined
from ..ir.operator_graph import OperatorGraph, operator_graph
from ..ir.outline import Piece, outline_all
from ..ir.states import state_count
from ..ir.straight_line import StraightLine, read_function, without_dead_bindings, write_function
from ..operators import attributes_of, make_call, operator_of
from ..residuals import accumulate_residuals, concat_in_place
from .cascade_operator import CascadeOperator
from .join_decisions import left_whole, streamed
from .row_segmentation import segment_for_row_placement
from .segmentation import Item, NoSegmentation, segment
from .stream_ports import CannotStream
from .streamed_ports import check_rings, ports_of, why_not, with_ports

NAME = "StreamRows"
MEMORY_PASSES = (accumulate_residuals.NAME, concat_in_place.NAME, NAME)
"""Whose decisions no longer hold when the functions they made are inlined."""
STREAM = "stream"
ASCENDING, DESCENDING = "ascending", "descending"
_VIEWS = ("dero.reshape", "dero.part")
_CONCAT = "dero.concat"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class StreamRows:
    """The pass; see the module's docstring.

    With `row_placement`, cascades are those with the least peak if every row has a place of its own
    (see `row_segmentation`); all rows ascend, and there is no limit.

    `limit` in bytes: stream no more than is needed to stay within it (default: the least peak).
    Inputs and outputs that `StreamPorts` marked are row-streamed.
    With `keep_inputs` the network's input buffers are never overwritten; with `external_io` inputs
    and outputs lie outside the arena.
    """

    def __init__(
        self,
        limit: int | None = None,
        keep_inputs: bool = False,
        external_io: bool = False,
        row_placement: bool = False,
    ) -> None:
        self.limit = limit
        self.row_placement = row_placement
        self.keep_inputs = keep_inputs
        self.external_io = external_io

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with its cascades outlined."""
        mod = _flat(mod)
        graph = operator_graph(mod)
        outputs = {_root(graph, name) for name in graph.outputs}
        inputs = {name: graph[name].bytes for name in graph.inputs}
        ports = ports_of(mod)
        outside = {*inputs, *outputs} if self.external_io else set()
        outside |= {_root(graph, name) for name in _states(graph, state_count(mod))}
        items = with_ports(
            [_item(graph, node, outside) for node in graph.operators_in_order()], graph, ports
        )
        outputs -= set(ports.outputs)
        inputs = {name: size for name, size in inputs.items() if name not in ports.inputs}
        inside = {name: 0 if name in outside else size for name, size in inputs.items()}
        try:
            if self.row_placement:
                found = segment_for_row_placement(
                    items, inside, outputs, keep_inputs=self.keep_inputs
                )
            else:
                found = segment(
                    items, inside, outputs, keep_inputs=self.keep_inputs, limit=self.limit
                )
        except NoSegmentation:
            raise CannotStream(why_not(items, graph, ports)) from None
        check_rings(items, found.segments, graph)
        lasting = outputs | outside | (set(inputs) if self.keep_inputs else set())
        directions = [False] * len(found.segments)
        if not self.row_placement:
            directions = _directions(items, inputs, lasting, found.segments)
        pieces = []
        verdicts: dict[str, tuple[str, str]] = {}
        joins = [node for node in graph.operators_in_order() if graph[node].is_join]
        for (begin, end), descending in zip(found.segments, directions):
            segment_items = items[begin:end]
            members = [i.operator.result for i in segment_items if not i.port]
            has_ports = len(members) < len(segment_items)
            if len(members) == 1 and not descending and not has_ports:
                continue
            attrs: dict[str, object] = {
                CASCADE: STREAM,
                DIRECTION: DESCENDING if descending else ASCENDING,
            }
            if has_ports:
                attrs[HAS_PORTS] = True
            piece = Piece(tuple(members), f"stream_{members[-1]}", attrs)
            pieces.append(piece)
            if len(segment_items) > 1:
                notable = {*joins, members[-1]}.intersection(members)
                verdicts |= dict.fromkeys(notable, streamed(piece.name, members))
        alone = [join for join in joins if join not in verdicts]
        verdicts |= left_whole(items, alone, found, self.limit)
        decided = [
            Decision(NAME, node, *verdicts[node])
            for node in graph.operators_in_order()
            if node in verdicts
        ]
        return record(outline_all(mod, pieces), decided)


def _states(graph: OperatorGraph, count: int) -> Iterator[str]:
    """The tensors that hold the last `count` inputs and outputs, which have memory of their own."""
    if count:
        yield from graph.inputs[-count:]
        results = [node for node in graph.values() if node.kind == "output"]
        for node in results[-count:]:
            yield from node.computed_operands


def with_ascending_rows(mod: tvm.IRModule) -> tvm.IRModule | None:
    """A copy of `mod` in which no cascade descends; None if none does anyway."""
    copy = mod.clone()
    changed = False
    for name, function in mod.functions_items():
        if attribute(function, DIRECTION) == DESCENDING:
            copy[name] = function.with_attr(DIRECTION, ASCENDING)
            changed = True
    return copy if changed else None


def _flat(mod: tvm.IRModule) -> tvm.IRModule:
    """`mod` as it was before this or another pass grouped its operators."""
    mod = inlined(mod)
    line = without_dead_bindings(read_function(mod))
    bindings = tuple((var, _ordinary(value)) for var, value in line.bindings)
    mod = write_function(mod, StraightLine(line.parameters, bindings, line.result))
    return forget(mod, MEMORY_PASSES)


def _ordinary(value: relax.Expr) -> relax.Expr:
    """A concatenation in place as one that copies; anything else as it is."""
    if isinstance(value, Call) and getattr(value.op, "name", "") == _CONCAT:
        attrs = attributes_of(value)
        if attrs["in_place"]:
            call = make_call("concat", list(value.args), **(attrs | {"in_place": False}))
            return relax.BlockBuilder().normalize(call)
    return value


def _item(graph: OperatorGraph, node: str, outside: set[str]) -> Item:
    data = graph[node]
    operands = tuple(_root(graph, name) if name else "" for name in data.operands)
    tensors = {n: 0 if n in outside else graph[n].bytes for n in operands if n}
    is_view = _is_view(graph, node)
    size = 0 if is_view or node in outside else data.bytes
    signature: Any = data.known_signature  # None if it is opaque: no row schedule has it then
    operator = operator_of(signature.operator) if signature is not None else None
    if operator is None:
        alone = CascadeOperator(signature, operands, node, ())
        return Item(alone, tensors, size, streamable=False)
    # A constant operand has no name; the row schedule does not ask for its rows.
    rows = tuple(i for i in operator.row_arguments(signature) if operands[i])
    state = operator.running_state(signature)
    running_reduction = state is not None and rows == (0,)
    return Item(
        CascadeOperator(signature, operands, node, rows, running_reduction),
        tensors,
        size,
        operator.scratch_bytes(signature),
        streamable=not is_view,
        state=state.bytes if state is not None and running_reduction else 0,
    )


def _is_view(graph: OperatorGraph, node: str) -> bool:
    """True for a reshape or part of a tensor (not of a constant), which needs no memory."""
    data = graph[node]
    return data.operator in _VIEWS and data.operands[0] is not None


def _root(graph: OperatorGraph, name: str) -> str:
    """The tensor whose memory `name` names: a reshape gives its operand another shape only."""
    while _is_view(graph, name):
        (name,) = graph[name].computed_operands
    return name


def _directions(
    items: list[Item],
    inputs: dict[str, int],
    lasting: set[str],
    segments: tuple[tuple[int, int], ...],
) -> list[bool]:
    """For each segment, whether it descends.

    Results of ascending segments lie low, those of descending ones lie high, network inputs lie
    high; a segment moves away from the largest of the tensors that die in it.  `lasting` tensors
    never die.
    """
    lies_high = dict.fromkeys(inputs, True)
    last_read = {name: position for position, item in enumerate(items) for name in item.tensors}
    directions = []
    for begin, end in segments:
        made = {item.operator.result for item in items[begin:end]}
        dying = {
            name: size
            for item in items[begin:end]
            for name, size in item.tensors.items()
            if name not in made and name not in lasting and last_read[name] < end
        }
        largest = max(dying, key=lambda name: dying[name], default=None)
        driver = items[end - 1]
        ascends = any(item.operator.running_reduction or item.port for item in items[begin:end])
        in_place = _in_place(driver, dying)
        descending = False
        # One row is the first and the last: its direction would only be noise in the code.
        ordinary = driver.streamable and not ascends and driver.operator.steps > 1
        if ordinary and in_place is None and largest is not None:
            descending = not lies_high.get(largest, True)
        directions.append(descending)
        high = lies_high.get(in_place, True) if in_place is not None else descending
        lies_high.update(dict.fromkeys(made, high))
    return directions


def _in_place(item: Item, dying: dict[str, int]) -> str | None:
    """The operand that dies and whose rows the operator may overwrite with equally long ones."""
    signature = item.operator.signature
    operator = operator_of(signature.operator) if signature is not None else None
    if operator is None:
        return None
    for index in operator.in_place_arguments(signature):
        same = signature.inputs[index].row_bytes == signature.output.row_bytes
        if same and item.operator.operands[index] in dying:
            return item.operator.operands[index]
    return None
