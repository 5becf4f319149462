"""One width a stage after concatenations went: DenseNet-121's published one, and small cases."""

import numpy as np
import pytest
import tvm
from tvm import relax

from relax_passes.ir.decisions import decisions
from relax_passes.operators import make_call
from relax_passes.pipeline import reorganize
from relax_passes.reorganization import refine_operators
from relax_passes.reorganization.attribute import read_reorganization
from relax_passes.reorganization.description import (
    Architecture,
    Block,
    Choices,
    Convolution,
    Dense,
    GlobalPool,
    Port,
    Stage,
    Window,
)
from relax_passes.reorganization.refine_operators import RefineOperators, refine
from relax_passes.reorganization.remove_residuals import RemoveResiduals
from relax_passes.reorganization.reorganize_residuals import ReorganizeResiduals
from relax_passes.streaming.stream_rows import StreamRows
from tests.relax_passes.network_parts import concat, conv, network, random_inputs
from tests.relax_passes.reorganization.reorganized_parts import run_in_torch
from tests.relax_passes.residuals.buffer_executor import execute

SHAPE = (1, 6, 6, 4)


def dense_network(emit, x, growth=4, layers=3):
    """Two dense blocks with a transition, norms as multiplications and additions."""
    x = emit(conv(x, 8, seed=1, minimum=0), "stem")
    for block in (1, 2):
        for layer in range(layers):
            scale = relax.const(np.full((1, 1, 1, int(x.ty.shape[-1])), 0.5, "float32"))
            n = emit(make_call("multiply", [x, scale], minimum=0), f"n{block}{layer}")
            y = emit(conv(n, 2 * growth, 1, seed=layer, minimum=0), f"a{block}{layer}")
            y = emit(conv(y, growth, seed=layer + 10), f"b{block}{layer}")
            x = emit(concat(x, y), f"c{block}{layer}")
        if block == 1:
            x = emit(conv(x, 10, 1, seed=20), "t")
            window = {"pool_size": (2, 2), "strides": (2, 2)}
            x = emit(make_call("pool2d", [x], kind="average", **window), "p")
    m = emit(make_call("reduce", [x], kind="mean", axes=(1, 2)), "m")
    weight = np.random.default_rng(3).standard_normal((5, int(m.ty.shape[-1]))).astype("float32")
    bias = np.zeros(5, "float32")
    return emit(make_call("dense", [m, relax.const(weight), relax.const(bias)]), "out")


def convolutions(mod):
    nodes = read_reorganization(mod).architecture.nodes
    return [node for node in nodes if isinstance(node, Convolution)]


def best(weights, budget):
    return min(range(4, 400, 4), key=lambda width: abs(weights(width) - budget))


def test_stages_get_their_weights_back():
    before = network(dense_network, SHAPE)
    after = RefineOperators()(ReorganizeResiduals()(before))
    relax.analysis.well_formed(after)
    stages = {s.name: s for s in read_reorganization(after).architecture.stages}
    # 8 -> 8 -> 4, 12 -> 8 -> 4, 16 -> 8 -> 4, transition 20 -> 10
    assert stages["stage1"].budget == 8 * (8 + 12 + 16) + 3 * 9 * 8 * 4 + 20 * 10
    assert stages["stage2"].budget == 8 * (10 + 14 + 18) + 3 * 9 * 8 * 4
    widths = {
        name: {n.out_channels for n in stage.nodes if getattr(n, "refinable", False)}
        for name, stage in stages.items()
    }
    # One layer reads what comes before the stage, two read the layer before; the last is fixed.
    first = best(lambda w: 8 * w + 9 * w * w + 2 * 10 * w * w + w * 10, stages["stage1"].budget)
    second = best(lambda w: 10 * w + 9 * w * w + 2 * 10 * w * w + w * 22, stages["stage2"].budget)
    assert widths == {"stem": set(), "stage1": {first}, "stage2": {second}, "head": set()}
    chosen = [d for d in decisions(after) if d.pass_name == refine_operators.NAME]
    assert [d.join for d in chosen] == ["stage1", "stage2"]
    assert f"{stages['stage1'].budget:,} in the original" in chosen[0].reason


