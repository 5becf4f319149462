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
both may overlap.  Single operators are outlined only to say that they descend.

Precondition: a canonical module.  Functions outlined before are inlined first.
Does not handle: operators that are not of the project's set run alone, over whole tensors.
"""

from __future__ import annotations

import networkx as nx
import tvm
from tvm import relax

from .decisions import Decision, record
from .graph import operator_graph, operators_in_order
from .operators import operator_of
from .outline import outline
from .row_schedule import CascadeOperator
from .segmentation import Item, segment
from .straight_line import unique_names

STREAM = "stream"
_RESHAPE = "dero.reshape"


@tvm.transform.module_pass(opt_level=0, name="StreamRows")
class StreamRows:
    """The pass; see the module's docstring.

    `limit` in bytes: stream no more than is needed to stay within it (default: the least peak).
    With `keep_inputs` the network's input buffers are never overwritten.
    """

    def __init__(self, limit: int | None = None, keep_inputs: bool = False) -> None:
        self.limit = limit
        self.keep_inputs = keep_inputs

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` with its cascades outlined."""
        mod = unique_names(relax.transform.InlinePrivateFunctions()(mod))
        graph = operator_graph(mod)
        nodes = operators_in_order(graph)
        items = [_item(graph, node) for node in nodes]
        inputs = {name: graph.nodes[name]["bytes"] for name in graph.graph["inputs"]}
        outputs = [_root(graph, name) for name in graph.graph["outputs"]]
        found = segment(items, inputs, outputs, keep_inputs=self.keep_inputs, limit=self.limit)
        directions = _directions(items, inputs, found.segments)
        notes = []
        for (begin, end), descending in zip(found.segments, directions):
            members = nodes[begin:end]
            if len(members) == 1 and not descending:
                continue
            direction = "descending" if descending else "ascending"
            attrs = {"dero.cascade": STREAM, "dero.direction": direction}
            mod = outline(mod, members, f"stream_{members[-1]}", attrs)
            if len(members) > 1:
                why = f"{len(members)} operators from {members[0]} row by row"
                notes.append(Decision("StreamRows", members[-1], "streamed", why))
        return record(mod, notes)


def _item(graph: nx.DiGraph, node: str) -> Item:
    data = graph.nodes[node]
    operands = tuple(_root(graph, name) if name else "" for name in data["operands"])
    tensors = {name: graph.nodes[name]["bytes"] for name in operands if name}
    signature = data["signature"]
    reshape = _is_reshape(graph, node)
    operator = operator_of(signature.operator) if signature is not None else None
    if operator is None:
        alone = CascadeOperator(signature, operands, node, ())
        return Item(alone, tensors, data["bytes"], streamable=False)
    # A constant operand has no name; the row schedule does not ask for its rows.
    rows = tuple(i for i in operator.row_arguments(signature) if operands[i])
    state = operator.absorbs(signature)
    absorbs = state is not None and rows == (0,)
    cascade_operator = CascadeOperator(signature, operands, node, rows, absorbs)
    return Item(
        cascade_operator,
        tensors,
        0 if reshape else data["bytes"],
        operator.scratch_bytes(signature),
        streamable=not reshape,
        state=state.bytes if state is not None and absorbs else 0,
    )


def _is_reshape(graph: nx.DiGraph, node: str) -> bool:
    signature = graph.nodes[node].get("signature")
    return signature is not None and signature.operator == _RESHAPE


def _root(graph: nx.DiGraph, name: str) -> str:
    """The tensor whose memory `name` names: a reshape gives its operand another shape only."""
    while name in graph and _is_reshape(graph, name):
        source = graph.nodes[name]["operands"][0]
        if source is None:
            break
        name = source
    return name


def _directions(
    items: list[Item], inputs: dict[str, int], segments: tuple[tuple[int, int], ...]
) -> list[bool]:
    """For each segment, whether it descends: against the direction in which its input was made."""
    descending_of = dict.fromkeys(inputs, True)  # the first cascades ascend
    directions = []
    for begin, end in segments:
        made = {item.operator.result for item in items[begin:end]}
        read = {
            name: size
            for item in items[begin:end]
            for name, size in item.tensors.items()
            if name not in made
        }
        largest = max(read, key=lambda name: read[name], default=None)
        descending = not descending_of.get(largest, True) if largest is not None else False
        driver = items[end - 1]
        absorbing = any(item.operator.absorbs for item in items[begin:end])
        single_row = driver.operator.signature is not None and (
            driver.operator.signature.output.rows == 1
        )  # the first and the last at once: no direction lets it overlap more
        if not driver.streamable or absorbing or single_row:
            descending = False
        directions.append(descending)
        for item in items[begin:end]:
            descending_of[item.operator.result] = descending
    return directions
