"""Operators that stay as they are: PyTorch computes what the Relax module does."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import tvm  # noqa: E402
from tvm import relax  # noqa: E402
from tvm.ir import Op  # noqa: E402

from dero_tvm.boundary.errors import UserError  # noqa: E402
from dero_tvm.training.kept_in_layout import IN_LAYOUT  # noqa: E402
from dero_tvm.training.kept_on_images import ON_IMAGES  # noqa: E402
from dero_tvm.training.kept_operators import NOT_WRITTEN  # noqa: E402
from dero_tvm.training.network_module import network_module  # noqa: E402
from dero_tvm.training.python_source import python_source  # noqa: E402
from relax_passes.operators import make_call  # noqa: E402
from relax_passes.operators.unary import FUNCTIONS  # noqa: E402
from relax_passes.reorganization.attribute import read_reorganization  # noqa: E402
from relax_passes.reorganization.description import Choices, KeptOperator  # noqa: E402
from relax_passes.reorganization.reorganize_residuals import ReorganizeResiduals  # noqa: E402
from tests.compiled.host_module import host_function  # noqa: E402
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
    "windows of two sizes": lambda x: call("adaptive_pool2d", x, size=(4, 3)),
    "two largest": lambda x: call("top_k", x, k=2),
    "sums so far": lambda x: call("cumulative", x, kind="sum"),
    "products before": lambda x: call("cumulative", x, kind="product", exclusive=True),
    "product": lambda x: call("reduce", x, kind="product", axes=(1,)),
    "neighbours": lambda x: call("local_response_norm", x, before=1, after=2, factor=0.3),
    "smallest": lambda x: call("top_k", x, k=1, largest=False),
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
    "nearest of half pixels": lambda x: call(
        "resize2d", x, size=(9, 4), coordinates="half_pixel", rounding="round_half_down"
    ),
    "pixels to channels, columns first": lambda x: call(
        "space_to_depth", x, block_size=2, order="CRD"
    ),
    "pixels to channels, depth first": lambda x: call("space_to_depth", x, block_size=(3, 2)),
    "larger of two": lambda x: call("maximum", x, constant(1, 1, 1, 4)),
    "smaller of two": lambda x: call("minimum", x, constant(1, 6, 8, 1)),
    "quotient": lambda x: call("divide", x, constant(1, 6, 8, 4)),
    "power": lambda x: call("power", unary(x, "abs"), constant(1, 6, 8, 4)),
    "chosen by comparison": lambda x: call(
        "select", call("compare", x, constant(1, 1, 1, 4), function="less"), x, constant(1, 6, 8, 1)
    ),
    "chosen by a constant": lambda x: call(
        "select", relax.const(np.arange(8).reshape(8, 1) % 3 == 0), unary(x, "negative"), x
    ),
    "probabilities": lambda x: call("softmax", reshaped(x, 8, 6, 4)),
    "logarithms": lambda x: call("softmax", reshaped(x, 8, 6, 4), logarithm=True),
    "linear on tokens": lambda x: call(
        "dense",
        call("softmax", reshaped(x, 8, 6, 4)),
        constant(3, 4),
        constant(3),
        minimum=-1.0,
    ),
    "a token before": lambda x: call("concat", constant(1, 1, 4), reshaped(x, 1, 48, 4), axis=1),
    "products of tokens": lambda x: call(
        "matmul", reshaped(x, 1, 48, 4), reshaped(x, 1, 48, 4), transposed=True
    ),
    "matrix from the right": lambda x: call("matmul", reshaped(x, 1, 48, 4), constant(1, 4, 5)),
    "heads": lambda x: call(
        "matmul", reshaped(x, 1, 48, 4), reshaped(x, 1, 48, 4), heads=2, transposed=True
    ),
    "heads apart": lambda x: call(
        "matmul",
        reshaped(x, 1, 24, 2, 4),
        reshaped(x, 1, 24, 8),
        heads=2,
        transposed=True,
        apart=(True, False, True),
    ),
    "matrices one by one": lambda x: call(
        "matmul", reshaped(x, 2, 12, 8), reshaped(x, 2, 8, 12), outer=2, maximum=3.0
    ),
    "images in one tensor": lambda x: call(
        "conv2d", reshaped(x, 2, 3, 8, 4), constant(5, 3, 3, 4), constant(5), padding=(1, 1, 1, 0)
    ),
    "largest of each": lambda x: pooled(x, "max", (0, 1, 1, 0)),
    "means of each": lambda x: pooled(x, "average", (1, 0, 0, 0)),
    "means of each with its border": lambda x: pooled(
        x, "average", (1, 0, 0, 0), count_include_pad=True
    ),
    "sums of each": lambda x: pooled(x, "sum", (0, 0, 0, 0)),
}


def pooled(x, kind, padding, **attrs):
    images = reshaped(x, 2, 3, 8, 4)
    window = {"pool_size": (2, 3), "strides": (1, 2)}
    return call("pool2d", images, kind=kind, padding=padding, **window, **attrs)


def reshaped(x, *shape):
    return call("reshape", x, shape=shape)


def normalized(x, groups):
    moments = call("moments", x, groups=groups, epsilon=1e-3)
    return call("normalize", x, moments, constant(4), constant(4))


EXACT_NORMS = {
    "each pixel": lambda x: call("layer_norm", x, constant(4), constant(4), epsilon=1e-3),
    "each token, not centered": lambda x: call(
        "layer_norm", reshaped(x, 48, 4), constant(4), constant(4), epsilon=1e-3, centered=False
    ),
    "groups": lambda x: normalized(x, 2),
    "channels of a sequence": lambda x: normalized(reshaped(x, 1, 48, 4), 4),
}


def reorganized(operators, joins=None):
    """Two convolutions in a residual connection, and the operators side by side behind it."""

    def build(emit, x):
        b = emit(conv(emit(conv(x, 4, minimum=0), "a"), 4), "b")
        c = emit(add(x, b), "c")
        return [emit(unary(emit(operator(c)), "tanh")) for operator in operators]

    passes = [ReorganizeResiduals(Choices(normalization="after"), joins=joins)]
    after = tvm.transform.Sequential(passes)(network(build, SHAPE))
    return after, read_reorganization(after)


def source_of(description):
    architecture = description.architecture
    names = [f"y{index}" for index, _ in enumerate(architecture.outputs)]
    return python_source(
        architecture, output_names=names, file_name="network.py", weights_name="w.pt"
    )


def of_positive(function):
    if function in ("sin", "cos"):  # of large numbers the last bits decide
        return lambda x: unary(x, function)
    if function in ("tan", "asin", "acos", "atanh"):
        return lambda x: unary(unary(x, "clip", minimum=-0.9, maximum=0.9), function)
    if function == "acosh":
        return lambda x: unary(unary(x, "clip", minimum=1.1, maximum=5.0), function)
    return lambda x: unary(unary(x, "exp"), function, alpha=0.5, beta=0.25)


def test_pytorch_computes_the_same() -> None:
    operators = KEPT | {function: of_positive(function) for function in FUNCTIONS}
    compare(operators, *reorganized(operators.values()))


def test_norms_around_a_join_that_stays() -> None:
    compare(EXACT_NORMS, *reorganized(EXACT_NORMS.values(), ["c"]))


def compare(names, module, description):
    """PyTorch's outputs for two images at once, and the module's for one after the other."""
    made = network_module(source_of(description), description.weights).network.eval()
    images = np.random.default_rng(1).standard_normal((2, *SHAPE[1:])).astype(np.float32)
    with torch.no_grad():
        outputs = made(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    expected = [host_function(module)(image) for image in np.split(images, 2)]
    for place, (name, output) in enumerate(zip(names, outputs, strict=True)):
        for own, results in zip(np.split(output.numpy(), 2), expected):
            wanted = results[place]
            if wanted.ndim == 4 and wanted.shape[0] == 1:
                own = own.transpose(0, 2, 3, 1)
            own = own.reshape(wanted.shape)
            np.testing.assert_allclose(own, wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_operator_is_written_or_has_a_reason() -> None:
    """And every one that is written stands in one of the networks above."""
    names = [name for name in Op.list_op_names() if name.startswith("dero.")]
    known = {name.removeprefix("dero.") for name in names}
    written = {*IN_LAYOUT, *ON_IMAGES, "unary"}
    assert written & NOT_WRITTEN.keys() == set()
    assert known == written | NOT_WRITTEN.keys()
    _, kept = reorganized(KEPT.values())
    _, norms = reorganized(EXACT_NORMS.values(), ["c"])
    nodes = (*kept.architecture.nodes, *norms.architecture.nodes)
    assert {n.operator for n in nodes if isinstance(n, KeptOperator)} == written


def test_resizing_that_pytorch_does_not_have() -> None:
    def larger(x):
        return call("resize_bilinear", x, size=(12, 16), coordinates="asymmetric")

    _, description = reorganized([larger])
    with pytest.raises(UserError) as caught:
        source_of(description)
    assert str(caught.value).endswith(
        "PyTorch has no bilinear resizing with the coordinates asymmetric by 2 and 2"
    )
