"""Random ONNX networks, compiled to C, against ONNX Runtime.

python -m tests.campaigns.random_onnx 500              seeds 0 to 499, at low priority: nice -n 19
python -m tests.campaigns.random_onnx 100 --first 700
python -m tests.campaigns.random_onnx 500 --record     also writes a row of docs/trust.md
"""

from __future__ import annotations

import argparse
import time

import onnxruntime

from tests.campaigns.batches import batches
from tests.campaigns.random_onnx.runs import Summary, check_networks
from tests.trust import record

BATCH = 25  # networks a C file


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Compile random ONNX networks and compare.")
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--record", action="store_true", help="for docs/trust.md")
    options = parser.parse_args()
    total, start = Summary(), time.process_time()
    for seeds in batches(options.first, options.networks, BATCH):
        found = check_networks(seeds)
        total += found
        seconds = time.process_time() - start
        print(*found.failures, sep="\n", end="\n" * bool(found.failures))
        print(
            f"{total.networks} networks, {total.refused} refused, {len(total.failures)} failures,"
            f" {seconds:.0f} s",
            flush=True,
        )
    print(total.text())
    if options.record and not total.failures:
        _record(total)
    raise SystemExit(bool(total.failures))


def _record(total: Summary) -> None:
    record(
        "random_onnx",
        claim="The C of random ONNX networks of published blocks and single operators with any"
        " attributes, in float32 and quantized, gives the outputs of ONNX Runtime without graph"
        " optimizations: float32 to 1e-5 of an output's greatest magnitude, int8 and uint8 bit by"
        " bit, for inputs that bring no value within 1/10,000 of a step of a tie.",
        command=f"python -m tests.campaigns.random_onnx {total.networks}",
        counts={
            "onnxruntime": onnxruntime.__version__,
            "random networks": total.networks,
            "programs of them": total.programs,
            "kinds of operators in them": len(total.operators),
            "refused": total.refused,
        },
    )


if __name__ == "__main__":
    main()
