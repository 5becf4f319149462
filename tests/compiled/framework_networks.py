"""Networks in C, streamed and with whole tensors, beside what their framework computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dero_tvm.frontends import LoadedModel
from relax_passes.pipeline import Canonicalize
from tests.compiled.c_batch import CBatch, streamed_and_whole


@dataclass
class Network:
    """A model with the program that its framework would run, a tolerance, and an input."""

    loaded: LoadedModel
    expected: Callable[[np.ndarray], np.ndarray]
    tolerance: float  # 0: the same bits
    x: np.ndarray


class FrameworkNetworks:
    """Networks whose programs are compiled together."""

    def __init__(self) -> None:
        self._batch = CBatch()
        self._networks: dict[str, Network] = {}

    def add(self, name: str, network: Network) -> tuple[list[str], set[str]]:
        """The operators of the canonical module, and those that run in cascades of several."""
        main = Canonicalize("nhwc")(network.loaded.module)["main"]
        called = [binding.value.op.name for binding in main.body.blocks[0].bindings]
        streamed, whole = streamed_and_whole(network.loaded)
        cascades = [c.operations for c in streamed.network.cascades if len(c.operations) > 1]
        self._networks[name] = network
        self._batch.add(f"{name}_streamed", streamed)
        self._batch.add(f"{name}_whole", whole)
        return called, {o.signature.operator for operations in cascades for o in operations}

    def check_outputs(self, folder: Path) -> None:
        """Both programs of every network give what its framework gives."""
        library = self._batch.build(folder)
        for name, network in self._networks.items():
            expected = network.expected(network.x)
            inputs = {network.loaded.inputs[0].name: network.x}
            for way in ("streamed", "whole"):
                (actual,) = library.run(f"{name}_{way}", inputs)[0].values()
                if network.tolerance:
                    np.testing.assert_allclose(
                        actual, expected, rtol=1e-5, atol=network.tolerance, err_msg=name
                    )
                else:
                    np.testing.assert_array_equal(actual, expected, err_msg=name)
