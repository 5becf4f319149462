"""A reorganized network as one self-contained Python file with an ``nn.Module``.

The file imports PyTorch and nothing else.  Stages are attributes, ``forward`` is a line a stage,
and a script at the end writes trained weights as ONNX.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from relax_passes.reorganization.description import Architecture, KeptOperator, Port

from .forward import Forward
from .identifiers import class_name
from .layers import Layer, Layers, sequential
from .python_text import WIDTH, Call, Expression, Repeated, in_docstring, statement
from .segments import RESERVED, Segment, segments


@dataclass(frozen=True)
class PythonSource:
    """The file, the name of its network class, and where that keeps weights.

    `weights` maps keys of the network's ``state_dict`` to keys of `Reorganization.weights`; all
    others are those of fresh normalisations.
    """

    text: str
    network: str
    weights: Mapping[str, str]

    @property
    def modules(self) -> dict[str, str]:
        """Node -> path of its module, such as ``stage2.0.1``."""
        return {
            origin.rpartition(".")[0]: key.rpartition(".")[0].removesuffix(".conv")
            for key, origin in self.weights.items()
            if origin.endswith(".weight")
        }


def python_source(
    architecture: Architecture, *, output_names: Sequence[str], file_name: str, weights_name: str
) -> PythonSource:
    """Write `architecture` down.

    Parameters
    ----------
    architecture
        The network.
    output_names
        What the model calls its outputs, in order.
    file_name, weights_name
        What the file and its start weights will be called; its documentation says how to use them.

    Raises
    ------
    UserError
        If the network has something that PyTorch has no module for, with the node's name.
    """
    found = segments(architecture)
    layers = Layers(architecture, {segment.attribute for segment in found} | set(RESERVED))
    reorganized = any(getattr(node, "shortcut", None) for node in architecture.nodes)
    name = class_name("Reorganized" if reorganized else "Plain", architecture.name)
    attributes: dict[str, Layer] = {}
    for segment in found:
        if segment.attribute:
            attributes[segment.attribute] = _whole(segment, layers)
        elif isinstance(segment.nodes[0], KeptOperator):
            attributes |= layers.constants(segment.nodes[0])
    forward = Forward(architecture, layers, found)
    body = forward.statements()
    if name in {text.split("(")[0].removeprefix("class ") for text in layers.sources}:
        name += "Network"
    sections = [
        _head(architecture, name, file_name, weights_name, reorganized),
        *layers.sources,
        _network(architecture, name, attributes, (forward.parameters, body), output_names),
        _export(architecture, output_names),
        _script(name),
    ]
    text = "\n\n\n".join(sections) + "\n"
    if "functional." not in text:
        text = text.replace("from torch.nn import functional\n", "")
    weights = {
        f"{attribute}.{key}" if key else attribute: value
        for attribute, layer in attributes.items()
        for key, value in layer.weights.items()
    }
    return PythonSource(text, name, weights)


def _whole(segment: Segment, layers: Layers) -> Layer:
    """A segment as one module: a sequence of blocks, a single block as its layers."""
    blocks = [
        sequential([layer for node in nodes for layer in layers.of(node)])
        for nodes in segment.blocks
    ]
    if len(blocks) == 1:
        return sequential(
            [layer for node in segment.nodes for layer in layers.of(node)], spread=True
        )
    return sequential(blocks, spread=True)


def _folded(expression: Expression) -> Expression:
    """`expression` with runs of equal arguments that are calls written once."""
    if not isinstance(expression, Call):
        return expression
    arguments: list[Expression] = []
    for argument, group in groupby(expression.positional):
        count = len(list(group))
        again = count > 1 and isinstance(argument, Call)
        arguments += [Repeated(argument, count)] if again else [argument] * count
    return Call(expression.function, tuple(arguments), expression.named, expression.spread)


def _head(
    architecture: Architecture, name: str, file_name: str, weights_name: str, reorganized: bool
) -> str:
    what = (
        "with reorganized residuals: every convolution has a shortcut of its own"
        if reorganized
        else "without its residual connections"
    )
    summary = textwrap.wrap(f'"""{in_docstring(architecture.name)} {what}.', WIDTH)
    return "\n".join(
        [
            *summary,
            "",
            f"    network = {name}()",
            f'    network.load_state_dict(torch.load("{weights_name}", weights_only=True))',
            "",
            "To write it as ONNX after training:",
            "",
            f"    python {file_name} trained.pt trained.onnx",
            '"""',
            "",
            "import sys",
            "",
            "import torch",
            "from torch import Tensor, nn",
            "from torch.nn import functional",
        ]
    )


