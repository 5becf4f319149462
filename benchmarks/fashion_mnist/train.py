"""The training that every network of the experiment gets: the same epochs, batches and seeds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from examples.distillation import Loss

from .images import DataSet, Images

BATCH = 128
SHIFT = 2  # pixels
PEAK_RATE = 0.1
MOMENTUM = 0.9
DECAY = 5e-4
_TEST_BATCH = 500


@dataclass(frozen=True)
class Trained:
    """The share of test images in the right class, and the mean loss of each epoch."""

    accuracy: float
    losses: tuple[float, ...]
    cpu_seconds: float


def train(
    network: nn.Module,
    data: DataSet,
    loss: Loss,
    *,
    seed: int,
    epochs: int,
    peak_rate: float = PEAK_RATE,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Trained:
    """SGD with momentum and a one-cycle learning rate; images shifted and mirrored at random.

    `progress` is called behind each epoch, with its number from 1 on and its mean loss.
    """
    began = time.process_time()
    torch.manual_seed(seed)
    pixels, labels = torch.from_numpy(data.training.pixels), torch.from_numpy(data.training.labels)
    network.to(memory_format=torch.channels_last).train()
    batches = -(-len(labels) // BATCH)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=peak_rate, momentum=MOMENTUM, weight_decay=DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak_rate, epochs=epochs, steps_per_epoch=batches
    )
    losses = []
    for epoch in range(1, epochs + 1):
        total = 0.0
        for batch in torch.randperm(len(labels)).split(BATCH):
            total += step(network, optimizer, loss, varied(pixels[batch]), labels[batch])
            schedule.step()
        losses.append(total / batches)
        progress(epoch, losses[-1])
    return Trained(accuracy(network, data.test), tuple(losses), time.process_time() - began)


def step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    """One step down the gradient; returns the loss before it."""
    optimizer.zero_grad()
    value = loss(network(images), images, labels)
    value.backward()
    optimizer.step()
    return value.item()


def varied(images: torch.Tensor) -> torch.Tensor:
    """Each image of [N, 1, H, W] moved by up to SHIFT pixels, and every second one mirrored."""
    count, _, height, width = images.shape
    rows = torch.arange(height) + torch.randint(0, 2 * SHIFT + 1, (count, 1))
    columns = torch.arange(width) + torch.randint(0, 2 * SHIFT + 1, (count, 1))
    columns = torch.where(torch.rand(count, 1) < 0.5, columns, columns.flip(1))
    padded = F.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT))
    which = torch.arange(count)[:, None, None]
    return padded[which, 0, rows[:, :, None], columns[:, None, :]][:, None]


def accuracy(network: nn.Module, images: Images) -> float:
    """The share of images in the right class."""
    network.eval()
    right = 0
    with torch.no_grad():
        for begin in range(0, len(images), _TEST_BATCH):
            part = slice(begin, begin + _TEST_BATCH)
            found = network(torch.from_numpy(images.pixels[part])).argmax(1)
            right += int((found == torch.from_numpy(images.labels[part])).sum())
    return right / len(images)
