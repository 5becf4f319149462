"""What lasts from one inference to the next: several in a row, in C, against other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boards.board import Board, Ram
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.frontends.load import load
from tests.compiled.c_batch import CBatch, CLibrary, programs_of
from tests.end_to_end import stateful_models as models
from tests.end_to_end.oracles import MACHINES, litert, skip_unless_runnable, tflite_micro

Oracle = Callable[[bytes, list[np.ndarray]], list[np.ndarray]]
INFERENCES = 6
AFTER_RESET = 3


@dataclass(frozen=True)
class Case:
    """A model, the program that knows the answers, and how far those may be off."""

    model: bytes
    oracle: Oracle
    tolerance: float = 0.0


CASES: dict[str, Case] = {
    "svdf_float": Case(models.svdf("float32", rank=2), litert, 1e-5),
    "svdf_int16": Case(models.svdf("int16", rank=2), litert),
    "svdf_batch": Case(models.svdf("int16", batch=3), litert),
    "svdf_int8": Case(models.svdf("int8", rank=2), tflite_micro),
    # The state saturates, and its zero point is added behind that.
    "svdf_int8_wraps": Case(models.svdf("int8", zero=-20), tflite_micro),
    "svdf_int8_coarse": Case(models.svdf("int8", zero=11, scale=0.6), tflite_micro),
    "lstm_float": Case(models.lstm("float32"), litert, 1e-5),
    "lstm_float_clipped": Case(models.lstm("float32", clip=0.4), litert, 1e-5),
    "lstm_int8": Case(models.lstm("int8"), tflite_micro),
    "lstm_int8_one_step": Case(models.lstm("int8", steps=1, power=-12), tflite_micro),
    "lstm_int8_fine_cell": Case(models.lstm("int8", power=-14, seed=2), tflite_micro),
    "lstm_int8_clipped": Case(models.lstm("int8", clip=0.5, seed=3), tflite_micro),
    "lstm_int8_time_major": Case(
        models.lstm("int8", time_major=True, batch=2, seed=4), tflite_micro
    ),
    "lstm_int8_batch": Case(models.lstm("int8", batch=2, seed=5), tflite_micro),
    "convolution_int8": Case(models.streaming_convolution(), litert),
    "convolution_float": Case(models.streaming_convolution("float32"), litert, 1e-5),
    "swapped": Case(models.swapped_variables(), tflite_micro),
    "leaky_sum": Case(models.leaky_sum(), tflite_micro),
    "uninitialized": Case(models.streaming_convolution(initial=None), tflite_micro),
}
MODES = (Dero.NONE, Dero.STREAM)


def inputs_of(model: bytes, seed: int = 0) -> tuple[str, list[np.ndarray]]:
    """The name of the one input, and what a sequence of inferences gives it."""
    (port,) = load(model).inputs
    rng = np.random.default_rng(seed)
    if port.dtype == "float32":
        return port.name, [
            rng.standard_normal(port.shape).astype("float32") for _ in range(INFERENCES)
        ]
    return port.name, [
        rng.integers(-128, 128, port.shape).astype("int8") for _ in range(INFERENCES)
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> CLibrary:
    batch = CBatch()
    for name, case in CASES.items():
        for mode, program in programs_of(load(case.model), MODES).items():
            batch.add(f"{name}_{mode.value}", program)
    return batch.build(tmp_path_factory.mktemp("states"))


@pytest.mark.parametrize("name", CASES)
def test_inferences_in_a_row(name: str, library: CLibrary) -> None:
    """The first without a reset, and after one again as at first."""
    case = CASES[name]
    port, inputs = inputs_of(case.model)
    expected = case.oracle(case.model, inputs)
    again = case.oracle(case.model, inputs[:1] * 2)
    assert not np.array_equal(*again), "nothing is kept that could be lost"
    for mode in MODES:
        program = f"{name}_{mode.value}"
        for values, answer in zip(inputs, expected, strict=True):
            check(library, program, port, values, answer, case.tolerance)
        library.reset(program)
        for values, answer in zip(inputs[:AFTER_RESET], expected):
            check(library, program, port, values, answer, case.tolerance)


def check(
    library: CLibrary,
    program: str,
    port: str,
    values: np.ndarray,
    expected: np.ndarray,
    tolerance: float,
) -> None:
    (actual,) = library.run(program, {port: values})[0].values()
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=program)


@pytest.mark.parametrize("device", ["host", "host-c", MACHINES[0]])
def test_every_device_keeps_it(device: str) -> None:
    """Over the inputs that it is given at once, from the initial values on each time."""
    skip_unless_runnable(device)
    name = "convolution_int8"
    port, inputs = inputs_of(CASES[name].model)
    expected = litert(CASES[name].model, inputs)
    model = dero_tvm.compile(load(CASES[name].model), target="host", time_limit=1.0)
    assert model.report.state_bytes == 18 + 2
    assert [state.name for state in model.archive.states] == ["history"]
    for _ in range(2):
        outputs = model.run([{port: values} for values in inputs], device)
        for output, answer in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(*output.values(), answer)


def test_the_report_and_a_board_of_two_memories() -> None:
    """The state is alive in every step, also where it lies in the second region."""
    board = Board(
        "two-memories",
        "A core with a memory of a few bytes and a larger one",
        "cortex-m4",
        ("-mcpu=cortex-m4", "-mthumb"),
        frozenset(),
        4,
        "a test",
        ram=(
            Ram("fast", 0x10000000, 100, ".fast", "a test"),
            Ram("slow", 0x20000000, 4096, ".slow", "a test"),
        ),
    )
    loaded = load(models.svdf("int16", rank=2))
    model = dero_tvm.compile(loaded, target=board, reserve=0, time_limit=1.0)
    (state,) = model.archive.states
    assert state.region == "slow" and model.report.state_bytes == 120
    assert sum(b.kind == "state" for b in model.report.peak_buffers) == 1
    assert model.report.split["state"] == 120
    assert "_workspace_slow + " in model.archive.c_sources()["default_lib1.c"].decode()
