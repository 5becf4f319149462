"""onnxsim's memory planner: the arena that it plans for an ONNX model.

python onnxsim_plan.py MODEL
"""

import json
import sys

import onnx
from onnxsim import plan_activation_memory

print(json.dumps({"bytes": plan_activation_memory(onnx.load(sys.argv[1])).arena_bytes}))
