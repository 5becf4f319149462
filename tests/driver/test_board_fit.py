"""What ``tvmc fit`` says is what ``tvmc compile`` finds."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

import dero_tvm
from dero_tvm.boards.board import Board, Flash, Ram, load_board
from dero_tvm.boards.board_filter import BoardFilter, known_boards, select_boards
from dero_tvm.boundary.errors import UserError
from dero_tvm.report.code_size import CodeSize
from dero_tvm.report.fit_table import print_fit
from tests.models.small_networks import residual_network
from tests.models.tiny_models import residual, save


def board(*sizes: int, flash: int = 1 << 20, base: str = "mps2-an385") -> Board:
    """A board with regions of these sizes; nothing is reserved in the tests."""
    regions = tuple(Ram(f"r{i}", i << 28, size, f".bss.r{i}", "") for i, size in enumerate(sizes))
    return replace(
        load_board(base),
        name="x".join(map(str, sizes)),
        ram=regions,
        flash=Flash(0x70000000, flash, 0x70000000, ""),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(residual(), tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def needs(model) -> tuple[int, int]:
    arenas = [dero_tvm.compile(model, dero=dero).report.arena_bytes for dero in ("none", "stream")]
    assert arenas[1] < arenas[0]
    return arenas[0], arenas[1]


def test_it_agrees_with_compile(model, needs):
    plain, streamed = needs
    boards = [
        board(plain),
        board(plain - 4),
        board(streamed),
        board(streamed - 4),
        board(streamed // 2, streamed // 2 + 64),
        board(streamed // 4, streamed // 4),
    ]
    found = {entry.board: entry for entry in dero_tvm.fit(model, boards=boards, reserve=0).boards}
    assert len(found) == len(boards)
    for target in boards:
        entry = found[target.name]
        for dero, verdict in (("none", entry.plain), ("stream", entry.dero)):
            try:
                compiled = dero_tvm.compile(model, target=target, dero=dero, reserve=0)
            except UserError:
                assert not verdict.fits, (target.name, dero)
                assert verdict.ram_left < 0
            else:
                assert verdict.fits, (target.name, dero)
                used = {r: n for r, n in compiled.report.regions.items() if n}
                assert verdict.arenas == used
        assert entry.unlocked is (entry.dero.fits and not entry.plain.fits)
    assert [found[board(n).name].unlocked for n in (plain, plain - 4, streamed)] == [
        False,
        True,
        True,
    ]
    assert found[board(plain - 4).name].plain.ram_left == -4


def test_flash(model):
    found = dero_tvm.fit(model, boards=[board(1 << 20), board(1 << 20, flash=256)])
    small, large = sorted(found.boards, key=lambda entry: entry.flash)
    need = found.needs[0].flash_bytes
    assert need == found.needs[0].constants_bytes + (found.needs[0].code_bytes or 0)
    assert (small.plain.flash_left, small.plain.fits) == (256 - need, False)
    assert (large.plain.flash_left, large.plain.fits) == ((1 << 20) - need, True)


def test_without_a_compiler_the_code_is_not_counted(model, monkeypatch):
    monkeypatch.setattr(
        "dero_tvm.driver.board_fit.code_size", lambda *_: CodeSize(None, reason="no compiler")
    )
    found = dero_tvm.fit(model, boards=[board(1 << 20)])
    for need in found.needs:
        assert (need.code_bytes, need.code_note) == (None, "no compiler")
        assert need.flash_bytes == need.constants_bytes


def test_resnet8_moves_onto_boards_with_20_kb_less(shared):
    model = shared / "models" / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    boards = [load_board(n) for n in ("bbc_microbit", "nucleo_g071rb", "nucleo_l432kc")]
    small, middle, large = dero_tvm.fit(model, boards=boards).boards
    assert [entry.board for entry in (small, middle, large)] == [board.name for board in boards]
    assert [entry.plain.fits for entry in (small, middle, large)] == [False, False, True]
    assert [entry.dero.fits for entry in (small, middle, large)] == [False, True, True]
    assert large.ram_free - middle.ram_free >= 20 * 1024


def test_filters():
    boards = known_boards()
    assert select_boards(boards, BoardFilter()) == boards
    with_mve = select_boards(boards, BoardFilter(features=("mve",)))
    assert {board.core for board in with_mve} == {"cortex-m55", "cortex-m85"}
    chosen = select_boards(boards, BoardFilter(min_ram=16 * 1024, min_flash=1))
    assert "host" not in [board.name for board in chosen]
    assert "bbc_microbit" in [board.name for board in chosen]


def test_the_least_ratio_with_which_a_board_is_reached() -> None:
    network, sizes = residual_network(16), (4096, 2240, 1024)
    boards = [board(size) for size in sizes]
    fit = dero_tvm.fit(network, boards=boards, reserve=0)
    least, between, enough = fit.boards
    assert (enough.dero.fits, between.dero.fits, least.dero.fits) == (True, False, False)
    assert enough.least_ratio is None and least.least_ratio is None
    assert between.least_ratio is not None and between.least_ratio > 1
    options = {"target": board(sizes[1]), "reserve": 0, "memory_budget": sizes[1]}
    report = dero_tvm.compile(network, **options).report
    ratio = report.macs / (report.macs - report.macs_again)
    assert ratio >= between.least_ratio - 1e-4  # where rows leave gaps, more is made twice
    shown = Console(width=120, record=True, file=StringIO())
    print_fit(fit, shown)
    assert f"{between.least_ratio:.2f}x" in shown.export_text()
    with pytest.raises(UserError, match=f"--memory-budget {sizes[1]}, for which some things may"):
        dero_tvm.compile(network, target=board(sizes[1]), reserve=0)
