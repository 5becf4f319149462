r"""Trains, quantizes and measures the networks in pieces, or makes the table of what is done.

    python -m benchmarks.fashion_mnist [--family basic] [--blocks 6] [--form plain] \
        [--start scratch] [--seed 0]
    python -m benchmarks.fashion_mnist --table

The first trains what is chosen, or all of it, and what that needs.  Results go to a folder, by
default build/fashion_mnist; what is there already is not made again, so it can be stopped at any
time.  The second writes docs/retraining/fashion_mnist.json from the folder, and the table and the
figure in docs/ from that file.

Needs `pip install -e '.[torch,examples,plot]'`, and for the images the Debian package
dataset-fashion-mnist: `scripts/apt-install dataset-fashion-mnist`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .families import FAMILIES, FORMS
from .images import FOLDER, NoImages, read_data_set
from .page import write_page
from .pieces import SEEDS, STARTS, Choice, wanted
from .results import OtherSettings, Results
from .run import Experiment, run

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 3


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fashion_mnist", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--family", choices=tuple(FAMILIES))
    parser.add_argument("--blocks", type=int, help="in each stage")
    parser.add_argument("--form", choices=FORMS)
    parser.add_argument("--start", choices=STARTS, help="the weights that training begins with")
    parser.add_argument("--seed", type=int, choices=SEEDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each training")
    parser.add_argument("--processes", type=int, default=2, help="pieces at the same time")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "fashion_mnist")
    parser.add_argument("--images", type=Path, default=FOLDER, help="the folder of the data set")
    parser.add_argument("--table", action="store_true", help="write the documentation's table")
    arguments = parser.parse_args()
    results = Results(arguments.results)
    if arguments.table:
        print(write_page(ROOT / "docs", results))
        return
    chosen = ("family", "blocks", "form", "start", "seed")
    choice = Choice(**{name: getattr(arguments, name) for name in chosen})
    try:
        read_data_set(arguments.images)
        results.begin({"epochs": arguments.epochs})
    except (NoImages, OtherSettings) as error:
        raise SystemExit(str(error)) from None
    pieces = wanted(choice, results.done())
    if not pieces:
        print("nothing to do: all that was chosen is done, or there is no such piece")
        return
    experiment = Experiment(arguments.results, arguments.images, arguments.epochs)
    failed = run(pieces, experiment, arguments.processes)
    if failed:
        raise SystemExit(f"failed, or in need of what failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
