"""Operators that stay as they are: PyTorch computes what the Relax module does."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import tvm  # noqa: E402
from tvm import relax  # noqa: E402

from dero_tvm.boundary.errors import UserError  # noqa: E402
from dero_tvm.training.network_module import network_module  # noqa: E402
from dero_tvm.training.python_source import python_source  # noqa: E402
from relax_passes.operators import make_call  # noqa: E402
from relax_passes.reorganization.attribute import read_reorganization  # noqa: E402
from relax_passes.reorganization.description import Choices, KeptOperator  # noqa: E402
from relax_passes.reorganization.reorganize_residuals import ReorganizeResiduals  # noqa: E402
from tests.compiled.host_module import run_on_host  # noqa: E402
from tests.relax_passes.network_parts import add, concat, conv, network  # noqa: E402

SHAPE = (1, 6, 8, 4)


def constant(*shape):
    return relax.const(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def unary(x, function, **attrs):
    return make_call("unary", [x], function=function, **attrs)


def call(operator, *operands, **attrs):
    return make_call(operator, operands, **attrs)


KEPT = {
    "maximum over pixels": lambda x: call("reduce", x, kind="max", axes=(1, 2)),
    "sum over an axis": lambda x: call("reduce", x, kind="sum", axes=(2,), keepdims=True),
    "rows": lambda x: call("slice", x, begin=(0, 1, 2, 0), end=(1, 5, 8, 4)),
    "every second column": lambda x: call(
        "slice", x, begin=(0, 0, 0, 0), end=(1, 6, 8, 4), strides=(1, 1, 2, 1)
    ),
    "axes exchanged": lambda x: call("transpose", x, axes=(0, 2, 1, 3)),
    "tokens": lambda x: call("reshape", x, shape=(1, 48, 4)),
    "split channels": lambda x: call("reshape", x, shape=(24, 2, 2, 2)),
    "image twice": lambda x: concat(x, x, axis=1),
    "numbers for pixels": lambda x: add(x, constant(1, 6, 8, 1)),
    "limited product": lambda x: call("multiply", x, constant(1, 6, 8, 4), minimum=0.0),
    "numbers in front": lambda x: call("subtract", constant(1, 6, 8, 4), x),
    "slopes": lambda x: call("prelu", x, constant(1, 1, 1, 4)),
    "rows of zeros": lambda x: call(
        "pad", x, pad_before=(0, 1, 0, 0), pad_after=(0, 2, 1, 0), value=0.5
    ),
    "channels chosen": lambda x: call(
        "take", x, relax.const(np.array([3, 0, 1], np.int32)), axis=3, places=(3, 0, 1)
    ),
    "padded more on one side": lambda x: call(
        "conv2d_transpose",
        x,
        constant(6, 3, 3, 4),
        constant(6),
        strides=(2, 2),
        padding=(1, 0, 0, 1),
    ),
    "groups": lambda x: call(
        "conv2d_transpose",
        x,
        constant(6, 3, 3, 2),
        constant(6),
        strides=(2, 2),
        padding=(1, 1, 1, 1),
        output_padding=(1, 1),
        groups=2,
    ),
    "blocks, columns first": lambda x: call("depth_to_space", x, block_size=2, order="CRD"),
    "blocks, depth first": lambda x: call("depth_to_space", x, block_size=2, order="DCR"),
    "interpolated": lambda x: call("resize_bilinear", x, size=(12, 16), coordinates="half_pixel"),
    "interpolated by corners": lambda x: call(
        "resize_bilinear", x, size=(11, 15), coordinates="align_corners"
    ),
}


def reorganized(operator):
    def build(emit, x):
        b = emit(conv(emit(conv(x, 4, minimum=0), "a"), 4), "b")
        y = emit(operator(emit(add(x, b), "c")), "d")
        return emit(unary(y, "tanh"), "e")

    choices = Choices(normalization="after")
    after = tvm.transform.Sequential([ReorganizeResiduals(choices)])(network(build, SHAPE))
    return after, read_reorganization(after)


def source_of(description):
    return python_source(
        description.architecture, output_names=["y"], file_name="network.py", weights_name="w.pt"
    )


@pytest.mark.parametrize("name", KEPT)
def test_pytorch_computes_the_same(name) -> None:
    module, description = reorganized(KEPT[name])
    assert any(isinstance(node, KeptOperator) for node in description.architecture.nodes)
    network = network_module(source_of(description), description.weights).network.eval()
    images = np.random.default_rng(1).standard_normal((2, *SHAPE[1:])).astype(np.float32)
    with torch.no_grad():
        actual = network(torch.from_numpy(images.transpose(0, 3, 1, 2))).numpy()
    for image, own in zip(np.split(images, 2), np.split(actual, 2)):
        (expected,) = run_on_host(module, [image])
        if expected.ndim == 4 and expected.shape[0] == 1:
            own = own.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(own.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)


def test_resizing_that_pytorch_does_not_have() -> None:
    def larger(x):
        return call("resize_bilinear", x, size=(12, 16), coordinates="asymmetric")

    _, description = reorganized(larger)
    with pytest.raises(UserError) as caught:
        source_of(description)
    assert str(caught.value).endswith(
        "PyTorch has no bilinear resizing with the coordinates asymmetric by 2 and 2"
    )
