"""Reports of plans with row placement: figures by call, rows as cells, the sentence of the
bound."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import dero_tvm
from dero_tvm.driver.compiler import CompiledModel
from dero_tvm.planning.column_windows.grouping import Group
from dero_tvm.report import Report
from dero_tvm.report.html import html_page
from dero_tvm.report.html.row_charts import WIDTH
from dero_tvm.report.timeline_plot import plot_timeline
from dero_tvm.report.trace import chrome_trace
from examples.digits_accuracy import MODELS
from tests.models.tiny_models import model_of, residual


def alive_by_call(report: Report) -> np.ndarray:
    """Bytes alive during each call, from one flag for each byte of the arena."""
    calls = sum(step.calls for step in report.steps)
    used = np.zeros((calls, report.arena_bytes), bool)
    for buffer in report.buffers:
        for cell in buffer.cells:
            inside = used[
                cell.first_call : cell.last_call + 1, cell.offset : cell.offset + cell.size
            ]
            assert inside.shape[1] == cell.size, "inside the arena"
            inside[:] = True
    return used.sum(axis=1)


def test_figures(by_rows: Report) -> None:
    alive = alive_by_call(by_rows)
    begun = 0
    for number, step in enumerate(by_rows.steps):
        calls = alive[begun : begun + step.calls]
        assert step.live_bytes == calls.max() == alive[step.peak_call]
        assert begun <= step.peak_call < begun + step.calls
        assert sum(layer.own for layer in by_rows.timeline.layers(number)) == step.live_bytes
        begun += step.calls
    assert by_rows.peak_bytes == alive.max() == by_rows.lower_bound == sum(by_rows.split.values())
    assert by_rows.arena_bytes >= by_rows.peak_bytes
    columns = list(by_rows.timeline.columns(10**6))
    assert [sum(layer.own for layer in column.layers) for column in columns] == alive.tolist()
    few = list(by_rows.timeline.columns(10))
    assert max(sum(layer.own for layer in column.layers) for column in few) == alive.max()
    assert [few[0].calls[0], few[-1].calls[1]] == [0, len(alive)]


def test_every_row_has_its_cell(model_by_rows: CompiledModel) -> None:
    plan = model_by_rows.plan.rows
    assert plan is not None
    buffers = {buffer.name: buffer for buffer in model_by_rows.report.buffers}
    assert set(buffers) == {tensor.name for tensor in plan.problem.tensors}
    for tensor in plan.problem.tensors:
        offsets: dict[int, int] = {}
        for cell in buffers[tensor.name].cells:
            assert cell.size == cell.rows * tensor.row_bytes
            for row in range(cell.rows):
                offsets[cell.row + row] = cell.offset + row * tensor.row_bytes
        assert offsets == dict(enumerate(plan.offsets[tensor.name]))
    some = [b for b in buffers.values() if "of its rows" in b.title]
    assert some and all(b.size < sum(c.size for c in b.cells) for b in some)


def test_flash_and_workspaces(model_by_rows: CompiledModel) -> None:
    report = model_by_rows.report
    memory = model_by_rows.archive.metadata["modules"]["default"]["memory"]["functions"]
    assert memory["main"][0]["constants_size_bytes"] == report.constants_bytes
    code = "".join(text.decode() for text in model_by_rows.archive.c_sources().values())
    entries = re.findall(r"const uint16_t \w*rows_\d+\[(\d+)\] = ", code)
    assert entries and report.table_bytes == 2 * sum(map(int, entries))
    sizes = [f["workspace"][0]["workspace_size_bytes"] for f in memory["operator_functions"]]
    assert len(sizes) == len(report.steps) and max(sizes) == report.scratch_bytes
    for size, step in zip(sizes, report.steps):
        assert size <= step.live_bytes
    inner = [b for b in report.buffers if b.first_step == b.last_step and b.kind == "intermediate"]
    assert report.scratch_bytes >= max(b.size for b in inner)


def test_as_data(by_rows: Report) -> None:
    data = json.loads(by_rows.to_json())
    assert Report.from_dict(data) == by_rows
    data["buffers"][0]["cells"][0]["last_call"] = 10**6
    with pytest.raises(ValueError, match="cannot be as it is described"):
        Report.from_dict(data)


def test_page(by_rows: Report) -> None:
    """All cells are drawn where they lie, one path a tensor, and named."""
    text = html_page(by_rows)
    drawn = re.findall(r'data-b="after-b(\d+)" data-cells="(.*?)" d="(.*?)"', text)
    assert [int(number) for number, _, _ in drawn] == list(range(len(by_rows.buffers)))
    calls = sum(step.calls for step in by_rows.steps)
    for buffer, (_, named, path) in zip(by_rows.buffers, drawn):
        boxes = re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-\d+z", path)
        for cell, name, box in zip(buffer.cells, named.split(","), boxes, strict=True):
            assert name == f"{cell.row}:{cell.rows}:{cell.first_call}:{cell.last_call}"
            left, top, width, height = map(int, box)
            assert height == cell.size and by_rows.arena_bytes - top == cell.offset + cell.size
            assert abs(left - WIDTH * cell.first_call / calls) <= 0.5
            assert abs(left + width - WIDTH * (cell.last_call + 1) / calls) <= 0.5
    tables = f"of which tables of rows: {by_rows.table_bytes:,} bytes"
    assert tables in text and by_rows.rows_proof in text


def test_plot_and_trace(by_rows: Report) -> None:
    pytest.importorskip("matplotlib")
    alive = alive_by_call(by_rows)
    panel = by_rows.plot().axes[2]
    tops = [bar.get_y() + bar.get_height() for bar in panel.patches]
    assert max(tops) == alive.max()
    assert plot_timeline(by_rows, Path("a.svg")) == plot_timeline(by_rows, Path("a.svg"))
    events = [e for e in json.loads(chrome_trace(by_rows))["traceEvents"] if e["pid"] == 1]
    for counter in ("arena", "arena by kind"):
        counted = [sum(e["args"].values()) for e in events if e["name"] == counter]
        assert counted == [*alive, 0]
    begun = [event["ts"] for event in events if event["ph"] == "b"]
    assert len(begun) == len(by_rows.buffers) and len(set(begun)) > len(by_rows.steps)


def quantization(*, conv: bool) -> Any:
    """Float32 to int8, of the image, or of what a convolution made of it."""
    nodes = [helper.make_node("QuantizeLinear", ["t" if conv else "x", "scale", "zero"], ["y"])]
    constants = {"scale": np.float32(0.1), "zero": np.int8(0)}
    if conv:
        nodes.insert(0, helper.make_node("Conv", ["x", "w"], ["t"]))
        constants["w"] = np.ones((4, 4, 1, 1), np.float32)
    shape = (1, 4, 8, 8)
    model = model_of(nodes, {"x": shape}, {"y": shape}, constants)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT8
    return model


def activation() -> Any:
    node = helper.make_node("Relu", ["x"], ["y"])
    return model_of([node], {"x": (1, 4, 8, 8)}, {"y": (1, 4, 8, 8)})


@pytest.mark.parametrize("layout", ["model", "nhwc"])
@pytest.mark.parametrize("dero", ["none", "overlap", "stream"])
def test_no_plan_is_below_the_bound(dero: str, layout: str) -> None:
    """Also where whole tensors take chances that rows with addresses do not."""
    for model in (
        activation(),
        quantization(conv=False),
        quantization(conv=True),
        residual(spatial=True),
    ):
        report = dero_tvm.compile(model, dero=dero, input_layout=layout).report
        assert re.match("no order of rows needs less|at most|bound not", report.rows_proof)
        assert report.proofs[0] == ("Bound", report.rows_proof)


def test_a_result_over_its_wider_operand() -> None:
    """One byte of four is taken over: the image alone is what every order needs."""
    report = dero_tvm.compile(quantization(conv=False), dero="overlap", input_layout="nhwc").report
    assert (report.arena_bytes, report.rows_proof) == (1024, "no order of rows needs less")


def test_large_networks_have_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dero_tvm.driver.rows_proof._CALLS", 20)
    report = dero_tvm.compile(residual(), dero="stream").report
    assert re.fullmatch(r"bound not computed: \d+ rows, more than 20", report.rows_proof)


def test_a_result_over_rows_that_nobody_reads() -> None:
    """One row of eleven is read; the row that is made of it may lie over any of the others."""
    ends = {name: np.array([value], np.int64) for name, value in (("a", 2), ("b", 3), ("axis", 1))}
    node = helper.make_node("Slice", ["x", "a", "b", "axis"], ["y"])
    model = model_of([node], {"x": (1, 11, 3, 2)}, {"y": (1, 1, 3, 2)}, ends)
    report = dero_tvm.compile(model, dero="overlap").report
    assert (report.arena_bytes, report.rows_proof) == (264, "no order of rows needs less")


WINDOWS = {"windows": (Group(0, 2, 3, 2), Group(3, 7, 2, 3)), "integer_io": True}


@pytest.mark.parametrize(
    ("kind", "named", "options"),
    [
        ("scratch", "scratch", {"target": "mps2-an500", "dero": "stream"}),
        ("patch", "windows of columns", WINDOWS),
    ],
)
def test_the_legend_names_what_operators_use_once(
    kind: str, named: str, options: dict[str, Any]
) -> None:
    report = dero_tvm.compile(MODELS / "digits_int8.onnx", **options).report
    assert report.timeline.by_rows and sum(b.kind == kind for b in report.timeline.buffers) > 1
    charts = 2  # bytes alive, and the map
    found = re.findall(rf'<li data-b="after-b\d+"[^>]*><i[^>]*></i> {named}<', report.to_html())
    assert len(found) == charts
    if kind == "patch":
        labels = [b.label for b in report.buffers if b.kind == kind]
        assert [label.split(" up ")[0] for label in labels] == [
            f"windows of {count} operators" for count in (3, 5)
        ]
