"""The comparison with other tools: its tables, and tools that cannot be installed or fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.page_parts import with_part
from benchmarks.peers import __main__ as command
from benchmarks.peers.environment import Environment
from benchmarks.peers.networks import Network
from benchmarks.peers.page import OWN, chart, tables
from benchmarks.peers.result import Answer, ToolFailed
from benchmarks.peers.tools import TOOLS, compared

NETWORK = Network("Small", "float32", Path("small.onnx"))
ROWS = [
    (
        NETWORK,
        {
            OWN: Answer(1_000, "yes", "reference"),
            "Other": Answer(2_500, "no", "equal"),
            "Absent": Answer(failure="not installed: no such package"),
        },
    )
]


def test_tables():
    text = tables(ROWS, TOOLS[:1], {OWN: "0.1"}, "2026-01-31")
    assert "on 2026-01-31" in text
    assert "| Small, float32 | dero_tvm | 1,000 |  | yes | reference |" in text
    assert "|  | Other | 2,500 | x2.50 | no | equal |" in text
    assert "|  | Absent | | | not installed: no such package | |" in text


def test_page_without_a_place():
    with pytest.raises(SystemExit, match="no place for the tables"):
        with_part("# A page", "measured", "text")
    page = "a\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nb"
    assert "\nnew\n" in with_part(page, "measured", "new") and "old" not in with_part(
        page, "measured", "new"
    )


def test_chart(tmp_path):
    for theme in ("light", "dark"):
        chart([*ROWS, *ROWS], tmp_path / f"{theme}.svg", theme)
    assert (tmp_path / "light.svg").read_bytes() != (tmp_path / "dark.svg").read_bytes()


def test_a_tool_that_cannot_be_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    tool = replace(TOOLS[0], package="none", requirements=(str(tmp_path / "no-such.whl"),))
    reason = command.installed(tool, {})
    assert isinstance(reason, str) and reason.startswith("not installed: ")
    assert "\n" not in reason
    assert command.asked(tool, reason, NETWORK, None) == Answer(failure=reason)


def test_a_program_that_fails(tmp_path):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho reading >&2\necho no such model >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(ToolFailed, match="^no such model$"):
        Environment(tmp_path, ()).ask("onnxsim_plan.py", ["model.onnx"], 60)
    python.write_text("#!/bin/sh\nsleep 60\n")
    with pytest.raises(ToolFailed, match="took more than 1 s"):
        Environment(tmp_path, ()).ask("onnxsim_plan.py", ["model.onnx"], 1)


def test_compared():
    a = np.array([1, 2, 3], "int8")
    assert compared(a, a.copy()) == "equal"
    assert compared(np.array([[1, 2, 5]], "int8"), a) == "1 of 3 differ, by 2 at most"
    assert compared(np.array([1.0, 2.0], "float32"), np.array([1.0, 2.002], "float32")).startswith(
        "within 1e-03"
    )
