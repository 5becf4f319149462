"""A model as the C that a user would flash, compiled and run on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dero_tvm.driver.dero_levels import Dero
from dero_tvm.frontends import LoadedModel
from tests.c_batch import CBatch, CLibrary, programs_of

MODES = (Dero.NONE, Dero.STREAM)


class CompiledModel:
    """The C of one model with whole tensors and streamed, whose outputs must be the same bits."""

    def __init__(self, loaded: LoadedModel) -> None:
        batch = CBatch()
        for mode, program in programs_of(loaded, MODES).items():
            batch.add(mode.value, program)
        with tempfile.TemporaryDirectory() as folder:
            library = batch.build(Path(folder))
        assert isinstance(library, CLibrary)
        self._library, self._inputs = library, [spec.name for spec in loaded.inputs]

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs, in the model's order."""
        given = dict(zip(self._inputs, inputs, strict=True))
        first, *others = (list(self._library.run(mode.value, given)[0].values()) for mode in MODES)
        for other in others:
            assert [array.tobytes() for array in other] == [array.tobytes() for array in first]
        return first


def run_in_c(loaded: LoadedModel, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the compiled C of a model for one set of inputs."""
    return CompiledModel(loaded).run(inputs)
