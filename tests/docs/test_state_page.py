"""The application of docs/state.md compiles without a warning, and gives the right numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import dero_tvm
from tests.conftest import ROOT
from tests.docs.pages import blocks
from tests.docs.test_pages import without_comments
from tests.docs.test_streaming_page import listed, pytestmark, run_application  # noqa: F401
from tests.end_to_end.oracles import litert
from tests.models.tflite_builder import TFLiteBuilder

TEST = """
#include <stdint.h>
#include <stdio.h>

void begin_to_listen(void);
int hear(const int8_t *features);

static const int8_t frames[][10] = {%s};

int main(void) {
  for (int repeated = 0; repeated < 2; repeated++) {
    begin_to_listen();
    for (int i = 0; i < (int)(sizeof frames / sizeof frames[0]); i++) {
      printf("%%d\\n", hear(frames[i]));
    }
  }
  return 0;
}
"""


def listener() -> bytes:
    """One layer of filters over time."""
    rng = np.random.default_rng(0)
    b = TFLiteBuilder()
    x = b.input("features", (1, 10), "int8", scale=0.05, zero_point=3)
    feature = b.constant("f", rng.integers(-127, 128, (5, 10)), "int8", scale=0.01)
    time = b.constant("t", rng.integers(-3000, 3001, (5, 2)), "int16", scale=0.0001)
    bias = b.constant("b", rng.integers(-500, 500, 5), "int32", scale=0.0005 * 0.0001)
    state = b.tensor("s", (1, 10), "int16", scale=0.0005, is_variable=True)
    y = b.tensor("scores", (1, 5), "int8", scale=0.1, zero_point=-5)
    options = {"rank": 1, "fused_activation_function": "RELU"}
    b.operator("SVDF", [x, feature, time, bias, state], [y], **options)
    return b.build([y])


def test_listener(tmp_path: Path) -> None:
    path = tmp_path / "listener.tflite"
    path.write_bytes(listener())
    model = dero_tvm.compile(path, name="listener")
    part, application = blocks(ROOT / "docs" / "state.md", "c")
    header = model.archive.c_headers()["tvmgen_listener.h"].decode()
    for line in without_comments(part):
        assert line in without_comments(header), header

    frames = list(np.random.default_rng(1).integers(-128, 128, (8, 1, 10)).astype(np.int8))
    expected = [int(scores.argmax()) for scores in litert(path.read_bytes(), frames)]
    rows = ", ".join(f"{{{listed(frame)}}}" for frame in frames)
    printed = run_application(model, application, TEST % rows, tmp_path)
    assert list(map(int, printed.split())) == expected * 2
    assert expected != [int(litert(path.read_bytes(), [f])[0].argmax()) for f in frames]
