"""A network as a person would describe it: stages of blocks of convolutions with their shortcuts.

This is what ``ReorganizeResiduals`` makes of a canonical module before it writes Relax again, and
what a source generator needs to write the same network in another language.  Structure and
weights are apart: the structure is frozen and compares by value, the weights are a map of arrays.

Every node computes one tensor.  Nodes stand in an order of execution, and their ``inputs`` are
names of network inputs or of earlier nodes; most networks are mere chains.  Node names are paths
of identifiers (``stage2.block1.conv1``), unique in the network; in Relax they are the variables'
names with ``_`` for the dot.

A convolution with its shortcut computes, of its input x::

    y = pool(act(norm?(conv(norm?(x))))) + shortcut(x)      then final_activation

where ``norm`` says on which side the normalisation stands, and ``pool`` is there only in the stem,
where one shortcut goes around a convolution and the max pooling after it.  The
shortcut is a chain of steps without weights besides the normalisations'::

    sum-pool (where the stride is not 1) -> match channels -> normalise

All shapes are height, width, channels without the batch, which is 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np

EPSILON = 1e-5  # of every normalisation, PyTorch's and ONNX's default

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]  # top, left, bottom, right


@dataclass(frozen=True)
class Window:
    """What a convolution or a pooling sees of its input."""

    kernel: Pair
    strides: Pair = (1, 1)
    padding: Sides = (0, 0, 0, 0)
    dilation: Pair = (1, 1)


@dataclass(frozen=True)
class Activation:
    """A function on single elements.

    ``clip`` limits to [`minimum`, `maximum`] (ReLU: 0 and None; ReLU6: 0 and 6); ``line`` is
    ``alpha * x + beta``; any other `function`, with its `alpha` and `beta`, is one of
    ``dero.unary``'s.
    """

    function: str = "clip"
    minimum: float | None = None
    maximum: float | None = None
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True)
class Normalize:
    """Batch normalisation: one scale, shift, mean and variance a channel."""

    channels: int


@dataclass(frozen=True)
class PoolWindow:
    """A pooling; ``sum`` is an average with divisor 1.  Padding counts as zeros in a sum."""

    kind: Literal["max", "average", "sum"]
    window: Window
    count_include_pad: bool = False  # of an average: divide by the whole window at the borders


@dataclass(frozen=True)
class MatchChannels:
    """Zero channels appended, or channels folded.

    Folding appends zero channels up to a multiple of `out_channels` and adds the chunks: result
    channel i is the sum over j of channel ``i + j * out_channels``.
    """

    in_channels: int
    out_channels: int


@dataclass(frozen=True)
class Shortcut:
    """From a convolution's input to the shape of its result."""

    steps: tuple[PoolWindow | MatchChannels | Normalize, ...] = ()


@dataclass(frozen=True)
class Node:
    """What all nodes have."""

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]  # of the result: (height, width, channels), or (channels,)
    origin: str = field(default="", kw_only=True, compare=False)  # the layer in the model file
    replaces: str = field(default="", kw_only=True, compare=False)  # the original module's variable
    ends_join: bool = field(default=False, kw_only=True, compare=False)  # that is a removed join

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.origin or self.name

    @property
    def variable(self) -> str:
        """Its variable in Relax."""
        return self.name.replace(".", "_")


