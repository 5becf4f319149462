"""What a network keeps from one inference to the next.

    main(x, s):  ...;  return y, t          t is what the next inference finds as s

The last parameters of ``main`` are its states as an inference finds them, and as many last results,
in the same order, what it leaves.  ``main`` has the attribute ``dero.states``: an array of maps
with ``name`` and ``initial``, the values before the first inference.  The function itself is pure:
whoever runs it hands the states from one call to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tvm

from .attributes import STATES, main_attribute, with_main_attribute


@dataclass(frozen=True, eq=False)
class NetworkState:
    """One tensor that lasts: what the model calls it, and its values before the first inference."""

    name: str
    initial: np.ndarray


def network_states(mod: tvm.IRModule) -> tuple[NetworkState, ...]:
    """The states of ``main``, in the order of its last parameters."""
    return tuple(
        NetworkState(str(record["name"]), record["initial"].numpy())
        for record in main_attribute(mod, STATES, ())
    )


def state_count(mod: tvm.IRModule) -> int:
    """How many of the last parameters, and of the last results, of ``main`` are states."""
    return len(main_attribute(mod, STATES, ()))


def with_states(mod: tvm.IRModule, states: Sequence[NetworkState]) -> tvm.IRModule:
    """`mod`, whose last parameters and results are `states`."""
    if not states:
        return mod
    records = [
        {"name": state.name, "initial": tvm.runtime.tensor(np.ascontiguousarray(state.initial))}
        for state in states
    ]
    return with_main_attribute(mod, STATES, records)
