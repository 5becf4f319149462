"""Kernels' C functions, structures and macros: any of them may be in one file with any other."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib.resources import files

_DEFINED = (
    r"^(?:static |\w+_INLINE )[^;{}=()]*?\b(\w+)\(",  # functions
    r"^struct (\w+) \{",
    r"^#define (\w+)",
)


def test_each_name_is_defined_once() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    headers = [
        file for file in (files("dero_tvm.kernels") / "c").iterdir() if file.name.endswith(".h")
    ]
    for header in headers:
        for pattern in _DEFINED:
            for name in re.findall(pattern, header.read_text(), re.MULTILINE):
                found[name].add(header.name)
    assert len(headers) > 20 and len(found) > 200
    assert not {name: where for name, where in found.items() if len(where) > 1}
