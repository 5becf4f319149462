"""One architecture: reorganized, trained for a step, exported, compiled, and compared."""

from __future__ import annotations

import copy
import io
import logging
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import onnx
import torch

import dero_tvm
from benchmarks.families.networks import Network
from dero_tvm.boards.board import load_board
from dero_tvm.driver.candidates import Candidates
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.network_planner import NetworkPlanner
from dero_tvm.planning import Options
from dero_tvm.training import reorganized_model
from dero_tvm.training.network_module import network_module
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.pipeline import Canonicalize, canonicalize
from relax_passes.residuals.identify_residuals import find_residuals
from tests.compiled.host_module import run_on_host

_SECONDS = 2.0  # for the search of each plan


def measured(network: Network, *, quick: bool = False) -> dict[str, Any]:
    """Everything about one network that the table shows; `quick` leaves compiling out."""
    start = time.monotonic()
    torch.manual_seed(0)
    model = network.build().eval()
    row: dict[str, Any] = {"family": network.family}
    loaded = dero_tvm.load(_exported(model, network.shape))
    planned: dict[str, Any] = {}
    _plan_later(planned)
    canonical = Canonicalize()(loaded.module)
    row["joins"] = len(find_residuals(operator_graph(canonical)))
    try:
        made = dero_tvm.reorganize(loaded)
    except dero_tvm.UserError as refusal:
        row["refused"] = str(refusal).partition(": ")[2]
        row["seconds"] = round(time.monotonic() - start)
        return row
    row |= _decided(made)
    row |= _trained(made, network.shape)
    if not quick:
        row["whole"] = {
            name: _whole(planned["loaded"], m) for name, m in planned["modules"].items()
        }
        row["placed"] = {
            name: _placed(planned["loaded"], module)
            for name, module in planned["modules"].items()
            if name != "reorganized"
        }
        row |= _compiled(made, network.shape, row)
    row["seconds"] = round(time.monotonic() - start)
    return row


def _plan_later(planned: dict[str, Any]) -> None:
    """The report's plans are made here, more of them and only where they are wanted."""

    def keep(modules: Mapping[str, Any], loaded: Any, _progress: Any) -> dict[str, int]:
        planned.update(modules=modules, loaded=loaded)
        return {}

    reorganized_model.planned_arenas = keep


def _exported(model: Any, shape: tuple[int, ...]) -> onnx.ModelProto:
    buffer = io.BytesIO()
    with _quiet():
        torch.onnx.export(
            model,
            (torch.zeros(*shape),),
            buffer,
            input_names=["image"],
            dynamo=False,
            opset_version=17,
        )
    return onnx.load_from_string(buffer.getvalue())


@contextmanager
def _quiet() -> Any:
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def _decided(made: Any) -> dict[str, Any]:
    actions = Counter(d.action for d in made.report.decisions)
    reasons = Counter(d.reason for d in made.report.decisions if d.action == "left alone")
    return {
        "reorganized": actions["removed"],
        "left": dict(reasons),
        "convolutions": len(made.report.shortcuts),
        "without": len(made.report.without_shortcut),
    }


def _trained(made: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Whether one step of training gives every weight a finite gradient."""
    network = made.network().train()
    torch.manual_seed(1)
    outputs = network(torch.randn(2, *shape[1:]))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.square().mean() for output in outputs).backward()
    trained = [p for p in network.parameters() if p.requires_grad]
    finite = [p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in trained]
    torch.optim.SGD(trained, 1e-3).step()
    return {"gradients": all(finite), "weights": len(finite)}


def _candidates(loaded: Any, module: Any) -> Candidates:
    options = Options(keep_inputs=False, external_io=False, time_limit=_SECONDS)
    planner = NetworkPlanner(loaded, loaded.name, load_board("host"), options, "default")
    return Candidates(canonicalize()(module), planner)


def _whole(loaded: Any, module: Any) -> int:
    (candidate,) = _candidates(loaded, module).of(Dero.ACCUMULATE)
    return candidate.arena_bytes


def _placed(loaded: Any, module: Any) -> int:
    return min(c.arena_bytes for c in _candidates(loaded, module).of(Dero.STREAM))


def _compiled(made: Any, shape: tuple[int, ...], row: Mapping[str, Any]) -> dict[str, Any]:
    torch.manual_seed(2)
    image = torch.randn(*shape)
    begun = made.network().eval()
    settled = network_module(made.source, made.description.weights, _settled(made, shape))
    compiled = dero_tvm.compile(settled.onnx(), dero="stream", time_limit=_SECONDS)
    fused = Counter(shortcut.action for shortcut in compiled.report.shortcuts)
    (outputs,) = compiled.run([{"image": image.numpy()}])
    module = run_on_host(made.module, [image.numpy()])
    return {
        "fused": fused["fused"],
        "placed": {**row["placed"], "reorganized": compiled.report.arena_bytes},
        "program": _differences(settled.network.eval(), image, outputs.values()),
        "module": _differences(begun, image, module),
    }


def _settled(made: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The start weights with norms that know what they meet, as after any training.

    Fresh ones normalise nothing, and a hundred of them let numbers grow beyond float32.
    """
    network = made.network().train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    torch.manual_seed(1)
    with torch.no_grad():
        network(torch.randn(4, *shape[1:]))
    return {key: value.numpy() for key, value in network.state_dict().items()}


def _differences(network: Any, image: Any, found: Iterable[np.ndarray]) -> dict[str, float] | None:
    """How far `found` and the network in float32 are from the network in float64.

    None if the network itself is not finite.
    """
    with torch.no_grad():
        single, double = network(image), copy.deepcopy(network).double()(image.double())
    exact, own = (r if isinstance(r, tuple) else (r,) for r in (double, single))
    if not all(bool(output.isfinite().all()) for output in own):
        return None
    return {
        "compiled": max(map(_difference, exact, found)),
        "PyTorch": max(map(_difference, exact, (output.numpy() for output in own))),
    }


def _difference(expected: Any, actual: np.ndarray) -> float:
    """The largest difference as a share of the largest number."""
    wanted = expected.numpy()
    if wanted.shape != actual.shape:
        return float("inf")
    return float(np.abs(wanted - actual).max() / max(np.abs(wanted).max(), 1e-30))
