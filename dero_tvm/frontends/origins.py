"""Which of the model's own operators each imported operator comes from.

Passes rename, join and split operators, and keep no names.  What they leave as it was imported is
what no kernel of this project computes; if TVM cannot compile that either, the refusal has to say
which operator of the model is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tvm import relax
from tvm.ir import Call, Op

from dero_tvm.errors import OperatorError, UserError

_MOST_NAMED = 3


@dataclass
class Origins:
    """Titles of the model's operators, by the names of Relax's operators they were imported as."""

    _titles: dict[str, list[str]] = field(default_factory=dict)

    def note(self, title: str, imported: relax.Expr, operands: Sequence[relax.Expr] = ()) -> None:
        """`imported` is what the operator `title` became; `operands` are not part of it."""
        names: set[str] = set()
        pending = [imported]
        while pending:
            expr = pending.pop()
            if any(expr.same_as(operand) for operand in operands):
                continue
            if isinstance(expr, Call):
                pending += list(expr.args)
                if isinstance(expr.op, Op):
                    names.add(expr.op.name)
            elif isinstance(expr, relax.Tuple):
                pending += list(expr.fields)
        for name in sorted(names):
            titles = self._titles.setdefault(name.removeprefix("relax."), [])
            if title not in titles:
                titles.append(title)

    def titles(self) -> Mapping[str, tuple[str, ...]]:
        return {name: tuple(titles) for name, titles in self._titles.items()}


def with_origin(error: UserError, titles: Mapping[str, tuple[str, ...]]) -> str:
    """The error's message, with the model's operators that it may be about."""
    if not isinstance(error, OperatorError):
        return str(error)
    found = titles.get(error.operator.removeprefix("relax."), ())
    if not found:
        return str(error)
    listed = ", ".join(found[:_MOST_NAMED]) + (", ..." if len(found) > _MOST_NAMED else "")
    return f"{error} (in the model: {listed})"