def _network(
    architecture: Architecture,
    name: str,
    attributes: Mapping[str, Layer],
    forward: tuple[Sequence[str], Sequence[str]],
    output_names: Sequence[str],
) -> str:
    parameters, body = forward
    takes = ", ".join(
        f"{parameter} {_shape_text(port)}"
        for parameter, port in zip(parameters, architecture.inputs)
    )
    gives = ", ".join(
        f"{in_docstring(output)} {_shape_text(port)}"
        for output, port in zip(output_names, architecture.outputs)
    )
    lines = [f"class {name}(nn.Module):", *_docstring(f"{takes} -> {gives}.")]
    lines += ["", "    def __init__(self) -> None:", "        super().__init__()"]
    lines += [
        statement(f"self.{attribute} = ", _folded(layer.expression), 2)
        for attribute, layer in attributes.items()
    ]
    signature = ", ".join(["self", *(f"{parameter}: Tensor" for parameter in parameters)])
    returned = "Tensor"
    if len(output_names) > 1:
        returned = f"tuple[{', '.join(['Tensor'] * len(output_names))}]"
    lines += ["", f"    def forward({signature}) -> {returned}:"]
    lines += body
    return "\n".join(lines)


def _docstring(text: str) -> list[str]:
    return textwrap.wrap(f'"""{text}"""', WIDTH, initial_indent="    ", subsequent_indent="    ")


def _torch_shape(port: Port) -> tuple[int, ...]:
    """The port's shape as PyTorch has it: of images, channels first."""
    if port.layout != "NHWC":
        return port.shape
    batch, height, width, channels = port.shape
    return (batch, channels, height, width)


def _shape_text(port: Port) -> str:
    _, *sizes = _torch_shape(port)
    return f"[{', '.join(['N', *map(str, sizes)])}]"


def _export(architecture: Architecture, output_names: Sequence[str]) -> str:
    examples = tuple(
        f"torch.zeros({', '.join(map(str, _torch_shape(port)))})" for port in architecture.inputs
    )
    one = f"({examples[0]},)" if len(examples) == 1 else f"({', '.join(examples)})"
    call = Call("torch.onnx.export", ("network.eval()", one), (("dynamo", "True"),))
    names = [*(port.name for port in architecture.inputs), *output_names]
    return "\n".join(
        [
            "def export(network: nn.Module, path: str) -> None:",
            '    """Write `network` as ONNX, for a batch of one."""',
            statement("program = ", call, 1),
            "    graph = program.model.graph",
            statement("names = ", _texts(names), 1),
            "    for node in graph:",
            "        for value in node.outputs:",
            "            if value.name in names:  # the exporter's own, which stays inside",
            '                value.name += "_inside"',
            "    for value, name in zip([*graph.inputs, *graph.outputs], names, strict=True):",
            "        value.name = name",
            "    program.save(path, external_data=False)",
        ]
    )


def _texts(names: Sequence[str]) -> str:
    """A list of strings, double-quoted where Python's repr would not."""
    return "[" + ", ".join(_text(name) for name in names) + "]"


def _text(name: str) -> str:
    plain = name.isprintable() and '"' not in name and "\\" not in name
    return f'"{name}"' if plain else repr(name)


def _script(name: str) -> str:
    return "\n".join(
        [
            'if __name__ == "__main__":',
            f"    network = {name}()",
            "    network.load_state_dict(torch.load(sys.argv[1], weights_only=True))",
            "    export(network, sys.argv[2])",
        ]
    )
