"""Rules by operator: a phase asks what an operator means to it, a family of operators answers.

A phase owns a :class:`Rules`, states the type of its rules, and looks them up.  The files beside
this one each hold what one family of operators means to all phases, and register it there.  They
import the phases; no phase imports them: the first look-up does, so a family is known because its
file exists.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Generic, TypeVar

from tvm.ir import Call, Op

from ..registration import import_modules

Rule = TypeVar("Rule")
_PACKAGE = __name__.partition(".")[0]


class Refusal(Exception):
    """Why a rule leaves an operator as it is: the rest of a sentence that begins with it."""


class Rules(Generic[Rule]):
    """The rules of one phase, by the name of the operator; a program's own go before the package's.

    So a plug-in for an operator goes on working when the package learns that operator.
    """

    def __init__(self, phase: str) -> None:
        self.phase = phase  # as its errors call it
        self._own: dict[str, Rule] = {}  # of this package
        self._others: dict[str, Rule] = {}
        self._rules = ChainMap(self._others, self._own)

    def register(self, *names: str) -> Callable[[Rule], Rule]:
        """Decorator: enter a rule for the named operators.

        Raises ``ValueError`` if one of them has a rule already, the package's own for a rule from
        outside aside.
        """

        def enter(rule: Rule) -> Rule:
            origin = getattr(rule, "__module__", _PACKAGE)
            is_own = origin.partition(".")[0] == _PACKAGE
            rules = self._own if is_own else self._others
            for name in names:
                if name in rules:
                    raise ValueError(f"{self.phase} has a rule for {name} already")
                rules[name] = rule
            return rule

        return enter

    def get(self, operator: Any) -> Rule | None:
        """The rule for an operator, given by its name or as a call of it; None if it has none."""
        _import_families()
        return self._rules.get(_name_of(operator))

    def __contains__(self, operator: Any) -> bool:
        return self.get(operator) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of the operators that have a rule."""
        _import_families()
        return iter(sorted(self._rules))


def _name_of(operator: Any) -> str:
    if isinstance(operator, str):
        return operator
    is_call = isinstance(operator, Call) and isinstance(operator.op, Op)
    return operator.op.name if is_call else ""


@cache
def _import_families() -> None:
    import_modules(__package__)
