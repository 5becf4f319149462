"""Dilated convolutions as TensorFlow wrote them, over the phases of an image: LiteRT's bits."""

from __future__ import annotations

import numpy as np

from dero_tvm.frontends.load import load
from relax_passes.pipeline import Canonicalize
from tests.compiled.framework_networks import FrameworkNetworks, Network
from tests.end_to_end.oracles import litert
from tests.models.tflite_builder import TFLiteBuilder

OWN = {"scale": 0.05, "zero_point": -4}
BLOCK = (2, 3)
SHAPE = (1, 10, 12, 3)


def network(kind: str, code: str, padding: str, *, twice: bool = False) -> Network:
    """A convolution between its two ends; `twice`: two, with the phases kept between them."""
    rng = np.random.default_rng(0)
    own = OWN if kind == "int8" else {}
    b = TFLiteBuilder()
    x = b.input("x", SHAPE, kind, **own)
    block = b.constant("block", np.array(BLOCK), "int32")
    paddings = b.constant("paddings", np.array([[2, 2], [3, 3]]), "int32")
    data = b.tensor("phases", None, kind, **own)
    b.operator("SPACE_TO_BATCH_ND", [x, block, paddings], [data])
    for _ in range(2 if twice else 1):
        shape = (5, 3, 3, 3) if code == "CONV_2D" and not twice else (3, 3, 3, 3)
        shape = (1, 3, 3, 3) if code == "DEPTHWISE_CONV_2D" else shape
        filters = 3 if code == "DEPTHWISE_CONV_2D" else shape[0]
        if kind == "int8":
            weight = b.constant("", rng.integers(-127, 128, shape), kind, scale=0.004)
            bias = b.constant("", rng.integers(-99, 99, filters), "int32", scale=0.05 * 0.004)
        else:
            weight = b.constant("", rng.standard_normal(shape), kind)
            bias = b.constant("", rng.standard_normal(filters), kind)
        made = b.tensor("", None, kind, **own)
        b.operator(
            code,
            [data, weight, bias],
            [made],
            padding=padding,
            fused_activation_function="RELU",
            **({"depth_multiplier": 1} if code == "DEPTHWISE_CONV_2D" else {}),
        )
        data = made
    crops = b.constant("crops", np.array([[0, 1], [2, 0]]), "int32")
    y = b.tensor("y", None, kind, **own)
    b.operator("BATCH_TO_SPACE_ND", [data, block, crops], [y])
    model = b.build([y])
    array = rng.standard_normal(SHAPE).astype("float32")
    if kind == "int8":
        array = rng.integers(-128, 128, SHAPE).astype("int8")
    tolerance = 0.0 if kind == "int8" else 1e-5
    return Network(load(model), lambda x: litert(model, [x])[0], tolerance, array)


def test_in_c(tmp_path) -> None:
    """One convolution with a dilation, nothing transposed."""
    networks = FrameworkNetworks()
    for kind in ("int8", "float32"):
        for code in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            for padding in ("VALID", "SAME"):
                name = f"{kind}_{code}_{padding}"
                made = network(kind, code, padding)
                called, _ = networks.add(name, made)
                assert "dero.transpose" not in called, (name, called)
                main = Canonicalize()(made.loaded.module)["main"]
                (conv,) = [
                    b.value
                    for b in main.body.blocks[0].bindings
                    if b.value.op.name == "dero.conv2d"
                ]
                assert tuple(map(int, conv.attrs["dilation"])) == BLOCK
    called, _ = networks.add("twice", network("int8", "CONV_2D", "SAME", twice=True))
    assert "dero.transpose" not in called
    networks.check_outputs(tmp_path)
