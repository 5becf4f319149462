"""From a canonicalized, rewritten Relax module to a `Network`.

A call in ``main`` to a private function with the attribute ``dero.cascade`` becomes a cascade of
several operations; every other call is a cascade of its own.  Reshapes and parts cost nothing:
their result is another name for the same buffer, or for some of its bytes.  Operands of a
concatenation in place are slices of its result.  Calls that are not of this project's operator set
are compiled through TVM's own legalization into opaque kernels over whole tensors.  What is left
for the next inference goes into the buffer of the state that it becomes (`state_updates`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import tvm
from tvm import relax
from tvm.ir import Call, GenericConst, GlobalVar, Var

from dero_tvm.boundary.errors import UserError
from relax_passes.ir.attributes import (
    CASCADE,
    DIRECTION,
    HAS_PORTS,
    attribute,
    function_attributes,
    streamed_inputs,
    streamed_outputs,
)
from relax_passes.ir.origins import origin_of, origins_of
from relax_passes.ir.port_quantization import port_quantization
from relax_passes.ir.states import network_states
from relax_passes.ir.straight_line import read_function
from relax_passes.operators import Signature, TensorSpec, operator_of, signature_of, spec_of
from relax_passes.operators.row_ports import sink_signature, source_signature
from relax_passes.streaming.make_again import made_again
from relax_passes.streaming.stream_rows import DESCENDING

from .constant_arrays import ConstantArrays
from .network import Cascade, CascadeKind, Network, Operation, Port, State
from .opaque import opaque_name, opaque_operation
from .state_updates import StateUpdates
from .views import place_values, root_of

_RESHAPE = "dero.reshape"
_VIEWS = (_RESHAPE, "dero.part")
_CONCAT = "dero.concat"
_TYPES = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"),
    *("float32", "float64", "bool"),
)


def extract(
    module: tvm.IRModule,
    *,
    name: str = "default",
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    constants: ConstantArrays | None = None,
) -> Network:
    """The network that ``main`` of `module` computes.

    `input_names` and `output_names` are what the model file calls them; by default inputs have
    the names of main's parameters and outputs are ``output``, ``output1``, ...  `constants` are
    those of other rewritings of the model.
    """
    return _Extractor(module, constants or ConstantArrays()).run(name, input_names, output_names)


class _Extractor:
    def __init__(self, module: tvm.IRModule, arrays: ConstantArrays) -> None:
        self.module = module
        self.arrays = arrays
        self.specs: dict[str, TensorSpec] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.constant_names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.cascades: list[Cascade] = []
        self.views: list[tuple[str, str]] = []  # (result of a reshape or part, operand)
        self.offsets: dict[str, int] = {}  # of views, in bytes, where they are parts
        self.concats: list[Operation] = []  # concatenations in place
        self.names: dict[Var, str] = {}  # Relax variables to value or constant names
        self.results: dict[Var, tuple[str, ...]] = {}  # of calls with several
        self.layers: dict[str, tuple[str, ...]] = {}  # of values, by the model file's names
        self.taken: set[str] = set()
        self.again = frozenset(made_again(module))

    def run(
        self,
        name: str,
        input_names: Sequence[str] | None,
        output_names: Sequence[str] | None,
    ) -> Network:
        main = read_function(self.module)
        states = network_states(self.module)
        last = len(main.parameters) - len(states)
        inputs = []
        for index, param in enumerate(main.parameters[:last]):
            value = self._declare(param, spec_of(param.ty))
            port = input_names[index] if input_names else param.name
            row_streamed = index in streamed_inputs(self.module)
            quantization = port_quantization(self.module, "input").get(index)
            inputs.append(Port(port, value, row_streamed, quantization))
        before = [self._declare(param, spec_of(param.ty)) for param in main.parameters[last:]]
        for var, value in main.bindings:
            self._binding(var, value)
        values = self._results(main.results)
        results, after = values[: len(values) - len(states)], values[len(values) - len(states) :]
        given = [*(port.value for port in inputs), *before]
        outputs = self._outputs(results, given, output_names)
        self._add_row_ports(inputs, outputs)
        updates = StateUpdates(self.specs, self.cascades, self.views, self.concats, self._copy)
        updates.add(before, after, [port.value for port in outputs])
        placed, cascades = place_values(
            self.specs,
            self.cascades,
            views=self.views,
            concats=self.concats,
            offsets=self.offsets,
        )
        lasting = tuple(
            State(state.name, value, state.initial) for state, value in zip(states, before)
        )
        return Network(
            name,
            tuple(inputs),
            tuple(outputs),
            placed,
            self.constants,
            cascades,
            self.layers,
            lasting,
        )

    # --- bindings ----------------------------------------------------------------------------

    def _binding(self, var: Var, value: relax.Expr) -> None:
        if isinstance(value, relax.TupleGetItem):
            self.names[var] = self.results[value.tuple_value][value.index]
        elif isinstance(value.op, GlobalVar):
            self._cascade_call(var, value)
        elif (operation := self._operation(var, value)) is not None:
            kind = CascadeKind.SINGLE
            self.cascades.append(Cascade(operation.result, kind, (operation,)))

    def _operation(self, var: Var, call: Call, *, in_cascade: bool = False) -> Operation | None:
        """The operation of a call; None if it only gives its operand another shape.

        Inside a cascade a reshape is an operation, for its operand may be a ring.
        """
        operator = operator_of(call)
        if operator is None:
            return self._opaque(var, call)
        signature = signature_of(call)
        operands = tuple(self._operand(arg) for arg in call.args[:])
        result = self._declare(var, signature.output)
        if call.op.name in _VIEWS and operands[0] in self.specs and not in_cascade:
            self.views.append((result, operands[0]))
            self.offsets[result] = signature.attrs.get("offset", 0)
            return None
        operation = Operation(
            result,
            signature,
            operands,
            result,
            operator.row_arguments(signature),
            operator.scratch_bytes(signature),
            operator.macs(signature),
            operator.running_state(signature) if in_cascade else None,
            again=var.name in self.again,
        )
        if call.op.name == _CONCAT and signature["in_place"]:
            self.concats.append(operation)
            return None
        return operation

    def _opaque(self, var: Var, call: Call) -> Operation:
        try:
            function, scratch, arguments = opaque_operation(call, self.module)
        except UserError as error:
            origin = origin_of(var)
            if origin is None:
                raise
            raise UserError(f"{error} (in the model: {origin})") from error.__cause__
        operands = tuple(self._operand(arg) for arg in arguments)
        output = spec_of(var.ty)
        signature = Signature(
            opaque_name(call), tuple(self._spec(name) for name in operands), output, {}
        )
        # Nothing is known of how it walks its operands: run once, over whole tensors.
        result = self._declare(var, output)
        return Operation(
            result, signature, operands, result, (), scratch=scratch, function=function
        )

    def _cascade_call(self, var: Var, call: Call) -> None:
        function = self.module[call.op]
        kind = attribute(function, CASCADE)
        if kind is None:
            raise UserError(_not_a_cascade(call.op.name_hint, function))
        line = read_function(self.module, call.op)
        for param, arg in zip(line.parameters, call.args):
            self.names[param] = self._operand(arg)
        several = len(line.bindings) > 1 or attribute(function, HAS_PORTS, False)
        made = [self._operation(*binding, in_cascade=several) for binding in line.bindings]
        operations = [operation for operation in made if operation is not None]
        if isinstance(line.result, relax.Tuple):
            self.results[var] = tuple(self._operand(leaf) for leaf in line.results)
        else:
            self.names[var] = self._operand(line.result)
        descending = attribute(function, DIRECTION) == DESCENDING
        name = self._unique(call.op.name_hint)
        self.cascades.append(Cascade(name, CascadeKind(kind), tuple(operations), descending))

    # --- outputs -----------------------------------------------------------------------------

    def _results(self, results: Sequence[relax.Expr]) -> tuple[str, ...]:
        if len(results) == 1 and results[0] in self.results:  # all that one cascade gives
            return self.results[results[0]]
        return tuple(self._operand(result) for result in results)

    def _outputs(
        self, values: Sequence[str], given: list[str], output_names: Sequence[str] | None
    ) -> list[Port]:
        """The outputs; of what is `given`, to the network or by another output, copies are made.

        So they are of a part of a result, which an application's memory has no room for.
        """
        ports: list[Port] = []
        for index, value in enumerate(values):
            roots = {self._root(port.value) for port in ports}
            is_given = value in self.constants or self._root(value) in {*given, *roots}
            if is_given or self._is_part(value):
                value = self._copy(value)
            default = "output" if index == 0 else f"output{index}"
            row_streamed = index in streamed_outputs(self.module)
            quantization = port_quantization(self.module, "output").get(index)
            name = output_names[index] if output_names else default
            ports.append(Port(name, value, row_streamed, quantization))
        return ports

    def _add_row_ports(self, inputs: list[Port], outputs: list[Port]) -> None:
        """Sources and sinks as the first and last operations of the cascades that use them."""
        for port in inputs:
            if port.row_streamed:
                index = self._only_cascade(port, lambda op, value: value in op.operands)
                source = Operation(
                    port.name, source_signature(self.specs[port.value]), (), port.value, ()
                )
                self._replace(index, (source, *self.cascades[index].operations))
        for port in outputs:
            if port.row_streamed:
                index = self._only_cascade(port, lambda op, value: value == op.result)
                signature = sink_signature(self.specs[port.value])
                result = self._unique(f"{port.value}_by_rows")
                self.specs[result] = signature.output
                sink = Operation(port.name, signature, (port.value,), result, (0,))
                self._replace(index, (*self.cascades[index].operations, sink))

    def _only_cascade(self, port: Port, uses: Callable[[Operation, str], bool]) -> int:
        found = [
            index
            for index, cascade in enumerate(self.cascades)
            if any(uses(operation, port.value) for operation in cascade.operations)
        ]
        if len(found) != 1:
            raise UserError(
                f"{port.name} is to be streamed row by row, but {len(found)} cascades use it: run "
                "StreamRows on the module"
            )
        return found[0]

    def _replace(self, index: int, operations: tuple[Operation, ...]) -> None:
        cascade = self.cascades[index]
        self.cascades[index] = Cascade(
            cascade.name, CascadeKind.STREAM, operations, cascade.descending
        )

    def _root(self, value: str) -> str:
        """The value whose buffer `value` is a view of."""
        return root_of(value, self.views)

    def _is_part(self, value: str) -> bool:
        """Whether a value is less than its buffer holds."""
        return self.specs[value].bytes < self.specs[self._root(value)].bytes

    def _copy(self, value: str) -> str:
        """An output that is an input, a constant or another output needs memory of its own."""
        spec = self._spec(value)
        result = self._unique(f"{value}_copy")
        self.specs[result] = spec
        self.layers[result] = self.layers.get(value, ())
        signature = Signature(_RESHAPE, (spec,), spec, {"shape": spec.shape})
        operation = Operation(result, signature, (value,), result, (0,))
        self.cascades.append(Cascade(result, CascadeKind.SINGLE, (operation,)))
        return result

    # --- operands ----------------------------------------------------------------------------

    def _operand(self, expr: relax.Expr) -> str:
        if isinstance(expr, GenericConst):
            return self._constant(expr)
        return self.names[expr]

    def _constant(self, constant: GenericConst) -> str:
        array, key = self.arrays[constant]
        if key not in self.constant_names:
            name = f"constant_{len(self.constants)}"
            self.constant_names[key] = name
            self.constants[name] = array
        return self.constant_names[key]

    def _spec(self, name: str) -> TensorSpec:
        if name in self.specs:
            return self.specs[name]
        return TensorSpec(self.constants[name].shape, str(self.constants[name].dtype))

    def _declare(self, var: Var, spec: TensorSpec) -> str:
        if spec.dtype not in _TYPES:
            raise UserError(
                f"tensor {var.name} has the type {spec.dtype}, which generated code does not have "
                f"({', '.join(_TYPES)}); convert the model to float32 or quantize it to int8"
            )
        name = self._unique(var.name)
        self.names[var] = name
        self.specs[name] = replace(spec, pixel_stride=0)
        if found := dict.fromkeys(origin.name for origin in origins_of(var) if origin.name):
            self.layers[name] = tuple(found)
        return name

    def _unique(self, name: str) -> str:
        candidate, count = name, 1
        while candidate in self.taken:
            candidate, count = f"{name}_{count}", count + 1
        self.taken.add(candidate)
        return candidate


def _not_a_cascade(name: str, function: relax.Function) -> str:
    """Why a function that ``main`` calls cannot be compiled, and what to do."""
    attrs = function_attributes(function)
    for part in ("Codegen", "Composite"):
        if part in attrs:
            return (
                f"the network calls function {name}, which FuseOpsByPattern or "
                f"MergeCompositeFunctions cut out of it for {attrs[part]}: compile the module as "
                "it was before it was partitioned"
            )
    private = "" if "global_symbol" not in attrs else " without its attribute global_symbol"
    return (
        f"the network calls function {name}, which is not a cascade: inline it{private} first "
        "(relax.transform.InlinePrivateFunctions)"
    )
