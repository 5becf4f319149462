"""Sweeping the plans of a network, and the views of what comes out."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import xml.dom.minidom
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

import dero_tvm
from dero_tvm import Sweep, UserError
from dero_tvm.boards.board import load_board
from dero_tvm.boundary.installation import pip_install
from dero_tvm.driver.trade_off import SweepOptions
from dero_tvm.report.sweep import MarkedBoard, SweepPoint, with_pareto_marks
from dero_tvm.report.sweep_plot import plot_sweep
from dero_tvm.report.sweep_table import print_sweep
from dero_tvm.schedule.recompute_ratio import described_ratio
from tests.compiled.models import compiled
from tests.models.small_networks import residual_network

MEASURED = shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")


@pytest.fixture(scope="module")
def planned() -> Sweep:
    return dero_tvm.sweep(residual_network(), device="none", limits=2)


def point(arena: int, cost: int) -> SweepPoint:
    return SweepPoint("plan", "none", arena, 0, cost)


def test_pareto_points_are_those_that_nothing_beats() -> None:
    points = [point(9, 1), point(9, 2), point(5, 5), point(5, 5), point(6, 5), point(1, 9)]
    marked = with_pareto_marks(points)
    assert [p.pareto for p in marked] == [True, False, True, True, False, True]
    assert [replace(p, pareto=False) for p in marked] == points


def test_instructions_count_if_there_are_any() -> None:
    assert point(9, 5).cost == 5
    assert replace(point(9, 5), instructions=1000).cost == 1000


def test_plans_from_whole_tensors_to_streamed(planned: Sweep) -> None:
    labels = [p.label for p in planned.points]
    assert labels[:3] == ["whole tensors", "accumulated", "overlapped"]
    assert labels[-1] == "row by row"
    assert any(label.startswith("streamed in ") for label in labels)
    sizes = [p.arena_bytes for p in planned.points]
    for mode in ("none", "accumulate", "overlap", "stream"):
        arena = compiled("residual module", dero=mode).report.arena_bytes
        assert arena == min(p.arena_bytes for p in planned.points if p.mode == mode)
    assert sizes[-1] == min(sizes)
    streamed = [p.streamed_operators for p in planned.points if p.mode == "stream"]
    assert 0 < streamed[0] < streamed[-1]
    assert len({(p.arena_bytes, p.streamed_operators) for p in planned.points}) == len(labels)


def test_streaming_computes_nothing_twice(planned: Sweep) -> None:
    rows = 24 * 5 + 1  # five operators of 24 rows and the pooled one
    assert planned.points[0].kernel_calls == rows
    assert planned.points[1].kernel_calls == rows
    # A global pooling, as a running reduction, is called for each input row.
    assert planned.points[-1].kernel_calls <= rows - 1 + 24


def test_smaller_plans_make_some_things_twice() -> None:
    found = dero_tvm.sweep(residual_network(16), device="none", limits=0, twice=2)
    streamed, *windows = found.points[-3:]
    assert streamed.label == "row by row" and streamed.macs_again == 0
    for before, after in pairwise((streamed, *windows)):
        assert after.arena_bytes < before.arena_bytes
        assert after.macs_again >= before.macs_again
        assert after.label == f"windows, {1 + after.macs_again / found.macs:.2f}x"
    assert windows[-1].macs_again > 0 and windows[-1].kernel_calls > streamed.kernel_calls
    console = Console(width=120, file=io.StringIO(), record=True)
    print_sweep(found, console)
    assert f"in {found.macs:,} multiply-accumulates, or, in windows of" in console.export_text()


def test_the_note_says_why_nothing_was_counted(planned: Sweep) -> None:
    assert planned.device == ""
    assert planned.note == "instructions were not counted, as --device none asks"
    assert all(p.instructions is None and p.code_bytes is None for p in planned.points)


@pytest.mark.skipif(not MEASURED, reason="needs qemu-system-arm and arm-none-eabi-gcc")
def test_instructions_on_an_emulated_board() -> None:
    found = dero_tvm.sweep(residual_network(12), limits=0)
    assert (found.device, found.note) == ("qemu:mps2-an500", "")
    whole = found.points[0].instructions
    assert whole is not None and whole > found.macs
    for p in found.points:
        assert p.instructions is not None and 0.8 * whole < p.instructions < 1.2 * whole
        assert p.code_bytes is not None and p.code_bytes > 0


def test_without_tools_the_plans_are_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    found = dero_tvm.sweep(residual_network(12), limits=0)
    assert found.device == ""
    assert "not counted on qemu:mps2-an500: qemu-system-arm is not on PATH" in found.note
    with pytest.raises(UserError, match="qemu-system-arm is not on PATH"):
        dero_tvm.sweep(residual_network(12), limits=0, device="qemu:mps2-an500")


def test_a_device_that_counts_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="--device host counts no instructions; use qemu"):
        dero_tvm.sweep(residual_network(12), limits=0, device="host")


def test_json_and_back(planned: Sweep) -> None:
    assert Sweep.from_dict(json.loads(planned.to_json())) == planned


def test_table_fits_80_columns(planned: Sweep) -> None:
    measured = tuple(
        replace(p, instructions=12_345_678 + i, code_bytes=12_345)
        for i, p in enumerate(planned.points)
    )
    points = with_pareto_marks(measured)
    text = io.StringIO()
    sweep = replace(planned, device="qemu:mps2-an500", note="", points=points)
    print_sweep(sweep, Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    for p in points:
        (line,) = (line for line in lines if line[4:].startswith(f"{p.label}  "))
        assert f"{p.arena_bytes:,}" in line and "12.35 M" in line and "12,345" in line
        assert line.lstrip().startswith("*") == p.pareto
    assert "…" not in text.getvalue()


def test_plots(planned: Sweep, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    svg = plot_sweep(planned, tmp_path / "sweep.svg")
    assert svg == plot_sweep(planned, tmp_path / "sweep.svg")
    texts = [
        "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE)
        for node in xml.dom.minidom.parseString(svg).getElementsByTagName("text")
    ]
    assert {p.label for p in planned.points} <= set(texts)
    assert plot_sweep(planned, tmp_path / "sweep.png").startswith(b"\x89PNG")


def test_plot_refusals(planned: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--plot a.gif: the name of a plot ends in .svg or .png"):
        plot_sweep(planned, Path("a.gif"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=rf"not installed: {re.escape(pip_install('plot'))}"):
        plot_sweep(planned, Path("a.svg"))


def test_boards_are_marked(planned: Sweep, tmp_path: Path) -> None:
    least = min(point.arena_bytes for point in planned.points)
    again = replace(planned.points[-1], label="windows", arena_bytes=least - 64, macs_again=7)
    points = with_pareto_marks((*planned.points, replace(again, kernel_calls=10**6)))
    boards = tuple(MarkedBoard(f"board{n}", least - n) for n in (65, 64, 0))
    found = replace(planned, points=points, boards=boards)
    assert Sweep.from_dict(json.loads(found.to_json())) == found
    console = Console(width=120, file=io.StringIO(), record=True)
    print_sweep(found, console)
    text = console.export_text()
    assert f"board65 has {least - 65:,} bytes free: 1 less than the smallest of these" in text
    ratio = described_ratio(1 + 7 / planned.macs)
    assert f"board64 has {least - 64:,} bytes free: windows, {ratio}." in text
    fastest = min((p for p in planned.points if p.arena_bytes <= least), key=lambda p: p.cost)
    assert f"board0 has {least:,} bytes free: {fastest.label}." in text
    pytest.importorskip("matplotlib")
    svg = plot_sweep(found, tmp_path / "sweep.svg").decode()
    assert all(f">{board.name}<" in svg for board in boards)


def test_boards_of_which_the_memory_is_known() -> None:
    options = SweepOptions(boards=("stm32f746g_disco", "mps2-an500"), reserve=1024)
    marked = options.marked()
    assert [board.ram_free for board in marked] == sorted(board.ram_free for board in marked)
    for board in marked:
        assert board.ram_free == load_board(board.name).ram[0].size - 1024
    with pytest.raises(UserError, match="host: its memory is not described"):
        SweepOptions(boards=("host",)).marked()
