"""The files that the test program reads and writes, and the checks of what goes into them.

inputs.bin:   number of inferences (uint32); for each the values of all inputs in order.
outputs.bin:  ticks of the calibration loop (uint32); for each inference its status (int32), ticks
              (uint32), stack (uint32), number of the arena whose guard was changed (uint32, 0 for
              none), offset of the changed byte (int32), if the model has a profile the ticks of
              each step and of each counted operator (uint64), the values of all outputs in order.
All are little-endian, as are the machines.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..boundary.errors import UserError
from .errors import RunError
from .result import Profile, Tensor
from .unpacked_archive import Archive, tensor_bytes

_RECORD = struct.Struct("<iIIIi")


@dataclass(frozen=True, eq=False)
class Inference:
    """The results of one inference as the test program wrote them."""

    outputs: dict[str, Tensor]
    ticks: int
    stack_bytes: int
    step_ticks: tuple[int, ...]  # empty without a profile
    operator_ticks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Results:
    """The content of outputs.bin."""

    calibration_ticks: int
    inferences: list[Inference]
    guard_report: str  # "" if nothing was written around an arena

    def profile(self, archive: Archive, unit: str, resolution: int) -> Profile:
        """What steps and operators took, from a run that measured them."""
        return Profile(
            tuple(inference.step_ticks for inference in self.inferences),
            unit,
            resolution,
            tuple(archive.counted),
            tuple(inference.operator_ticks for inference in self.inferences),
        )


def check_inputs(archive: Archive, inputs: Sequence[Mapping[str, Tensor]]) -> None:
    """Raise UserError if there is no inference, or one lacks an input or has it of another type."""
    if not inputs:
        raise UserError("There is nothing to run: the list of inputs is empty.")
    names = {tensor.name for tensor in archive.inputs}
    for index, values in enumerate(inputs):
        if names != values.keys():
            raise UserError(
                f"Inference {index} has inputs {sorted(values)}, the model has {sorted(names)}."
            )
        for tensor in archive.inputs:
            value = np.asarray(values[tensor.name])
            expected = (tuple(tensor.shape), np.dtype(tensor.dtype))
            if (value.shape, value.dtype) != expected:
                raise UserError(
                    f"Inference {index}: input '{tensor.name}' is {value.dtype}{value.shape}, "
                    f"the model takes {expected[1]}{expected[0]}."
                )


def pack_inputs(archive: Archive, inputs: Sequence[Mapping[str, Tensor]]) -> bytes:
    """The content of inputs.bin; raises UserError as `check_inputs` does."""
    check_inputs(archive, inputs)
    parts = [struct.pack("<I", len(inputs))]
    for values in inputs:
        for tensor in archive.inputs:
            value = np.asarray(values[tensor.name])
            parts.append(value.astype(value.dtype.newbyteorder("<")).tobytes())
    return b"".join(parts)


def unpack_results(archive: Archive, count: int, data: bytes, *, profile: bool = False) -> Results:
    """Read outputs.bin of `count` inferences, with a profile or without.

    Raises RunError if one of them failed.
    """
    steps = struct.Struct(f"<{len(archive.steps) if profile else 0}Q")
    operators = struct.Struct(f"<{len(archive.counted) if profile else 0}Q")
    sizes = [tensor_bytes(tensor) for tensor in archive.outputs]
    expected = 4 + count * (_RECORD.size + steps.size + operators.size + sum(sizes))
    if len(data) != expected:
        raise RunError(f"The test program wrote {len(data)} bytes of results, not {expected}.")
    (calibration,) = struct.unpack_from("<I", data)
    position = 4
    inferences = []
    report = ""
    for index in range(count):
        status, ticks, stack, arena, offset = _RECORD.unpack_from(data, position)
        position += _RECORD.size
        if status:
            raise RunError(f"tvmgen_{archive.name}_run returned {status} at inference {index}.")
        if arena and not report:
            report = _describe(archive, index, arena, offset)
        step_ticks = steps.unpack_from(data, position)
        position += steps.size
        operator_ticks = operators.unpack_from(data, position)
        position += operators.size
        outputs = {}
        for tensor, size in zip(archive.outputs, sizes):
            dtype = np.dtype(tensor.dtype).newbyteorder("<")
            values = np.frombuffer(data, dtype, size // dtype.itemsize, position)
            outputs[tensor.name] = values.reshape(tensor.shape).astype(tensor.dtype)
            position += size
        inferences.append(Inference(outputs, ticks, stack, step_ticks, operator_ticks))
    return Results(calibration, inferences, report)


def _describe(archive: Archive, inference: int, arena: int, offset: int) -> str:
    region, size = list(archive.arena_bytes.items())[arena - 1]
    where = (
        f"{offset - size} bytes behind its end" if offset >= 0 else f"{-offset} before its start"
    )
    return f"inference {inference} wrote outside the arena '{region}' of {size} bytes: {where}"
