"""ExecuTorch's Cortex-M backend: the buffers that its memory planning asks for.

    python executorch_plan.py MODEL

A float32 ONNX network becomes a PyTorch module, is quantized to int8 with random images, and
exported; inputs and outputs are part of the plan.
"""

import json
import sys

import onnx
import torch
from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
from executorch.backends.cortex_m.quantizer.quantizer import CortexMQuantizer
from executorch.exir import EdgeCompileConfig, ExecutorchBackendConfig, to_edge
from onnx2torch import convert
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

torch.manual_seed(0)
model = onnx.load(sys.argv[1])
shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
image = torch.rand(shape).to(memory_format=torch.channels_last)
module = convert(model).eval().to(memory_format=torch.channels_last)
exported = torch.export.export(module, (image,), strict=True).module()
prepared = prepare_pt2e(exported, CortexMQuantizer())
for _ in range(4):
    prepared(torch.rand(shape).to(memory_format=torch.channels_last))
program = torch.export.export(convert_pt2e(prepared), (image,), strict=True)
edge = to_edge(
    program,
    compile_config=EdgeCompileConfig(
        preserve_ops=[torch.ops.aten.linear.default], _check_ir_validity=False
    ),
)
edge._edge_programs["forward"] = CortexMPassManager(
    edge.exported_program(), CortexMPassManager.pass_list
).transform()
plan = edge.to_executorch(ExecutorchBackendConfig()).executorch_program.execution_plan[0]
print(json.dumps({"bytes": sum(plan.non_const_buffer_sizes)}))
