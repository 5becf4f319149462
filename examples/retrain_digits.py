"""A deep residual network, its plain baseline and the reorganized one, trained alike on digits.

    python examples/retrain_digits.py

The network has so many layers that it hardly trains without residual connections.  `dero_tvm`
makes the plain baseline and the reorganized network of it; all three are trained from scratch on
scikit-learn's 8x8 digits, with several seeds and the same budget.  A fourth training, "heir",
begins with the weights that the reorganized network inherits from the trained residual one.  The
reorganized network of the first seed is then quantized to int8, compiled for a Cortex-M7, and run
on an emulated one.

Prints test accuracies, parameters, and planned arenas of the int8 networks in bytes, with
everything counted.  Needs `pip install -e '.[torch,examples]'`, QEMU and the Arm compiler.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F
from train_digits import Block, accuracy, export, shifted

import dero_tvm

BLOCKS = 5  # in each stage, of two convolutions each
WIDTHS = (8, 16, 32)  # of the stages
BATCH = 64
CALIBRATION_IMAGES = 200
RESIDUAL, PLAIN, REORGANIZED = "residual", "plain baseline", "reorganized"
INHERITED = "reorganized, heir"
BOARD = "mps2-an500"


class ResidualNetwork(nn.Sequential):
    """[N, 1, 8, 8] grey values from 0 to 1 -> [N, 10] logits."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
        ]
        channels = WIDTHS[0]
        for width in WIDTHS:
            for _ in range(BLOCKS):
                layers.append(Block(channels, width, stride=1 if width == channels else 2))
                channels = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


