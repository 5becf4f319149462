"""Networks whose images come and go one row at a time, on every runner."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tvm
from onnx import helper
from tvm import relax

import dero_tvm
from dero_tvm import UserError
from dero_tvm.runners.host_c import run_host_c
from relax_passes.operators import make_call
from tests.models.small_networks import (
    Builder,
    image,
    image_to_image,
    residual_network,
    run_reference,
    two_images,
)
from tests.models.tiny_models import model_of

CC = shutil.which("cc") or shutil.which("gcc")
needs_cc = pytest.mark.skipif(CC is None, reason="needs a C compiler")
QEMU = shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")
DEVICES = [
    "host",
    pytest.param("host-c", marks=needs_cc),
    pytest.param(
        "qemu:mps2-an500",
        marks=pytest.mark.skipif(not QEMU, reason="needs qemu-system-arm and arm-none-eabi-gcc"),
    ),
]


def dense_layer(batch: int) -> tvm.IRModule:
    """One fully connected layer, whose rows are those of a batch: x [batch, 6] -> [batch, 4]."""
    net = Builder(("x", (batch, 6)))
    values = np.random.default_rng(3).integers(-127, 128, (4, 6)).astype("int8")
    rest = [np.arange(4), np.full(4, 1 << 30), np.full(4, -6)]
    operands = [relax.const(values), *(relax.const(a.astype("int32")) for a in rest)]
    return net.build(net.emit("y", make_call("dense", [net.inputs[0], *operands])))


def in_part(model: dero_tvm.CompiledModel) -> dict[str, int]:
    """Tensors that never lie in memory whole: their bytes alive at most."""
    sizes = {buffer.name.split(".")[-1]: buffer.size for buffer in model.report.buffers}
    values = model.network.values
    return {n: size for n, size in sizes.items() if n in values and size < values[n].spec.bytes}


def kinds(model: dero_tvm.CompiledModel) -> set[str]:
    return {buffer.kind for buffer in model.report.buffers}


@pytest.mark.parametrize("device", DEVICES)
def test_image_by_rows(device: str) -> None:
    module, data = residual_network(), image((1, 24, 24, 3))
    expected = run_reference(module, data)
    model = dero_tvm.compile(module, stream_input=True)
    assert model.report.arena_bytes < dero_tvm.compile(module).report.arena_bytes
    assert in_part(model)["x"] == 3 * 24 * 3  # of 24 rows, 3 at a time
    assert "input" not in kinds(model)
    runs = model.measure([{"x": data}, {"x": data}], device)
    assert runs.guard_ok, runs.guard_report
    for outputs in runs.outputs:
        np.testing.assert_array_equal(outputs["output"], expected)


@pytest.mark.parametrize("device", DEVICES)
def test_output_by_rows(device: str) -> None:
    module, data = image_to_image(), image((1, 16, 16, 3))
    model = dero_tvm.compile(module, stream_output=["output"])
    (port,) = model.network.outputs
    assert in_part(model)[model.network.values[port.value].buffer] == 16 * 4  # one of 16 rows
    assert "output" not in kinds(model)
    np.testing.assert_array_equal(
        model.run({"x": data}, device)["output"], run_reference(module, data)
    )


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_but_rings(device: str) -> None:
    module, data = image_to_image(), image((1, 16, 16, 3))
    model = dero_tvm.compile(module, stream_input=True, stream_output=True)
    assert kinds(model) == {"intermediate"}
    assert len(in_part(model)) == len(model.report.buffers)
    assert model.report.arena_bytes < 16 * 16 * 4  # not even one image
    result = model.measure([{"x": data}], device)
    assert result.guard_ok, result.guard_report
    np.testing.assert_array_equal(result.outputs[0]["output"], run_reference(module, data))


@pytest.mark.parametrize("chosen", [True, ["a"], ["b"]])
@pytest.mark.parametrize("external_io", [False, True])
def test_several_inputs(chosen: bool | list[str], external_io: bool) -> None:
    module = two_images()
    data = {"a": image((1, 16, 16, 3), 1), "b": image((1, 32, 32, 3), 2)}
    model = dero_tvm.compile(module, stream_input=chosen, external_io=external_io)
    names = {"a", "b"} if chosen is True else set(chosen)
    whole = {b.name for b in model.report.buffers} - set(in_part(model))
    assert not whole & names
    expected = run_reference(module, *data.values())
    for device in ["host", *(["host-c"] if CC else [])]:
        np.testing.assert_array_equal(model.run(data, device)["output"], expected)


@needs_cc
def test_under_the_sanitizers_and_with_copies() -> None:
    module, data = two_images(), {"a": image((1, 16, 16, 3), 1), "b": image((1, 32, 32, 3), 2)}
    model = dero_tvm.compile(module, stream_input=["b"])
    expected = run_reference(module, *data.values())
    for options in ({"sanitize": True}, {"copy_io": True}):
        result = run_host_c(model.archive, [data], **options)
        np.testing.assert_array_equal(result.outputs[0]["output"], expected)


def test_float_image_is_quantized_row_by_row(tmp_path: Path) -> None:
    digits = Path(__file__).parents[2] / "examples" / "models" / "digits_int8.onnx"
    whole = dero_tvm.compile(digits, input_layout="nhwc")
    rows = dero_tvm.compile(digits, input_layout="nhwc", stream_input=True)
    (port,) = rows.archive.inputs
    assert port.dtype == "float32" and port.row_size == port.shape[2] * port.shape[3] * 4
    assert rows.report.arena_bytes <= whole.report.arena_bytes
    (name,) = (port.value for port in rows.network.inputs)
    assert name in in_part(rows)
    data = np.random.default_rng(0).random(port.shape, dtype=np.float32)
    outputs = [model.run({port.name: data}) for model in (whole, rows)]
    for name, value in outputs[0].items():
        np.testing.assert_array_equal(outputs[1][name], value)


_COUNTING = """
#include <stdio.h>
#include "tvmgen_default.h"

