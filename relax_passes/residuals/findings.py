"""Names of tensors that something in a module, other than ``main``'s own code, knows them by."""

from __future__ import annotations

import tvm
from tvm import relax

from ..ir.operator_graph import CASCADE
from ..ir.straight_line import read_function
from . import classify_operators
from . import residual as residuals


def names_in_use(mod: tvm.IRModule) -> frozenset[str]:
    """The names of all tensors if ``main`` carries findings or calls cascades; else none.

    Findings name tensors of ``main``; the variables in a cascade share its names (see `outline`).
    """
    lines = []
    for reference, function in mod.functions_items():
        if isinstance(function, relax.Function) and CASCADE in (function.attrs or ()):
            lines.append(read_function(mod, reference))
    attrs = mod["main"].attrs or ()
    if not lines and residuals.ATTRIBUTE not in attrs and classify_operators.ATTRIBUTE not in attrs:
        return frozenset()
    lines.append(read_function(mod))
    variables = [v for line in lines for v in (*line.parameters, *(v for v, _ in line.bindings))]
    return frozenset(variable.name for variable in variables)
