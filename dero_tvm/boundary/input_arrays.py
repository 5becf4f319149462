"""Arrays for a model's inputs: from an .npz file, one by one for each inference, or random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from dero_tvm.boundary.errors import UserError, first_line
from dero_tvm.boundary.npz_arrays import OneArray, npz_arrays
from dero_tvm.boundary.whole_file import size_of_plain_file

_HINT = "save arrays by input name with numpy.savez"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; UserError if it is none, or if it holds Python objects."""
    try:
        size_of_plain_file(path)
        with path.open("rb") as file:
            return npz_arrays(file)
    except UserError:
        raise
    except OneArray:
        raise UserError(f"{path}: is one array without a name; {_HINT}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give an .npz file") from None
    except PermissionError:
        raise UserError(f"{path}: cannot be read (permission denied)") from None
    except Exception as error:  # each reader below has its own for a damaged file
        raise UserError(
            f"{path}: not a readable .npz file ({first_line(error)}); {_HINT}"
        ) from None


class NamedTensor(Protocol):
    """What is known of an input."""

    @property
    def name(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


def random_inputs(ports: Sequence[NamedTensor], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Inputs of one inference: integers of any value that their type has, floats around zero."""
    inputs = {}
    for port in ports:
        if np.dtype(port.dtype).kind in "iu":
            info = np.iinfo(port.dtype)
            value = rng.integers(info.min, info.max, port.shape, port.dtype, endpoint=True)
        else:
            value = rng.standard_normal(port.shape).astype(port.dtype)
        inputs[port.name] = value
    return inputs


def inferences(
    arrays: Mapping[str, np.ndarray], ports: Sequence[NamedTensor], path: Path | str
) -> list[dict[str, np.ndarray]]:
    """One dict of inputs for each inference that the arrays ask for.

    An array has its input's shape, or one more axis in front for several inferences; where the
    input's batch is 1, the axis of the batch may be that axis.  `path` is for messages.
    """
    known = {port.name for port in ports}
    if unknown := sorted(set(arrays) - known):
        inputs = ", ".join(sorted(known))
        raise UserError(f"{path}: no input is named {unknown[0]!r} (inputs: {inputs})")
    stacked: dict[str, np.ndarray] = {}
    for port in ports:
        if port.name not in arrays:
            raise UserError(f"{path}: has no array for the input {port.name!r}")
        stacked[port.name] = _stacked(arrays[port.name], port, path)
    counts = {name: len(array) for name, array in stacked.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r}: {count}" for name, count in counts.items())
        raise UserError(f"{path}: the inputs are for different numbers of inferences ({listed})")
    count = next(iter(counts.values()), 1)
    if count == 0:
        raise UserError(f"{path}: asks for no inference: its arrays are empty")
    return [{name: array[index] for name, array in stacked.items()} for index in range(count)]


def _stacked(array: np.ndarray, port: NamedTensor, path: Path | str) -> np.ndarray:
    if str(array.dtype) != port.dtype:
        raise UserError(
            f"{path}: input {port.name!r} is {array.dtype}, but the model takes {port.dtype}; "
            f"convert it with astype({port.dtype!r})"
        )
    if array.shape == port.shape:
        return array[np.newaxis]
    if array.shape[1:] == port.shape:
        return array
    if port.shape[:1] == (1,) and array.shape[1:] == port.shape[1:] and array.ndim:
        return array[:, np.newaxis]
    raise UserError(
        f"{path}: input {port.name!r} has the shape {list(array.shape)}, but the model takes "
        f"{list(port.shape)}, or that with one more axis in front for several inferences"
    )
