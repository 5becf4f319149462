"""The memory and the parameters of published networks: original, plain, and reorganized.

    python benchmarks/dero_table.py [--models resnet34 ...] [--no-streaming]

Prints three Markdown tables. First, activation memory with every tensor whole, in KiB of an int8
network: operators in written order, additions in place, activations and normalisations inside
their convolutions, a concatenation no more than its operands, the image counted.  "From X on" is
the greatest of the operators from X to the last one, the same in all columns.  Second, parameters,
beside those that the authors of the method print.  Third, the bytes that this compiler plans when
rows stream, an int8 network's taken as a fourth of the float32 network's; "but the stem" leaves
the stem without the shortcut that goes around two operators.

Reorganized networks are measured as the compiler sees them, after `FuseShortcuts`; how many
shortcuts it fused stands in the second table.  Materialized shortcuts are counted from the
network's description.

Weights are random: none of this depends on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import tvm

sys.path.insert(0, str(Path(__file__).parent.parent))  # examples/ is not installed
import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.driver.candidates import Candidates
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.planning import Options
from examples.models.forms import NETWORKS, PublishedNetwork
from relax_passes import pipeline
from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.pipeline import Canonicalize
from relax_passes.reorganization.attribute import read_reorganization
from relax_passes.reorganization.description import Architecture, Convolution, Upsample
from relax_passes.reorganization.give_shortcuts import image_shapes
from relax_passes.reorganization.memory import live_elements, without_tensors
from relax_passes.residuals.graph_liveness import live_bytes, schedule
from relax_passes.shortcuts.fuse_shortcuts import FuseShortcuts
from relax_passes.shortcuts.merge_means import MergeMeans

FLOAT = 4  # bytes of a float32, of which the planned tensors of an int8 network have one


@dataclass(frozen=True)
class Part:
    """The operators from the first convolution that reads an image like this one to the last.

    0 stands for any height or number of channels; `until_resize` ends before the first resizing.
    """

    words: str = "the beginning"
    height: int = 0
    channels: int = 0
    result_height: int = 0
    until_resize: bool = False


@dataclass(frozen=True)
class Published:
    """The part of a network that its authors measure, and what their README prints of it."""

    part: Part = Part()
    parameters: str = ""  # Mi (2**20), cut after two decimals
    peak: str = ""  # KiB


PUBLISHED: dict[str, Published] = {
    "resnet34": Published(Part("stage 2", 56, 64, 28), "20.64", "294.0"),
    "resnet50": Published(Part("stage 3, block 2", 14, 1024), "21.78", "294.0"),
    "mcunet_in3": Published(Part(), "0.72", "302.5"),
    "densenet121": Published(Part("stage 2", 28), "7.58", "266.4"),
    "mobilenet_v2": Published(),
    "yolov5n": Published(Part("P3, backbone", 52, until_resize=True), "1.73", "253.5"),
}


@dataclass(frozen=True)
class Operator:
    """What the part of a network is found by, and the elements alive while it runs."""

    convolution: bool
    resize: bool
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    live: int


@dataclass(frozen=True)
class Measured:
    """All forms of one network; elements are bytes at int8."""

    whole: Mapping[str, list[Operator]]
    architecture: Architecture  # reorganized
    fused: int  # shortcuts that FuseShortcuts made part of their convolutions
    streamed: Mapping[str, int]


FORMS = ("original", "plain", "plain, refined", "reorganized")
MATERIALIZED = "shortcuts materialized"
BUT_THE_STEM = "reorganized but the stem"


def measure(network: PublishedNetwork, streaming: bool) -> Measured:
    """Everything the tables say of a network."""
    loaded = dero_tvm.load(network.build())
    canonical = Canonicalize("nhwc")(loaded.module)
    reorganized = pipeline.reorganize(network.choices)(canonical)
    architecture = read_reorganization(reorganized).architecture
    dropped = {d.join for d in decisions(reorganized) if d.action == "dropped"}
    fuse = tvm.transform.Sequential([MergeMeans(), FuseShortcuts()])
    stages = pipeline.reorganize(replace(network.choices, shortcuts="stages"))
    modules = {
        "original": canonical,
        "plain": pipeline.plain()(canonical),
        "plain, refined": pipeline.plain(refine=True)(canonical),
        "reorganized": fuse(reorganized),
    }
    whole = {  # names of the last two modules are not the original's
        form: of_module(module, dropped if form in FORMS[:2] else set())
        for form, module in modules.items()
    }
    whole[MATERIALIZED] = materialized(architecture)
    streamed = {}
    if streaming:
        modules[BUT_THE_STEM] = fuse(stages(canonical))
        planner = NetworkPlanner(loaded, loaded.name, load_board("host"), Options(), "table")
        for form, module in modules.items():
            plans = Candidates(module, planner).of(dero_tvm.Dero.STREAM)
            streamed[form] = min(plan.arena_bytes for plan in plans) // FLOAT
    graph = operator_graph(modules["reorganized"])
    fused = sum(node.operator == "dero.shortcut_conv2d" for node in graph.values())
    return Measured(whole, architecture, fused, streamed)


def of_module(module: tvm.IRModule, fused: set[str]) -> list[Operator]:
    """The operators of a Relax module; those of layers `fused` are part of what reads them."""
    graph = operator_graph(module)
    made_of = {
        name: node.computed_operands
        for name, node in graph.items()
        if {name, str(node.origin)} & fused or node.operator == "dero.concat"
    }
    live = live_bytes(without_tensors(schedule(graph), made_of))
    found = []
    for name in live:
        node = graph[name]
        reads = graph[node.computed_operands[0]].spec
        kind = node.operator
        shapes = (reads.shape[1:], node.spec.shape[1:])
        convolution = kind in ("dero.conv2d", "dero.shortcut_conv2d")
        found.append(Operator(convolution, kind == "dero.resize2d", *shapes, live[name] // FLOAT))
    return found


def materialized(architecture: Architecture) -> list[Operator]:
    """The operators of a described network whose shortcuts are tensors."""
    shapes = image_shapes(architecture)
    live = live_elements(architecture, "materialized")
    found = []
    for node in architecture.nodes:
        shapes[node.name] = node.shape
        own = [live[key] for key in _steps(node.name) if key in live]
        kinds = isinstance(node, Convolution), isinstance(node, Upsample)
        if own:
            found.append(Operator(*kinds, shapes[node.inputs[0]], node.shape, max(own)))
    return found


def _steps(name: str) -> tuple[str, ...]:
    return name, f"{name}.conv", f"{name}.shortcut"


def peak(operators: list[Operator], part: Part = Part()) -> int:
    """Elements alive at the worst of a part's operators."""
    wanted = (part.height, part.channels, part.result_height)
    first = next(
        index
        for index, operator in enumerate(operators)
        if operator.convolution
        and len(operator.reads) == 3
        and all(
            want in (0, have)
            for want, have in zip(
                wanted, (operator.reads[0], operator.reads[2], operator.writes[0])
            )
        )
    )
    chosen = operators[first:] if part.height else operators
    if part.until_resize:
        chosen = chosen[: next(i for i, operator in enumerate(chosen) if operator.resize)]
    return max(operator.live for operator in chosen)


