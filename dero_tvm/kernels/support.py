"""The C functions that kernels share, each file once and after those it includes.

A support file is a C header that compiles by itself: it includes headers of the C library with
``<>`` and other support files with ``""``.  In the generated source the latter are replaced by
their text and the former are left to the printer, which adds the headers for what a file uses.
Compilers' own headers (``<arm_acle.h>``) stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dero_tvm.boundary.errors import UserError

_EVERY_FUNCTION = Path(__file__).parent / "c" / "hot.h"
ROUNDS = "rounds_"  # begins the names of files that a way of rounding in requantize.h needs
_INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)
_LIBRARY = re.compile(
    r"^#include <(?:stdint|stdbool|stddef|string|math)\.h>\n|^#pragma once\n", re.MULTILINE
)


def support_code(files: Iterable[Path]) -> list[str]:
    """The text of `files` and of what they include, in an order in which C can read them.

    First what stands in front of every function, with support or without, and what says which parts
    of other files the program needs.
    """
    texts: dict[Path, str] = {}
    wanted = tuple(files)
    needs = (file for file in wanted if file.name.startswith(ROUNDS))
    for file in (_EVERY_FUNCTION, *needs, *wanted):
        _collect(file.resolve(), texts)
    return list(texts.values())


def includes(files: Iterable[Path], name: str) -> bool:
    """Whether one of `files` is called so or includes a file of that name, itself or by others."""
    return any(
        file.name == name
        or includes((file.parent / include for include in _INCLUDE.findall(_read(file))), name)
        for file in files
    )


def _collect(file: Path, texts: dict[Path, str]) -> None:
    if file in texts:
        return
    text = _read(file)
    for include in _INCLUDE.findall(text):
        _collect((file.parent / include).resolve(), texts)
    texts[file] = _LIBRARY.sub("", _INCLUDE.sub("", text)).strip()


@cache
def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The C file {file} of a kernel cannot be read: {error.strerror}. Beside the generator "
            f'it is Path(__file__).with_name("{file.name}").'
        ) from error
