"""The old name of the passes' package hands on all of them."""

from __future__ import annotations

import re
from pathlib import Path

import tvm

import relay_passes
from relax_passes import pipeline
from relax_passes.canonicalization.select_operators import SelectOperators

ROOT = Path(__file__).resolve().parents[2]


def test_every_pass_is_there() -> None:
    files = (ROOT / "relax_passes").rglob("*.py")
    known = {
        name for file in files for name in re.findall(r'^NAME = "(\w+)"', file.read_text(), re.M)
    }
    assert len(known) > 30
    for name in {*known, "Canonicalize"}:
        assert callable(getattr(relay_passes, name)), name
    assert relay_passes.pipeline is pipeline and not hasattr(relay_passes, "AnyPass")
    assert relay_passes.SelectOperators is SelectOperators


def test_a_script_for_the_old_name() -> None:
    from dero_tvm.frontends import load
    from tests.models.tiny_models import residual

    passes = [relay_passes.Canonicalize(), relay_passes.IdentifyResiduals()]
    module = tvm.transform.Sequential([*passes, relay_passes.AccumulateResiduals()])(
        load(residual()).module
    )
    assert len(module.functions) > 1
