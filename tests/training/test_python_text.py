"""Expressions as source text: line breaks change nothing, and lines stay short."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.training.python_text import WIDTH, Call, Repeated, statement
from tests.random_cases import cases

names = st.sampled_from(["nn.Conv2d", "ReorganizedConv2d", "nn.Sequential", "f"])
atoms = st.sampled_from(["16", "(1, 2)", "nn.ReLU", "stride"])


def calls(positional, named):
    pairs = st.lists(st.tuples(st.sampled_from(["padding", "stride"]), named), max_size=2)
    return st.builds(
        Call,
        names,
        st.lists(positional, max_size=4).map(tuple),
        pairs.map(lambda found: tuple(dict(found).items())),
        st.booleans(),
    )


expressions = st.recursive(atoms, lambda inner: calls(inner, inner), max_leaves=20)
repeated = st.builds(Repeated, calls(atoms, atoms), st.integers(2, 5))


def flat(expression) -> str:
    if isinstance(expression, str):
        return expression
    if isinstance(expression, Repeated):
        return f"*({flat(expression.expression)} for _ in range({expression.count}))"
    parts = [flat(argument) for argument in expression.positional]
    parts += [f"{name}={flat(argument)}" for name, argument in expression.named]
    return f"{expression.function}({', '.join(parts)})"


@cases(60)
@given(calls(expressions | repeated, expressions))
def test_layout_does_not_change_the_expression(expression) -> None:
    text = statement("x = ", expression)
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(f"x = {flat(expression)}"))
    deepest = max(len(line) - len(line.lstrip()) for line in text.splitlines())
    if deepest < 40:
        assert all(len(line) <= WIDTH for line in text.splitlines())


def test_spread_and_repeated() -> None:
    conv = Call("Conv", ("16", "16", "3"), (("padding", "1"),))
    stage = Call("nn.Sequential", (Repeated(conv, 3), "x"), spread=True)
    assert statement("self.stage = ", stage, 1) == (
        "    self.stage = nn.Sequential(\n"
        "        *(Conv(16, 16, 3, padding=1) for _ in range(3)),\n"
        "        x,\n"
        "    )"
    )
