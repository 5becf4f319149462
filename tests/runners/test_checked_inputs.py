"""Every device refuses inputs that the model does not take, before anything runs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import dero_tvm
from dero_tvm.boundary.errors import UserError
from dero_tvm.driver.compiler import CompiledModel
from dero_tvm.runners import run
from examples.models.residual_chain import residual_chain

DEVICES = ["host", *(["host-c"] if shutil.which("gcc") else [])]


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return dero_tvm.compile(residual_chain(1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name, x: {name: x[:, :, :-1]}, r"is float32\(.*\), the model takes float32\("),
        (lambda name, x: {name: x.reshape(-1)}, r"is float32\(\d+,\), the model takes float32\("),
        (lambda name, x: {name: x.astype("float64")}, "is float64.*, the model takes float32"),
        (lambda name, x: {name: x.tolist()}, "is float64.*, the model takes float32"),
        (lambda name, x: {}, r"has inputs \[\], the model has"),
        (lambda name, x: {name: x, "more": x}, r"has inputs \['image', 'more'\]"),
    ],
)
def test_what_the_model_does_not_take(model, device, change, message):
    (port,) = model.archive.inputs
    right = np.zeros(port.shape, port.dtype)
    wrong = change(port.name, right)
    with pytest.raises(UserError, match=f"Inference 1.*{message}"):
        run(model.archive, [{port.name: right}, wrong], device)
    with pytest.raises(UserError, match=f"Inference 0.*{message}"):
        model.run(wrong, device)


@pytest.mark.parametrize("device", DEVICES)
def test_no_inference(model, device):
    with pytest.raises(UserError, match="There is nothing to run"):
        run(model.archive, [], device)
