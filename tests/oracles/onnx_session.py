"""ONNX Runtime as a judge: every node computed as it is written, in one thread.

With graph optimizations on, ONNX Runtime would replace quantized nodes by kernels whose 16-bit
sums of products saturate on processors without VNNI, and merge float ones.
"""

from __future__ import annotations

import onnx
import onnxruntime


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Runs `model` without graph optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # only what ends the process; faults are raised
    return onnxruntime.InferenceSession(model.SerializeToString(), options)
