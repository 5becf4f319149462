"""TVM's own passes behind this project's: legalization, fusion, and the pipelines of them."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import transform

from relax_passes import pipeline
from tests.host_module import run_on_host
from tests.relax_passes.network_parts import add, conv, network

DATA = np.random.default_rng(0).standard_normal((1, 6, 5, 4)).astype("float32")
FUSION = [
    transform.AnnotateTIROpPattern(),
    transform.FoldConstant(),
    transform.FuseOps(),
    transform.FuseTIR(),
]
PIPELINES = {
    "LegalizeOps": [transform.LegalizeOps()],
    "zero": [relax.get_pipeline("zero")],
    "fusion": [transform.LegalizeOps(), *FUSION],
    "fusion before legalization": [*FUSION, transform.LegalizeOps()],
    "inlined and legalized": [transform.InlinePrivateFunctions(), transform.LegalizeOps()],
}


def two_residuals() -> tvm.IRModule:
    """Several calls of each operator, of different shapes."""

    def build(emit, x):
        a = emit(conv(x, 4, seed=1), "a")
        b = emit(add(a, emit(conv(a, 4, seed=2), "c")), "b")
        return emit(add(b, emit(conv(b, 4, kernel=1, seed=3), "d")), "e")

    return network(build, DATA.shape)


@pytest.mark.parametrize("before", ["canonical", "accumulated", "streamed"])
@pytest.mark.parametrize("name", PIPELINES)
def test_same_result(name: str, before: str) -> None:
    module = two_residuals()
    passes = {"accumulated": pipeline.accumulate(), "streamed": pipeline.stream()}
    if before in passes:
        module = passes[before](module)
    assert (len(module.functions) > 1) == (before in passes)
    with tvm.target.Target("llvm"):
        after = tvm.transform.Sequential(PIPELINES[name])(module)
    np.testing.assert_array_equal(run_on_host(after, [DATA]), run_on_host(module, [DATA]))
