"""Large networks, which several functions run on the host: sizes of these, and the same results."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

import dero_tvm
from dero_tvm.aot import host_parts
from dero_tvm.aot.archive import HOST_PROGRAM, ModelArchive
from dero_tvm.aot.header import interface_of
from dero_tvm.aot.host_parts import LARGEST, parts
from dero_tvm.aot.host_program import host_module
from dero_tvm.aot.llvm import llvm_ir
from dero_tvm.aot.program import Program
from dero_tvm.boundary.input_arrays import random_inputs
from dero_tvm.driver import compiler
from dero_tvm.runners.host import HostProgram
from examples.models.residual_chain import residual_chain
from tests.end_to_end.test_row_orders import NETWORKS, branches, pyramid

CASES = {
    "several steps": (pyramid, {}),
    "rows from a list": (branches, {}),
    **{name: NETWORKS[name] for name in ("residual by rows", "image to image by rows")},
}
CC = shutil.which("cc") or shutil.which("gcc")


def functions(text: str) -> dict[str, str]:
    """The bodies of the functions in LLVM IR, by name."""
    found = re.finditer(r"^define .*?@(\w+)\((?s:.*?)^}$", text, re.MULTILINE)
    return {match[1]: match[0] for match in found}


def host_text(archive: ModelArchive) -> str:
    return archive.files[HOST_PROGRAM].decode()


def test_small_networks_are_not_split() -> None:
    assert parts([LARGEST]) == parts([1] * LARGEST) == parts([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_bound_on_the_stages_of_a_part(seed: int) -> None:
    stages = np.random.default_rng(seed).integers(1, 2 * LARGEST, 60).tolist()
    split = parts(stages)
    assert [step for part in split for step in part] == list(range(len(stages)))
    sums = [sum(stages[step] for step in part) for part in split]
    assert all(held <= LARGEST or len(part) == 1 for held, part in zip(sums, split))
    # Nor are there more of them than need be: two neighbours would be too large.
    assert all(a + b > LARGEST for a, b in zip(sums, sums[1:]))


@pytest.mark.parametrize("case", CASES)
def test_parts_give_the_same_results(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, options = CASES[case]
    programs: list[Program] = []
    original = compiler.program_of
    monkeypatch.setattr(
        compiler, "program_of", lambda *a: programs.append(original(*a)) or programs[-1]
    )
    model = dero_tvm.compile(network(), **options)
    data = random_inputs(model.archive.inputs, np.random.default_rng(4))
    expected = model.run(data, "host")
    assert all(values.std() > 0 for values in expected.values())
    assert "run_part_" not in host_text(model.archive)
    found = {"host-c": model.run(data, "host-c")} if CC else {}
    for name, program in {"own": programs[-1], "shared": with_shared(programs[-1])}.items():
        for largest in (1, 3):
            monkeypatch.setattr(host_parts, "LARGEST", largest)
            text = llvm_ir(host_module(program, interface_of(program)))
            assert "@run_part_0(" in text
            archive = ModelArchive({**model.archive.files, HOST_PROGRAM: text.encode()})
            found[f"{name}, {largest}"] = HostProgram(archive).run(data)
    for kind, outputs in found.items():
        for name, values in expected.items():
            np.testing.assert_array_equal(outputs[name], values, err_msg=kind)


def with_shared(program: Program) -> Program:
    """The program with a function for every stage that another one asks for rows."""
    steps = []
    for step in program.steps:
        asked = {producer for stage in step.stages for producer, _ in stage.asks}
        stages = (replace(stage, shared=i in asked) for i, stage in enumerate(step.stages))
        steps.append(replace(step, stages=tuple(stages)))
    return replace(program, steps=tuple(steps))


def test_no_function_grows_with_the_network() -> None:
    """Neither the parts nor the kernels end up in one function again."""
    sizes = []
    for blocks in (16, 32):
        model = dero_tvm.compile(residual_chain(blocks))
        bodies = functions(host_text(model.archive))
        assert sum(name.startswith("run_part_") for name in bodies) > blocks // LARGEST
        sizes.append({name: body.count("\n") for name, body in bodies.items()})
    small, large = (max(size.values()) for size in sizes)
    assert large <= 1.2 * small
