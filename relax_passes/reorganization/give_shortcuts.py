r"""A shortcut around every convolution: the second half of residual reconstruction.

::

    y = act(conv(norm(x))) + norm_sc(match(pool(x)))

* ``pool``, only where the convolution changes height or width: a sum over the convolution's own
  window; where that is a single pixel wide, over as many pixels as the stride leaves out.
* ``match``: fewer channels are filled up with zeros, more are folded (`MatchChannels`).
* ``norm_sc`` on the result's channels.

The shortcut of a convolution whose result is gated is added before the gate: what the gate reads
and multiplies is the sum, so the convolution's input is dead when the convolution is done, as it is
where no gate follows.  Convolutions inside a gate stay as they are: they are no block operators,
and their results have to be factors, not sums.

Where a max pooling belongs to the convolution (a stem), the shortcut goes on with a sum over that
pooling's windows and another normalisation, and the convolution has no normalisation before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .cannot_reorganize import refusing
from .description import (
    AnyNode,
    Architecture,
    Choices,
    Convolution,
    GlobalPool,
    MatchChannels,
    Normalize,
    PoolWindow,
    Shortcut,
    Stage,
    Window,
)
from .stages import convolved

Shape = tuple[int, ...]
_Steps = list[PoolWindow | MatchChannels | Normalize]


def give_shortcuts(architecture: Architecture, choices: Choices) -> Architecture:
    """`architecture` with the normalisations and shortcuts that `choices` ask for.

    Those it has already are replaced.  Convolutions of the head and of gates stay as they are.
    """
    shapes: dict[str, Shape] = image_shapes(architecture)
    nodes: dict[str, AnyNode] = {}
    readers = Counter(name for node in architecture.nodes for name in node.inputs)
    readers.update(port.name for port in architecture.outputs)
    alone = {name for name, count in readers.items() if count == 1}
    stages = []
    for stage in architecture.stages:
        blocks = []
        for block in stage.blocks:
            for node in block.nodes:
                if isinstance(node, GlobalPool):
                    apart = node.inputs[0] in alone and _ends_in_sum(nodes.get(node.inputs[0]))
                    nodes[node.name] = replace(node, apart=apart)
                elif isinstance(node, Convolution) and _is_reorganized(node, stage):
                    with refusing(node.title):
                        nodes[node.name] = _given(node, stage, shapes, choices)
                else:
                    nodes[node.name] = node
                shapes[node.name] = node.shape
            blocks.append(replace(block, nodes=tuple(nodes[n.name] for n in block.nodes)))
        stages.append(replace(stage, blocks=tuple(blocks)))
    return replace(architecture, stages=tuple(stages), choices=choices)


def image_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Inputs' shapes as nodes have theirs: height, width, channels."""
    return {port.name: port.image_shape for port in architecture.inputs}


def _is_reorganized(node: Convolution, stage: Stage) -> bool:
    return stage.name != "head" and not node.in_gate and not node.exact


def _ends_in_sum(node: AnyNode | None) -> bool:
    """Whether a node is the sum of a convolution and its shortcut, with nothing behind it."""
    return (
        isinstance(node, Convolution)
        and node.shortcut is not None
        and node.final_activation is None
    )


def _given(
    node: Convolution, stage: Stage, shapes: Mapping[str, Shape], choices: Choices
) -> Convolution:
    norm = choices.normalization
    if stage.name == "stem" and node.pool is not None and norm == "before":
        norm = None
    wanted = choices.shortcuts == "all" or (choices.shortcuts == "stages" and stage.name != "stem")
    shortcut = _shortcut(node, shapes[node.inputs[0]], choices) if wanted else None
    bias = norm != "after" and choices.bias
    return replace(node, norm=norm, bias=bias, shortcut=shortcut)


def _shortcut(node: Convolution, shape: Shape, choices: Choices) -> Shortcut | None:
    steps: _Steps = []
    result = convolved(node, shape)
    if shape[:2] != result:
        window = _summed(node.window, shape, result)
        if window is None:
            return None
        steps.append(PoolWindow("sum", window))
    if node.in_channels != node.out_channels:
        steps.append(MatchChannels(node.in_channels, node.out_channels))
    if steps or choices.shortcut_norms == "all":
        steps.append(Normalize(node.out_channels))
    if node.pool is not None:
        steps += [replace(node.pool, kind="sum"), Normalize(node.out_channels)]
    return Shortcut(tuple(steps))


def _summed(window: Window, shape: Shape, result: tuple[int, int]) -> Window | None:
    """The window of a sum-pool from `shape` to `result`; None if there is none."""
    kernel, before, after = [0, 0], [0, 0], [0, 0]
    for axis in (0, 1):
        own, stride = window.kernel[axis], window.strides[axis]
        if own > 1 and window.dilation[axis] == 1:
            kernel[axis] = own
            before[axis], after[axis] = window.padding[axis], window.padding[axis + 2]
        else:  # pixels side by side, and zeros where the last window leaves the image
            kernel[axis] = stride
            after[axis] = result[axis] * stride - shape[axis]
        if not 0 <= after[axis] < kernel[axis]:
            return None
    return Window((kernel[0], kernel[1]), window.strides, (*before, *after))  # type: ignore[arg-type]
