"""Rules by operator: families that exist are known, and no operator has two rules."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from tvm import relax

from relax_passes.operators import make_call, rules
from relax_passes.operators.rules import registry
from relax_passes.operators.rules.registry import Rules

FAMILY = """
from relax_passes.operators.rules.registry import Rules

DOUBLES = Rules("doubling")
DOUBLES.register("relax.abs", "dero.unary")(lambda number: 2 * number)
"""


def test_a_family_is_known_because_its_file_exists(monkeypatch, tmp_path) -> None:
    (tmp_path / "doubling.py").write_text(FAMILY)
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path)])
    name = f"{rules.__name__}.doubling"
    registry._import_families.cache_clear()
    try:
        assert "relax.abs" not in Rules("something else")  # the first look-up of all imports it
        doubles = sys.modules[name].DOUBLES
    finally:
        sys.modules.pop(name, None)
    assert list(doubles) == ["dero.unary", "relax.abs"]
    x = relax.Var("x", relax.TensorType((2,), "float32"))
    calls = (relax.op.abs(x), make_call("unary", [x], function="relu"), "relax.abs")
    assert [doubles.get(call)(3) for call in calls] == [6, 6, 6]
    assert relax.op.exp(x) not in doubles and x not in doubles


def test_the_documentation_names_the_questions_that_are_asked() -> None:
    text = (Path(__file__).parents[3] / "docs" / "extending.md").read_text()
    listed = {
        name
        for row in re.findall(r"^\| [^|]+\? \| (.*?) \|", text, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }
    found = set()
    for room in ("canonicalization", "reorganization"):
        for path in Path(rules.__file__).parents[2].joinpath(room).glob("*.py"):
            module = importlib.import_module(f"relax_passes.{room}.{path.stem}")
            owned = {n for n, value in vars(module).items() if isinstance(value, Rules)}
            found |= {n for n in owned if re.search(rf"^{n}\b", path.read_text(), re.MULTILINE)}
    assert listed == found


def test_an_operator_has_one_rule_for_a_phase() -> None:
    found: Rules[str] = Rules("naming")
    found.register("relax.abs")("magnitude")
    with pytest.raises(ValueError, match="naming has a rule for relax.abs already"):
        found.register("relax.exp", "relax.abs")("another")
