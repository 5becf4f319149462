"""The model files that every tool gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.published import FILES, FOLDER
from examples.models.mobilenet_v2 import mobilenet_v2
from examples.models.quantize import quantize
from examples.models.random_images import random_inputs
from examples.models.resnet8 import resnet8

_TITLES = {
    "resnet8": "ResNet-8",
    "vww": "MobileNetV1 0.25, 96 px (VWW)",
    "kws": "DS-CNN (KWS)",
    "mcunet_vww": "MCUNet (VWW)",
}
_ONNX: dict[str, Callable[[], onnx.ModelProto]] = {
    "ResNet-8": resnet8,
    "MobileNetV2 0.35, 96 px": partial(mobilenet_v2, width=0.35, resolution=96),
}


@dataclass(frozen=True)
class Network:
    """A model file; `form` is ``int8 TFLite``, ``int8`` or ``float32``.

    The last two are one ONNX network with random weights: `path` has its `form`, and `float32`
    the file before quantization, for tools that quantize by themselves.
    """

    name: str
    form: str
    path: Path
    float32: Path | None = None

    @property
    def title(self) -> str:
        return f"{self.name}, {self.form}"


def networks(folder: Path) -> Iterator[Network]:
    """Real models where they are at hand, and networks built into `folder`."""
    for name, title in _TITLES.items():
        path = FOLDER / FILES[name]
        if path.is_file():
            yield Network(title, "int8 TFLite", path)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, build) in enumerate(_ONNX.items()):
        model = build()
        float32, int8 = folder / f"{number}_float32.onnx", folder / f"{number}_int8.onnx"
        onnx.save(model, float32)
        onnx.save(quantize(model, random_inputs(model, 8)), int8)
        yield Network(name, "int8", int8, float32)
        yield Network(name, "float32", float32, float32)


def random_input(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The same for every tool."""
    rng = np.random.default_rng(0)
    if dtype == "float32":
        return rng.random(shape, dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
