"""`reorganize`: from a trained network to one that can be retrained, in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tvm
from tvm.ir import GenericConst

from dero_tvm.boards.board import Board
from dero_tvm.boundary.atomic_write import check_new_folder, write_folder
from dero_tvm.boundary.errors import UserError, first_line, internal_errors
from dero_tvm.boundary.one_at_a_time import one_at_a_time
from dero_tvm.driver.network_planner import refuse_sizes
from dero_tvm.frontends import LoadedModel, load
from dero_tvm.quantization.quantizer import Calibration, calibration_feeds
from relax_passes.ir.decisions import decisions
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.pipeline import Canonicalize
from relax_passes.reorganization.attribute import read_reorganization
from relax_passes.reorganization.cannot_reorganize import CannotReorganize
from relax_passes.reorganization.description import Choices, Reorganization
from relax_passes.reorganization.refine_operators import RefineOperators
from relax_passes.reorganization.reorganize_residuals import ReorganizeResiduals

from .arenas import planned_arenas
from .identifiers import Names
from .joins import PEAK, JoinChooser, PartialChoice
from .network_module import NetworkModule, network_module
from .original_tensors import original_tensors
from .python_source import PythonSource, python_source
from .pytorch import require_pytorch
from .report import ReorganizationReport, described_shortcuts, inheritance
from .report_text import report_text
from .solved_start import solved_start

NETWORK, WEIGHTS, ONNX, REPORT = "network.py", "weights.pt", "network.onnx", "report.json"
REPORT_TEXT = "report.txt"
_QUANTIZED = ("int8", "uint8", "int16")


@dataclass(frozen=True, eq=False)
class ReorganizedModel:
    """A network with other residual connections, ready to be trained.

    Attributes
    ----------
    module
        The network as a Relax module.
    description
        Its structure and start weights, independent of any framework.
    source
        The Python file.
    report
        What was done.
    solved
        With `calibration`, the network's ``state_dict`` as it begins; otherwise None, and the
        start weights are those of the description.
    """

    module: tvm.IRModule
    description: Reorganization
    source: PythonSource
    report: ReorganizationReport
    solved: Mapping[str, np.ndarray] | None = None

    def network(self) -> Any:
        """The file's ``nn.Module``, a new one with the start weights."""
        return self._written().network

    def _written(self) -> NetworkModule:
        return network_module(self.source, self.description.weights, self.solved)

    def files(self) -> dict[str, bytes]:
        """Name and content of each file that `save` writes."""
        written = self._written()
        return {
            NETWORK: self.source.text.encode(),
            WEIGHTS: written.state_bytes(),
            ONNX: written.onnx().SerializeToString(),
            REPORT: self.report.to_json().encode(),
            REPORT_TEXT: report_text(self.report).encode(),
        }

    @staticmethod
    def file_names() -> tuple[str, ...]:
        """What `save` writes."""
        return (NETWORK, WEIGHTS, ONNX, REPORT, REPORT_TEXT)

    def save(self, folder: str | Path) -> None:
        """Write the files to a new folder, whole or not at all; UserError if that exists."""
        check_new_folder(Path(folder))
        write_folder(Path(folder), self.files())


