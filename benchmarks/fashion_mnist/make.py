"""Making a piece: from the results that it needs to its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from examples.distillation import Distillation, from_labels

from .images import DataSet, read_data_set
from .measure import arenas, int8_accuracy, on_board, quantized
from .networks import fresh, original, reorganized
from .pieces import Arena, Network, OnBoard, Piece, Quantized, Training
from .results import Results
from .train import PEAK_RATE, train

START_IMAGES = 500  # on which start weights are solved for
HEIR_RATE = 0.02  # the greatest learning rate from weights that are the original's


def make(piece: Piece, folder: Path, epochs: int, data_folder: Path) -> None:
    """Make one piece and keep its result; for a process of its own."""
    torch.set_num_threads(1)
    results, data, began = Results(folder), _data(data_folder), time.process_time()
    if isinstance(piece, Training):
        found = _trained(piece, results, data, epochs)
    else:
        assert isinstance(piece, (Quantized, Arena, OnBoard))
        model = quantized(trained_network(piece.training, results), data)
        if isinstance(piece, Quantized):
            found = {"accuracy": int8_accuracy(model, data.test)}
        else:
            found = arenas(model) if isinstance(piece, Arena) else on_board(model, data.test)
    results.write(piece.name, found | {"cpu_seconds": round(time.process_time() - began, 1)})


@cache
def _data(folder: Path) -> DataSet:
    return read_data_set(folder)


def _printed(piece: Piece) -> Callable[[int, float], None]:
    def show(epoch: int, loss: float) -> None:
        print(f"  {piece.name}: epoch {epoch}, loss {loss:.4f}", flush=True)

    return show


def _trained(piece: Training, results: Results, data: DataSet, epochs: int) -> dict[str, Any]:
    torch.manual_seed(piece.seed)  # of the weights that are drawn
    network, loss = _begun(piece, results, data), from_labels
    if piece.start == "distilled":
        loss = Distillation(_original(piece, results).to(memory_format=torch.channels_last))
    rate = PEAK_RATE if piece.start == "scratch" else HEIR_RATE
    found = train(
        network,
        data,
        loss,
        seed=piece.seed,
        epochs=epochs,
        peak_rate=rate,
        progress=_printed(piece),
    )
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    temporary = results.weights(piece.name).with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(results.weights(piece.name))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return asdict(found) | {"parameters": parameters}


def _begun(piece: Training, results: Results, data: DataSet) -> nn.Module:
    """The network as its training begins."""
    form, family, blocks = piece.network.form, piece.network.family, piece.network.blocks
    if piece.start == "scratch":
        network = original(family, blocks)
        return network if form == "original" else fresh(reorganized(network, form))
    network = _original(piece, results)
    if form == "original":
        return network
    choices = {}
    if form == "reorganized" and piece.start in ("calibrated", "distilled"):
        images = data.training.first(START_IMAGES).pixels
        choices["calibration"] = {"image": images}
    return reorganized(network, form, **choices)


def _original(piece: Training, results: Results) -> nn.Module:
    family, blocks = piece.network.family, piece.network.blocks
    return trained_network(
        Training(Network(family, blocks, "original"), "scratch", piece.seed), results
    )


def trained_network(training: Training, results: Results) -> nn.Module:
    """A network with the weights that its training ended with."""
    network: nn.Module = original(training.network.family, training.network.blocks)
    if training.network.form != "original":
        network = reorganized(network, training.network.form)
    network.load_state_dict(torch.load(results.weights(training.name), weights_only=True))
    return network.eval()
