"""A generated file as a PyTorch module with its start weights, and as ONNX."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .python_source import PythonSource
from .pytorch import quiet, require_pytorch


@dataclass(frozen=True, eq=False)
class NetworkModule:
    """The network of a generated file.

    Attributes
    ----------
    network
        The ``nn.Module``, with the start weights and ready to train.
    """

    network: Any
    _export: Callable[[Any, str], None]

    def state_bytes(self) -> bytes:
        """What ``torch.save`` writes of the start weights."""
        buffer = io.BytesIO()
        require_pytorch().save(self.network.state_dict(), buffer)
        return buffer.getvalue()

    def onnx(self) -> onnx.ModelProto:
        """The network with its start weights, as the generated file itself exports it."""
        was_training = self.network.training
        with tempfile.TemporaryDirectory() as folder, quiet():
            path = Path(folder, "network.onnx")
            self._export(self.network, str(path))
            model = onnx.load(path)
        self.network.train(was_training)
        # The exporter notes where in the source each node comes from, with this machine's paths.
        for item in (*model.graph.node, *model.graph.input, *model.graph.value_info):
            item.ClearField("metadata_props")
        return model


def network_module(
    source: PythonSource,
    weights: Mapping[str, np.ndarray],
    solved: Mapping[str, np.ndarray] | None = None,
) -> NetworkModule:
    """Run a generated file, and give its network `weights`, keyed as `Reorganization.weights`.

    `solved` is keyed as the network's ``state_dict`` and takes the place of weights and fresh
    normalisations.
    """
    torch = require_pytorch()
    namespace: dict[str, Any] = {"__name__": "reorganized"}
    exec(compile(source.text, f"<{source.network}>", "exec"), namespace)
    network = namespace[source.network]()
    state = network.state_dict()
    for key, origin in source.weights.items():
        array = np.asarray(weights[origin], np.float32)
        if array.ndim == 4 and origin.endswith(".weight"):  # channels before height and width
            array = array.transpose(0, 3, 1, 2)
        state[key] = torch.tensor(array.copy())
    for key, array in (solved or {}).items():
        state[key] = torch.tensor(array)
    network.load_state_dict(state)
    return NetworkModule(network, namespace["export"])
