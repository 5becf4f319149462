"""The page on trust is made of its records."""

from __future__ import annotations

import json

import pytest

from tests import trust


def test_page_is_what_its_records_say() -> None:
    assert trust.PAGE.read_text() == trust.page(), "python -m tests.trust mends this"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(trust, "RECORDS", tmp_path / "trust")
    monkeypatch.setattr(trust, "PAGE", tmp_path / "trust.md")
    monkeypatch.setattr(trust, "MISSED", tmp_path / "none.toml")
    return tmp_path


def test_a_record_is_a_row(elsewhere) -> None:
    counts = {"networks": 12345, "widths": "1 | 2"}
    path = trust.record("x", claim="All is well.", command="make x", counts=counts, faults="two")
    assert "apache-tvm" in json.loads(path.read_text())["versions"]
    (row,) = [line for line in trust.PAGE.read_text().splitlines() if "All is well." in line]
    assert row.startswith("| All is well. | 12,345 networks; widths: 1 \\| 2; 2")
    assert row.endswith(" | two | `make x` |")


def test_missed_faults_are_rows_of_their_own(elsewhere, monkeypatch) -> None:
    assert "had missed" not in trust.page()
    monkeypatch.setattr(trust, "MISSED", elsewhere / "missed.toml")
    trust.MISSED.write_text(
        '[[fault]]\ndate = "2026-01-02"\nwhat = "a | b"\nmissed_by = "x"\nfound_by = "y"\n'
    )
    assert "| 2026-01-02 | a \\| b | x | y |\n" in trust.page()


def test_mended_faults_are_not_forgotten(elsewhere) -> None:
    trust.record("x", claim="c", command="x", counts={"runs": 1}, faults="one fault")
    path = trust.record("x", claim="c", command="x", counts={"runs": 2})
    assert json.loads(path.read_text())["faults"] == "one fault"


def test_failing_tests_are_not_recorded(elsewhere) -> None:
    (elsewhere / "test_it.py").write_text("def test_it():\n    assert False\n")
    assert not trust.record_tests("it", "c", ["-p", "no:cacheprovider", str(elsewhere)])
    assert not trust.RECORDS.exists()
    (elsewhere / "test_it.py").write_text("def test_it():\n    pass\n")
    assert trust.record_tests("it", "c", ["-p", "no:cacheprovider", str(elsewhere)])
    assert "| 1 tests; " in trust.PAGE.read_text()


def test_random_cases_are_counted(elsewhere) -> None:
    (elsewhere / "test_it.py").write_text(
        "from hypothesis import given, strategies as st\n"
        "from tests.random_cases import cases\n"
        "@given(st.floats())\n"
        "@cases(4)\n"
        "def test_it(x):\n"
        "    pass\n"
    )
    arguments = ["-p", "no:cacheprovider", "-c", str(trust.ROOT / "pyproject.toml")]
    assert trust.record_tests("it", "c", [*arguments, str(elsewhere)], times=3)
    page = trust.PAGE.read_text()
    assert "| 1 tests; 12 random cases at least; " in page and "tests.trust it --times 3`" in page
