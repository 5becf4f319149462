"""Which graph of a TFLite file is compiled: files may hold several, each under a signature.

A signature is a function of the model that was converted (`serving_default`, `train`, `decode`),
by the key under which TensorFlow Lite finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import tflite

from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.printable import printable

_MOST_SHOWN = 8


def signatures_of(model: tflite.Model) -> dict[str, int]:
    """The graph of each signature, by its key, in the file's order; none in older files."""
    found: dict[str, int] = {}
    for position in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(position)
        key = (signature.SignatureKey() or b"").decode("utf-8", "replace")
        found.setdefault(key, int(signature.SubgraphIndex()))
    return found


def graph_to_compile(model: tflite.Model, wanted: str | None, label: str) -> int:
    """The graph of the signature that is asked for, or of the first one; 0 if there is none.

    Raises :class:`UserError` if the model has no such signature.
    """
    found = signatures_of(model)
    if wanted is None:
        return next(iter(found.values()), 0)
    if wanted not in found:
        known = _listed(list(found)) or "none"
        raise UserError(f"{label} has no signature {printable(wanted)!r}; it has {known}")
    return found[wanted]


def left_out(model: tflite.Model, graph: int) -> list[str]:
    """What to tell of the signatures that other graphs have."""
    found = signatures_of(model)
    own = [key for key, index in found.items() if index == graph]
    others = [key for key, index in found.items() if index != graph]
    if not own or not others:
        return []
    return [f"compiled is the signature {printable(own[0])!r}, not {_listed(others)} (--signature)"]


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _MOST_SHOWN} more" if len(keys) > _MOST_SHOWN else ""
    return ", ".join(repr(printable(key)) for key in keys[:_MOST_SHOWN]) + more
