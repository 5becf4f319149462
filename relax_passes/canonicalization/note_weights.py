"""Weights that a module takes as parameters, pointed out.

TVM's importers can leave weights as parameters of ``main`` (``keep_params_in_input``,
``keep_params_as_input``).  What is a parameter is an input: it lies in RAM, and nothing is folded
into it.  The pass records that in ``dero.notes`` and changes nothing.

Weights are the parameters behind the first ``num_input``, where ``main`` says so as TVM's importers
do, and those that are the kernel of a convolution or the second factor of a product, as they are or
transposed.
"""

from __future__ import annotations

from collections.abc import Iterator

import tvm
from tvm import relax

from ..ir.attributes import NOTES, attribute, main_attribute, with_main_attribute
from ..ir.dataflow import is_call
from ..ir.straight_line import StraightLine, read_function

NAME = "NoteWeights"
_WEIGHTED = (
    *("relax.nn.conv1d", "relax.nn.conv2d", "relax.nn.conv3d"),
    *("relax.nn.conv1d_transpose", "relax.nn.conv2d_transpose", "relax.matmul"),
)
_MOST_NAMED = 3


@tvm.transform.module_pass(opt_level=0, name=NAME)
class NoteWeights:
    """Module pass: see the file's docstring."""

    def transform_module(
        self, module: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `module` with a note if it takes weights as parameters."""
        return with_weights_noted(module)


def with_weights_noted(module: tvm.IRModule) -> tvm.IRModule:
    """`module` with a note if it takes weights as parameters."""
    found = weights_among_parameters(module)
    notes = [str(note) for note in main_attribute(module, NOTES, ())]
    if not found or (note := _note(found)) in notes:
        return module
    return with_main_attribute(module, NOTES, [*notes, note])


def weights_among_parameters(module: tvm.IRModule) -> list[relax.Var]:
    """Those parameters of ``main`` that are weights, in its order."""
    main = module["main"]
    inputs = int(attribute(main, "num_input", len(main.params)))
    found = {*main.params[inputs:], *_factors(read_function(module))}
    return [parameter for parameter in main.params if parameter in found]


def _factors(line: StraightLine) -> Iterator[relax.Var]:
    """Parameters that are multiplied with what is computed."""
    made = dict(line.bindings)
    for _, value in line.bindings:
        if is_call(value, *_WEIGHTED):
            data, weight = value.args[:2]
            while is_call(made.get(weight), "relax.permute_dims"):
                weight = made[weight].args[0]
            if weight in line.parameters and data not in line.parameters[1:]:
                yield weight


def _note(weights: list[relax.Var]) -> str:
    names = [weight.name for weight in weights[:_MOST_NAMED]]
    more = len(weights) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    return (
        f"weights are parameters of main ({listed}), so they are inputs and lie in RAM: make them "
        "constants first with relax.transform.BindParams('main', params)"
    )