def rows(measured: Mapping[str, Measured]) -> Iterator[str]:
    """The lines of the three tables."""
    head = ("whole tensors, KiB", *FORMS, MATERIALIZED, "authors")
    yield f"| {' | '.join(head)} |\n|---|{'---:|' * (len(head) - 1)}"
    for name, values in measured.items():
        published = PUBLISHED[name]
        parts = [Part()] if published.part == Part() else [Part(), published.part]
        for part in parts:
            cells = [f"{peak(values.whole[form], part) / 1024:.2f}" for form in head[1:-1]]
            authors = published.peak if part == parts[-1] else ""
            yield f"| {name}, from {part.words} on | {' | '.join(cells)} | {authors} |"
    yield "\n| parameters | reorganized | Mi | authors, Mi | shortcuts | fused |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, values in measured.items():
        count = values.architecture.parameters
        shortcuts = sum(
            isinstance(node, Convolution) and node.shortcut is not None
            for node in values.architecture.nodes
        )
        cells = [f"{count:,}", f"{count / 2**20:.4f}", PUBLISHED[name].parameters]
        yield f"| {name} | {' | '.join(cells)} | {shortcuts} | {values.fused} |"
    streamed = {name: values.streamed for name, values in measured.items() if values.streamed}
    if streamed:
        forms = list(next(iter(streamed.values())))
        yield f"\n| streamed, bytes | {' | '.join(forms)} |\n|---|{'---:|' * len(forms)}"
    for name, sizes in streamed.items():
        yield f"| {name} | {' | '.join(f'{size:,}' for size in sizes.values())} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--no-streaming", action="store_true", help="skip the third table")
    arguments = parser.parse_args()
    measured = {}
    for name in arguments.models:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measured[name] = measure(NETWORKS[name], not arguments.no_streaming)
    print("\n".join(rows(measured)))


if __name__ == "__main__":
    main()
