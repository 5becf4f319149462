"""Kernels chosen by measurement: the choice, the cache, what is measured, and every refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import tvm

import dero_tvm
from dero_tvm.boards.board import load_board
from dero_tvm.boundary.errors import UserError
from dero_tvm.cycles import why_no_estimate
from dero_tvm.driver.compiler import CompiledModel
from dero_tvm.kernels import (
    CKernel,
    Request,
    register_kernel,
    registered,
    requests_of,
    unregister_kernel,
)
from dero_tvm.report import Report
from dero_tvm.tuning import Tuner, default_cache
from dero_tvm.tuning.measure import Meter, measure, meter_of
from dero_tvm.tuning.trial import Trial, key_of, trial_of
from tests.cycles.tools import needs_tools
from tests.models.small_networks import Builder

BOARD = load_board("mps2-an500")
MISSING = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if which(tool) is None]


def network() -> tvm.IRModule:
    """A convolution, an addition and a pooling, a running reduction where it is streamed."""
    b = Builder(("x", (1, 9, 9, 4)))
    x = b.conv("first", b.inputs[0], 8)
    y = b.add("sum", b.conv("second", x, 8), x)
    return b.build(b.pool("mean", y))


@pytest.fixture
def slow() -> Iterator[None]:
    """A program's own kernel for convolutions: right, preferred, and slow."""
    (dsp,) = [
        e.generator
        for e in registered()
        if e.operator == "dero.conv2d" and e.generator.__module__ == "dero_tvm.kernels.dsp.conv2d"
    ]

    @register_kernel("conv2d", features={"dsp"})
    def generator(request: Request) -> CKernel | None:
        kernel = dsp(request)
        wait = "for (volatile int32_t i = 0; i < 1000; ++i) {\n}\n"
        return kernel and replace(kernel, name="slow", body=wait + kernel.text())

    yield
    unregister_kernel(generator)


class FakeMeasure:
    """Costs by the name of a kernel, and what was asked."""

    def __init__(self, **costs: int) -> None:
        self.costs = costs
        self.asked: list[Trial] = []

    def __call__(self, trials: Sequence[Trial], meter: Meter) -> list[tuple[int, ...]]:
        self.asked += trials
        return [tuple(self.costs.get(name, 10_000) for name in trial.names) for trial in trials]


def names(model: CompiledModel) -> list[str]:
    return [
        op.native.name if op.native else "portable"
        for cascade in model.network.cascades
        for op in cascade.operations
    ]


def tuned(cache: Path, monkeypatch: pytest.MonkeyPatch, **costs: int):
    """The network compiled with fake figures, and what was measured for it."""
    fake = FakeMeasure(**costs)
    monkeypatch.setattr(
        "dero_tvm.driver.prepare.Tuner",
        lambda board, path, progress: Tuner(board, path, progress=progress, measure=fake),
    )
    model = dero_tvm.compile(network(), target=BOARD, dero="none", tune=cache)
    monkeypatch.undo()
    return model, fake.asked


def test_the_fastest_is_taken_and_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache = tmp_path / "kernels.json"
    model, asked = tuned(cache, monkeypatch, dsp_conv2d=9_000, portable=500)
    assert names(model) == ["portable"] * 4
    assert [trial.names for trial in asked] == [
        *[("dsp_conv2d", "portable")] * 2,
        ("dsp_add", "portable"),
        ("dsp_totals", "portable"),
    ]
    report = model.report.tuning
    assert report is not None and (report.measured, report.known) == (8, 0)
    assert [
        (c.operation.split(":")[0], c.default, c.default_cost, c.chosen_cost)
        for c in report.choices
    ] == [
        ("conv2d", "dsp_conv2d", 9_000, 500),
        ("conv2d", "dsp_conv2d", 9_000, 500),
        ("add", "dsp_add", 10_000, 500),
        ("pool2d", "dsp_totals", 10_000, 500),
    ]
    assert Report.from_dict(json.loads(model.report.to_json())) == model.report

    again, asked = tuned(cache, monkeypatch)
    assert names(again) == ["portable"] * 4 and not asked
    assert again.report.tuning == replace(report, measured=0, known=8, judge="")
    data = np.random.default_rng(0).integers(-128, 128, (1, 9, 9, 4)).astype(np.int8)
    default = dero_tvm.compile(network(), target=BOARD, dero="none")
    assert names(default) == ["dsp_conv2d", "dsp_conv2d", "dsp_add", "dsp_totals"]
    (expected,) = default.run({"x": data}, "host-c").values()
    np.testing.assert_array_equal(*again.run({"x": data}, "host-c").values(), expected)


def test_the_default_stays_unless_another_is_clearly_faster(tmp_path: Path, monkeypatch):
    figures = {"dsp_conv2d": 10_000, "dsp_add": 300, "dsp_totals": 100_000, "portable": 9_901}
    model, _ = tuned(tmp_path / "a.json", monkeypatch, **figures)
    assert names(model) == ["dsp_conv2d", "dsp_conv2d", "dsp_add", "portable"]
    model, _ = tuned(tmp_path / "b.json", monkeypatch, **{**figures, "portable": 9_899})
    assert names(model) == ["portable", "portable", "dsp_add", "portable"]


def requests() -> list[Request]:
    model = dero_tvm.compile(network(), target="host", dero="none")
    return list(requests_of(model.network, BOARD.features).values())


