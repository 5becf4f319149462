"""The results beside the documentation, and the page's tables and figures made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.page_parts import with_part
from dero_tvm.boundary.atomic_write import write_atomically

from ..figure_style import THEMES
from .figure import draw
from .pieces import Choice, wanted
from .results import Results
from .table import tables

DATA, PAGE = Path("retraining", "fashion_mnist.json"), Path("retraining.md")
COMMAND = "python -m benchmarks.fashion_mnist"
_PACKAGES = ("dero-tvm", "apache-tvm", "torch", "numpy", "onnxruntime")


def write_page(docs: Path, results: Results) -> str:
    """Collect the folder's results, if it has any; write data, tables and figures.

    Returns what now stands on the page; SystemExit if there are no results at all.
    """
    path = docs / DATA
    found = results.all()
    if found:
        settings = found.pop("settings")
        known = {"settings": settings, "versions": versions(), "pieces": found}
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, _compact(known).encode())
    elif not path.exists():
        raise SystemExit(f"{results.folder}: no results yet; {COMMAND} makes them")
    known = json.loads(path.read_text())
    text = section(known)
    page = docs / PAGE
    write_atomically(page, with_part(page.read_text(), "fashion-mnist", text).encode())
    for theme in THEMES:
        draw(known["pieces"], docs / "images" / f"fashion-mnist-{theme}.svg", theme)
    return text


def versions() -> dict[str, str]:
    """Of the packages that the numbers depend on."""
    return {package: version(package) for package in _PACKAGES}


def section(known: Mapping[str, Any]) -> str:
    """The page's part: what was run and how long it took, and the tables."""
    pieces = known["pieces"]
    planned = len(wanted(Choice()))
    hours = sum(float(piece["cpu_seconds"]) for piece in pieces.values()) / 3600
    of_all = "all" if len(pieces) == planned else "as yet"
    named = ", ".join(f"{name} {number}" for name, number in known["versions"].items())
    intro = (
        f"As `{COMMAND} --table` wrote it: {known['settings']['epochs']} epochs a training, "
        f"{of_all} {len(pieces)} of {planned} pieces, {hours:.1f} hours of one core; {named}."
    )
    return f"{intro}\n\n{tables(pieces)}"


def _compact(known: Mapping[str, Any]) -> str:
    """JSON with a line for each piece."""
    pieces = known["pieces"]
    lines = [f"  {json.dumps(name)}: {json.dumps(pieces[name])}" for name in sorted(pieces)]
    others = [f" {json.dumps(key)}: {json.dumps(known[key])}" for key in ("settings", "versions")]
    body = ",\n".join([*others, ' "pieces": {\n' + ",\n".join(lines) + "\n }"])
    return "{\n" + body + "\n}\n"
