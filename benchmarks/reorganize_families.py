"""Which residual architectures can be reorganized, and what comes of it, as a Markdown table.

    python benchmarks/reorganize_families.py                    all: one to two hours of a core
    python benchmarks/reorganize_families.py --only resnet18 edsr --again
    python benchmarks/reorganize_families.py --quick            without compiling: half an hour
    python benchmarks/reorganize_families.py --table            docs/dero-families.md anew

Each network has random weights and a small image, and a process of its own with a limit of time.
Results go to `--results` as they come, and what is there is not done again.  It needs torchvision
and timm: ``pip install 'dero-tvm[architectures]'``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks is not installed

from benchmarks.families.networks import NETWORKS, Network  # noqa: E402
from benchmarks.families.table import summary, write_page  # noqa: E402

PAGE = ROOT / "docs" / "dero-families.md"


def main() -> None:
    """Measure what has no result yet, and write the page."""
    arguments = _command_line().parse_args()
    if arguments.one is not None:
        print(json.dumps(_one(arguments.one, quick=arguments.quick)))
        return
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    if not arguments.table:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        for network in NETWORKS:
            if arguments.only and network.name not in arguments.only:
                continue
            if network.name in results and not arguments.again:
                continue
            results[network.name] = _in_process(network, arguments)
            arguments.results.write_text(json.dumps(results, indent=1) + "\n")
            print(network.name, json.dumps(results[network.name]), flush=True)
    write_page(PAGE, results)
    print(summary(results))


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [network.name for network in NETWORKS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NETWORK")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--quick", action="store_true", help="reorganize and train, not compile")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds of a network")
    parser.add_argument("--table", action="store_true", help="only write the page of the results")
    default = ROOT / "build" / "reorganize_families.json"
    parser.add_argument("--results", type=Path, default=default)
    parser.add_argument("--one", choices=names, help=argparse.SUPPRESS)
    return parser


def _one(name: str, *, quick: bool) -> dict[str, Any]:
    from benchmarks.families.measure import measured

    (network,) = [network for network in NETWORKS if network.name == name]
    try:
        return measured(network, quick=quick)
    except Exception as error:
        where = traceback.format_exc(limit=-1).splitlines()[1].strip()
        words = f"{type(error).__name__}: {error} ({where})"
        return {"family": network.family, "failed": " ".join(words.split())[:300]}


def _in_process(network: Network, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", network.name]
    command += ["--quick"] if arguments.quick else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.limit)
    except subprocess.TimeoutExpired:
        failed = f"not done within {arguments.limit:.0f} seconds"
        return {"family": network.family, "failed": failed}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        failed = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        return {"family": network.family, "failed": failed}
    return json.loads(lines[-1])


if __name__ == "__main__":
    main()