def test_the_classifier_keeps_its_width():
    after = reorganize()(network(dense_network, SHAPE))
    *_, last = convolutions(after)
    assert (last.out_channels, last.window.kernel, last.inherited) == (22, (1, 1), False)
    (dense,) = (n for n in read_reorganization(after).architecture.nodes if isinstance(n, Dense))
    assert dense.in_channels == 22


def test_refined_module_computes_what_its_description_says():
    def build(emit, x):
        return dense_network(emit, x, layers=1)

    before = network(build, SHAPE)
    after = reorganize(Choices("after", shortcut_norms="changed"))(before)
    inputs = random_inputs(before)
    expected = run_in_torch(read_reorganization(after), *inputs)
    np.testing.assert_allclose(execute(after, inputs)[0], expected[0], rtol=1e-4, atol=1e-4)


def test_plain_baseline_is_the_reorganized_network_without_shortcuts():
    before = network(dense_network, SHAPE)
    baseline = RemoveResiduals(refine=True)(before)
    assert [node.weight_shape for node in convolutions(baseline)] == [
        node.weight_shape for node in convolutions(reorganize()(before))
    ]
    assert all(node.shortcut is node.norm is None for node in convolutions(baseline))
    narrow = RemoveResiduals()(before)
    assert "dero.reorganization" not in narrow["main"].attrs


def test_networks_without_concatenations_stay():
    def build(emit, x):
        b = emit(conv(emit(conv(x, 8), "a"), 4), "b")
        return emit(make_call("add", [x, b]), "c")

    before = network(build, SHAPE)
    narrow = ReorganizeResiduals()(before)
    tvm.ir.assert_structural_equal(RefineOperators()(narrow), narrow)
    baseline, other = RemoveResiduals(refine=True)(before), RemoveResiduals()(before)
    tvm.ir.assert_structural_equal(baseline, other)


def test_needs_a_reorganized_module():
    with pytest.raises(ValueError, match="ReorganizeResiduals has not run"):
        RefineOperators()(network(dense_network, SHAPE))


def test_refuses_a_module_that_was_rewritten_since():
    reorganized = ReorganizeResiduals()(network(dense_network, SHAPE))
    with pytest.raises(ValueError, match="passes after ReorganizeResiduals rewrote it"):
        RefineOperators()(StreamRows()(reorganized))


def densenet121():
    """The chain that is left of DenseNet-121: only widths and budgets matter."""
    name, channels = "image", 64
    stages = []
    for number, (layers, out) in enumerate(zip((6, 12, 24, 16), (128, 256, 512, 1024)), 1):
        budget = sum((channels + 32 * layer) * 128 + 9 * 128 * 32 for layer in range(layers))
        budget += (channels + 32 * layers) * out if number < 4 else 0
        kernels = [1, 3] * layers + [1]
        nodes = []
        for index, kernel in enumerate(kernels, 1):
            last = index == len(kernels)
            width = out if last else 32
            path = f"stage{number}.block1.conv{index}"
            window = Window((kernel, kernel), padding=(kernel // 2,) * 4)
            shape = (28, 28, width)
            nodes.append(
                Convolution(path, (name,), shape, channels, width, window, refinable=not last)
            )
            name, channels = path, width
        stages.append(Stage(f"stage{number}", (Block("block1", tuple(nodes)),), budget))
    head = Block("", (GlobalPool("head.pool", (name,), (1024,)),))
    ports = (Port("image", (1, 28, 28, 64), "NHWC"),), (Port("head.pool", (1, 1024)),)
    return Architecture("densenet121", ports[0], (*stages, Stage("head", (head,))), ports[1])


def test_widths_of_densenet121():
    """76, 92, 116 and 112 stand in the public code of the method's authors."""
    refined, chosen = refine(densenet121())
    assert [d.action for d in chosen] == [f"{width} channels" for width in (76, 92, 116, 112)]
    widths = [node.out_channels for node in refined.nodes if isinstance(node, Convolution)]
    assert widths == [76] * 12 + [128] + [92] * 24 + [256] + [116] * 48 + [512] + [112] * 32 + [
        1024
    ]
