"""The tables of the documentation, from the results of all pieces by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .families import FAMILIES, FORMS, Family, Form
from .pieces import SEEDS, Arena, Network, OnBoard, Quantized, Start, Training, starts

Results = Mapping[str, Mapping[str, Any]]

MODES = ("tensors", "in place", "--dero")
_COLUMNS = (
    *("network", "start", "seeds", "mean", "min", "max", "int8, mean", "parameters"),
    *MODES,
)
_WORDS = 2  # columns of words, on the left


def tables(results: Results) -> str:
    """A table for each family and depth of which there is a result, and the boards' answers."""
    lines: list[str] = []
    for family in FAMILIES.values():
        for blocks in (family.blocks, family.blocks // 2, 2 * family.blocks):
            rows = list(_rows(results, family, blocks))
            if rows:
                depth = convolutions(family, blocks)
                lines += [f"{family.name.capitalize()} blocks, {depth} convolutions in a row:", ""]
                lines += [*markdown(_COLUMNS, rows, _WORDS), ""]
    boards = list(_board_rows(results))
    if boards:
        columns = ("reorganized, from scratch, int8", "images", "board in QEMU", "ONNX Runtime")
        lines += [*markdown(columns, boards, 1), ""]
    return "\n".join(lines).rstrip()


def convolutions(family: Family, blocks: int) -> int:
    """One after another, the first one included."""
    return 1 + len(family.widths) * blocks * (3 if family.is_bottleneck else 2)


def _rows(results: Results, family: Family, blocks: int) -> Iterator[Sequence[str]]:
    for form in FORMS:
        network = Network(family, blocks, form)
        for start in starts(form):
            found = [results[t.name] for t in trainings(network, start) if t.name in results]
            if not found:
                continue
            rounded = int8_accuracies(results, network, start)
            cells = [form if start == "scratch" else "", _start_words(form, start)]
            cells += [str(len(found)), *_spread([float(r["accuracy"]) for r in found])]
            cells.append(_spread(list(rounded.values()))[0])
            if start == "scratch":
                cells += [f"{found[0]['parameters']:,}", *_arena_cells(results, network)]
            else:
                cells += [""] * (1 + len(MODES))
            yield cells


def _start_words(form: Form, start: Start) -> str:
    if form == "original" and start == "inherited":
        return "its own weights"
    words = {"calibrated": "inherited, solved for", "distilled": "the same, distilled"}
    return words.get(start, start)


def trainings(network: Network, start: Start) -> list[Training]:
    """With all seeds."""
    return [Training(network, start, seed) for seed in SEEDS]


def int8_accuracies(results: Results, network: Network, start: Start) -> dict[int, float]:
    """By seed, as far as there are any."""
    pieces = [Quantized(network, training) for training in trainings(network, start)]
    return {
        piece.training.seed: float(results[piece.name]["accuracy"])
        for piece in pieces
        if piece.name in results
    }


def arena(results: Results, network: Network, mode: str) -> int | None:
    """Planned bytes of an int8 network; None if they are not there."""
    found = results.get(Arena(network, Training(network, "scratch", SEEDS[0])).name)
    return None if found is None else int(found[mode])


def _arena_cells(results: Results, network: Network) -> list[str]:
    found = [arena(results, network, mode) for mode in MODES]
    return ["" if size is None else f"{size:,}" for size in found]


def _board_rows(results: Results) -> Iterator[Sequence[str]]:
    for family in FAMILIES.values():
        network = Network(family, family.blocks, "reorganized")
        name = OnBoard(network, Training(network, "scratch", SEEDS[0])).name
        if name in results:
            found = results[name]
            label = f"{family.name} blocks, {found['board']}"
            shares = (percent(found[key]) for key in ("accuracy", "onnx_runtime"))
            yield [label, str(found["images"]), *shares]


def _spread(shares: Sequence[float]) -> list[str]:
    """Mean, least and greatest; nothing of nothing."""
    if not shares:
        return ["", "", ""]
    return [percent(value) for value in (sum(shares) / len(shares), min(shares), max(shares))]


def percent(share: float) -> str:
    """With two decimals."""
    return f"{share:.2%}".replace("%", " %")


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> list[str]:
    """The lines of a table whose first columns are words and whose others are numbers."""
    rule = "|---" * words + "|---:" * (len(columns) - words) + "|"
    return [f"| {' | '.join(cells)} |" for cells in (columns,)] + [
        rule,
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]
