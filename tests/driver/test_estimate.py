"""Memory without code: one model, many models, with any executor."""

from __future__ import annotations

import json
import runpy
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import dero_tvm
from dero_tvm.aot.kernels import alike_takes_table, takes_table
from dero_tvm.boards.board import load_board
from tests.compiled.models import compiled
from tests.models.tiny_models import model_of, residual, save

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "models" / "digits_int8.onnx"
BROKEN = b"\x08\x01nothing"


@pytest.mark.parametrize(
    ("dero", "target"), [("none", "host"), ("accumulate", "nrf52840dk"), ("stream", "nrf52840dk")]
)
def test_is_what_compile_finds(dero: str, target: str) -> None:
    found = dero_tvm.estimate(DIGITS, target=target, dero=dero)
    report = compiled("digits_int8", target=target, dero=dero).report
    assert found.arena_bytes == report.arena_bytes
    assert found.macs == report.macs
    assert found.weights_bytes == report.constants_bytes - report.table_bytes
    assert found.fits and found.target == target and found.dero == dero
    if report.memory:
        assert found.ram_free == report.memory[0].headroom


@pytest.mark.parametrize("dero", ["stream", "accumulate"])
def test_a_quick_one_is_an_upper_bound(dero: str) -> None:
    for model in (DIGITS, residual(spatial=True)):
        quick = dero_tvm.estimate(model, dero=dero, quick=True)
        full = dero_tvm.estimate(model, dero=dero)
        assert full.arena_bytes <= quick.arena_bytes <= 1.25 * full.arena_bytes
        assert quick.macs == full.macs
        whole = dero_tvm.estimate(model, dero="none")
        assert quick.arena_bytes < whole.arena_bytes or full.arena_bytes == whole.arena_bytes


def test_a_quick_one_of_rows_that_the_application_has() -> None:
    options = {"input_layout": "nhwc", "stream_input": True, "stream_output": True}
    quick = dero_tvm.estimate(residual(spatial=True), quick=True, **options)
    assert quick.arena_bytes >= dero_tvm.estimate(residual(spatial=True), **options).arena_bytes


def test_kernels_alike_find_rows_alike() -> None:
    """What a quick estimate takes of another operation of the kind is true of this one."""
    kinds = 0
    for model in (DIGITS, residual(spatial=True), _many_forms()):
        compiled = dero_tvm.compile(model, dero="none")
        for op in (op for c in compiled.network.cascades for op in c.operations):
            for index in range(len(op.operands)):
                assert alike_takes_table(op, index) == takes_table(op, index), op
                kinds += 1
    assert kinds > 40


