"""Arena bytes of models at each level of rewriting, as a Markdown table.

    python benchmarks/arena.py [--integer-io] MODEL ...

All sizes count everything that an inference needs besides the stack: inputs, outputs, tensors,
rings, scratch, alignment.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import dero_tvm


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--integer-io", action="store_true", help="as tvmc compile --integer-io")
    arguments = parser.parse_args()
    print("| model | whole tensors | plain network | accumulated | streamed | seconds |")
    print("|---|---:|---:|---:|---:|---:|")
    for path in arguments.models:
        start = time.monotonic()
        reports = [
            dero_tvm.compile(path, dero=mode, integer_io=arguments.integer_io).report
            for mode in ("accumulate", "stream")
        ]
        sizes = [reports[0].whole_bytes, reports[0].plain_bytes]
        sizes += [report.arena_bytes for report in reports]
        cells = " | ".join(f"{size:,}" for size in sizes)
        print(f"| {path.stem} | {cells} | {time.monotonic() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
