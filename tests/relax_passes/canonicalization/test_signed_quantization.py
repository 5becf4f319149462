from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.script import ir as I
from tvm.script import relax as R

from relax_passes.canonicalization.commute_quantization import CommuteQuantization
from relax_passes.canonicalization.signed_quantization import SignQuantization
from tests.host_module import run_on_host

SCALE = relax.const(0.1, "float32")
WEIGHT = np.random.default_rng(0).integers(0, 256, (5, 6)).astype("uint8")


def integer(value, dtype="uint8"):
    return relax.const(np.asarray(value, dtype))


@I.ir_module
class Unsigned:
    @R.function
    def main(x: R.Tensor((2, 6), "float32")) -> R.Tensor((2, 6), "float32"):
        with R.dataflow():
            q = R.quantize(x, SCALE, integer(120), axis=1, out_dtype="uint8")
            c = R.clip(q, 100, 200)
            p = R.nn.pad(c, (0, 0, 1, 0), pad_value=120.0)
            d = R.dequantize(p, SCALE, integer(120), axis=1)
            w = R.dequantize(R.reshape(integer(WEIGHT), (6, 5)), SCALE, integer(128), axis=1)
            e = R.reshape(w, (5, 6))
            f = R.strided_slice(e, axes=[0], begin=[0], end=[2])
            s = R.strided_slice(d, axes=[1], begin=[1], end=[7])
            gv = R.add(s, f)
            R.output(gv)
        return gv


def test_values_and_zero_points_move_together() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 6), "float32")) -> R.Tensor((3, 4), "float32"):
            with R.dataflow():
                q = R.quantize(x, SCALE, integer(120), axis=1, out_dtype="uint8")
                c = R.clip(q, 100, 200)
                r = R.reshape(c, (3, 4))
                d = R.dequantize(r, SCALE, integer(120), axis=1)
                gv = R.nn.relu(d)
                R.output(gv)
            return gv

    @I.ir_module
    class Expected:
        @R.function
        def main(x: R.Tensor((2, 6), "float32")) -> R.Tensor((3, 4), "float32"):
            with R.dataflow():
                q = R.quantize(x, SCALE, integer(-8, "int32"), axis=1, out_dtype="int8")
                c = R.clip(q, -28.0, 72.0)
                r = R.reshape(c, (3, 4))
                d = R.dequantize(r, SCALE, integer(-8, "int32"), axis=1)
                gv = R.nn.relu(d)
                R.output(gv)
            return gv

    after = SignQuantization()(Before)
    tvm.ir.assert_structural_equal(after, Expected)
    tvm.ir.assert_structural_equal(SignQuantization()(after), after)


def test_the_function_stays_the_same() -> None:
    data = np.random.default_rng(1).normal(size=(2, 6)).astype("float32") * 5
    (expected,) = run_on_host(Unsigned, [data])
    (actual,) = run_on_host(SignQuantization()(Unsigned), [data])
    np.testing.assert_array_equal(actual, expected)


def test_inputs_and_results_keep_their_type() -> None:
    @I.ir_module
    class Before:
        @R.function
        def main(x: R.Tensor((2, 6), "uint8")) -> R.Tensor((2, 6), "uint8"):
            with R.dataflow():
                d = R.dequantize(x, SCALE, integer(7), axis=1)
                e = R.sigmoid(d)
                gv = R.quantize(e, relax.const(1 / 255, "float32"), integer(0), out_dtype="uint8")
                R.output(gv)
            return gv

    after = SignQuantization()(Before)
    data = np.arange(12, dtype="uint8").reshape(2, 6) * 20
    (expected,) = run_on_host(Before, [data])
    (actual,) = run_on_host(after, [data])
    assert actual.dtype == np.uint8
    np.testing.assert_array_equal(actual, expected)
    tvm.ir.assert_structural_equal(SignQuantization()(after), after)


@pytest.mark.parametrize("rewrite", [SignQuantization, CommuteQuantization])
def test_both_passes_have_one_list_of_moves(rewrite, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(f"{rewrite.__module__}.is_move", lambda call: asked.append(call) or False)
    rewrite()(Unsigned)
    assert asked