@dataclass(frozen=True)
class Source:
    """Where a network comes from: a folder that `reorganize` wrote, or none for the residual one.

    With `inherited` it begins with the folder's weights instead of random ones.
    """

    folder: Path | None = None
    name: str = "ResidualNetwork"
    inherited: bool = False

    def network(self) -> nn.Module:
        """A new network."""
        if self.folder is None:
            return ResidualNetwork()
        spec = importlib.util.spec_from_file_location("network", self.folder / "network.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        network: nn.Module = getattr(module, self.name)()
        if self.inherited:
            network.load_state_dict(torch.load(self.folder / "weights.pt", weights_only=True))
        return network


@dataclass(frozen=True)
class Trained:
    """What a training gave: the share of test images in the right class, and the weights."""

    source: Source
    accuracy: float
    weights: bytes

    def network(self) -> nn.Module:
        """The trained network."""
        network = self.source.network()
        network.load_state_dict(torch.load(io.BytesIO(self.weights), weights_only=True))
        return network.eval()


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images [N, 1, 8, 8] for training and for the test, and the labels of each."""
    found = load_digits()
    images = (found.images[:, None] / 16).astype(np.float32)
    split: list[np.ndarray] = train_test_split(
        images, found.target, test_size=360, stratify=found.target, random_state=0
    )
    return split[0], split[1], split[2], split[3]


def train(source: Source, seed: int, epochs: int) -> Trained:
    """SGD with momentum, a one-cycle learning rate, and shifted images, on one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images, test_images, labels, test_labels = map(torch.from_numpy, digits())
    network = source.network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, epochs=epochs, steps_per_epoch=-(-len(images) // BATCH)
    )
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(shifted(images[batch])), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        right = (network(test_images).argmax(1) == test_labels).float().mean().item()
    weights = io.BytesIO()
    torch.save(network.state_dict(), weights)
    return Trained(source, right, weights.getvalue())


def train_all(
    jobs: Sequence[tuple[Source, int]], epochs: int, processes: int
) -> dict[tuple[Source, int], Trained]:
    """Every network with every seed, as many at a time as there are processes."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        runs = {job: pool.submit(train, *job, epochs) for job in jobs}
        return {job: run.result() for job, run in runs.items()}


def quantized(network: nn.Module, images: np.ndarray) -> onnx.ModelProto:
    """int8 after training, one weight scale a channel, calibrated on training images."""
    return dero_tvm.quantize(export(network), {"image": images[:CALIBRATION_IMAGES]}).model


def arena(model: onnx.ModelProto, dero: str) -> int:
    """Planned bytes, the int8 image included."""
    return dero_tvm.compile(model, dero=dero, integer_io=True).report.arena_bytes


def on_device(model: onnx.ModelProto, images: np.ndarray, labels: np.ndarray) -> float:
    """Test accuracy on the emulated board."""
    compiled = dero_tvm.compile(model, target=BOARD)
    outputs = compiled.measure([{"image": i[None]} for i in images], f"qemu:{BOARD}").outputs
    logits = np.concatenate([output["logits"] for output in outputs])
    return float(np.mean(logits.argmax(axis=1) == labels))


def main() -> None:
    """Trains, quantizes, compiles, and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8, help="of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--images", type=int, help="test images on the board (default: all)")
    parser.add_argument("--processes", type=int, default=2, help="trainings at the same time")
    arguments = parser.parse_args()
    began = time.monotonic()
    console = Console(highlight=False)
    seeds = range(arguments.seeds)
    images, test_images, _, test_labels = digits()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(export(ResidualNetwork().eval()), folder / "digits.onnx")
        # Without a shortcut to fuse with, a norm in front of a convolution would cost memory.
        plain = dero_tvm.reorganize(folder / "digits.onnx", plain=True, normalization="after")
        plain.save(folder / "plain")
        dero_tvm.reorganize(folder / "digits.onnx").save(folder / "reorganized")
        sources = {
            RESIDUAL: Source(),
            PLAIN: Source(folder / "plain", "PlainDigits"),
            REORGANIZED: Source(folder / "reorganized", "ReorganizedDigits"),
        }
        options = (arguments.epochs, arguments.processes)
        trained = train_all([(s, seed) for s in sources.values() for seed in seeds], *options)

        # The reorganized network once more, with the weights of each trained residual network.
        heirs = []
        for seed in seeds:
            onnx.save(export(trained[sources[RESIDUAL], seed].network()), folder / "digits.onnx")
            dero_tvm.reorganize(folder / "digits.onnx").save(folder / f"inherited{seed}")
            source = Source(folder / f"inherited{seed}", "ReorganizedDigits", inherited=True)
            heirs.append((source, seed))
        inherited = train_all(heirs, *options)

        results = {
            label: [trained[source, seed] for seed in seeds] for label, source in sources.items()
        }
        results[INHERITED] = [inherited[job] for job in heirs]
        models = {label: quantized(results[label][0].network(), images) for label in sources}
        console.print(summary(results, models, arguments.epochs))

        model = models[REORGANIZED]
        count = len(test_images[: arguments.images])
        device = on_device(model, test_images[:count], test_labels[:count])
        table = Table("reorganized, seed 0", "test accuracy", box=None)
        table.add_row("float32, PyTorch", f"{results[REORGANIZED][0].accuracy:.2%}")
        table.add_row("int8, ONNX Runtime", f"{accuracy(model, test_images, test_labels):.2%}")
        table.add_row(f"int8, {BOARD} in QEMU ({count} images)", f"{device:.2%}")
        console.print(table)
    console.print(f"{time.monotonic() - began:.0f} seconds")


def summary(
    results: dict[str, list[Trained]], models: dict[str, onnx.ModelProto], epochs: int
) -> Table:
    """Accuracy over the seeds, parameters, and arenas, a row for each network."""
    seeds = len(next(iter(results.values())))
    numbers = ("mean", "min", "max", "parameters", "accumulate", "stream")
    table = Table(title=f"{epochs} epochs, {seeds} seeds", title_justify="left", box=None)
    table.add_column("network")
    for column in numbers:
        table.add_column(column, justify="right")
    for label, runs in results.items():
        found = [run.accuracy for run in runs]
        cells = [f"{value:.2%}" for value in (np.mean(found), min(found), max(found))]
        cells.append(f"{sum(p.numel() for p in runs[0].network().parameters()):,}")
        if label in models:
            cells += [f"{arena(models[label], mode):,}" for mode in ("accumulate", "stream")]
        table.add_row(label, *cells)
    return table


if __name__ == "__main__":
    main()