def test_what_figures_belong_to(slow: None):
    first, second, *_ = requests()
    trial = trial_of(first)
    assert trial is not None and trial.names == ("slow", "dsp_conv2d", "portable")
    key = key_of(trial, BOARD)
    assert key == key_of(trial_of(first), replace(BOARD, name="another", ram=()))
    weights = {**first.constants, "weight": first.constants["weight"] + 1}
    others = [
        key_of(Trial(first, trial.kernels[1:]), BOARD),
        key_of(trial, replace(BOARD, flags=(*BOARD.flags, "-O3"))),
        key_of(trial, replace(BOARD, core="cortex-m4")),
        key_of(Trial(replace(first, constants=weights), trial.kernels), BOARD),
        key_of(Trial(first, (replace(trial.kernels[0], body=";"), *trial.kernels[1:])), BOARD),
        key_of(trial_of(second), BOARD),
    ]
    assert key not in others and len(set(others)) == len(others)


def test_every_candidate_is_measured_on_the_host():
    """The C of all kernels runs on any machine, so the program of trials does."""
    trials = [trial for trial in map(trial_of, requests()) if trial]
    costs = measure(trials, meter_of(load_board("host")))
    assert [len(cost) for cost in costs] == [2, 2, 2, 2]
    assert sum(map(sum, costs)) > 0


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_a_slow_kernel_is_found_in_qemu(slow: None, tmp_path: Path):
    cache = tmp_path / "kernels.json"
    # A board without a QEMU machine, whose core another one has; streamed, the pooling is a running
    # reduction.
    board = "nucleo_h743zi"
    assert load_board(board).qemu is None
    model = dero_tvm.compile(network(), target=board, dero="stream", tune=cache)
    assert set(names(model)) == {"dsp_conv2d", "dsp_add", "dsp_absorb"} or "slow" not in names(
        model
    )
    report = model.report.tuning
    assert report is not None
    assert report.unit == ("instructions" if why_no_estimate("cortex-m7") else "cycles")
    assert report.judge.startswith(report.unit)
    assert {(c.default, c.chosen) for c in report.choices} == {("slow", "dsp_conv2d")}
    for choice in report.choices:
        loops = 9 * 1000  # rows, and rounds of at least four instructions
        assert choice.default_cost - choice.chosen_cost > 4 * loops
        assert choice.chosen_cost > 10_000  # 81 pixels of 8 filters
    again = dero_tvm.compile(network(), target=board, dero="stream", tune=cache)
    known = report.measured + report.known
    assert again.report.tuning == replace(report, measured=0, known=known, judge="")


def test_where_kernels_are_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dero_tvm.tuning.measure.why_no_estimate", lambda core: "a tool is missing")
    meter = meter_of(BOARD)
    assert (meter.board, meter.unit) == (BOARD, "instructions")
    assert meter.judge == "instructions, not cycles, as a tool is missing"
    meter = meter_of(load_board("nucleo_f446re"))
    assert meter.board.name == "mps2-an386"
    assert meter.board.flags == load_board("nucleo_f446re").flags
    assert meter_of(load_board("host")).unit == "ns"
    with pytest.raises(UserError, match="emulates no board with its core, cortex-m0plus"):
        meter_of(load_board("rpi_pico"))


@needs_tools
@pytest.mark.parametrize(
    ("board", "stand_in", "source"),
    [
        ("nucleo_f446re", "mps2-an386", "cycles, estimated by Arm's table"),
        ("nucleo_h743zi", "mps2-an500", "cycles, estimated by LLVM's pipeline model of cortex-m7"),
        # QEMU has no Cortex-M85, and a Cortex-M55 runs its instructions
        ("ek_ra8m1", "mps3-an547", "cycles, estimated by LLVM's pipeline model of cortex-m85"),
    ],
)
def test_cycles_of_the_target_core_judge(board: str, stand_in: str, source: str):
    meter = meter_of(load_board(board))
    assert (meter.board.name, meter.board.core) == (stand_in, load_board(board).core)
    assert meter.unit == "cycles" and meter.judge.startswith(source)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": 2, "trials": {}}', '{"format": 1, "trials": {"k": {"costs": []}}}'],
)
def test_a_broken_cache(tmp_path: Path, content: str):
    cache = tmp_path / "kernels.json"
    cache.write_text(content)
    with pytest.raises(UserError, match=r"kernels.json is not a cache of measured kernels: delete"):
        Tuner(BOARD, cache)
    assert cache.read_text() == content


def test_unusable_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="is a folder; give the name of a file"):
        Tuner(BOARD, tmp_path)
    with pytest.raises(UserError, match=r"the folder .*absent does not exist"):
        Tuner(BOARD, tmp_path / "absent" / "kernels.json")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_cache() == tmp_path / "cache" / "dero_tvm" / "kernels.json"
    Tuner(BOARD)
    assert default_cache().parent.is_dir() and not default_cache().exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be made .*; name a file with --tune-cache"):
        Tuner(BOARD)


def test_missing_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    cache = tmp_path / "kernels.json"
    with pytest.raises(UserError, match=r"qemu-system-arm is not on PATH: install it"):
        dero_tvm.compile(network(), target=BOARD, dero="none", tune=cache)
    assert not cache.exists()
