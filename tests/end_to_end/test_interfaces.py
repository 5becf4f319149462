"""One network with residuals through every interface that generated code can have: same bits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dero_tvm
from dero_tvm.runners import run_host_c
from tests.end_to_end.oracles import extremes, only, random_int8, skip_unless_runnable
from tests.host_module import host_function
from tests.small_networks import residual_network

INTERFACES: dict[str, dict[str, Any]] = {
    "arrays in the arena": {},
    "inputs kept": {"keep_inputs": True},
    "arrays of the caller": {"external_io": True},
    "arrays of the caller, inputs kept": {"external_io": True, "keep_inputs": True},
    "rows": {"stream_input": True},
    "rows, output of the caller": {"stream_input": True, "external_io": True},
}
SHAPE = (1, 12, 12, 3)
INPUTS = [*extremes(SHAPE), *random_int8(SHAPE, 4)]
CC = shutil.which("gcc") or shutil.which("cc")


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """What TVM's virtual machine computes of the network, nothing of it rewritten."""
    network = host_function(residual_network(12))
    outputs = np.stack([network(array)[0] for array in INPUTS])
    assert len(np.unique(outputs)) > 30
    return outputs


@pytest.mark.parametrize("interface", INTERFACES)
def test_same_bits(interface: str, expected: np.ndarray) -> None:
    skip_unless_runnable("host-c")
    model = dero_tvm.compile(residual_network(12), **INTERFACES[interface])
    feeds = [{"x": array} for array in INPUTS]
    for options in ({"sanitize": True}, {"copy_io": True}):
        result = run_host_c(model.archive, feeds, **options)
        assert result.guard_ok, result.guard_report
        found = np.stack([only(outputs) for outputs in result.outputs])
        np.testing.assert_array_equal(found, expected)


_TWICE = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "tvmgen_default.h"

static const int8_t image[] = {%s};

int main(void) {
  struct tvmgen_default_inputs inputs;
  struct tvmgen_default_outputs outputs;
  int8_t first[24];
  tvmgen_default_map_io(&inputs, &outputs);
  memcpy(inputs.x, image, sizeof image);
  if (tvmgen_default_run(&inputs, &outputs) != 0) return 1;
  memcpy(first, outputs.output, sizeof first);
  printf("%%d", memcmp(inputs.x, image, sizeof image));
  if (tvmgen_default_run(&inputs, &outputs) != 0) return 1;
  printf(" %%d\\n", memcmp(first, outputs.output, sizeof first));
  return 0;
}
"""


@pytest.mark.skipif(CC is None, reason="a C compiler is not installed")
def test_kept_inputs_serve_a_second_inference(tmp_path: Path) -> None:
    printed = []
    for keep in (True, False):
        model = dero_tvm.compile(residual_network(12), keep_inputs=keep)
        folder = tmp_path / str(keep)
        model.archive.extract_c(folder)
        values = ", ".join(map(str, INPUTS[-1].ravel().tolist()))
        (folder / "main.c").write_text(_TWICE % values)
        sources = map(str, sorted(folder.glob("*.c")))
        command = [CC, "-std=c11", "-Wall", "-Wextra", "-Werror", *sources, "-lm", "-o"]
        subprocess.run([*command, str(folder / "main")], check=True)
        done = subprocess.run([str(folder / "main")], check=True, capture_output=True, text=True)
        printed.append(done.stdout.split())
    assert printed[0] == ["0", "0"]
    assert printed[1][0] != "0"  # without it, the arena saves the bytes of the input
