"""The operators of a planned network, in order of execution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from dero_tvm.planning import MemoryPlan
from dero_tvm.schedule.flash_reads import flash_reads
from dero_tvm.schedule.network import Network
from relax_passes.ir.decisions import Decision

from .layer_names import with_layers
from .operators import ReportedOperator


def operators(
    network: Network,
    plan: MemoryPlan,
    classes: Mapping[str, str],
    decided: Mapping[str, Decision],
    tables: Mapping[str, int],
) -> tuple[ReportedOperator, ...]:
    """Inputs and operators; a concatenation in place, which runs no code, stands among them.

    `classes` maps tensors to the memory class of the operator that makes each; `decided` has what
    passes recorded of operators that the report lists nowhere else; `tables` the bytes of what says
    where rows lie.
    """
    weights, reads = network.weights_by_result, flash_reads(network)
    return tuple(
        replace(
            _with_decision(operator, decided.get(operator.name), network.layers),
            memory_class=classes.get(operator.name, ""),
            rows=network.values[operator.name].spec.rows,
            bytes=network.values[operator.name].spec.bytes,
            weights=weights.get(operator.name, 0),
            tables=tables.get(operator.name, 0),
            flash_reads=reads.get(operator.name, 0) + tables.get(operator.name, 0),
        )
        for operator in _Lister(network).list(plan)
    )


def _with_decision(
    operator: ReportedOperator, decision: Decision | None, layers: Mapping[str, Sequence[str]]
) -> ReportedOperator:
    if decision is None:
        return operator
    return replace(
        operator,
        action=decision.action,
        reason=with_layers(decision.reason, layers),
        decided_by=decision.pass_name,
    )


def producers(network: Network) -> Callable[[str], str]:
    """Gives the operator or input that a value is from: itself, or what it is a view of."""
    return _Lister(network).producer


class _Lister:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.made = {op.result for op in network.operations}
        self.inputs = {port.value for port in network.inputs}
        self.by_buffer: dict[str, list[str]] = {}
        for name, value in network.values.items():
            if name in self.made or name in self.inputs:
                self.by_buffer.setdefault(value.buffer, []).append(name)

    def producer(self, value: str) -> str:
        if value in self.made or value in self.inputs:
            return value
        makers = self._makers(value)
        return makers[0] if len(makers) == 1 else value

    def _makers(self, value: str) -> list[str]:
        """Who writes the bytes of a value that nobody makes by its own name."""
        return self.by_buffer.get(self.network.values[value].buffer, [])

    def list(self, plan: MemoryPlan) -> Iterator[ReportedOperator]:
        network = self.network
        for port in network.inputs:
            yield ReportedOperator(port.value, "input", self._shape(port.value), -1, (), runs=False)
        listed = set(self.inputs)
        for step, run in enumerate(plan.runs):
            cascades = [network.cascades[index] for index in plan.order[run.first : run.end]]
            for op in (op for cascade in cascades for op in cascade.operations):
                operands = [self.producer(o) for o in op.operands if o in network.values]
                for operand in operands:
                    if operand not in listed and operand not in self.made:
                        listed.add(operand)
                        makers = tuple(m for m in self._makers(operand) if m in listed)
                        yield ReportedOperator(
                            operand,
                            "concat",
                            self._shape(operand),
                            step,
                            makers,
                            layers=self._layers_of_concat(operand),
                            runs=False,
                        )
                listed.add(op.result)
                yield ReportedOperator(
                    op.result,
                    op.signature.short_name,
                    self._shape(op.result),
                    step,
                    tuple(operands),
                    op.macs,
                    layers=network.layers.get(op.result, ()),
                )

    def _layers_of_concat(self, value: str) -> tuple[str, ...]:
        """Those of a concatenation in place, which `value` may be a view of, and of its views."""
        buffer = self.network.values[value].buffer
        own = (n for n, v in self.network.values.items() if v.buffer == buffer)
        return self.network.layers_of(n for n in own if n not in self.made | self.inputs)

    def _shape(self, value: str) -> str:
        return self.network.values[value].spec.described
