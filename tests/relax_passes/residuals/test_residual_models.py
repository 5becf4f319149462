"""The residual passes on whole networks."""

from collections import Counter

import numpy as np
import pytest
import tvm

from dero_tvm.frontends import load
from relax_passes.ir.decisions import decisions
from relax_passes.pipeline import Canonicalize, accumulate, plain
from relax_passes.reorganization import remove_residuals
from relax_passes.residuals import accumulate_residuals, concat_in_place
from relax_passes.residuals.identify_residuals import IdentifyResiduals
from relax_passes.residuals.residual import read_residuals
from tests.models.light_models import light_model
from tests.relax_passes.network_parts import random_inputs, run
from tests.relax_passes.residuals.buffer_executor import peak


def verdicts(mod):
    return Counter((d.pass_name, d.action) for d in decisions(mod))


@pytest.fixture(scope="module")
def resnet8(shared):
    path = shared / "models" / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    return Canonicalize()(load(path).module)


def test_resnet8(resnet8):
    after = accumulate()(resnet8)
    assert peak(resnet8) == 49_152
    assert peak(after) <= 32_768 + 1_024
    assert peak(plain()(resnet8)) == 32_768
    assert verdicts(after) == {(accumulate_residuals.NAME, "accumulated"): 3}
    inputs = random_inputs(resnet8)
    np.testing.assert_array_equal(run(resnet8, inputs)[0], run(after, inputs)[0])


def test_resnet50():
    canonical = Canonicalize()(load(light_model("light_resnet50")).module)
    after = accumulate()(canonical)
    shortcuts = Counter(residual.shortcut for residual in read_residuals(after))
    assert shortcuts == {"identity": 12, "projection": 4}
    assert verdicts(after) == {(accumulate_residuals.NAME, "accumulated"): 16}
    baseline = plain()(canonical)
    assert verdicts(baseline) == {(remove_residuals.NAME, "removed"): 16}
    # Each block's tensors, float32: 56 x 56 x 256 beside two of its size or a half of it.
    unit = 56 * 56 * 256 * 4
    assert peak(canonical) == 2.25 * unit
    assert peak(baseline) == 1.5 * unit
    assert peak(after) < 1.63 * unit


def test_densenet121():
    canonical = Canonicalize()(load(light_model("light_densenet121")).module)
    after = accumulate()(canonical)
    found = read_residuals(after)
    assert {residual.operator for residual in found} == {"dero.concat"}
    assert {residual.shortcut for residual in found} == {"identity"}
    actions = verdicts(after)
    assert sum(actions.values()) == 58
    assert actions[concat_in_place.NAME, "in place"] >= 57
    assert peak(after) <= peak(canonical)
    baseline = plain()(canonical)
    assert verdicts(baseline) == {(remove_residuals.NAME, "removed"): 58}
    assert peak(baseline) < 0.6 * peak(canonical)
    assert not read_residuals(IdentifyResiduals()(baseline))
    tvm.relax.analysis.well_formed(baseline)


def test_shufflenet_keeps_what_its_groups_need():
    baseline = plain()(Canonicalize()(load(light_model("light_shufflenet")).module))
    left = [d for d in decisions(baseline) if d.action == "left alone"]
    assert len(left) == 3
    assert all("groups cannot lose single channels" in d.reason for d in left)


def test_squeezenet_has_no_residuals():
    canonical = Canonicalize()(load(light_model("light_squeezenet")).module)
    after = accumulate()(canonical)
    assert {residual.shortcut for residual in read_residuals(after)} == {"none"}
    assert verdicts(after) == {(concat_in_place.NAME, "in place"): 8}
