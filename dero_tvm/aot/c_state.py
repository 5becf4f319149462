"""What lasts from one inference to the next, in C: its initial values, and when it gets them.

The first inference finds the state unset and sets it, whoever provides the arena and whatever it
holds: memory that no start-up code clears is as good as any other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .header import Interface
from .names import c_identifier
from .program import Program

_FLAG = "state_is_set"


def packed_states(program: Program) -> np.ndarray:
    """The initial values of all bytes of the state, those between two tensors included."""
    places = program.plan.state_placements
    start = min(place.offset for place in places.values())
    packed = np.zeros(program.plan.state_bytes, np.int8)
    for buffer, data in _initial_bytes(program):
        offset = places[buffer].offset - start
        packed[offset : offset + data.size] = data
    return packed


def initial_values(program: Program, prefix: str) -> dict[str, np.ndarray]:
    """C names and values of the constant arrays that states are copied from."""
    return {
        _array_name(prefix, index, buffer): data
        for index, (buffer, data) in enumerate(_initial_bytes(program))
        if not _is_even(data)
    }


def reset_function(program: Program, interface: Interface) -> list[str]:
    """The flag and the function that sets the state; nothing without one."""
    state = interface.state
    if state is None:
        return []
    places = program.plan.state_placements
    lines = []
    for index, (buffer, data) in enumerate(_initial_bytes(program)):
        target = f"{state.array} + {places[buffer].offset}"
        if _is_even(data):
            lines.append(f"  (void)memset({target}, {int(data[0])}, {data.size});")
        else:
            array = _array_name(interface.prefix, index, buffer)
            lines.append(f"  (void)memcpy({target}, {array}, {data.size});")
    body = "\n".join([*lines, f"  {_FLAG} = 1;"])
    return [
        f"static int32_t {_FLAG} = 0;",
        f"void {interface.prefix}_reset(void) {{\n{body}\n}}",
    ]


def begin_with_state(interface: Interface) -> list[str]:
    """Statements at the beginning of an inference."""
    if interface.state is None:
        return []
    return [f"  if ({_FLAG} == 0) {{", f"    {interface.prefix}_reset();", "  }"]


def _initial_bytes(program: Program) -> Iterator[tuple[str, np.ndarray]]:
    """Buffers of states and their initial values as bytes."""
    network = program.network
    for state in network.states:
        data = np.ascontiguousarray(state.initial)
        yield network.values[state.value].buffer, np.frombuffer(data.tobytes(), np.int8)


def _is_even(data: np.ndarray) -> bool:
    """Whether all bytes are the same."""
    return bool(np.all(data == data[0]))


def _array_name(prefix: str, index: int, buffer: str) -> str:
    return f"{prefix}_initial_{index}_{c_identifier(buffer)[:24]}"
