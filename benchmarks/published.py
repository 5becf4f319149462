"""The networks that benchmarks share, published ones in int8, and the table that each prints.

Files are those of MLPerf Tiny and MCUNet as their authors publish them.  The others get random
weights from a seed and are quantized with ranges from random images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # examples is not installed

from examples.models.densenet import densenet121
from examples.models.mcunet_in3 import mcunet_in3
from examples.models.mobilenet_v2 import mobilenet_v2
from examples.models.quantize import quantize
from examples.models.random_images import random_inputs
from examples.models.resnet import resnet
from examples.models.unet import unet

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("DERO_SHARED", ROOT.parent / "shared")) / "models"
FILES = {
    "resnet8": "mlperf_tiny/pretrainedResnet_quant.tflite",
    "vww": "mlperf_tiny/vww_96_int8.tflite",
    "kws": "mlperf_tiny/kws_ref_model.tflite",
    "mcunet_vww": "tinyengine/vww.tflite",
}
BUILT: dict[str, Callable[[], onnx.ModelProto]] = {
    "mcunet_in3": mcunet_in3,
    "mobilenet_v2_1.0_224": mobilenet_v2,
    "mobilenet_v2_0.35_144": partial(mobilenet_v2, width=0.35, resolution=144),
    "resnet18": partial(resnet, 18),
    "resnet34": partial(resnet, 34),
    "resnet50": partial(resnet, 50),
    "densenet121": densenet121,
}
WHERE_ASKED = {"unet_128": unet}  # not in tables of all networks
NAMES = (*FILES, *BUILT)
_CALIBRATION_IMAGES = 2


def network(name: str, folder: Path = FOLDER) -> Path | onnx.ModelProto | None:
    """The network of that name; None, with a line on stderr, if `folder` has no such file."""
    if name in FILES:
        path = folder / FILES[name]
        if path.is_file():
            return path
        print(f"{name}: no file {path}", file=sys.stderr)
        return None
    model = (BUILT | WHERE_ASKED)[name]()
    return quantize(model, random_inputs(model, _CALIBRATION_IMAGES))


def command_line(description: str) -> argparse.ArgumentParser:
    """The options of `print_table`, to which a benchmark may add its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--models", type=Path, default=FOLDER, help="the folder of real models")
    parser.add_argument("--only", nargs="+", choices=(*NAMES, *WHERE_ASKED), metavar="NETWORK")
    return parser


def print_table(
    columns: Sequence[str],
    row: Callable[[Path | onnx.ModelProto], Sequence[str]],
    arguments: argparse.Namespace,
) -> None:
    """A Markdown table of the networks asked for, a row as soon as its network is done."""
    print("| " + " | ".join(columns) + " |")
    print("|---" + "|---:" * (len(columns) - 1) + "|", flush=True)
    for name in arguments.only or NAMES:
        model = network(name, arguments.models)
        if model is not None:
            print(f"| {name} | " + " | ".join(row(model)) + " |", flush=True)
