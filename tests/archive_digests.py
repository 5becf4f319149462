"""What archives of the bundled networks hold, as digests that another machine compares.

    python -m tests.archive_digests            compares with archive_digests.json
    python -m tests.archive_digests --write    writes it, after a wanted change of generated code

The file is committed: whoever runs the tests compares what his machine makes with what ours made.
Versions, which an archive's metadata lists, are left out of the digests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

import dero_tvm

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "float32, as written, host": ("digits_float32", {"dero": "none"}),
    "float32, streamed, Cortex-M4": ("digits_float32", {"target": "mps2-an386"}),
    "int8, streamed, host": ("digits_int8", {}),
    "int8, accumulated, Cortex-M4": ("digits_int8", {"target": "mps2-an386", "dero": "accumulate"}),
    "int8, streamed, Cortex-M55": ("digits_int8", {"target": "mps3-an547", "integer_io": True}),
}


def digests() -> dict[str, dict[str, str]]:
    """Of each case, path in the archive -> SHA-256 of the file."""
    return {case: _digests(name, options) for case, (name, options) in CASES.items()}


def _digests(name: str, options: dict[str, Any]) -> dict[str, str]:
    archive = dero_tvm.compile(ROOT / "examples" / "models" / f"{name}.onnx", **options).archive
    files = dict(archive.files)
    metadata = json.loads(files["metadata.json"])
    for module in metadata["modules"].values():
        del module["dero"]["versions"]
    files["metadata.json"] = json.dumps(metadata).encode()
    return {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}


def differences() -> list[str]:
    """Case and path of each file that is not as recorded."""
    recorded, made = json.loads(RECORD.read_text()), digests()
    found = []
    for case in sorted({*recorded, *made}):
        old, new = recorded.get(case, {}), made.get(case, {})
        found += [
            f"{case}: {path}"
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path) and not _names_processor(path)
        ]
    return found


def _names_processor(path: str) -> bool:
    """LLVM's listing begins with the kind of machine it was made on."""
    return path.endswith(".ll") and platform.machine() != "x86_64"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write archive_digests.json")
    if parser.parse_args().write:
        RECORD.write_text(json.dumps(digests(), indent=1) + "\n")
        return 0
    differing = differences()
    print("\n".join(differing) or f"the archives of {len(CASES)} compilations are as recorded")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