@one_at_a_time
@internal_errors
def reorganize(
    model: Any,
    *,
    plain: bool = False,
    normalization: Literal["before", "after"] = "before",
    shortcuts: Literal["all", "stages"] = "all",
    shortcut_norms: Literal["all", "changed"] = "all",
    join_activation: Literal["convolution", "sum", "dropped"] = "convolution",
    bias: bool = True,
    joins: str | Sequence[str] | None = None,
    board: str | Board | None = None,
    precision: Literal["int8", "float32"] = "int8",
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    calibration: Calibration | None = None,
    inputs: str | Sequence[str] | None = None,
    outputs: str | Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> ReorganizedModel:
    """Replace a network's residual connections by one shortcut for each convolution.

    The result computes another function and has to be trained.

    Parameters
    ----------
    model
        A float32 network in any form that `dero_tvm.load` accepts.
    plain
        Write the plain baseline instead: the same convolutions without any shortcut.
    normalization
        Normalise ``before`` each convolution, as the method's authors do, or ``after`` it, which a
        deployed network folds into the weights.
    shortcuts
        ``all`` convolutions get one, or only those of the ``stages`` behind the stem.
    shortcut_norms
        Normalise ``all`` shortcuts, or only those whose shape is ``changed`` on the way.
    join_activation
        Where the activation behind a removed addition goes: to the ``convolution`` before it,
        behind the ``sum`` of that convolution and its new shortcut, or ``dropped``.
    bias
        Give convolutions that no normalisation follows a bias; the last ones, whose results are
        the network's, keep theirs.
    joins
        Reorganize these residual joins alone, called as in the model file, or ``peak``: those that
        hold memory at the peak of the arena.  All others stay exact.
    board
        Reorganize the fewest joins with which the network fits this board, a name or a file.
    precision
        What the network is planned for with `joins` or `board`: ``int8``, as it will be quantized
        after training, or ``float32``.
    input_shapes
        Shapes by input name, for models whose shapes are symbolic.
    calibration
        Inputs as in training, a hundred or more, in any form that `dero_tvm.quantize` takes: with
        them start weights are solved for that keep the original's function as near as possible
        (`solved_start`).
    inputs, outputs
        Tensors from which and up to which a model that is no `LoadedModel` is read, as in `load`.
    progress
        Called with the name of each stage as it begins.

    Raises
    ------
    UserError
        With one line that says what is wrong and what to do: a network without residual
        connections, a join or an operator that the method has no answer to, a missing package.
    """
    progress("starting PyTorch")
    require_pytorch()
    progress("reading the model")
    loaded = model
    if not isinstance(model, LoadedModel):
        loaded = load(model, input_shapes=input_shapes, inputs=inputs, outputs=outputs)
    label = str(model) if isinstance(model, (str, Path)) else loaded.name
    refuse_sizes(label, {repr(s.name): s for s in (*loaded.inputs, *loaded.outputs)})
    choices = Choices(
        normalization=normalization,
        shortcuts="none" if plain else shortcuts,
        shortcut_norms=shortcut_norms,
        join_activation=join_activation,
        bias=bias,
    )
    progress("canonicalizing")
    canonical = Canonicalize()(loaded.module)
    _refuse_quantized(canonical, label)
    _refuse_partial_plain(label, plain, joins, board)
    progress("reorganizing")
    with _explained(label):
        rewrite = partial(_rewritten, canonical, choices, loaded.name)
        chooser = JoinChooser(canonical, loaded, rewrite, precision, progress)
        chosen, partly = _chosen(chooser, joins, board)
        module = rewrite(chosen)
        description = read_reorganization(module)
    progress("writing PyTorch")
    names = Names(set())  # a model may give one tensor twice
    with _explained(label):
        source = python_source(
            description.architecture,
            output_names=[names.new(spec.name) for spec in loaded.outputs],
            file_name=NETWORK,
            weights_name=WEIGHTS,
        )
        written = network_module(source, description.weights)
    bare = Choices(normalization=None, shortcuts="none", join_activation=join_activation)
    modules = {"original": canonical, "plain": _rewritten(canonical, bare, loaded.name)}
    if not plain:
        modules["reorganized"] = module
    shortcuts_given, without = described_shortcuts(description.architecture, source.modules)
    inherited, initialized = inheritance(description.architecture)
    report = ReorganizationReport(
        model=loaded.name,
        kind="plain" if plain else "reorganized",
        choices=asdict(choices),
        decisions=decisions(module),
        shortcuts=shortcuts_given,
        without_shortcut=without,
        parameters_before=_trained_numbers(canonical),
        parameters=sum(parameter.numel() for parameter in written.network.parameters()),
        inherited=inherited,
        initialized=initialized,
        arena_bytes=planned_arenas(modules, loaded, progress),
        partial=partly,
    )
    solved = None
    if calibration is not None:
        progress("solving for start weights")
        feeds = calibration_feeds(calibration, loaded.inputs)
        with _explained(label):
            solved = _solved(canonical, description, source, feeds, progress)
    return ReorganizedModel(module, description, source, report, solved)


def _solved(
    canonical: tvm.IRModule,
    description: Reorganization,
    source: PythonSource,
    feeds: Sequence[Mapping[str, np.ndarray]],
    progress: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """The network's state with start weights that are solved for on `feeds`."""
    architecture = description.architecture
    network = network_module(source, description.weights).network
    samples = original_tensors(canonical, (node.replaces for node in architecture.nodes), feeds)
    images = []
    for port in architecture.inputs:
        image = np.concatenate([feed[port.name] for feed in feeds])
        images.append(image.transpose(0, 3, 1, 2) if port.layout == "NHWC" else image)
    solved_start(network, architecture, source.modules, samples, images, progress)
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}


def _refuse_quantized(canonical: tvm.IRModule, label: str) -> None:
    for node in operator_graph(canonical).values():
        spec = node.known_spec
        if spec is not None and spec.dtype in _QUANTIZED:
            raise UserError(
                f"{label}: is quantized ({spec.dtype}), and such a network cannot be trained; "
                "reorganize the float32 network, and quantize it after training"
            )


def _refuse_partial_plain(
    label: str, plain: bool, joins: str | Sequence[str] | None, board: str | Board | None
) -> None:
    if joins is not None and board is not None:
        raise UserError(
            f"{label}: --board chooses the joins to be reorganized itself; give that or --joins"
        )
    if plain and (joins is not None or board is not None):
        raise UserError(
            f"{label}: the plain baseline has no residual joins at all; leave out --joins and "
            "--board"
        )


def _chosen(
    chooser: JoinChooser, joins: str | Sequence[str] | None, board: str | Board | None
) -> tuple[list[str] | None, PartialChoice | None]:
    """The joins to be reorganized, None for all, and what was chosen."""
    if board is not None:
        return chooser.fitting(board)
    if joins == PEAK:
        return chooser.at_peak()
    if joins is not None:
        return chooser.named(joins.split(",") if isinstance(joins, str) else joins)
    return None, None


def _rewritten(
    canonical: tvm.IRModule, choices: Choices, name: str, joins: Collection[str] | None = None
) -> tvm.IRModule:
    passes = [ReorganizeResiduals(choices, name, joins), RefineOperators()]
    return tvm.transform.Sequential(passes, name="reorganize")(canonical)


@contextmanager
def _explained(label: str) -> Iterator[None]:
    """Every failure as an error of the model `label`: networks differ in unforeseen ways."""
    try:
        yield
    except (CannotReorganize, UserError) as error:
        raise UserError(f"{label}: {error}") from None
    except Exception as error:
        raise UserError(f"{label}: cannot be reorganized: {first_line(error)}") from error


def _trained_numbers(canonical: tvm.IRModule) -> int:
    """Weights and biases of the convolutions and dense layers of a canonical module."""
    graph = operator_graph(canonical)
    layers = [
        node.call for node in graph.values() if node.operator in ("dero.conv2d", "dero.dense")
    ]
    return sum(
        argument.value.numpy().size
        for call in layers
        for argument in call.args[1:3]
        if isinstance(argument, GenericConst)
    )
