"""The board and the pass of docs/extending.md work as the page says."""

from __future__ import annotations

import tvm
from tvm.ir import assert_structural_equal
from tvm.relax import op

import dero_tvm
from dero_tvm.boards.board import load_board
from examples.digits_accuracy import MODELS
from relax_passes.ir.decisions import LEFT_ALONE, Decision, decisions, record
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.pipeline import Canonicalize
from tests.conftest import ROOT
from tests.docs.pages import blocks
from tests.relax_passes.network_parts import network


def test_the_board_of_the_page_is_compiled_for(tmp_path) -> None:
    (text,) = blocks(ROOT / "docs" / "extending.md", "toml")
    path = tmp_path / "my-board.toml"
    path.write_text(text)
    assert load_board(str(path)).name == "my-board"
    model = dero_tvm.compile(MODELS / "digits_int8.onnx", target=str(path))
    assert model.board.name == "my-board"


NAME = "CountBranches"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class CountBranches:
    """A pass written after the page: it looks at each tensor that several operators read."""

    def transform_module(self, module, _context):
        graph = operator_graph(module)
        branches = (name for name in graph if graph.digraph.out_degree(name) > 1)
        reason = "several operators read it"
        return record(module, [Decision(NAME, name, LEFT_ALONE, reason) for name in branches])


def test_a_pass_written_after_the_page_records_its_decisions() -> None:
    def build(emit, x):
        a = emit(op.nn.relu(x))
        return op.add(emit(op.exp(a)), emit(op.abs(a)))

    before = network(build, (1, 3, 8, 8))
    after = tvm.transform.Sequential([Canonicalize(), CountBranches()])(before)
    (decision,) = decisions(after)
    assert decision.pass_name == NAME
    assert_structural_equal(CountBranches()(after), after)
