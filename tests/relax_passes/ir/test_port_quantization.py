"""What integer inputs and outputs stand for: in the header, metadata.json and the report."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from rich.console import Console

import dero_tvm
from dero_tvm.report import Report
from dero_tvm.report.text_table import print_report
from tests.compiled.models import compiled
from tests.models.tflite_builder import TFLiteBuilder

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "examples" / "models" / "digits_int8.onnx"
SCALE, ZERO = float(np.float32(0.1)), -3

INTEGER_PORTS = """
<ir_version: 8, opset_import: ["" : 13]>
g (int8[1,4] x, float[1,4] real) => (uint8[1,4] y, float[1,4] z)
<float s = {0.1}, int8 i = {-3}, uint8 u = {7}> {
  a = DequantizeLinear(x, s, i)
  b = Relu(a)
  y = QuantizeLinear(b, s, u)
  z = Add(b, real)
}
"""


def tflite_network() -> bytes:
    b = TFLiteBuilder()
    x = b.input("x", (1, 4, 4, 2), "int8", scale=SCALE, zero_point=ZERO)
    y = b.tensor("y", (1, 4, 4, 2), "int8", scale=0.25, zero_point=0)
    b.operator("ADD", [x, x], [y])
    return b.build([y])


def entries(model: dero_tvm.CompiledModel) -> dict[str, Any]:
    data = json.loads(model.archive.files["metadata.json"])["modules"]["default"]["dero"]
    return {port["name"]: port for port in (*data["inputs"], *data["outputs"])}


def macros(model: dero_tvm.CompiledModel) -> dict[str, str]:
    (text,) = (data.decode() for name, data in model.archive.files.items() if name.endswith(".h"))
    lines = [line.split(" ", 2) for line in text.splitlines() if line.startswith("#define ")]
    return {line[1]: line[2] for line in lines if line[1].endswith(("_SCALE", "_ZERO_POINT"))}


def test_of_a_tflite_file() -> None:
    model = dero_tvm.compile(dero_tvm.load(tflite_network()))
    assert macros(model) == {
        "TVMGEN_DEFAULT_X_SCALE": "0.100000001f",
        "TVMGEN_DEFAULT_X_ZERO_POINT": "(-3)",
        "TVMGEN_DEFAULT_Y_SCALE": "0.25f",
        "TVMGEN_DEFAULT_Y_ZERO_POINT": "0",
    }
    found = entries(model)
    assert (found["x"]["scale"], found["x"]["zero_point"]) == (SCALE, ZERO)
    assert (found["y"]["scale"], found["y"]["zero_point"]) == (0.25, 0)


def test_of_onnx_integers() -> None:
    model = dero_tvm.compile(dero_tvm.load(onnx.parser.parse_model(INTEGER_PORTS)))
    found = entries(model)
    assert (found["x"]["dtype"], found["x"]["scale"], found["x"]["zero_point"]) == (
        "int8",
        SCALE,
        -3,
    )
    assert (found["y"]["dtype"], found["y"]["scale"], found["y"]["zero_point"]) == (
        "uint8",
        SCALE,
        7,
    )
    assert "scale" not in found["real"] and "scale" not in found["z"]
    assert {name.rsplit("_", 1)[0] for name in macros(model)} >= {"TVMGEN_DEFAULT_X"}
    assert not any("REAL" in name or "_Z_" in name for name in macros(model))


def test_only_with_integers_at_the_border() -> None:
    assert macros(compiled("digits_int8")) == {}
    assert len(macros(compiled("digits_int8", integer_io=True))) == 4


def test_the_report_says_so() -> None:
    report = compiled("digits_int8", integer_io=True).report
    image, logits = report.ports
    assert (image.kind, image.name, image.type) == ("input", "image", "1x1x8x8 int8")
    assert image.meaning == "0.00392157 * (q + 128)"
    assert logits.meaning == f"{logits.scale:.6g} * (q + {-logits.zero_point})"
    assert Report.from_dict(json.loads(report.to_json())) == report
    text = io.StringIO()
    print_report(report, Console(file=text, width=100))
    assert "Input image: 1x1x8x8 int8, 0.00392157 * (q + 128)." in text.getvalue()
    assert "0.00392157 * (q + 128)" in report.to_html()


def test_macros_are_what_the_model_means(tmp_path: Path) -> None:
    """Converted in C with the macros, integers give what the float interface computes."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    images = np.load(ROOT / "examples" / "models" / "digits_test.npz")["images"][:1]
    model = compiled("digits_int8", integer_io=True)
    (expected,) = compiled("digits_int8").run({"image": images.reshape(1, 1, 8, 8)}).values()
    model.archive.extract_c(tmp_path)
    values = ", ".join(f"{float(value)!r}f" for value in images.ravel())
    (tmp_path / "main.c").write_text(f"""
#include <math.h>
#include <stdio.h>
#include "tvmgen_default.h"
static const float image[] = {{{values}}};
int main(void) {{
  int8_t q[TVMGEN_DEFAULT_IMAGE_SIZE], logits[TVMGEN_DEFAULT_LOGITS_SIZE];
  struct tvmgen_default_inputs inputs = {{q}};
  struct tvmgen_default_outputs outputs = {{logits}};
  for (int i = 0; i < TVMGEN_DEFAULT_IMAGE_SIZE; ++i) {{
    float real = image[i] / TVMGEN_DEFAULT_IMAGE_SCALE + TVMGEN_DEFAULT_IMAGE_ZERO_POINT;
    q[i] = (int8_t)fminf(fmaxf(rintf(real), -128), 127);
  }}
  if (tvmgen_default_run(&inputs, &outputs) != 0) return 1;
  for (int i = 0; i < TVMGEN_DEFAULT_LOGITS_SIZE; ++i)
    printf("%.9g\\n", TVMGEN_DEFAULT_LOGITS_SCALE * (logits[i] - TVMGEN_DEFAULT_LOGITS_ZERO_POINT));
}}
""")
    sources = [str(path) for path in tmp_path.glob("*.c")]
    program = str(tmp_path / "program")
    subprocess.run(["gcc", "-O1", f"-I{tmp_path}", *sources, "-o", program, "-lm"], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    found = np.array([float(line) for line in done.stdout.split()])
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-6)
