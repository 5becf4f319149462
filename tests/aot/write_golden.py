"""Generated C of two tiny networks, committed so that reviews show what a change does to it.

After a wanted change: ``python -m tests.aot.write_golden`` from the repository's root, and look at
the difference.
"""

from __future__ import annotations

from pathlib import Path

import dero_tvm
from tests.aot.networks import float32_normalized, int8_block

FOLDER = Path(__file__).parent / "golden"
NETWORKS = {"int8_block": int8_block, "float32_normalized": float32_normalized}


def generated(name: str) -> dict[str, bytes]:
    """File name -> content of the C of a network."""
    archive = dero_tvm.compile(NETWORKS[name](), dero="stream", name=name).archive
    return {**archive.c_headers(), **archive.c_sources()}


if __name__ == "__main__":
    for old in FOLDER.glob("*.[ch]"):
        old.unlink()
    for network in NETWORKS:
        for file, content in generated(network).items():
            (FOLDER / file).write_bytes(content)
