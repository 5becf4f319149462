"""PyTorch, which is optional: asked for where it is needed, and silenced where it chats."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.installation import pip_install


def require_pytorch() -> Any:
    """The module ``torch``; UserError if it, or what its ONNX exporter needs, is missing."""
    for package in ("torch", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise UserError(
                f"reorganize writes a PyTorch module, and the Python package {package} is not "
                f"installed; install both with {pip_install('torch')}"
            ) from None
    return importlib.import_module("torch")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress and the remarks that PyTorch's ONNX exporter prints."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with open(os.devnull, "w") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
