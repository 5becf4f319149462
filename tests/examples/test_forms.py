"""The published networks in their three forms have the sizes that their authors print."""

import math

import pytest

from examples.models.forms import network
from examples.models.mcunet_in3 import BLOCKS
from relax_passes.ir.operator_graph import operator_graph
from relax_passes.reorganization.attribute import read_reorganization
from relax_passes.reorganization.description import Convolution
from relax_passes.reorganization.memory import live_elements


def cut(value: float) -> str:
    """Two decimals, the rest cut off, as the README of the authors' code prints millions."""
    return f"{math.floor(value * 100) / 100:.2f}"


@pytest.mark.parametrize(
    ("name", "published"), [("resnet34", "20.64"), ("mcunet_in3", "0.72"), ("densenet121", "7.58")]
)
def test_parameters_of_reorganized_networks(name: str, published: str) -> None:
    architecture = read_reorganization(network(name, "reorganized", resolution=32)).architecture
    assert cut(architecture.parameters / 2**20) == published


def test_parameters_of_yolov5n() -> None:
    """The configuration file in the authors' code has the exact number in a comment."""
    architecture = read_reorganization(
        network("yolov5n", "reorganized", resolution=32)
    ).architecture
    assert architecture.parameters == 1_822_211
    assert [port.shape for port in architecture.outputs] == [
        (1, 255, 4, 4),
        (1, 255, 2, 2),
        (1, 255, 1, 1),
    ]


def test_peak_of_mcunet() -> None:
    """302.5 KB in the README of the authors' code; 423.5 with every shortcut in memory."""
    architecture = read_reorganization(network("mcunet_in3", "reorganized")).architecture
    peaks = [max(live_elements(architecture, way).values()) for way in ("virtual", "materialized")]
    assert peaks == [302.5 * 1024, 423.5 * 1024]


def test_forms() -> None:
    forms = ("plain", "reorganized")
    modules = {form: network("mcunet_in3", form, resolution=32, classes=10) for form in forms}
    operators = {
        form: {data["operator"] for _, data in operator_graph(module).nodes(data=True)}
        for form, module in modules.items()
    }
    assert "dero.add" not in operators["plain"]
    assert {"dero.add", "dero.pad", "dero.multiply"} <= operators["reorganized"]
    nodes = read_reorganization(modules["reorganized"]).architecture.nodes
    convolutions = [node for node in nodes if isinstance(node, Convolution)]
    assert len(convolutions) == 3 * len(BLOCKS)  # the first block has no expansion, but the stem
    assert all(node.shortcut is not None and node.norm == "before" for node in convolutions)
    with pytest.raises(ValueError, match="'dero' is none of original, plain, reorganized"):
        network("mcunet_in3", "dero", resolution=32)
