"""The list of node tests that do not pass, each with the reason; it may only shrink.

Its first line says whose release of the onnx package the cases are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from tests.onnx_backend.runs import PASSED

LIST = Path(__file__).with_name("unsupported.txt")


def read_list() -> dict[str, str]:
    """Why each listed case does not pass."""
    return dict(line.split(": ", 1) for line in LIST.read_text().splitlines()[1:])


def list_release() -> str:
    """The release of the onnx package that the list is for."""
    return LIST.read_text().splitlines()[0].removeprefix("onnx ")


def write_list(found: Mapping[str, str]) -> None:
    """List what did not pass."""
    lines = [f"{name}: {text}\n" for name, text in sorted(found.items()) if text != PASSED]
    LIST.write_text("".join([f"onnx {onnx.__version__}\n", *lines]))


def differences(found: Mapping[str, str], listed: Mapping[str, str]) -> list[str]:
    """One line for each case that fails and is not listed, passes though listed, or fails anew."""
    lines = []
    for name, verdict in found.items():
        expected = listed.get(name, PASSED)
        if verdict != expected:
            lines.append(f"{name}: {verdict} (listed: {expected})")
    return lines
