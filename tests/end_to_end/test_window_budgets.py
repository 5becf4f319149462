"""Random networks in less memory than streaming needs, with rows handed over at either end."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import dero_tvm
from dero_tvm import UserError
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.runners import run_host_c
from tests.campaigns.compared_outputs import assert_equal_outputs, guarded_outputs
from tests.models.random_images import random_image_network

PORTS = {
    "arrays": {},
    "rows in": {"stream_input": True},
    "rows out": {"stream_output": True},
    "rows": {"stream_input": True, "stream_output": True},
}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize(("seed", "ports"), [*((1, ports) for ports in PORTS), (6, "rows")])
def test_a_byte_less_than_streaming(seed: int, ports: str) -> None:
    """The same bits in what fits, or the least that is possible."""
    module, options = random_image_network(seed), PORTS[ports]
    streamed = dero_tvm.compile(module, **options)
    budget = streamed.report.arena_bytes - 1
    try:
        model = dero_tvm.compile(module, memory_budget=budget, **options)
    except UserError as error:
        assert "the least possible" in str(error)
        return
    assert model.report.arena_bytes <= budget
    image = random_inputs(streamed.archive.inputs, np.random.default_rng(seed))
    whole = dero_tvm.compile(module, dero="none").archive
    expected = guarded_outputs("whole", run_host_c(whole, [image]))
    found = guarded_outputs(ports, run_host_c(model.archive, [image], sanitize=True))
    assert_equal_outputs(ports, found, expected)
