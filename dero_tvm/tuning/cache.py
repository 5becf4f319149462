"""The file that keeps what kernels take, so that each is measured once.

JSON, small enough to be looked at and kept beside a project:

    {"format": 1,
     "trials": {"<digest>": {"operation": "conv2d: 1x8x8x16 int8, ...", "core": "cortex-m7",
                             "unit": "instructions",
                             "kernels": ["dsp_conv2d", "portable"], "costs": [98120, 401240]}}}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dero_tvm.boundary.atomic_write import write_atomically
from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.json_text import LARGEST, parsed_json
from dero_tvm.boundary.whole_file import whole_file

_FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """The figures of one trial, and enough for a reader to know which."""

    operation: str
    core: str
    unit: str
    kernels: tuple[str, ...]  # names, the default first
    costs: tuple[int, ...]


def default_cache() -> Path:
    """``dero_tvm/kernels.json`` in the user's folder for caches (``XDG_CACHE_HOME``)."""
    home = Path.home()
    if sys.platform == "win32":
        folder = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    else:
        folder = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(folder) / "dero_tvm" / "kernels.json"


def read_cache(path: Path) -> dict[str, Entry]:
    """The entries of a file; none if it does not exist yet.

    Raises UserError if it cannot be read, or is not such a file.
    """
    try:
        data = parsed_json(whole_file(path, LARGEST))
        if not isinstance(data, dict) or data["format"] != _FORMAT:
            raise ValueError("another format")
        return {key: _entry(values) for key, values in data["trials"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):  # not JSON, or not of this form
        raise UserError(
            f"{path} is not a cache of measured kernels: delete it, or name another file with "
            "--tune-cache"
        ) from None


def write_cache(path: Path, entries: Mapping[str, Entry]) -> None:
    """Add `entries` to the file, which appears whole or stays as it was."""
    # Read again: another run may have added its own in the meantime.
    merged = {**read_cache(path), **entries}
    trials = {key: asdict(merged[key]) for key in sorted(merged)}
    text = json.dumps({"format": _FORMAT, "trials": trials}, indent=1)
    write_atomically(path, f"{text}\n".encode())


def _entry(values: Mapping[str, Any]) -> Entry:
    if values.keys() != {field.name for field in fields(Entry)}:
        raise ValueError("unknown fields")
    kernels, costs = tuple(values["kernels"]), tuple(values["costs"])
    texts = (values["operation"], values["core"], values["unit"], *kernels)
    if not all(isinstance(text, str) for text in texts) or len(kernels) != len(costs):
        raise ValueError("wrong types")
    if not all(isinstance(cost, int) and cost >= 0 for cost in costs):
        raise ValueError("wrong costs")
    return Entry(values["operation"], values["core"], values["unit"], kernels, costs)
