"""Trains the bundled example: a residual CNN on scikit-learn's 8x8 handwritten digits.

    python examples/train_digits.py

Writes `digits_float32.onnx`, `digits_int8.onnx` (quantized after training, calibrated on training
images), `digits_test.npz` (the 360 test images and their labels) and `digits_image.npz` (the first
of them, in the form that `tvmc run --inputs` reads) to `examples/models/`.

Needs `pip install -e '.[torch,examples]'`; takes about a minute.  Seeds are fixed and one thread
does the work, so one machine gives the same files every time.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from models.quantize import quantize
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

MODELS = Path(__file__).parent / "models"
EPOCHS = 60
BATCH = 64
CALIBRATION_IMAGES = 200


class Block(nn.Module):
    """relu(conv(relu(conv(x))) + shortcut(x)); a 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.main(x) + self.shortcut(x))


def network() -> nn.Sequential:
    """Four residual blocks: [1, 1, 8, 8] grey values from 0 to 1 -> [1, 10] logits."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16),
        Block(16, 16),
        Block(16, 32, stride=2),
        Block(32, 32),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def shifted(images: torch.Tensor) -> torch.Tensor:
    """Each image moved by up to one pixel in each direction, filled with background."""
    padded = F.pad(images, (1, 1, 1, 1))
    offsets = torch.randint(0, 3, (len(images), 2)).tolist()
    return torch.stack(
        [image[:, y : y + 8, x : x + 8] for image, (y, x) in zip(padded, offsets, strict=True)]
    )


def train(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> None:
    """SGD with momentum, a one-cycle learning rate, and shifted images."""
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    steps = -(-len(inputs) // BATCH)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, epochs=EPOCHS, steps_per_epoch=steps
    )
    model.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(shifted(inputs[batch])), targets[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:2}: loss {total / len(inputs):.4f}")
    model.eval()


def export(model: nn.Module) -> onnx.ModelProto:
    """The model for one image, batch norms folded into the convolutions."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages not needed here
    program = torch.onnx.export(
        model,
        (torch.zeros(1, 1, 8, 8),),
        input_names=["image"],
        output_names=["logits"],
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    exported = program.model_proto
    # The exporter notes where in the sources each node comes from, with this machine's paths.
    for item in (*exported.graph.node, *exported.graph.input, *exported.graph.value_info):
        item.ClearField("metadata_props")
    return exported


def accuracy(model: onnx.ModelProto, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images that ONNX Runtime puts into the right class."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    logits = [session.run(None, {"image": image[None]})[0] for image in images]
    return float(np.mean(np.concatenate(logits).argmax(axis=1) == labels))


def main() -> None:
    """Trains, exports, quantizes, and prints both accuracies."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    images, test_images, labels, test_labels = train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=0
    )
    model = network()
    train(model, images, labels)

    exported = export(model)
    quantized = quantize(
        exported, ({"image": image[None]} for image in images[:CALIBRATION_IMAGES])
    )
    onnx.save(exported, MODELS / "digits_float32.onnx")
    onnx.save(quantized, MODELS / "digits_int8.onnx")
    np.savez_compressed(MODELS / "digits_test.npz", images=test_images, labels=test_labels)
    np.savez_compressed(MODELS / "digits_image.npz", image=test_images[:1])
    print(f"test accuracy float32: {accuracy(exported, test_images, test_labels):.2%}")
    print(f"test accuracy int8:    {accuracy(quantized, test_images, test_labels):.2%}")


if __name__ == "__main__":
    main()
