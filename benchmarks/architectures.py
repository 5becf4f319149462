"""Which networks compile, and how: at least 100 of PyTorch by both exporters, and 30 of Keras.

    python benchmarks/architectures.py                          all: some hours on two cores
    python benchmarks/architectures.py --quick                  what is left to TVM: half an hour
    python benchmarks/architectures.py --only unet yolo --part torch --again
    python benchmarks/architectures.py --table                  docs/architectures.md anew

Each network gets random weights and a small image, and is compiled in a process of its own, with a
limit of time.  Results go to `--results` as they come, and what is there is not done again.  With
`pip install 'dero-tvm[architectures]'` everything that it imports is there; another Python with
TensorFlow may write Keras' files (`--keras-python`).
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks is not installed

PARTS = ("torch", "keras")
_LONGEST_REASON = 300  # characters


def main() -> None:
    """Measure what is missing in the results, or make the page of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="PART", help="networks with this in the name")
    parser.add_argument("--part", choices=PARTS, help="only networks of PyTorch, or of Keras")
    parser.add_argument("--quick", action="store_true", help="rewrite, without compiling and runs")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds of a network")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "architectures.json")
    parser.add_argument("--keras-python", default=sys.executable, help="has TensorFlow")
    parser.add_argument("--table", action="store_true", help="only write the page of the results")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    if arguments.table:
        from benchmarks.surveyed.page import write_page

        write_page(results)
        return
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    for key in _wanted(arguments):
        if arguments.again or key not in results:
            results[key] = _measured(key, arguments)
            arguments.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
            print(key, _line(results[key]), flush=True)


def _wanted(arguments: argparse.Namespace) -> Iterator[str]:
    """Keys of results: the part, the network, the exporter or type."""
    keys: list[str] = []
    if arguments.part != "keras":
        from benchmarks.surveyed.torch_networks import NETWORKS
        from benchmarks.surveyed.torch_part import EXPORTERS

        keys += [f"torch/{name}/{exporter}" for name in NETWORKS for exporter in EXPORTERS]
    if arguments.part != "torch":
        from benchmarks.surveyed import keras_networks as keras

        keys += [f"keras/{name}/{dtype}" for name in keras.NETWORKS for dtype in keras.TYPES]
    pieces = arguments.only or [""]
    return (key for key in keys if any(piece in key for piece in pieces))


def _measured(key: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: a fork, which has PyTorch and TVM already."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, key, arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(arguments.limit):
            reason = f"not done in {arguments.limit:.0f} seconds"
            return {"status": "failed", "reason": reason}
        return receiver.recv()
    except EOFError:
        return {"status": "failed", "reason": "its process ended"}
    finally:
        process.kill()
        process.join()


def _send(sender: Any, key: str, arguments: argparse.Namespace) -> None:
    part, name, way = key.split("/")
    module = importlib.import_module(f"benchmarks.surveyed.{part}_part")
    try:
        result = module.measure(
            name, way, quick=arguments.quick, keras_python=arguments.keras_python
        )
    except Exception as error:
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        result = {"status": "failed", "reason": words[:_LONGEST_REASON]}
    sender.send(result)


def _line(result: dict[str, Any]) -> str:
    return (
        " ".join(f"{name}={value}" for name, value in result.items() if name != "status")
        or (result["status"])
    )


if __name__ == "__main__":
    main()