@dataclass(frozen=True)
class Convolution(Node):
    """A convolution with all that belongs to it; see the module's docstring.

    Weights: ``<name>.weight`` [out, height, width, in / groups], ``<name>.bias`` [out] if `bias`,
    and for a normalisation after it ``<name>.shift`` [out], its shift (beta) to begin with.
    """

    in_channels: int
    out_channels: int
    window: Window
    groups: int = 1
    bias: bool = True
    norm: Literal["before", "after"] | None = None
    activation: Activation | None = None
    pool: PoolWindow | None = None
    shortcut: Shortcut | None = None
    final_activation: Activation | None = None
    refinable: bool = False  # its width only went into removed concatenations, so it may change
    in_gate: bool = False  # it makes what an image is multiplied with, so it gets no shortcut
    inherited: bool = True  # the weights are the original network's; otherwise drawn at random
    exact: bool = False  # it stays as it is: no residual around it was reorganized

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """[out, height, width, in / groups]."""
        return (self.out_channels, *self.window.kernel, self.in_channels // self.groups)

    @property
    def parameters(self) -> int:
        """Trained numbers: weights, biases, scales and shifts of all its normalisations."""
        normalized = {"before": self.in_channels, "after": self.out_channels, None: 0}[self.norm]
        for step in self.shortcut.steps if self.shortcut is not None else ():
            normalized += step.channels if isinstance(step, Normalize) else 0
        biases = self.out_channels if self.bias else 0
        return prod(self.weight_shape) + biases + 2 * normalized


@dataclass(frozen=True)
class Pool(Node):
    """A pooling of its own."""

    pool: PoolWindow


@dataclass(frozen=True)
class Upsample(Node):
    """Nearest neighbours: every pixel `factor` times in each direction."""

    factor: Pair


@dataclass(frozen=True)
class Concat(Node):
    """Channels of several tensors after one another."""


@dataclass(frozen=True)
class Slice(Node):
    """Channels `begin` up to `end`."""

    begin: int
    end: int


@dataclass(frozen=True)
class Shuffle(Node):
    """Channels in another order: of `groups` runs of channels, every first, every second, ..."""

    groups: int


@dataclass(frozen=True)
class GlobalPool(Node):
    """Mean over all pixels; the result has the shape (channels,).

    With `apart`, the convolution before it is pooled in two parts, without its shortcut's
    addition: ``mean(main path) + mean(shortcut)``.
    """

    apart: bool = False
    in_gate: bool = False


@dataclass(frozen=True)
class Flatten(Node):
    """All elements in one row, in the order channels, height, width or as the model has them."""

    channels_first: bool = True


@dataclass(frozen=True)
class Dense(Node):
    """A fully connected layer.  Weights: ``<name>.weight`` [out, in], ``<name>.bias`` [out]."""

    in_channels: int
    out_channels: int
    activation: Activation | None = None
    inherited: bool = True
    in_gate: bool = False  # its width follows that of the image which the gate multiplies

    @property
    def parameters(self) -> int:
        """Trained numbers: weights and biases."""
        return (self.in_channels + 1) * self.out_channels


@dataclass(frozen=True)
class Elementwise(Node):
    """``add``, ``multiply``, ... of two tensors: a join that is not a residual, or a gate."""

    function: str
    activation: Activation | None = None


@dataclass(frozen=True)
class Activate(Node):
    """An activation of its own, or ``softmax`` over channels."""

    activation: Activation


@dataclass(frozen=True)
class KeptOperator(Node):
    """An operator of the module that stays as it is, with the shapes it has there.

    `operator` is one of the operator set, without its prefix, and `attributes` its own.  The
    operands are the `inputs`, which have the shapes `input_shapes`, at the positions `places`;
    the others are constants: ``<name>.constant<position>`` among the weights.

    `literal` says that the result lies as in the module, with the whole shape of the module's
    tensor; otherwise it is an image or a vector as those of all other nodes.
    """

    operator: str
    attributes: tuple[tuple[str, Any], ...] = ()
    places: tuple[int, ...] = (0,)
    input_shapes: tuple[tuple[int, ...], ...] = ()  # in the module, the batch included
    constants: tuple[tuple[int, tuple[int, ...]], ...] = ()  # positions and shapes
    literal: bool = False

    @property
    def literal_shape(self) -> tuple[int, ...]:
        """Of the result in the module, the batch included."""
        return self.shape if self.literal else (1, *self.shape)


AnyNode = (
    Convolution
    | Pool
    | Upsample
    | Concat
    | Slice
    | Shuffle
    | GlobalPool
    | Flatten
    | Dense
    | Elementwise
    | Activate
    | KeptOperator
)


@dataclass(frozen=True)
class Block:
    """What stood between a fork and its join in the original, or between two such pieces."""

    name: str  # "block1", or "" for the only one of the stem or head; a path leaves "" out
    nodes: tuple[AnyNode, ...]


@dataclass(frozen=True)
class Stage:
    """Blocks whose last convolutions have one resolution.

    `budget` is set where removing joins changed widths: the number of convolution weights that
    the stage had in the original, which ``RefineOperators`` gives it again.
    """

    name: str  # "stem", "stage1", ..., "head"
    blocks: tuple[Block, ...]
    budget: int | None = None

    @property
    def nodes(self) -> Iterator[AnyNode]:
        """In order of execution."""
        for block in self.blocks:
            yield from block.nodes


@dataclass(frozen=True)
class Port:
    """An input or output of the network: `shape` as the model has it, the batch included.

    `layout` says how an image is stored there: ``NCHW`` or ``NHWC``, of a sequence, which is an
    image of width 1, ``NCL`` or ``NLC``; "" for others.
    """

    name: str  # an input's name; of an output the node that computes it
    shape: tuple[int, ...]
    layout: str = ""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """As nodes have it: height, width, channels; channels alone of a vector."""
        if self.layout == "NCHW":
            return (*self.shape[2:], self.shape[1])
        if self.layout == "NCL":
            return (self.shape[2], 1, self.shape[1])
        if self.layout == "NLC":
            return (self.shape[1], 1, self.shape[2])
        return self.shape[1:]


@dataclass(frozen=True)
class Choices:
    """What the method leaves open.

    normalization
        ``before`` each convolution, as in the authors' code; ``after`` it, where deployment can
        fold it into the weights; None for a network that is not to be trained.
    shortcuts
        ``all``: every convolution but the last ones, whose results are the network's (detection
        heads); ``stages``: not the stem's; ``none``: the plain baseline.
    shortcut_norms
        Normalise ``all`` shortcuts, or only those that ``changed`` in shape.
    join_activation
        Where the activation after a removed addition goes: to the ``convolution`` that ends its
        main branch, after the ``sum`` of that convolution and its new shortcut, or ``dropped``.
    bias
        Whether convolutions that no normalisation follows have a bias; the last ones, whose
        results are the network's, keep theirs.
    """

    normalization: Literal["before", "after"] | None = "before"
    shortcuts: Literal["all", "stages", "none"] = "all"
    shortcut_norms: Literal["all", "changed"] = "all"
    join_activation: Literal["convolution", "sum", "dropped"] = "convolution"
    bias: bool = True

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[object, ...]] = {
            "normalization": ("before", "after", None),
            "shortcuts": ("all", "stages", "none"),
            "shortcut_norms": ("all", "changed"),
            "join_activation": ("convolution", "sum", "dropped"),
            "bias": (True, False),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                listed = ", ".join(map(repr, values))
                raise ValueError(f"{name} is one of {listed}, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class Architecture:
    """The structure of a network."""

    name: str
    inputs: tuple[Port, ...]
    stages: tuple[Stage, ...]
    outputs: tuple[Port, ...]
    choices: Choices = Choices()

    @property
    def nodes(self) -> Iterator[AnyNode]:
        """In order of execution."""
        for stage in self.stages:
            yield from stage.nodes

    @property
    def parameters(self) -> int:
        """Trained numbers of the whole network; means and variances are not trained."""
        trained = (node for node in self.nodes if isinstance(node, (Convolution, Dense)))
        return sum(node.parameters for node in trained)


@dataclass(frozen=True, eq=False)
class Reorganization:
    """A network that can be written down: structure and start weights.

    `weights` has an array of float32 for every key that the nodes of the structure name.  All
    normalisations are fresh (scale 1, shift 0, mean 0, variance 1), but for the shifts of
    normalisations after a convolution, which are among the weights.
    """

    architecture: Architecture
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