def _many_forms() -> onnx.ModelProto:
    """Concatenations along each axis, poolings, reductions, products."""
    nodes = [
        helper.make_node("Concat", ["x", "x"], ["channels"], axis=1),
        helper.make_node("Concat", ["x", "x"], ["rows"], axis=2),
        helper.make_node("Concat", ["x", "x"], ["columns"], axis=3),
        helper.make_node("MaxPool", ["channels"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("AveragePool", ["rows"], ["mean"], kernel_shape=[3, 3]),
        helper.make_node("Resize", ["columns", "", "scales"], ["larger"], mode="nearest"),
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("Softmax", ["square"], ["soft"], axis=1),
        helper.make_node("GlobalAveragePool", ["soft"], ["one"]),
    ]
    scales = np.array([1, 1, 2, 2], np.float32)
    outputs = {
        "pool": (1, 8, 3, 3),
        "mean": (1, 4, 10, 4),
        "larger": (1, 4, 12, 24),
        "one": (1, 4, 1, 1),
    }
    return model_of(nodes, {"x": (1, 4, 6, 6)}, outputs, {"scales": scales})


def test_a_network_that_is_too_large_has_a_size(tmp_path: Path) -> None:
    text = (ROOT / "targets" / "nrf52840dk.toml").read_text()
    small = tmp_path / "small.toml"
    small.write_text(text.replace("size = 0x40000", "size = 9000").replace("0x100000", "40000"))
    board = load_board(small)
    assert (board.ram_bytes, board.flash_bytes) == (9000, 40_000)
    whole = dero_tvm.estimate(DIGITS, target=board, dero="none")
    assert whole.arena_bytes == 3072 and whole.ram_free == 9000 - 8192 - 3072
    assert whole.flash_free == 40_000 - whole.weights_bytes < 0 and not whole.fits
    with pytest.raises(dero_tvm.UserError, match="does not fit"):
        dero_tvm.compile(DIGITS, target=board, dero="none")


def test_regions_are_divided_as_for_compile() -> None:
    board = load_board("nucleo_f767zi")
    halves = tuple(type(r)(r.name, r.origin, 2_100, r.section, r.source) for r in board.ram[:2])
    two = type(board)(**{**board.__dict__, "ram": halves})
    found = dero_tvm.estimate(DIGITS, target=two, dero="none", reserve=0)
    compiled = dero_tvm.compile(DIGITS, target=two, dero="none", reserve=0).report
    assert found.ram_free == sum(use.headroom for use in compiled.memory if use.used) >= 0


def test_options_without_meaning_are_refused() -> None:
    with pytest.raises(TypeError, match="no use for 'tune'"):
        dero_tvm.estimate(DIGITS, tune=True)


def test_many_models_in_order() -> None:
    tiny = residual()
    models = [tiny, BROKEN, tiny.SerializeToString()]
    with ThreadPoolExecutor(2) as executor:
        answers = dero_tvm.estimate_all(models, executor=executor, dero="none")
    assert answers == dero_tvm.estimate_all(models, dero="none")
    sizes = [answer.result and answer.result.arena_bytes for answer in answers]
    assert sizes[0] == sizes[2] > 0 and sizes[1] is None
    assert "is not a model of a known format" in answers[1].refusal
    with pytest.raises(dero_tvm.UserError, match="a LoadedModel cannot be handed to another"):
        dero_tvm.estimate_all([dero_tvm.load(tiny)])


def check_elsewhere(executor: Executor) -> None:
    """Answers of other processes are those of this one."""
    data = residual().SerializeToString()
    (answer,) = dero_tvm.estimate_all([data], executor=executor, target="nrf52840dk")
    assert answer.result == dero_tvm.estimate(data, target="nrf52840dk")


def test_processes_of_this_machine() -> None:
    with dero_tvm.processes(1) as executor:
        check_elsewhere(executor)


def test_a_cluster_of_dask() -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client, client.get_executor() as executor:
            check_elsewhere(executor)


def test_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    names = runpy.run_path(str(ROOT / "examples" / "search_mobilenet.py"))
    for name, few in (("WIDTHS", [0.05, 0.5]), ("RESOLUTIONS", [32, 224])):
        names["search"].__globals__[name] = few
    with ThreadPoolExecutor(1) as executor:
        found = names["search"]("nucleo_f303re", 4, executor, batch=2)
    (width, resolution), memory = names["best"](found)
    assert memory.fits == any(estimate.fits for estimate in found.values())
    assert all(memory.macs >= e.macs for e in found.values() if e.fits) or not memory.fits
    assert width in (0.05, 0.5) and resolution in (32, 224)


def test_fit_of_several_on_the_command_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from dero_tvm.cli.main import tvmc

    broken = tmp_path / "broken.onnx"
    broken.write_bytes(BROKEN)
    small = save(residual(), tmp_path / "small.onnx")
    words = ["fit", str(small), str(broken), "--board", "nrf52840dk"]
    done = CliRunner().invoke(tvmc, words, env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()[2:]}
    assert lines["small.onnx"][1:3] == ["3,072", "2,048"]
    assert lines["small.onnx"][-2:] == ["1", "nrf52840dk"]
    assert "broken.onnx" in lines
    found = json.loads(CliRunner().invoke(tvmc, [*words, "--json"]).stdout)
    assert [entry["fit"] is None for entry in found] == [False, True]
    none = CliRunner().invoke(tvmc, ["fit", str(broken), str(broken)])
    assert none.exit_code == 1 and "none of the models could be planned" in none.stderr
