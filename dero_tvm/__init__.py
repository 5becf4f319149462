"""dero_tvm: trained networks with residual connections in the RAM of a microcontroller.

import dero_tvm

model = dero_tvm.compile("model.tflite", target="mps2-an500")
print(model.report.arena_bytes, model.report.whole_bytes)
outputs = model.run({"input": image})
model.save("model.tar")
"""

from .aot import ModelArchive, load_archive
from .boards import Board, list_boards, load_board
from .compiler import CompiledModel, compile
from .errors import UserError
from .frontends import LoadedModel, load
from .modes import Dero
from .report import Report
from .runners import RunResult, run

__all__ = [
    "Board",
    "CompiledModel",
    "Dero",
    "LoadedModel",
    "ModelArchive",
    "Report",
    "RunResult",
    "UserError",
    "compile",
    "list_boards",
    "load",
    "load_archive",
    "load_board",
    "run",
]
