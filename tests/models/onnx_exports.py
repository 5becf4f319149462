"""PyTorch modules as its exporters write them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from typing import Any

import onnx


def exported_onnx(model: Any, example: Any, exporter: str, name: str = "x") -> onnx.ModelProto:
    """What torch.onnx.export writes, without its remarks; the input is called `name`.

    `exporter` is ``legacy``, which traces, or ``dynamo``, which goes through torch.export; without
    the package that it needs the running test skips.
    """
    import torch

    if exporter == "dynamo" and importlib.util.find_spec("onnxscript") is None:
        import pytest

        pytest.skip("torch.onnx.export(dynamo=True) needs onnxscript, which is not installed")
    options = {"dynamo": True} if exporter == "dynamo" else {"dynamo": False, "opset_version": 17}
    buffer = io.BytesIO()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(model, (example,), buffer, input_names=[name], **options)
    finally:
        logging.disable(before)
    return onnx.load_from_string(buffer.getvalue())
