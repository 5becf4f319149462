"""One question about many models, answered by the processes of an executor.

An executor is any of Python's kind (`concurrent.futures.Executor`): a pool of processes on this
machine, Dask's ``client.get_executor()``, mpi4py's ``MPIPoolExecutor``.  What is sent to it are
paths or the bytes of files, so nothing of TVM has to be pickled.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import onnx

from ..boundary.errors import InternalError, UserError
from ..report.fit import Fit
from .board_fit import fit
from .estimate import Estimate, estimate
from .options import ignore_stage

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Answer(Generic[_Result]):
    """What was found of one of several models.

    `result` is None where the model was refused; `refusal` says why, in one line.
    """

    result: _Result | None
    refusal: str = ""


def estimate_all(
    models: Iterable[Any],
    *,
    executor: Executor | None = None,
    progress: Callable[[str], None] = ignore_stage,
    **options: Any,
) -> list[Answer[Estimate]]:
    """`dero_tvm.estimate` of each model, in their order.

    Parameters
    ----------
    models
        Paths, the bytes of files, or ONNX models.
    executor
        Who answers; None: this process, one after the other.
    progress
        Called, as models are done, with how many of them are.
    options
        As of `dero_tvm.estimate`, for all models alike.
    """
    return _asked(_estimate, models, executor, options, progress)


def fit_all(
    models: Iterable[Any],
    *,
    executor: Executor | None = None,
    progress: Callable[[str], None] = ignore_stage,
    **options: Any,
) -> list[Answer[Fit]]:
    """`dero_tvm.fit` of each model, in their order.

    Parameters are those of `estimate_all`; `options` may also be a `CompileOptions`, as
    ``options=...``.
    """
    return _asked(_fit, models, executor, options, progress)


def processes(jobs: int | None = None) -> ProcessPoolExecutor:
    """An executor of `jobs` processes on this machine, by default one a core.

    They are started anew, not forked: TVM has threads.  What they have loaded stays, and is not
    looked through for garbage.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=gc.freeze)


def _asked(
    question: Any,
    models: Iterable[Any],
    executor: Executor | None,
    options: dict[str, Any],
    progress: Callable[[str], None],
) -> list[Answer[Any]]:
    sent = [_portable(model) for model in models]
    futures: list[Future[Answer[Any]]] = []
    if executor is not None:
        futures = [executor.submit(question, model, options) for model in sent]
    answers = []
    for number, model in enumerate(sent):
        progress(f"models ({number} of {len(sent)} done)")
        answers.append(futures[number].result() if futures else question(model, options))
    return answers


def _portable(model: Any) -> Any:
    """What another process can read; UserError for a model that lives in this one alone."""
    if isinstance(model, onnx.ModelProto):
        return model.SerializeToString()
    if isinstance(model, (bytes, str, os.PathLike)):
        return model
    raise UserError(
        f"a {type(model).__name__} cannot be handed to another process: give a path, the bytes of "
        "a file, or an onnx.ModelProto"
    )


def _estimate(model: Any, options: dict[str, Any]) -> Answer[Estimate]:
    return _answer(estimate, model, options)


def _fit(model: Any, options: dict[str, Any]) -> Answer[Fit]:
    return _answer(fit, model, options)


def _answer(function: Any, model: Any, options: dict[str, Any]) -> Answer[Any]:
    try:
        return Answer(function(model, **options))
    except (UserError, InternalError) as error:
        return Answer(None, str(error))
