"""Networks accumulated."""

import tvm
from tvm import relax

from relax_passes.residuals.accumulate_residuals import AccumulateResiduals
from tests.relax_passes.network_parts import network

SHAPE = (1, 6, 5, 4)


def accumulate(build, *shapes, dtype="float32", **options):
    """The network before and after, checked to agree in buffers that are really shared."""
    before = network(build, *(shapes or (SHAPE,)), dtype=dtype)
    after = AccumulateResiduals(**options)(before)
    relax.analysis.well_formed(after)
    tvm.ir.assert_structural_equal(after, AccumulateResiduals(**options)(after))
    return before, after
