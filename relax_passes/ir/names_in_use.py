"""Names of tensors that something in a module, other than ``main``'s own code, knows them by."""

from __future__ import annotations

import tvm
from tvm import relax

from .attributes import CASCADE, FINDINGS, attribute, main_attribute
from .straight_line import read_function


def names_in_use(mod: tvm.IRModule) -> frozenset[str]:
    """The names of all tensors if ``main`` carries findings or calls cascades; else none.

    Findings name tensors of ``main``; the variables in a cascade share its names (see `outline`).
    """
    lines = [
        read_function(mod, reference)
        for reference, function in mod.functions_items()
        if isinstance(function, relax.Function) and attribute(function, CASCADE) is not None
    ]
    if not lines and all(main_attribute(mod, name) is None for name in FINDINGS):
        return frozenset()
    lines.append(read_function(mod))
    variables = [v for line in lines for v in (*line.parameters, *(v for v, _ in line.bindings))]
    return frozenset(variable.name for variable in variables)
