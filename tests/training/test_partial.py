"""Reorganizing some joins alone: those named, those at the peak, as many as a board wants."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="onnxscript, which PyTorch exports ONNX with, is missing")

from torch import nn  # noqa: E402

import dero_tvm  # noqa: E402
from dero_tvm.boards.board import load_board  # noqa: E402
from dero_tvm.boards.regions import STACK_RESERVE  # noqa: E402
from dero_tvm.training.report_text import partial_text  # noqa: E402
from tests.models.onnx_exports import exported_onnx  # noqa: E402
from tests.training.network_families import Add, conv  # noqa: E402

SHAPE = (1, 3, 16, 16)


def bottleneck(wide, narrow):
    return Add(
        nn.Sequential(conv(wide, narrow, 1), conv(narrow, narrow), conv(narrow, wide, 1, act=None)),
        act=nn.ReLU,
    )


class Wide(nn.Module):
    """Three wide blocks; `apart`, the first one's result is an output, too."""

    def __init__(self, *, apart=False):
        super().__init__()
        self.apart = apart
        self.stem, self.first = conv(3, 32), bottleneck(32, 4)
        self.rest = nn.Sequential(bottleneck(32, 4), conv(32, 16, 1), bottleneck(16, 4))
        self.last = nn.Linear(16, 5)

    def forward(self, x):
        first = self.first(self.stem(x))
        scores = self.last(self.rest(first).mean((2, 3)))
        return (first.mean((2, 3)), scores) if self.apart else scores


def exported(model):
    return exported_onnx(model, torch.zeros(*SHAPE), "legacy", "image")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return exported(Wide().eval())


def removed(made):
    return [d.join for d in made.report.decisions if d.action == "removed"]


def board_of(size):
    """One with so many bytes beside the stack."""
    board = load_board("nrf52840dk")
    size += STACK_RESERVE
    return replace(board, ram=(replace(board.ram[0], size=size),))


def test_named_joins() -> None:
    """What stands before the block that changes computes what it did."""
    torch.manual_seed(0)
    original = Wide(apart=True).eval()
    made = dero_tvm.reorganize(exported(original), joins="/rest/rest.0/Add")
    assert removed(made) == ["Add '/rest/rest.0/Add'"]
    assert len(made.report.shortcuts) == 3  # the block's convolutions
    assert len(made.report.without_shortcut) == 8
    image = torch.randn(*SHAPE)
    before, after = original(image), made.network().eval()(image)
    torch.testing.assert_close(after[0], before[0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(after[1], before[1], rtol=1e-2)
    reasons = {d.reason for d in made.report.decisions if d.action == "left alone"}
    assert reasons == {
        "it is none of the joins that were to be reorganized, so its block stays exact"
    }


def test_no_join_of_that_name(model) -> None:
    with pytest.raises(dero_tvm.UserError) as caught:
        dero_tvm.reorganize(model, joins=["/rest/rest.7/Add"])
    assert str(caught.value) == (
        "main_graph: --joins /rest/rest.7/Add: no residual join of that name can be reorganized; "
        "there are /first/Add, /rest/rest.0/Add, /rest/rest.2/Add"
    )


@pytest.fixture(scope="module")
def at_peak(model):
    return dero_tvm.reorganize(model, joins="peak")


def test_joins_at_the_peak(at_peak) -> None:
    partly = at_peak.report.partial
    assert removed(at_peak) == [f"Add '{join}'" for join in partly.joins]
    assert partly.of == len(partly.joins) == 3  # rows run through all blocks at once
    assert partly.after < partly.before
    assert partial_text(partly).startswith("3 of 3 residual joins reorganized, the others exact: ")


def test_fewest_joins_for_a_board(model, at_peak) -> None:
    before = at_peak.report.partial.before
    made = dero_tvm.reorganize(model, board=board_of(before - 1))
    partly = made.report.partial
    assert len(partly.joins) == 1
    assert removed(made) == [f"Add '{partly.joins[0]}'"]
    assert partly.after <= partly.capacity == before - 1
    with pytest.raises(dero_tvm.UserError, match="main_graph: fits nrf52840dk as it is: it needs"):
        dero_tvm.reorganize(model, board=board_of(before))
    with pytest.raises(
        dero_tvm.UserError, match="main_graph: does not fit nrf52840dk by reorganizing: with all 3"
    ):
        dero_tvm.reorganize(model, board=board_of(1024))


def test_options_that_exclude_each_other(model) -> None:
    with pytest.raises(dero_tvm.UserError, match="give that or --joins"):
        dero_tvm.reorganize(model, joins="peak", board="nrf52840dk")
    with pytest.raises(dero_tvm.UserError, match="the plain baseline has no residual joins"):
        dero_tvm.reorganize(model, joins="peak", plain=True)
