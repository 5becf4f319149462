"""Files are short, and none imports, even for types alone, one that imports it: but one pair."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dero_tvm", "relax_passes", "relay_passes")
OF_A_REPORT_THAT_PRINTS_ITSELF = {
    ("dero_tvm.report.data", "dero_tvm.report.html"),
    ("dero_tvm.report.data", "dero_tvm.report.timeline_plot"),
}


MOST_LINES = 500
SOURCES = (*PACKAGES, "benchmarks", "examples", "tests")


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(file): file for name in PACKAGES for file in (ROOT / name).rglob("*.py")}


def imported(module: str, source: str) -> Iterator[str]:
    """The modules of this project that a source names in an import, wherever that stands in it."""
    is_package = FILES[module].name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                name = f"{origin}.{alias.name}"
                if name in FILES or origin in FILES:
                    yield name if name in FILES else origin


def import_graph() -> dict[str, set[str]]:
    return {name: set(imported(name, file.read_text())) - {name} for name, file in FILES.items()}


def test_no_circle_but_the_known_ones():
    graph = import_graph()
    assert len(graph) > 500 and sum(map(len, graph.values())) > 2000
    for importer, known in OF_A_REPORT_THAT_PRINTS_ITSELF:
        with pytest.raises(CycleError, match="cycle"):
            TopologicalSorter(graph).prepare()
        graph[importer].remove(known)
    TopologicalSorter(graph).prepare()


def folder(module: str) -> str:
    """The room of a file; families of operators, which import the phases, have one of their own."""
    rules = "relax_passes.operators.rules."
    if module.startswith(rules) and module != f"{rules}registry":
        return rules
    return ".".join(module.split(".")[:2])


def test_no_circle_of_folders():
    rooms: dict[str, set[str]] = {}
    for name, names in import_graph().items():
        rooms.setdefault(folder(name), set()).update(set(map(folder, names)) - {folder(name)})
    assert len(rooms) > 25
    TopologicalSorter(rooms).prepare()


def test_no_file_is_too_long():
    files = [file for folder in SOURCES for file in (ROOT / folder).rglob("*.py")]
    lines = {file: len(file.read_text().splitlines()) for file in files}
    assert len(lines) > 1000
    assert {str(f.relative_to(ROOT)): n for f, n in lines.items() if n > MOST_LINES} == {}
