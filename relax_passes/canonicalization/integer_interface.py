"""`IntegerInterface`: a quantized network takes and gives the integers themselves.

    main(x: float32):  q = quantize(x); ...; y = dequantize(p); return y
        ->
    main(q: int8):     ...; return p

A camera or microphone driver delivers integers anyway; a float copy of the input is four times as
large and may well be the peak.  The scales and zero points that were dropped stay in main's
attributes (`port_quantization`).

Precondition: a canonical module.  Inputs that something other than one `quantize` reads, outputs
that are not made by `dequantize`, and states, which are inputs and outputs, stay as they are.
"""

from __future__ import annotations

import tvm
from tvm import relax

from ..ir.port_quantization import PortQuantization, with_port_quantization
from ..ir.states import state_count
from ..ir.straight_line import (
    StraightLine,
    leaves,
    read_function,
    substitute,
    variables,
    write_function,
)
from ..operators import attributes_of

NAME = "IntegerInterface"


@tvm.transform.module_pass(opt_level=0, name=NAME)
class IntegerInterface:
    """The pass; see the module's docstring."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """Return `mod` without conversions at its inputs and outputs."""
        states = state_count(mod)
        line, inputs = _integer_inputs(read_function(mod), states)
        line, outputs = _integer_outputs(line, states)
        mod = with_port_quantization(write_function(mod, line), "input", inputs)
        return with_port_quantization(mod, "output", outputs)


def _integer_inputs(
    line: StraightLine, states: int
) -> tuple[StraightLine, dict[int, PortQuantization]]:
    parameters, dropped = [], set()
    found: dict[int, PortQuantization] = {}
    meaning: dict[relax.Var, relax.Expr] = {}
    for index, parameter in enumerate(line.parameters):
        readers = [var for var, value in line.bindings if parameter in variables(value)]
        returned = parameter in variables(line.result)
        call = dict(line.bindings)[readers[0]] if len(readers) == 1 and not returned else None
        is_state = index >= len(line.parameters) - states
        if is_state or call is None or not _is(call, "dero.quantize"):
            parameters.append(parameter)
            continue
        integer = relax.Var(parameter.name, readers[0].ty)
        parameters.append(integer)
        meaning[readers[0]] = integer
        dropped.add(readers[0])
        found[index] = _quantization(call)
    bindings = tuple(
        (var, substitute(value, meaning)) for var, value in line.bindings if var not in dropped
    )
    return StraightLine(tuple(parameters), bindings, substitute(line.result, meaning)), found


def _integer_outputs(
    line: StraightLine, states: int
) -> tuple[StraightLine, dict[int, PortQuantization]]:
    made = dict(line.bindings)
    meaning: dict[relax.Var, relax.Expr] = {}
    found: dict[int, PortQuantization] = {}
    results = list(leaves(line.result))
    kept = set(results[len(results) - states :])
    for index, leaf in enumerate(results[: len(results) - states]):
        if leaf in kept:
            continue
        call = made.get(leaf) if isinstance(leaf, relax.Var) else None
        if call is not None and _is(call, "dero.dequantize"):
            meaning[leaf] = call.args[0]
            found[index] = _quantization(call)
    result = substitute(line.result, meaning)
    used = {var for _, value in line.bindings for var in variables(value)}
    used |= set(variables(result))
    bindings = tuple((v, value) for v, value in line.bindings if v not in meaning or v in used)
    return StraightLine(line.parameters, bindings, result), found


def _is(call: relax.Expr, name: str) -> bool:
    return isinstance(call, tvm.ir.Call) and getattr(call.op, "name", "") == name


def _quantization(call: tvm.ir.Call) -> PortQuantization:
    attrs = attributes_of(call)
    return PortQuantization(attrs["scale"], attrs["zero_point"])
