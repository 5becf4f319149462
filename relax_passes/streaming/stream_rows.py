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
Inputs and outputs that `StreamPorts` marked are the first and last operators of their cascades
(`row_ports`), which get the attribute ``dero.row_ports``.

Does not handle: operators that are not of the project's set run alone, over whole tensors.
"""

from __future__ import annotations

import networkx as nx
import tvm
from tvm import relax
from tvm.ir import Call

from ..ir.decisions import Decision, decisions, record, with_decisions
from ..ir.inline import inlined
from ..ir.operator_graph import CASCADE, operator_graph, operators_in_order
from ..ir.outline import Piece, outline_all
from ..ir.straight_line import StraightLine, read_function, without_dead_bindings, write_function
from ..operators import attributes_of, make_call, operator_of
from .row_schedule import CascadeOperator
from .segmentation import Item, NoSegmentation, segment
from .stream_ports import CannotStream
from .streamed_ports import check_rings, ports_of, why_not, with_ports

STREAM = "stream"
HAS_PORTS = "dero.row_ports"  # of a function: it trades rows of inputs or outputs
DIRECTION = "dero.direction"
ASCENDING, DESCENDING = "ascending", "descending"
_NAME = "StreamRows"
_RESHAPE = "dero.reshape"
_CONCAT = "dero.concat"


@tvm.transform.module_pass(opt_level=0, name=_NAME)
class StreamRows:
    """The pass; see the module's docstring.

    `limit` in bytes: stream no more than is needed to stay within it (default: the least peak).
    Inputs and outputs that `StreamPorts` marked have their rows traded with the application.
    With `keep_inputs` the network's input buffers are never overwritten; with `external_io` inputs
    and outputs lie outside the arena.
    """

    def __init__(
        self, limit: int | None = None, keep_inputs: bool = False, external_io: bool = False
    ) -> None:
        self.limit = limit
        self.keep_inputs = keep_inputs
        self.external_io = external_io

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with its cascades outlined."""
        mod = _flat(mod)
        graph = operator_graph(mod)
        outputs = {_root(graph, name) for name in graph.graph["outputs"]}
        inputs = {name: graph.nodes[name]["bytes"] for name in graph.graph["inputs"]}
        ports = ports_of(mod)
        outside = {*inputs, *outputs} if self.external_io else set()
        items = with_ports(
            [_item(graph, node, outside) for node in operators_in_order(graph)], graph, ports
        )
        outputs -= set(ports.outputs)
        inputs = {name: size for name, size in inputs.items() if name not in ports.inputs}
        inside = {name: 0 if name in outside else size for name, size in inputs.items()}
        try:
            found = segment(items, inside, outputs, keep_inputs=self.keep_inputs, limit=self.limit)
        except NoSegmentation:
            raise CannotStream(why_not(items, graph, ports)) from None
        check_rings(items, found.segments)
        lasting = outputs | outside | (set(inputs) if self.keep_inputs else set())
        directions = _directions(items, inputs, lasting, found.segments)
        notes = []
        pieces = []
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
            pieces.append(Piece(tuple(members), f"stream_{members[-1]}", attrs))
            if len(members) > 1:
                why = f"{len(members)} operators from {members[0]} row by row"
                notes.append(Decision(_NAME, members[-1], "streamed", why))
        return record(outline_all(mod, pieces), notes)


def with_ascending_rows(mod: tvm.IRModule) -> tvm.IRModule | None:
    """A copy of `mod` in which no cascade descends; None if none does anyway."""
    copy = mod.clone()
    changed = False
    for name, function in mod.functions_items():
        if function.attrs is not None and function.attrs.get(DIRECTION) == DESCENDING:
            copy[name] = function.with_attr(DIRECTION, ASCENDING)
            changed = True
    return copy if changed else None


def _flat(mod: tvm.IRModule) -> tvm.IRModule:
    """`mod` as it was before this or another pass grouped its operators."""
    mod = inlined(mod)
    line = without_dead_bindings(read_function(mod))
    bindings = tuple((var, _ordinary(value)) for var, value in line.bindings)
    mod = write_function(mod, StraightLine(line.parameters, bindings, line.result))
    return with_decisions(mod, (d for d in decisions(mod) if d.pass_name != _NAME))


def _ordinary(value: relax.Expr) -> relax.Expr:
    """A concatenation in place as one that copies; anything else as it is."""
    if isinstance(value, Call) and getattr(value.op, "name", "") == _CONCAT:
        attrs = attributes_of(value)
        if attrs["in_place"]:
            call = make_call("concat", list(value.args), **(attrs | {"in_place": False}))
            return relax.BlockBuilder().normalize(call)
    return value


def _item(graph: nx.DiGraph, node: str, outside: set[str]) -> Item:
    data = graph.nodes[node]
    operands = tuple(_root(graph, name) if name else "" for name in data["operands"])
    tensors = {n: 0 if n in outside else graph.nodes[n]["bytes"] for n in operands if n}
    is_view = _is_view(graph, node)
    size = 0 if is_view or node in outside else data["bytes"]
    signature = data["signature"]
    operator = operator_of(signature.operator) if signature is not None else None
    if operator is None:
        alone = CascadeOperator(signature, operands, node, ())
        return Item(alone, tensors, size, streamable=False)
    # A constant operand has no name; the row schedule does not ask for its rows.
    rows = tuple(i for i in operator.row_arguments(signature) if operands[i])
    state = operator.absorbs(signature)
    absorbs = state is not None and rows == (0,)
    return Item(
        CascadeOperator(signature, operands, node, rows, absorbs),
        tensors,
        size,
        operator.scratch_bytes(signature),
        streamable=not is_view,
        state=state.bytes if state is not None and absorbs else 0,
    )


def _is_view(graph: nx.DiGraph, node: str) -> bool:
    """True for a reshape of a tensor (not of a constant), which needs no memory of its own."""
    data = graph.nodes[node]
    return data["operator"] == _RESHAPE and data["operands"][0] is not None


def _root(graph: nx.DiGraph, name: str) -> str:
    """The tensor whose memory `name` names: a reshape gives its operand another shape only."""
    while _is_view(graph, name):
        name = graph.nodes[name]["operands"][0]
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
        ascends = any(item.operator.absorbs or item.port for item in items[begin:end])
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
