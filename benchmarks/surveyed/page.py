"""docs/architectures.md: the results as tables, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .keras_networks import NETWORKS as KERAS
from .keras_networks import TYPES
from .torch_networks import NETWORKS
from .torch_part import EXPORTERS

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"
_TOLERANCE = 1e-5
_HEAD = """\
# Architectures that compile

Networks that people use, with random weights and small images, as
`python benchmarks/architectures.py` compiled and ran them: those of PyTorch by ONNX and by
`torch.export` in float32, those of Keras as TFLite in three types. Measured are {torch} of the
{all_torch} of PyTorch in its list, and {keras} of {all_keras} files of Keras; `--table` writes this
page.

- *arena*: bytes, everything counted, of *whole*, the arena with every tensor whole;
- *opaque*: bytes of the largest operator outside [the set](operators.md) where most is in memory;
- *error*: the largest difference from PyTorch, of the range of its output; for integers, steps from
  LiteRT's reference kernels, for int16 from TensorFlow Lite Micro's.
"""
_COLUMNS = ("network", "", "arena", "whole", "opaque", "error")


def write_page(results: Mapping[str, Mapping[str, Any]]) -> None:
    """The page, of the results by key (see `architectures`)."""
    parts = {part: _rows(part, results) for part in ("torch", "keras")}
    lines = [
        _HEAD.format(
            torch=len({row[0] for row in parts["torch"]}),
            all_torch=len(NETWORKS),
            keras=len(parts["keras"]),
            all_keras=len(KERAS) * len(TYPES),
        )
    ]
    for title, part in (("PyTorch", "torch"), ("Keras", "keras")):
        found = [result for key, result in results.items() if key.startswith(f"{part}/")]
        if found:
            lines += [f"## {title}", "", _summary(found), "", *_table(parts[part]), ""]
    refused = {key: result["reason"] for key, result in results.items() if result.get("reason")}
    if refused:
        lines += ["## Those that do not", ""]
        lines += [f"- `{key.partition('/')[2]}`: {reason}" for key, reason in refused.items()]
        lines.append("")
    _PAGE.write_text("\n".join(lines), encoding="utf-8")


def _summary(results: Sequence[Mapping[str, Any]]) -> str:
    compiled = [result for result in results if result["status"] == "compiled"]
    plain = sum(not result["opaque_at_peak"] for result in compiled)
    exact = sum(_is_exact(result["error"]) for result in compiled)
    return (
        f"Of {len(results)}, {len(compiled)} compile, {plain} with nothing opaque where most is in "
        f"memory, {exact} as exactly as wanted."
    )


def _is_exact(error: float) -> bool:
    return error <= _TOLERANCE  # a step of integers is 1


def _rows(part: str, results: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    ways = EXPORTERS if part == "torch" else TYPES
    names = dict.fromkeys(key.split("/")[1] for key in results if key.startswith(f"{part}/"))
    ordered = [name for name in NETWORKS if name in names] if part == "torch" else list(names)
    return [
        _row(name, way, results[f"{part}/{name}/{way}"])
        for name in ordered
        for way in ways
        if f"{part}/{name}/{way}" in results
    ]


def _row(name: str, way: str, result: Mapping[str, Any]) -> list[str]:
    if result["status"] != "compiled":
        return [name, way, result["status"], "", "", ""]
    opaque = result["opaque_at_peak"]
    sizes = [f"{result['arena']:,}", f"{result['whole']:,}", f"{opaque:,}" if opaque else ""]
    error = result["error"]
    return [name, way, *sizes, f"{error:.0f}" if error >= 1 or not error else f"{error:.0e}"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---|---|---:|---:|---:|---:|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
