"""Networks of PyTorch through one exporter or the other, beside what PyTorch computes."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import torch

import dero_tvm
from dero_tvm import UserError

from .measured import compiled, refusal, rewritten
from .torch_networks import NETWORKS

EXPORTERS = ("onnx", "export")
_SEED = 0


def measure(name: str, exporter: str, *, quick: bool = False, **_: Any) -> dict[str, Any]:
    """What becomes of a network through ``onnx`` or ``export``; see `measured`."""
    architecture = NETWORKS[name]
    torch.set_num_threads(1)
    torch.manual_seed(_SEED)
    module = architecture.build().eval()
    _give_weights(module)
    x = torch.randn(architecture.shape)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = module(x)
        model = exported(module, x, exporter)
    expected = [y.numpy() for y in (given if isinstance(given, (tuple, list)) else [given])]
    try:
        loaded = dero_tvm.load(model)
        if quick:
            return rewritten(loaded)
        return compiled(model, {loaded.inputs[0].name: x.numpy()}, expected)
    except UserError as error:
        return refusal(error)


def exported(module: Any, x: Any, exporter: str) -> Any:
    """As ONNX, in bytes, or as PyTorch's exported program."""
    if exporter == "export":
        return torch.export.export(module, (x,))
    file = io.BytesIO()
    torch.onnx.export(module, (x,), file, dynamo=True, verbose=False)
    return file.getvalue()


def _give_weights(module: Any) -> None:
    """No layer is neutral: norms have statistics, and scales that begin at 0 or 1e-6 do not."""
    rng = np.random.default_rng(_SEED)

    def drawn(tensor: Any, low: float, high: float) -> None:
        values = rng.uniform(low, high, tuple(tensor.shape)).astype("float32")
        tensor.copy_(torch.from_numpy(values))

    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                drawn(buffer, -0.2, 0.2)
            elif name.endswith("running_var"):
                drawn(buffer, 0.6, 1.4)
        for name, weight in module.named_parameters():
            if weight.dim() == 1 and not name.endswith("bias"):
                drawn(weight, 0.5, 1.0)
            elif weight.dim() == 1:
                drawn(weight, -0.2, 0.2)
