"""TVM as it comes: its own passes, its in-place analysis and its static memory planner.

    python tvm_plan.py MODEL

Counted are the storages that it plans, and the largest kernel's own buffers, which it does not.
"""

import json
import math
import sys

import onnx
import tvm
import tvm_ffi
from tvm import relax, s_tir, tirx
from tvm.relax.frontend.onnx import from_onnx

model = onnx.load(sys.argv[1])
module = from_onnx(model, keep_params_in_input=False)
passes = relax.transform
module = tvm.transform.Sequential(
    [
        passes.DecomposeOpsForInference(),
        passes.FoldConstant(),
        passes.ConvertToDataflow(),
        passes.DataflowUseInplaceCalls(),
        passes.LegalizeOps(),
        passes.AnnotateTIROpPattern(),
        passes.FoldConstant(),
        passes.FuseOps(),
        passes.FuseTIR(),
        passes.ToNonDataflow(),
        passes.RemovePurityChecking(),
        passes.CallTIRRewrite(),
        passes.StaticPlanBlockMemory(),
    ]
)(module)

storages = 0


def count(expression):
    """Add what a storage takes."""
    global storages
    if isinstance(expression, relax.Call) and expression.op == tvm.ir.Op.get(
        "relax.memory.alloc_storage"
    ):
        storages += math.prod(int(value) for value in expression.args[0].values)


def own_buffers(function):
    """Bytes that a kernel allocates for itself."""
    found = []
    tvm_ffi.structural_walk(
        function.body,
        [
            (s_tir.SBlock, lambda block: found.extend(block.alloc_buffers)),
            (tirx.AllocBuffer, lambda statement: found.append(statement.buffer)),
        ],
    )
    return sum(
        math.prod(int(extent) for extent in buffer.shape) * tvm.DataType(buffer.dtype).itemsize
        for buffer in found
    )


relax.analysis.post_order_visit(module["main"], count)
kernels = [f for f in module.functions.values() if isinstance(f, tirx.PrimFunc)]
print(json.dumps({"bytes": storages + max(map(own_buffers, kernels), default=0)}))
