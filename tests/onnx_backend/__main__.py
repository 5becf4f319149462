"""Runs all node tests, or those whose name has a text in it.

python -m tests.onnx_backend             compare with unsupported.txt
python -m tests.onnx_backend --write     write the list anew
python -m tests.onnx_backend --record    also writes a row of docs/trust.md
python -m tests.onnx_backend resize
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import onnx

from tests.onnx_backend.cases import node_cases
from tests.onnx_backend.runs import PASSED, verdicts
from tests.onnx_backend.unsupported import differences, read_list, write_list
from tests.trust import record


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run the ONNX backend's node tests.")
    parser.add_argument("part", nargs="?", default="", help="of the names of the cases to run")
    parser.add_argument("--write", action="store_true", help="write the list of what does not pass")
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    cases = [case for name, case in node_cases().items() if options.part in name]
    with tempfile.TemporaryDirectory() as folder:
        found = verdicts(cases, Path(folder))
    if options.write and not options.part:
        write_list(found)
    counts = Counter(verdict.split(":")[0] for verdict in found.values())
    wrong = differences(found, read_list())
    if options.part:
        print("\n".join(f"{name}: {verdict}" for name, verdict in found.items()))
    print("\n".join(wrong))
    listed = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
    print(f"onnx {onnx.__version__}: {len(found):,} cases: {listed}; {time.process_time():.0f} s")
    print(f"{counts[PASSED]:,} pass, {len(wrong)} are not as listed")
    if options.record and not options.part and not wrong:
        record(
            "onnx_node_tests",
            claim="A node test of the ONNX package, compiled to C, gives the expected result, or is"
            " refused with the error that `tests/onnx_backend/unsupported.txt` lists.",
            command="python -m tests.onnx_backend",
            counts={"onnx": onnx.__version__, "cases": len(found), **dict(sorted(counts.items()))},
        )
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
