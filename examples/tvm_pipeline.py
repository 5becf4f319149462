"""The passes between TVM's own, on modules of TVM's ONNX and PyTorch importers.

Imports a residual network as TVM does, once with its weights as parameters; runs a
``tvm.transform.Sequential`` of TVM's passes with this project's pipeline in the middle; compares
the results, and prints the arena that the C would have::

    python examples/tvm_pipeline.py                the digits network, ONNX
    python examples/tvm_pipeline.py model.onnx     or .pt2, of one float32 input
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax.frontend import detach_params

import dero_tvm
import relax_passes  # noqa: F401 (registers the pipeline)

DIGITS = Path(__file__).parent / "models" / "digits_float32.onnx"


def imported(path: Path, *, weights_apart: bool) -> tvm.IRModule:
    """The module as TVM's importer of the file's format makes it."""
    if path.suffix == ".pt2":
        import torch
        from tvm.relax.frontend.torch import from_exported_program

        program = torch.export.load(path)
        return from_exported_program(
            program, keep_params_as_input=weights_apart, unwrap_unit_return_tuple=True
        )
    from tvm.relax.frontend.onnx import from_onnx

    return from_onnx(onnx.load(path), keep_params_in_input=weights_apart)


def with_weights(module: tvm.IRModule) -> tvm.IRModule:
    """`module` with the weights that its importer left beside it as constants."""
    module, parameters = detach_params(module)
    main = module["main"]
    weights = main.params[int(main.attrs["num_input"]) :]
    names = [weight.name for weight in weights]
    return relax.transform.BindParams("main", dict(zip(names, parameters["main"])))(module)


def pipeline() -> tvm.transform.Pass:
    """TVM's passes, the residual passes, TVM's passes."""
    return tvm.transform.Sequential(
        [
            relax.transform.DecomposeOpsForInference(),
            relax.transform.FoldConstant(),
            relax.get_pipeline("dero", level="stream"),
            relax.transform.DeadCodeElimination(),
        ]
    )


def run(module: tvm.IRModule, data: np.ndarray) -> Any:
    """The first output, by TVM's own compiler and virtual machine."""
    machine = relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(data))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


def main(path: Path) -> None:
    """Import, rewrite, compare, and plan."""
    apart = imported(path, weights_apart=True)
    before = with_weights(apart)
    after = pipeline()(before)
    shape = [int(length) for length in before["main"].params[0].ty.shape]
    data = np.random.default_rng(0).random(shape, np.float32)
    difference = float(np.abs(run(before, data) - run(after, data)).max())
    print(f"largest difference of the results: {difference:.1e}")
    for title, module in (("weights as parameters", apart), ("weights bound", before)):
        report = dero_tvm.compile(module, dero="stream").report
        print(f"{title}: an arena of {report.arena_bytes:,} bytes")
        for note in report.notes:
            print(f"  {note}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DIGITS)
