"""The memory and the parameters of published networks: original, plain, and reorganized.

    python benchmarks/dero_table.py [--models resnet34 ...] [--no-streaming]

Prints three Markdown tables. First, activation memory with every tensor whole, in KiB of an int8
network: operators in written order, additions in place, activations and normalisations inside
their convolutions, a concatenation no more than its operands, the image counted.  "From X on" is
the greatest of the operators from X to the last one, the same in all columns.  Second, parameters,
beside those that the authors of the method print.  Third, the bytes that this compiler plans when
rows stream, an int8 network's taken as a fourth of the float32 network's.

Weights are random: none of this depends on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx
import tvm

sys.path.insert(0, str(Path(__file__).parent.parent))  # examples/ is not installed
import dero_tvm
from dero_tvm.boards import load_board
from dero_tvm.candidates import Candidates
from dero_tvm.network_planner import NetworkPlanner
from dero_tvm.planning import Options
from examples.models.densenet import densenet121
from examples.models.mcunet_in3 import mcunet_in3
from examples.models.mobilenet_v2 import mobilenet_v2
from examples.models.resnet import resnet
from examples.models.yolov5n import yolov5n
from relax_passes import pipeline
from relax_passes.decisions import decisions
from relax_passes.give_shortcuts import image_shapes
from relax_passes.graph import operator_graph
from relax_passes.liveness import live_bytes, schedule
from relax_passes.reorganization import Architecture, Choices, Convolution, Upsample
from relax_passes.reorganization_attribute import read_reorganization
from relax_passes.reorganization_memory import live_elements, without_tensors

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
class Model:
    """A network, how its authors reorganized it, and what they print of the result."""

    build: Callable[[], onnx.ModelProto]
    choices: Choices = Choices()
    part: Part = Part()
    parameters: str = ""  # Mi (2**20), in the README of the authors' code
    peak: str = ""  # KiB, from the same table


MODELS: dict[str, Model] = {
    "resnet34": Model(
        partial(resnet, 34), part=Part("stage 2", 56, 64, 28), parameters="20.64", peak="294.0"
    ),
    "resnet50": Model(
        partial(resnet, 50),
        part=Part("stage 3, block 2", 14, 1024),
        parameters="21.78",
        peak="294.0",
    ),
    "mcunet_in3": Model(mcunet_in3, parameters="0.72", peak="302.5"),
    "densenet121": Model(
        densenet121,
        Choices(shortcut_norms="changed"),
        Part("stage 2", 28),
        parameters="7.58",
        peak="266.4",
    ),
    "mobilenet_v2": Model(mobilenet_v2),
    "yolov5n": Model(
        yolov5n,
        Choices(bias=False),
        Part("P3, backbone", 52, until_resize=True),
        parameters="1.73",
        peak="253.5",
    ),
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
    parameters: int
    streamed: Mapping[str, int]


FORMS = ("original", "plain", "refined", "virtual", "materialized")


def measure(model: Model, streaming: bool) -> Measured:
    """Everything the tables say of a network."""
    loaded = dero_tvm.load(model.build())
    canonical = pipeline.canonicalize("nhwc")(loaded.module)
    reorganized = pipeline.reorganize(model.choices)(canonical)
    architecture = read_reorganization(reorganized).architecture
    dropped = {d.join for d in decisions(reorganized) if d.action == "dropped"}
    modules = {
        "original": canonical,
        "plain": pipeline.plain()(canonical),
        "refined": pipeline.plain(refine=True)(canonical),
    }
    whole = {form: of_module(module, dropped) for form, module in modules.items()}
    for form in FORMS[3:]:
        whole[form] = of_architecture(architecture, form)
    streamed = {}
    if streaming:
        planner = NetworkPlanner(loaded, loaded.name, load_board("host"), Options(), "table")
        for form, module in modules.items():
            plans = Candidates(module, planner).of(dero_tvm.Dero.STREAM)
            streamed[form] = min(plan.arena_bytes for plan in plans) // FLOAT
    return Measured(whole, architecture.parameters, streamed)


def of_module(module: tvm.IRModule, fused: set[str]) -> list[Operator]:
    """The operators of a Relax module; those called in `fused` are part of what reads them."""
    graph = operator_graph(module)
    made_of = {
        name: tuple(operand for operand in data["operands"] if operand is not None)
        for name, data in graph.nodes(data=True)
        if name in fused or data["operator"] == "dero.concat"
    }
    live = live_bytes(without_tensors(schedule(graph), made_of))
    found = []
    for name in live:
        data = graph.nodes[name]
        reads = graph.nodes[next(o for o in data["operands"] if o is not None)]["spec"]
        kind = data["operator"]
        shapes = (reads.shape[1:], data["spec"].shape[1:])
        found.append(
            Operator(kind == "dero.conv2d", kind == "dero.resize2d", *shapes, live[name] // FLOAT)
        )
    return found


def of_architecture(architecture: Architecture, shortcuts: str) -> list[Operator]:
    """The operators of a described network."""
    shapes = image_shapes(architecture)
    live = live_elements(architecture, shortcuts)
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


def _begins(operator: Operator, part: Part) -> bool:
    if not operator.convolution or len(operator.reads) != 3:
        return False
    wanted = (part.height, part.channels, part.result_height)
    actual = (operator.reads[0], operator.reads[2], operator.writes[0])
    return all(want in (0, have) for want, have in zip(wanted, actual))


def rows(measured: Mapping[str, Measured]) -> Iterator[str]:
    """The lines of the three tables."""
    head = ("whole tensors, KiB", "original", "plain", "plain, refined", "reorganized")
    head += ("shortcuts materialized", "authors")
    yield f"| {' | '.join(head)} |\n|---|{'---:|' * (len(head) - 1)}"
    for name, values in measured.items():
        model = MODELS[name]
        parts = [Part()] if model.part == Part() else [Part(), model.part]
        for part in parts:
            cells = [f"{peak(values.whole[form], part) / 1024:.2f}" for form in FORMS]
            authors = model.peak if part == parts[-1] else ""
            yield f"| {name}, from {part.words} on | {' | '.join(cells)} | {authors} |"
    yield "\n| parameters | reorganized | Mi | authors, Mi |\n|---|---:|---:|---:|"
    for name, values in measured.items():
        count = values.parameters
        yield f"| {name} | {count:,} | {count / 2**20:.4f} | {MODELS[name].parameters} |"
    streamed = {name: values.streamed for name, values in measured.items() if values.streamed}
    if streamed:
        forms = list(next(iter(streamed.values())))
        yield f"\n| streamed, bytes | {' | '.join(forms)} |\n|---|{'---:|' * len(forms)}"
    for name, sizes in streamed.items():
        yield f"| {name} | {' | '.join(f'{size:,}' for size in sizes.values())} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--no-streaming", action="store_true", help="skip the third table")
    arguments = parser.parse_args()
    measured = {}
    for name in arguments.models:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measured[name] = measure(MODELS[name], not arguments.no_streaming)
    print("\n".join(rows(measured)))


if __name__ == "__main__":
    main()
