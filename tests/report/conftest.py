"""Reports of one small residual network, and the same with hostile names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dero_tvm.driver.compiler import CompiledModel
from dero_tvm.report import Report
from tests.compiled.models import compiled

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "</script><script>document.title='broken out'</script>",
    "\"'><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}",
    "a" * 10_000,
    "größe\u202e\x1b[31m\ud800 $x^$",
)


@pytest.fixture(scope="session")
def reports() -> dict[str, Report]:
    """By the choice of ``--dero``."""
    return {
        dero: compiled("residual", dero=dero, input_layout="nhwc").report
        for dero in ("none", "accumulate", "stream")
    }


@pytest.fixture(scope="session")
def report(reports: dict[str, Report]) -> Report:
    return reports["accumulate"]


@pytest.fixture(scope="session")
def model_by_rows() -> CompiledModel:
    """A model of which every row has an address of its own."""
    model = compiled("digits_int8")
    assert model.plan.rows is not None
    return model


@pytest.fixture(scope="session")
def by_rows(model_by_rows: CompiledModel) -> Report:
    return model_by_rows.report


@pytest.fixture(scope="session")
def hostile(report: Report) -> Report:
    """`report` with all names replaced, as a model file could have them."""
    names: dict[str, str] = {}

    def replaced(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {k: replaced(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [replaced(v, key) for v in value]
        if isinstance(value, str) and key in _NAMED:
            return names.setdefault(value, f"{HOSTILE[len(names) % len(HOSTILE)]}{len(names)}")
        return value

    return Report.from_dict(replaced(json.loads(report.to_json())))  # type: ignore[arg-type]


_NAMED = {
    *("model", "target", "name", "label", "join", "reason", "peak_step", "tensors", "shortcuts"),
    *("shortcut_of", "operands", "notes", "plain_refusals"),
}
