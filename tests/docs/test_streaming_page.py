"""The applications of docs/streaming.md compile without a warning, and give the right numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dero_tvm
from dero_tvm import CompiledModel
from examples.digits_accuracy import MODELS
from tests.conftest import ROOT
from tests.docs.pages import blocks
from tests.models.small_networks import image, image_to_image, run_reference

CC = shutil.which("gcc") or shutil.which("cc")
pytestmark = pytest.mark.skipif(CC is None, reason="a C compiler is not installed")
FLAGS = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]

CAMERA_TEST = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int read_digit(void);
int camera_read_line(int32_t line, uint8_t *pixels, int32_t count);

static const uint8_t pictures[][64] = {%s};
static int picture, missed = -1;

int camera_read_line(int32_t line, uint8_t *pixels, int32_t count) {
  memcpy(pixels, pictures[picture] + line * count, (size_t)count);
  return line != missed;
}

int main(void) {
  for (picture = 0; picture < (int)(sizeof pictures / sizeof pictures[0]); picture++) {
    printf("%%d\\n", read_digit());
  }
  picture = 0;
  missed = 3;
  printf("%%d\\n", read_digit());
  missed = -1;
  printf("%%d\\n", read_digit());
  return 0;
}
"""

MASK_TEST = """
#include <stdint.h>
#include <stdio.h>

int32_t show_mask(int8_t *image);
void display_line(int32_t line, const int8_t *values, int32_t count);

static int8_t image[] = {%s};

void display_line(int32_t line, const int8_t *values, int32_t count) {
  printf("%%d", (int)line);
  for (int32_t i = 0; i < count; i++) {
    printf(" %%d", values[i]);
  }
  printf("\\n");
}

int main(void) { return show_mask(image) != 16; }
"""


def listed(values: np.ndarray) -> str:
    return ", ".join(map(str, values.ravel().tolist()))


def run_application(model: CompiledModel, application: str, test: str, folder: Path) -> str:
    """What the application and the test around it print, built with the model's C."""
    model.archive.extract_c(folder)
    (folder / "application.c").write_text(application)
    (folder / "test.c").write_text(test)
    sources = map(str, sorted(folder.glob("*.c")))
    subprocess.run([CC, *FLAGS, *sources, "-o", str(folder / "program"), "-lm"], check=True)
    program = [str(folder / "program")]
    return subprocess.run(program, check=True, capture_output=True, text=True).stdout


def applications() -> list[str]:
    return blocks(ROOT / "docs" / "streaming.md", "c")


def test_camera(tmp_path: Path) -> None:
    options = {"input_layout": "nhwc", "integer_io": True}
    network = MODELS / "digits_int8.onnx"
    rows = dero_tvm.compile(network, stream_input=True, name="camera", **options)
    pixels = np.rint(np.load(MODELS / "digits_test.npz")["images"][:40] * 255).astype(np.uint8)
    pictures = ", ".join(f"{{{listed(picture)}}}" for picture in pixels)
    printed = run_application(rows, applications()[0], CAMERA_TEST % pictures, tmp_path)

    arrays = dero_tvm.compile(network, **options)
    (port,) = arrays.archive.inputs
    numbers = (pixels.astype(np.int16) - 128).astype(np.int8)
    found = arrays.run([{port.name: picture.reshape(port.shape)} for picture in numbers])
    digits = [int(outputs["logits"].argmax()) for outputs in found]
    assert len(set(digits)) == 10
    assert list(map(int, printed.split())) == [*digits, -1, digits[0]]


def test_mask(tmp_path: Path) -> None:
    model = dero_tvm.compile(image_to_image(), stream_output=True, name="mask")
    data = image((1, 16, 16, 3))
    printed = run_application(model, applications()[1], MASK_TEST % listed(data), tmp_path)
    rows = np.array([line.split() for line in printed.splitlines()], int)
    np.testing.assert_array_equal(rows[:, 0], np.arange(16))
    np.testing.assert_array_equal(
        rows[:, 1:].reshape(1, 16, 16, 4), run_reference(image_to_image(), data)
    )
