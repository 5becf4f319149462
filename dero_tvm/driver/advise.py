"""Every way of saving memory, tried on one network: the ladder of ``tvmc advise``.

Those that change nothing come first, each with what the ones before it brought: levels of
``--dero``, windows of columns, the layout and the type of inputs, external inputs and outputs,
images by rows.
Those that change what is computed come last: smaller images, quantization, and the DERO
reorganization.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from relax_passes import pipeline

from ..boards.board import load_board
from ..boundary.errors import UserError, first_line, internal_errors
from ..boundary.input_arrays import random_inputs
from ..boundary.one_at_a_time import one_at_a_time
from ..frontends import LoadedModel, load
from ..frontends.shapes import FixedShape
from ..report.advice import Advice, Rung
from ..schedule.column_groups import recompute_ratio
from .candidates import Candidate, Candidates
from .choose_plan import plans_in_windows, smallest
from .dero_levels import Dero
from .estimate import Estimate, estimate, room_left
from .options import CompileOptions, as_flags
from .prepare import PreparedModel, prepare
from .share_of_work import ShareOfWork
from .smaller_images import HALF, image_input, smaller_shapes
from .takes_options import takes_options

_LEVELS = {
    Dero.NONE: ("whole tensors", "nothing"),
    Dero.ACCUMULATE: ("accumulate", "nothing: same bits"),
    Dero.OVERLAP: ("overlap", "nothing: same bits"),
    Dero.STREAM: ("stream", "some time: same bits"),
}
_NHWC, _ROWS = "--input-layout=nhwc", "--stream-input"
_FLAGS: dict[str, dict[str, Any]] = {
    _NHWC: {"input_layout": "nhwc"},
    "--integer-io": {"integer_io": True},
    _ROWS: {"stream_input": True},
    "--external-io": {"external_io": True},
}
_MORE = (
    ("image channels-last", _NHWC, "another order of the image"),
    ("integers in and out", "--integer-io", "the application converts"),
    ("image by rows", _ROWS, "the application gives rows"),
    ("external I/O", "--external-io", "as much memory elsewhere"),
)
_RATIOS = (1.05, 1.2)  # of multiply-accumulates, in windows of columns
_NO_USE, _ACCURACY = "no use here", "accuracy: to be measured"
_OF_ONNX = ("input_shapes", "inputs", "outputs")  # how a file is read
_READ = (*_OF_ONNX, "signature")
_GIVEN = (*_READ, "keep_inputs", "reserve", "time_limit", "name")
_CALIBRATION = 2  # random inputs, which make no difference to memory


@takes_options(
    CompileOptions,
    without=(
        *("dero", "memory_budget", "max_recompute", "tune", "dump_ir"),
        *(n for m in _FLAGS.values() for n in m),
    ),
)
@one_at_a_time
@internal_errors
def advise(model: Any, options: CompileOptions) -> Advice:
    """What each way of saving memory comes to; `options` has the board and the shapes of inputs.

    Raises UserError as `dero_tvm.compile` does, but never because the board is too small, and for
    one whose memory is not described.
    """
    if not options.board.ram:
        raise UserError(
            f"the memory of {options.board.name} is not described, so everything fits: name "
            "another board (tvmc boards)"
        )
    ladder = _Ladder(model, options)
    return Advice(ladder.name, options.board.name, tuple(ladder.rungs()))


class _Ladder:
    def __init__(self, model: Any, options: CompileOptions) -> None:
        self._work = ShareOfWork(options.progress)
        self._begun = 0
        options = self._given = replace(options, progress=self._work)
        self.loaded: LoadedModel = model
        if not isinstance(model, LoadedModel):
            self.loaded = load(model, **{name: getattr(options, name) for name in _READ})
            options = replace(options, inputs=None, outputs=None, signature=None)  # done
        self.options = options
        self.prepared: PreparedModel = prepare(self.loaded, options)
        self.model = model
        self.name = Path(model).name if isinstance(model, (str, Path)) else self.loaded.name
        boundless = replace(load_board("host"), features=options.board.features)
        self.planner = replace(self.prepared.planner, board=boundless)

    def rungs(self) -> Iterator[Rung]:
        """From what costs nothing to what costs most."""
        candidates = self.prepared.candidates().for_planner(self.planner)
        least, fits = 0, False
        for mode, (lever, cost) in _LEVELS.items():
            self._begin(lever)
            found = smallest(candidates, mode)
            least = found.arena_bytes
            rung = self._planned(lever, found, cost, self._command("--dero", mode.value))
            fits |= rung.fits
            yield rung
        yield from self._in_windows(candidates, least)
        kept: list[str] = []
        for lever, flag, cost in _MORE:
            self._begin(lever)
            if flag == "--integer-io" and not self._is_quantized():
                continue
            # Rows of an image are rows of pixels.
            flags = list(dict.fromkeys([*kept, *([_NHWC] if flag == _ROWS else []), flag]))
            command = self._command("--dero", *flags)
            try:
                further = estimate(self.loaded, replace(self.options, **_options_of(flags)))
            except UserError as error:
                note = first_line(error).partition(": ")[2] or first_line(error)
                yield _impossible(lever, note)
                continue
            helps = further.arena_bytes < least
            fits |= further.fits
            yield self._estimated(lever, further, cost if helps else _NO_USE, command)
            if helps and flag != "--external-io":
                least, kept = further.arena_bytes, flags
        self._begin("smaller images")
        yield self._smaller_images(kept, fits=fits)
        self._begin("quantizing")
        yield from self._quantized()
        self._begin("reorganizing")
        yield from self._reorganized()

    def _begin(self, lever: str) -> None:
        self._begun += 1
        self._work.begin(self._begun, len(_LEVELS) + len(_RATIOS) + len(_MORE) + 3)
        self._work(lever)

    def _in_windows(self, candidates: Candidates, least: int) -> Iterator[Rung]:
        """With some things made twice, where that saves memory."""
        plans = None
        for ratio in _RATIOS:
            lever = f"windows of columns, {ratio:g}x"
            self._begin(lever)
            plans = plans or plans_in_windows(candidates)
            if plans is None:
                continue
            smaller = [point for point in plans.within(ratio) if point.live_bytes < least]
            if not smaller:
                continue
            point = min(smaller, key=lambda each: each.live_bytes)
            try:
                made = plans.made(point, candidates.in_windows, least)
            except UserError:  # a group that cannot be computed so
                continue
            if made is None:
                continue
            least = made.arena_bytes
            flags = ("--dero", "--memory-budget", str(least), "--max-recompute", f"{ratio:g}")
            cost = f"{recompute_ratio(made.scheduled.network):.2f}x multiply-accumulates"
            yield self._planned(lever, made, cost, self._command(*flags))

    def _smaller_images(self, flags: Sequence[str], *, fits: bool) -> Rung:
        """The largest that fit, the smallest where none does, half as wide where all do."""
        lever, image = "smaller images", image_input(self.loaded)
        if image is None:
            return _impossible(lever, "no input is an image, with four dimensions")
        if self.model is self.loaded:
            return _impossible(lever, "the model is read already: give its file instead")
        options = replace(self._given, **_options_of(flags))
        shapes = [s for share, s in smaller_shapes(self.loaded, image) if share <= HALF or not fits]
        found: tuple[CompileOptions, Estimate] | None = None
        refusal = "its image is small already"
        while shapes:
            middle = 0 if fits else len(shapes) // 2
            chosen = {**(options.input_shapes or {}), image.name: shapes[middle]}
            smaller = replace(options, input_shapes=chosen)
            try:
                memory = estimate(self.model, smaller)
            except FixedShape:
                size = " x ".join(map(str, image.shape))
                note = f"the file fixes its image at {size}: export it for another size, or any"
                return _impossible(lever, note)
            except UserError as error:  # a size that the network cannot be computed for
                refusal = first_line(error)
                del shapes[middle]
                continue
            enough = memory.ram_free >= 0
            if enough or found is None or found[1].ram_free < 0:
                found = smaller, memory
            shapes = shapes[:middle] if enough else shapes[middle + 1 :]
        if found is None:
            return _impossible(lever, refusal)
        command = self._command("--dero", *flags, options=found[0])
        return self._estimated(lever, found[1], _ACCURACY, command)

    def _quantized(self) -> Iterator[Rung]:
        if self.loaded.format != "onnx" or self._is_quantized():
            return
        lever, cost = "quantize to int8", _ACCURACY
        command = self._command("--quantize", "images.npz", "--labels", "test.npz", "--dero")
        try:
            from ..quantization import quantize

            rng = np.random.default_rng(0)
            inputs = [random_inputs(self.loaded.inputs, rng) for _ in range(_CALIBRATION)]
            read = {name: getattr(self._given, name) for name in _OF_ONNX}
            found = estimate(quantize(self.model, inputs, **read).model, self.options)
        except UserError as error:
            yield _impossible(lever, first_line(error))
        else:
            yield self._estimated(lever, found, cost, command)

    def _is_quantized(self) -> bool:
        """Whether the network has integers inside."""
        return any(
            "int8" in str(getattr(binding.var.ty, "dtype", ""))
            for block in self.prepared.canonical["main"].body.blocks
            for binding in block.bindings
        )

    def _reorganized(self) -> Iterator[Rung]:
        if self._is_quantized():
            return
        lever, cost = "DERO", "retraining"
        read = as_flags(self._given, _READ)
        command = shlex.join(["tvmc", "reorganize", self._path(), *read, "-o", "reorganized/"])
        try:
            module = pipeline.canonicalize()(pipeline.reorganize()(self.prepared.canonical))
            found = smallest(Candidates(module, self.planner), Dero.STREAM)
        except (UserError, ValueError) as error:
            yield _impossible(lever, first_line(error))
        else:
            yield self._planned(lever, found, cost, command)

    def _planned(self, lever: str, found: Candidate, cost: str, command: str) -> Rung:
        board = self.options.board
        weights = found.scheduled.network.c_constants_bytes
        free = board.flash_bytes - weights if board.flash else 0
        left = room_left(found, board, self.options)
        return Rung(lever, found.arena_bytes, weights, left, free, cost, command)

    def _estimated(self, lever: str, found: Estimate, cost: str, command: str) -> Rung:
        sizes = (found.arena_bytes, found.weights_bytes, found.ram_free, found.flash_free)
        return Rung(lever, *sizes, cost, command)

    def _command(self, *flags: str, options: CompileOptions | None = None) -> str:
        target = self.options.target
        board = target if isinstance(target, (str, Path)) else self.options.board.name
        given = as_flags(options or self._given, _GIVEN)
        words = ["tvmc", "compile", self._path(), "--target", str(board), *flags, *given]
        return shlex.join([*words, "-o", "model.tar"])

    def _path(self) -> str:
        return str(self.model) if isinstance(self.model, (str, Path)) else "MODEL"


def _options_of(flags: Sequence[str]) -> dict[str, Any]:
    return {name: value for flag in flags for name, value in _FLAGS[flag].items()}


def _impossible(lever: str, why: str) -> Rung:
    return Rung(lever, None, 0, 0, 0, "not possible", "", why)
