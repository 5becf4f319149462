"""The page of `benchmarks/reorganize_families.py`, made of its results alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.page_parts import with_part

from .networks import NETWORKS

_COLUMNS = (
    "family", "network", "joins", "removed", "left", "shortcuts", "fused",
    "whole: original", "plain", "DERO", "by rows: original", "plain", "DERO",
    "trains", "program", "PyTorch", "module", "PyTorch",
)  # fmt: skip
_FORMS = ("original", "plain", "reorganized")


def write_page(path: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the table between the page's marks."""
    path.write_text(with_part(path.read_text(), "measured", _measured(results)))


def summary(results: Mapping[str, Mapping[str, Any]]) -> str:
    """How many networks came out, in a sentence."""
    rows = [row for row in results.values() if row]
    done = sum("reorganized" in row for row in rows)
    refused = sum("refused" in row for row in rows)
    failed = sum("failed" in row for row in rows)
    text = f"{done} of {len(rows)} architectures are reorganized ({done / max(len(rows), 1):.0%})"
    return f"{text}, {refused} refused, {failed} failed."


def _measured(results: Mapping[str, Mapping[str, Any]]) -> str:
    known = [network for network in NETWORKS if network.name in results]
    done = [n for n in known if "reorganized" in results[n.name]]
    lines = [summary(results), "", "| " + " | ".join(_COLUMNS) + " |"]
    lines.append("|---|---" + "|---:" * (len(_COLUMNS) - 2) + "|")
    for network in done:
        cells = [network.family, network.name, *_cells(results[network.name])]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Joins that stay as they are:", ""]
    for network in done:
        left = results[network.name]["left"]
        reasons = "; ".join(f"{count} x {reason}" for reason, count in left.items())
        if reasons:
            lines.append(f"- {network.name}: {reasons}")
    others = [n for n in known if n not in done]
    if others:
        lines += ["", "Not reorganized:", ""]
    for network in others:
        row = results[network.name]
        reason = row.get("refused") or row.get("failed")
        lines.append(f"- {network.name}: {reason if len(reason) < 300 else f'{reason[:300]} ...'}")
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    left = sum(row["left"].values())
    cells = [str(row[key]) for key in ("joins", "reorganized")] + [str(left)]
    cells += [str(row["convolutions"]), str(row.get("fused", ""))]
    for kind in ("whole", "placed"):
        cells += [_kib(row[kind][form]) if kind in row else "" for form in _FORMS]
    cells.append("yes" if row["gradients"] else "no")
    for key in ("program", "module"):
        cells += _distances(row[key]) if key in row else ["", ""]
    return cells


def _distances(found: Mapping[str, float] | None) -> list[str]:
    if found is None:
        return ["not finite", "not finite"]
    return [f"{found[key]:.0e}" if key in found else "" for key in ("compiled", "PyTorch")]


def _kib(size: int) -> str:
    return f"{size / 1024:,.1f}"
