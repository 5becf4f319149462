"""Sums, differences and products of runs of float32 elements, for joined operators."""

from __future__ import annotations

from relax_passes.operators import Signature

from ..c_kernel import ElementRun
from ..float_literals import float_literal

_SIGNS = {"dero.add": "+", "dero.subtract": "-", "dero.multiply": "*"}
_RUN = """\
for (int32_t i = 0; i < {count}; ++i) {{
  {out}[i] = limited({a}[i] {sign} {b}[i], of_join);
}}
"""


def float_run(signature: Signature) -> ElementRun:
    """The run of an operator of two float32 operands, by the functions of `c/float_limits.h`."""
    sign = _SIGNS[signature.operator]
    return ElementRun(
        f"const struct limits of_join = {limits(signature)};",
        lambda a, b, out, count: _RUN.format(a=a, b=b, out=out, count=count, sign=sign),
    )


def limits(signature: Signature) -> str:
    """The clamp of a float32 operator as a ``struct limits``."""
    bounds = [signature["minimum"], signature["maximum"]]
    flags = [int(bound is not None) for bound in bounds]
    values = [float_literal(bound or 0.0, "float32") for bound in bounds]
    return f"{{{', '.join([*map(str, flags), *values])}}}"
