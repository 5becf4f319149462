"""Python expressions as a person would write them: calls that fit a line, or one argument a line.

The layout is the one on which the usual formatters agree, 88 columns wide.
"""

from __future__ import annotations

from dataclasses import dataclass

from dero_tvm.boundary.printable import printable

WIDTH = 88
_STEP = "    "
_LONGEST_NAME = 60  # characters of it in a docstring


@dataclass(frozen=True)
class Call:
    """``function(a, b, name=c)``; arguments are expressions, or texts that stand for themselves.

    Without a function it is a tuple, of two elements or more.

    With `spread` there is one argument a line even where all would fit one.
    """

    function: str
    positional: tuple[Expression, ...] = ()
    named: tuple[tuple[str, Expression], ...] = ()
    spread: bool = False


@dataclass(frozen=True)
class Repeated:
    """``*(expression for _ in range(count))``: new objects of one kind, as arguments of a call."""

    expression: Expression
    count: int


Expression = str | Call | Repeated


def in_docstring(name: str) -> str:
    """A name of unknown origin, with ``?`` for what could end a docstring or escape its end."""
    return "".join("?" if c in '"\\' else c for c in printable(name, _LONGEST_NAME))


def statement(prefix: str, expression: Expression, indent: int = 0) -> str:
    """The lines of ``prefix + expression``, indented by `indent` levels."""
    return _written(prefix, expression, "", indent)


def _written(prefix: str, expression: Expression, suffix: str, indent: int) -> str:
    flat = _STEP * indent + prefix + _flat(expression) + suffix
    spread = isinstance(expression, Call) and expression.spread
    if isinstance(expression, str) or (len(flat) <= WIDTH and not spread):
        return flat
    if isinstance(expression, Repeated):
        return "\n".join(
            [
                _STEP * indent + prefix + "*(",
                _written("", expression.expression, "", indent + 1),
                f"{_STEP * (indent + 1)}for _ in range({expression.count})",
                _STEP * indent + ")" + suffix,
            ]
        )
    # All arguments on one line of their own, if they fit there, as formatters do.
    arguments = [("", argument) for argument in expression.positional]
    arguments += [(f"{name}=", argument) for name, argument in expression.named]
    together = ", ".join(name + _flat(argument) for name, argument in arguments)
    opening = _STEP * indent + prefix + expression.function + "("
    closing = _STEP * indent + ")" + suffix
    if not spread and len(_STEP * (indent + 1) + together) <= WIDTH:
        return "\n".join([opening, _STEP * (indent + 1) + together, closing])
    lines = [_written(name, argument, ",", indent + 1) for name, argument in arguments]
    return "\n".join([opening, *lines, closing])


def _flat(expression: Expression) -> str:
    if isinstance(expression, str):
        return expression
    if isinstance(expression, Repeated):
        return f"*({_flat(expression.expression)} for _ in range({expression.count}))"
    arguments = [_flat(argument) for argument in expression.positional]
    arguments += [f"{name}={_flat(argument)}" for name, argument in expression.named]
    return f"{expression.function}({', '.join(arguments)})"
