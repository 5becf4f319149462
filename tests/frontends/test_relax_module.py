"""Modules that are in Relax already."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax, tirx
from tvm.relax.dpl import is_op, wildcard
from tvm.relax.transform import FuseOpsByPattern, MergeCompositeFunctions
from tvm.script import ir as I
from tvm.script import relax as R

import dero_tvm
from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import ModelPort, load


def relu(rows: object, attributes: dict[str, str] | None = None) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([rows, 4], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit(relax.op.nn.relu(x))
            out = builder.emit_output((y, relax.op.sum(y, axis=1)))
        builder.emit_func_output(out)
    module = builder.get()
    if attributes:
        module["main"] = module["main"].with_attrs(attributes)
    return module


def test_fixed_module_is_taken_as_it_is() -> None:
    module = relu(3, {"dero.rounding": "double"})
    loaded = load(module)
    assert loaded.format == "relax"
    assert loaded.inputs == (ModelPort("x", (3, 4), "float32"),)
    assert [spec.shape for spec in loaded.outputs] == [(3, 4), (3,)]
    tvm.ir.assert_structural_equal(loaded.module, module)


def test_open_dimension() -> None:
    module = relu(tirx.Var("n", "int64"))
    with pytest.raises(
        UserError, match=r'open shape \[n, 4\]; fix it with --input-shapes "x:\[1,4\]"'
    ):
        load(module)
    loaded = load(module, input_shapes={"x": (5, 4)})
    assert loaded.outputs[1] == ModelPort("output_1", (5,), "float32")
    assert loaded.module["main"].attrs["dero.rounding"] == "single"


def test_module_without_main() -> None:
    with pytest.raises(UserError, match="no function named 'main'"):
        load(tvm.IRModule({}))
    with pytest.raises(UserError, match="no function named 'main', but forward; name"):
        load(tvm.IRModule({"forward": relu(1)["main"].with_attr("global_symbol", "forward")}))


PATTERN = [("mine.relu", is_op("relax.nn.relu")(wildcard()))]


@pytest.mark.parametrize(
    ("passes", "target"),
    [
        ([FuseOpsByPattern(PATTERN)], "mine.relu"),
        ([FuseOpsByPattern(PATTERN, annotate_codegen=True)], "mine"),
        ([FuseOpsByPattern(PATTERN), MergeCompositeFunctions()], "mine"),
    ],
)
def test_partitioned_module(passes: list[tvm.transform.Pass], target: str) -> None:
    module = tvm.transform.Sequential(passes)(relu(3))
    with pytest.raises(
        UserError, match=f"cut out of it for {target}: compile the module as it was before"
    ):
        dero_tvm.compile(module)


def test_function_that_is_not_private() -> None:
    @I.ir_module
    class Module:
        @R.function
        def helper(x: R.Tensor((3, 4), "float32")) -> R.Tensor((3, 4), "float32"):
            return R.nn.relu(x)

        @R.function
        def main(x: R.Tensor((3, 4), "float32")) -> R.Tensor((3, 4), "float32"):
            cls = Module
            with R.dataflow():
                y = cls.helper(x)
                R.output(y)
            return y

    with pytest.raises(UserError, match="helper, .* inline it without its attribute global_symbol"):
        dero_tvm.compile(Module)
