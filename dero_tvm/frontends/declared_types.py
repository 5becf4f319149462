"""What a model file declares of its tensors, compared with what was imported.

Files say the shape and the type of most tensors that their operators compute.  An importer that
reads an operator otherwise than it is meant nearly always gets one of them wrong, and without this
comparison the network would run and give other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax, tirx

from dero_tvm.boundary.errors import InternalError, UserError

Declared = Sequence[int | None]
"""The size of each axis; None where the file leaves it open."""


class DeclaredOtherwise(UserError, InternalError):
    """A tensor was imported with another shape or type than its file declares.

    The file is damaged, which is for the user to mend, or it is misread, which is a mistake here:
    nobody but the file's author can tell.
    """


def check_declared(
    where: str, shape: Declared | None, dtype: str | None, actual: relax.Type
) -> None:
    """Raises :class:`DeclaredOtherwise` where an imported tensor differs from its declaration.

    where: names the model, the operator and the tensor, in the message.
    shape, dtype: as the file declares them; None is not declared.  `dtype` is a name of Relax's.
    actual: the type of the imported expression.  Sizes that are known only at run time, and ranks
    that are not known, are not compared.
    """
    if isinstance(actual, relax.TensorType):
        imported = _sizes(actual)
        other_type = None not in (dtype, actual.dtype) and str(actual.dtype) != dtype
        other_shape = shape is not None and imported is not None and not _agree(shape, imported)
        if not other_type and not other_shape:
            return
        found = _written(imported, str(actual.dtype))
    else:
        found = f"{actual}, which is no tensor"
    raise DeclaredOtherwise(
        f"internal error: {where} is declared as {_written(shape, dtype)} and was imported as "
        f"{found}: either the file contradicts itself, or it is read wrongly here; please report "
        "it as a bug, with the model"
    )


def _sizes(ty: Any) -> list[int | None] | None:
    dims = getattr(ty.shape, "values", ty.shape)
    if dims is None:
        return None
    return [int(dim) if isinstance(dim, tirx.IntImm) else None for dim in dims]


def _agree(one: Declared, other: Declared) -> bool:
    return len(one) == len(other) and all(
        a == b or a is None or b is None for a, b in zip(one, other)
    )


def _written(shape: Declared | None, dtype: str | None) -> str:
    sizes = "" if shape is None else str([("?" if n is None else n) for n in shape])
    return f"{dtype or 'a tensor'} {sizes}".strip().replace("'?'", "?")
