"""Distillation in plain PyTorch: a network learns from the labels and from a trained teacher.

    python examples/distillation.py

The loss is that of Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015:
beside the cross entropy with the labels, the divergence between the class probabilities of the two
networks, both softened by a temperature.

As an example a residual network for scikit-learn's 8x8 digits is trained, then reorganized by
`dero_tvm`, and the reorganized network is trained twice from the weights it inherits: with the
labels alone, and with the residual network as its teacher.  Prints the three test accuracies; takes
a minute or two.  Needs `pip install -e '.[torch,examples]'`.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

BATCH = 64
PEAK_RATE = 0.1
TEMPERATURE = 4.0
TEACHER_SHARE = 0.7  # of the loss; the labels have the rest

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def distillation_loss(
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = TEMPERATURE,
    teacher_share: float = TEACHER_SHARE,
) -> torch.Tensor:
    """A scalar, of logits [N, classes] and labels [N].

    The divergence has gradients smaller by the square of the temperature, which is made up for, so
    that the share does not depend on it.
    """
    softened = F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(teacher_logits / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    from_teacher = softened * temperature**2
    return teacher_share * from_teacher + (1 - teacher_share) * F.cross_entropy(logits, labels)


class Distillation:
    """A loss of a network's logits for a batch, as a training loop calls it.

    The teacher is copied, so that it stays as it is, and is never trained.
    """

    def __init__(self, teacher: nn.Module, **options: float) -> None:
        self.teacher = copy.deepcopy(teacher).eval().requires_grad_(False)
        self.options = options

    def __call__(
        self, logits: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        with torch.no_grad():
            teacher_logits = self.teacher(images)
        return distillation_loss(logits, teacher_logits, labels, **self.options)


def from_labels(logits: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The same for a network that has no teacher."""
    return F.cross_entropy(logits, labels)


def train(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, loss: Loss, epochs: int
) -> None:
    """SGD with momentum and a one-cycle learning rate, on images [N, C, H, W]."""
    optimizer = torch.optim.SGD(network.parameters(), lr=PEAK_RATE, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_RATE, epochs=epochs, steps_per_epoch=-(-len(images) // BATCH)
    )
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss(network(images[batch]), images[batch], labels[batch]).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def accuracy(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images in the right class."""
    with torch.no_grad():
        return (network(images).argmax(1) == labels).float().mean().item()


def main() -> None:
    """Trains the digits' network and its reorganized one, and prints what they get right."""
    from retrain_digits import ResidualNetwork, digits  # in this folder
    from train_digits import export

    import dero_tvm

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8, help="of each training")
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)  # such small images keep no second one busy
    torch.manual_seed(0)
    images, test_images, labels, test_labels = map(torch.from_numpy, digits())
    teacher = ResidualNetwork()
    train(teacher, images, labels, from_labels, epochs)
    print(f"residual network:                {accuracy(teacher, test_images, test_labels):.2%}")
    reorganized = dero_tvm.reorganize(export(teacher))
    for name, loss in (("labels alone", from_labels), ("distilled", Distillation(teacher))):
        student = reorganized.network()
        train(student, images, labels, loss, epochs)
        share = accuracy(student, test_images, test_labels)
        print(f"reorganized, {name + ':':19} {share:.2%}")


if __name__ == "__main__":
    main()
