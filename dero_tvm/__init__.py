"""dero_tvm: trained networks with residual connections in the RAM of a microcontroller.

import dero_tvm

model = dero_tvm.compile("model.tflite", target="mps2-an500")
print(model.report.arena_bytes, model.report.whole_bytes)
outputs = model.run({"input": image})
model.save("model.tar")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aot import ModelArchive, load_archive
    from .boards.board import Board, list_boards, load_board
    from .boundary.errors import UserError
    from .boundary.plugins import load_plugin
    from .driver.advise import advise
    from .driver.board_fit import fit
    from .driver.compiler import CompiledModel, compile
    from .driver.dero_levels import Dero
    from .driver.estimate import Estimate, estimate
    from .driver.many_models import Answer, estimate_all, fit_all, processes
    from .driver.options import CompileOptions
    from .driver.trade_off import sweep
    from .frontends import LoadedModel, load
    from .quantization import Quantized, quantize
    from .report import Report
    from .report.fit import Fit
    from .report.sweep import Sweep
    from .runners import RunResult, run
    from .training.reorganized_model import ReorganizedModel, reorganize

__version__: str  # found when it is asked for

__all__ = [
    "Answer",
    "Board",
    "CompileOptions",
    "CompiledModel",
    "Dero",
    "Estimate",
    "Fit",
    "LoadedModel",
    "ModelArchive",
    "Quantized",
    "ReorganizedModel",
    "Report",
    "RunResult",
    "Sweep",
    "UserError",
    "advise",
    "compile",
    "estimate",
    "estimate_all",
    "fit",
    "fit_all",
    "list_boards",
    "load",
    "load_archive",
    "load_board",
    "load_plugin",
    "processes",
    "quantize",
    "reorganize",
    "run",
    "sweep",
]

# Where each name is from.  TVM takes seconds to import, and most of the command line answers
# without it, so nothing is imported before it is asked for.
_HOMES = {
    "Answer": ".driver.many_models",
    "Board": ".boards.board",
    "CompileOptions": ".driver.options",
    "CompiledModel": ".driver.compiler",
    "Dero": ".driver.dero_levels",
    "Estimate": ".driver.estimate",
    "Fit": ".report.fit",
    "LoadedModel": ".frontends",
    "ModelArchive": ".aot.archive",
    "Quantized": ".quantization",
    "ReorganizedModel": ".training.reorganized_model",
    "Report": ".report.data",
    "RunResult": ".runners",
    "Sweep": ".report.sweep",
    "UserError": ".boundary.errors",
    "advise": ".driver.advise",
    "compile": ".driver.compiler",
    "estimate": ".driver.estimate",
    "estimate_all": ".driver.many_models",
    "fit": ".driver.board_fit",
    "fit_all": ".driver.many_models",
    "list_boards": ".boards.board",
    "load": ".frontends",
    "load_archive": ".aot.archive",
    "load_board": ".boards.board",
    "load_plugin": ".boundary.plugins",
    "processes": ".driver.many_models",
    "quantize": ".quantization",
    "reorganize": ".training.reorganized_model",
    "run": ".runners",
    "sweep": ".driver.trade_off",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module(".boundary.installation", __name__).version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    garbage = importlib.import_module(".boundary.garbage", __name__)
    with garbage.collecting_seldom():
        value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