struct rows { int32_t next; int32_t fail_at; int32_t code; };

static int32_t give(void *context, int32_t row, void *destination) {
  struct rows *rows = context;
  if (row != rows->next++) return 99;
  for (int i = 0; i < TVMGEN_DEFAULT_X_ROW_SIZE; i++) ((int8_t *)destination)[i] = (int8_t)row;
  return row == rows->fail_at ? rows->code : 0;
}

static int32_t take(void *context, int32_t row, const void *source) {
  struct rows *rows = context;
  (void)source;
  if (row != rows->next++) return 98;
  return row == rows->fail_at ? rows->code : 0;
}

static void run(int32_t fail_input, int32_t fail_output) {
  struct rows given = {0, fail_input, 7}, taken = {0, fail_output, -5};
  struct tvmgen_default_inputs inputs = {give, &given};
  struct tvmgen_default_outputs outputs = {take, &taken};
  int32_t status = tvmgen_default_run(&inputs, &outputs);
  printf("%d %d %d\\n", (int)status, (int)given.next, (int)taken.next);
}

int main(void) {
  struct tvmgen_default_inputs none = {0, 0};
  struct tvmgen_default_outputs outputs = {take, 0};
  run(-1, -1);
  run(4, -1);
  run(-1, 2);
  printf("%d\\n", (int)tvmgen_default_run(&none, &outputs));
  printf("%d\\n", TVMGEN_DEFAULT_X_ROWS);
  return 0;
}
"""


@needs_cc
def test_rows_come_in_order_and_codes_end_the_inference(tmp_path: Path) -> None:
    model = dero_tvm.compile(image_to_image(), stream_input=True, stream_output=True)
    model.archive.extract_c(tmp_path)
    (tmp_path / "main.c").write_text(_COUNTING)
    sources = [str(path) for path in sorted(tmp_path.glob("*.c"))]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic"]
    subprocess.run([CC, *flags, *sources, "-o", str(tmp_path / "main")], check=True)
    done = subprocess.run([str(tmp_path / "main")], check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "0 16 16"  # each row once
    # The fifth row of the input is the last one asked for; one row of output was made before.
    assert lines[1] == "7 5 1"
    # The third row of output needs two rows more for each of the three convolutions.
    assert lines[2] == "-5 6 3"
    assert lines[3:] == ["-1", "16"]


def test_names_that_clash_in_c() -> None:
    size = 8
    names = ("x", "x_context", "x_row")
    net = Builder(*((name, (1, size, size, 4)) for name in names))
    total = net.add("total", net.add("some", *net.inputs[:2]), net.inputs[2])
    module = net.build(net.conv("y", total, 2))
    data = {name: image((1, size, size, 4), seed) for seed, name in enumerate(names)}
    model = dero_tvm.compile(module, stream_input=True)
    members = [n for port in model.archive.inputs for n in (port.c_name, port.context)]
    assert len(set(members)) == len(members)
    expected = run_reference(module, *data.values())
    for device in ["host", *(["host-c"] if CC else [])]:
        np.testing.assert_array_equal(model.run(data, device)["output"], expected)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("operands", ["x y", "x y x"])
def test_an_input_beside_what_is_made_of_it(axis: int, operands: str) -> None:
    """Cascades for rings take its rows; those cut for row placement would end before."""
    shape = [1, 4, 12, 5]
    nodes = [
        helper.make_node("Add", ["x", "x"], ["y"]),
        helper.make_node("Concat", operands.split(), ["z"], axis=axis),
    ]
    result = list(shape)
    result[axis] *= len(operands.split())
    network = model_of(nodes, {"x": shape}, {"z": result})
    data = np.random.default_rng(0).normal(size=shape).astype("float32")
    parts = {"x": data, "y": data + data}
    expected = np.concatenate([parts[name] for name in operands.split()], axis)
    (output,) = dero_tvm.compile(network, stream_input=True).run({"x": data}).values()
    np.testing.assert_array_equal(output, expected)


def test_refusals() -> None:
    with pytest.raises(UserError, match="--dero accumulate keeps every tensor whole"):
        dero_tvm.compile(residual_network(), dero="accumulate", stream_input=True)
    with pytest.raises(UserError, match=r"--stream-input=y: .* has no such input \(it has x\)"):
        dero_tvm.compile(residual_network(), stream_input=["y"])
    with pytest.raises(UserError, match="output 0 has the shape .* a single row"):
        dero_tvm.compile(residual_network(), stream_output=True)
    with pytest.raises(UserError, match=r"input \w+ has the shape \[1, 6\], a single row.*by row$"):
        dero_tvm.compile(dense_layer(1), stream_input=True)
    digits = Path(__file__).parents[2] / "examples" / "models" / "digits_int8.onnx"
    with pytest.raises(UserError, match=r"\[1, 1, 8, 8\], a single row: .*--input-layout nhwc"):
        dero_tvm.compile(digits, stream_input=True)
    with pytest.raises(UserError, match=r"output 0 \(\w+ '.+'\) has the shape \[1, 10\], a sin"):
        dero_tvm.compile(digits, input_layout="nhwc", stream_input=True, stream_output=True)


def test_refusals_call_layers_as_the_file_does() -> None:
    nodes = [
        helper.make_node("MaxPool", ["x"], [result], name, kernel_shape=[2, 2])
        for name, result in (("high", "p"), ("low", "q"))
    ]
    network = model_of(nodes, {"x": [1, 1, 8, 8]}, dict.fromkeys("pq", [1, 1, 7, 7]))
    with pytest.raises(UserError, match="its readers MaxPool 'high', MaxPool 'low' cannot all run"):
        dero_tvm.compile(network, input_layout="nhwc", stream_input=True)


def test_rows_of_a_matrix() -> None:
    module = dense_layer(5)
    data = image((5, 6))
    model = dero_tvm.compile(module, stream_input=True, stream_output=True)
    assert kinds(model) <= {"ring", "intermediate"}
    assert len(in_part(model)) == len(model.report.buffers)
    np.testing.assert_array_equal(model.run({"x": data})["output"], run_reference(module, data))


def test_a_budget_with_rows() -> None:
    least = dero_tvm.compile(residual_network(), stream_input=True).report.arena_bytes
    model = dero_tvm.compile(residual_network(), stream_input=True, memory_budget=5 * least)
    assert least < model.report.arena_bytes <= 5 * least
    tight = {"stream_input": True, "max_recompute": 1}
    with pytest.raises(UserError, match=r"least possible is [\d,]+ bytes at 1.00x mul") as refused:
        dero_tvm.compile(residual_network(), memory_budget=100, **tight)
    # Windows of columns that are kept may need less, with nothing made twice.
    (possible,) = re.findall(r"possible is ([\d,]+) bytes", str(refused.value))
    possible = int(possible.replace(",", ""))
    assert 100 < possible <= least
    model = dero_tvm.compile(residual_network(), memory_budget=possible, **tight)
    assert model.report.arena_bytes == possible
