"""The plan of a network does not depend on the order in which its file lists operators."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dero_tvm.driver.choose_plan import smallest
from dero_tvm.driver.dero_levels import Dero
from dero_tvm.driver.prepare import prepare

LEVELS = (2, 1)
HEADS = {"box": 4, "class": 2}
SIZE = 8


def detector(rank: Callable[[str], float]) -> onnx.ModelProto:
    """A feature pyramid of two levels with two heads each; of the operators that may come next, the
    file lists the one first whose `rank` is least.
    """
    chance = np.random.default_rng(0)
    nodes: dict[str, onnx.NodeProto] = {}
    weights = [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")]

    def conv(name: str, operand: str, channels: tuple[int, int], kernel: int, stride: int) -> None:
        values = chance.standard_normal((*channels, kernel, kernel)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"{name}_w"))
        edge = {"pads": [kernel // 2] * 4, "strides": [stride] * 2}
        nodes[name] = helper.make_node("Conv", [operand, f"{name}_w"], [name], **edge)

    conv("stage1", "x", (8, 3), 3, 1)
    conv("stage2", "stage1", (16, 8), 3, 2)
    conv("side1", "stage1", (8, 8), 1, 1)
    conv("level2", "stage2", (8, 16), 1, 1)
    nodes["up"] = helper.make_node(
        "Resize", ["level2", "", "scales"], ["up"], mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    nodes["level1"] = helper.make_node("Add", ["side1", "up"], ["level1"])
    outputs = []
    for level in LEVELS:
        for head, channels in HEADS.items():
            conv(f"{head}{level}_in", f"level{level}", (24, 8), 3, 1)
            conv(f"{head}{level}", f"{head}{level}_in", (channels, 24), 3, 1)
            outputs.append(helper.make_tensor_value_info(f"{head}{level}", 1, None))
    listed, known = [], {"x", "", *(weight.name for weight in weights)}
    while nodes:
        name = min((n for n in nodes if known.issuperset(nodes[n].input)), key=rank)
        listed.append(nodes.pop(name))
        known.add(name)
    image = helper.make_tensor_value_info("x", 1, [1, 3, SIZE, SIZE])
    graph = helper.make_graph(listed, "detector", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def breadth_first(name: str) -> float:
    """All stages and levels, then one layer of all heads after the other."""
    return 1 + (not name.endswith("_in")) if name.startswith(tuple(HEADS)) else 0


def depth_first(name: str) -> float:
    """The heads of a level as soon as it is there, one behind the other."""
    return not name.startswith(tuple(HEADS))


def arena(model: onnx.ModelProto) -> int:
    return smallest(prepare(model).candidates(), Dero.STREAM).arena_bytes


def test_a_detector_needs_the_same_however_its_heads_are_listed() -> None:
    ranks = [breadth_first, depth_first]
    for seed in range(2):
        chance = random.Random(seed)
        drawn: dict[str, float] = {}
        ranks.append(lambda name, d=drawn, c=chance: d.setdefault(name, c.random()))
    models = [detector(rank) for rank in ranks]
    listings = {tuple(node.output[0] for node in model.graph.node) for model in models}
    assert len(listings) == len(models)
    assert len({arena(model) for model in models}) == 1
