"""The published networks of this folder in three forms: original, plain, and reorganized.

The last two are made from the original by the compiler's passes, with the choices of the authors
of the method where they published the network; as ONNX, ``tvmc reorganize`` writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import onnx
import tvm

import dero_tvm
from relax_passes import pipeline
from relax_passes.canonicalization.canonicalize import Canonicalize
from relax_passes.reorganization.description import Choices

from .densenet import densenet121
from .mcunet_in3 import mcunet_in3
from .mobilenet_v2 import mobilenet_v2
from .resnet import resnet
from .yolov5n import yolov5n

FORMS = ("original", "plain", "reorganized")


@dataclass(frozen=True)
class PublishedNetwork:
    """A builder of the original, and how its reorganized form is chosen."""

    build: Callable[..., onnx.ModelProto]
    choices: Choices = Choices()


NETWORKS = {
    "resnet18": PublishedNetwork(partial(resnet, 18)),
    "resnet34": PublishedNetwork(partial(resnet, 34)),
    "resnet50": PublishedNetwork(partial(resnet, 50)),
    "mobilenet_v2": PublishedNetwork(mobilenet_v2),
    "mcunet_in3": PublishedNetwork(mcunet_in3),
    "densenet121": PublishedNetwork(densenet121, Choices(shortcut_norms="changed")),
    "yolov5n": PublishedNetwork(yolov5n, Choices(bias=False)),
}


def network(
    name: str, form: str = "original", *, input_layout: str = "model", **options: Any
) -> tvm.IRModule:
    """One of `NETWORKS` in one of `FORMS`, as a canonical module; `options` go to its builder.

    The plain form has no residual connections, and the widths of the reorganized one.
    """
    if form not in FORMS:
        raise ValueError(f"form {form!r} is none of {', '.join(FORMS)}")
    published = NETWORKS[name]
    loaded = dero_tvm.load(published.build(**options))
    original = Canonicalize(input_layout)(loaded.module)
    passes = {
        "original": tvm.transform.Sequential([]),
        "plain": pipeline.plain(refine=True),
        "reorganized": pipeline.reorganize(published.choices, name),
    }
    return passes[form](original)
