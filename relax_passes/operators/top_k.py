"""The largest or the smallest elements along the last axis, in order, or where they stand."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from . import script
from .arg_extreme import INDEX_TYPES
from .operand_checks import check_choices, single_operand
from .pixel_loop import PixelLoop
from .registry import REQUIRED, OperatorClass, register
from .row_to_row import RowToRow
from .signature import Signature, TensorSpec

RESULTS = ("values", "indices")


@register
class TopK(RowToRow):
    """The `k` largest (smallest) elements of each pixel, the first being the most extreme.

    Of equal ones the one that stands first comes first.  `result` is ``values``, of the data's
    type, or ``indices``, of `index_type`.  With `k` the number of channels, it sorts.
    """

    name = "top_k"
    memory_class = OperatorClass.REDUCTION
    defaults = {"k": REQUIRED, "largest": True, "result": "values", "index_type": "int64"}

    def infer(self, inputs: tuple[TensorSpec, ...], attrs: dict[str, Any]) -> TensorSpec:
        """The data's shape with `k` channels."""
        data = single_operand(self.name, inputs, ("float32", "int8"))
        if not data.shape:
            raise ValueError("top_k takes a tensor of at least one axis")
        if not 1 <= attrs["k"] <= data.shape[-1]:
            raise ValueError(f"top_k: {attrs['k']} is not one of 1 to {data.shape[-1]} elements")
        check_choices(self.name, attrs, result=RESULTS, index_type=INDEX_TYPES)
        dtype = attrs["index_type"] if attrs["result"] == "indices" else data.dtype
        return TensorSpec((*data.shape[:-1], attrs["k"]), dtype)

    def in_place_arguments(self, signature: Signature) -> tuple[int, ...]:
        return ()  # elements are read again and again

    def row_kernel(self, signature: Signature) -> tirx.PrimFunc:
        data_spec, out_spec = signature.inputs[0], signature.output
        g = PixelLoop(data_spec, out_spec)
        dtype, made = data_spec.dtype, out_spec.dtype
        largest, wants_values = signature["largest"], signature["result"] == "values"

        def follows(element: Any, position: Any, last: Any, place: Any) -> Any:
            """Whether an element comes behind the last one that was found."""
            beyond = element < last if largest else element > last
            return beyond | (element.equal(last) & (position > place))

        def better(element: Any, best: Any) -> Any:
            return element > best if largest else element < best

        def result(element: Any, position: Any) -> Any:
            return element if wants_values else T.cast(position, made)

        @script.row_kernel(signature)
        def top_k_row(row, X, data_rows, O):
            last = T.alloc_buffer((1,), dtype)
            place = T.alloc_buffer((1,), "int32")
            best = T.alloc_buffer((1,), dtype)
            element = T.alloc_buffer((1,), dtype)
            found = T.alloc_buffer((1,), "int32")
            for p in range(g.pixels):
                last[0] = X[g.data_index(row, data_rows, p, 0)]
                best[0] = last[0]
                place[0] = -1
                for n in range(g.out_channels):
                    found[0] = -1
                    for c in range(g.channels):
                        element[0] = X[g.data_index(row, data_rows, p, c)]
                        if (n == 0) | follows(element[0], c, last[0], place[0]):
                            if (found[0] < 0) | better(element[0], best[0]):
                                best[0] = element[0]
                                found[0] = c
                    last[0] = best[0]
                    place[0] = found[0]
                    O[g.out_index(p, n)] = result(best[0], found[0])

        return top_k_row
