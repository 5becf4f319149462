"""`CompileOptions`: one list of options for Python and the command line."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

import click
import numpy as np
import pytest

import dero_tvm
from dero_tvm import CompileOptions, UserError
from dero_tvm.cli.compile import compile_command
from dero_tvm.driver.options import flags
from tests.models.small_networks import residual_network

NAMES = {field.name for field in fields(CompileOptions)}


def test_every_option_is_documented_and_on_the_command_line() -> None:
    listed = re.findall(
        r"^    ([a-z_]+(?:, [a-z_]+)*)$", CompileOptions.__doc__ or "", re.MULTILINE
    )
    assert set(", ".join(listed).split(", ")) == NAMES
    assert flags(CompileOptions).keys() == NAMES - {"progress", "windows"}
    options = {p.name: p for p in compile_command.params if isinstance(p, click.Option)}
    for name, flag in flags(CompileOptions).items():
        assert flag.flag in options[name].opts
        assert flag.help in (options[name].help or "")


def test_defaults_of_the_command_line() -> None:
    given = compile_command.make_context("compile", ["model.onnx"]).params
    assert given["dero"] is None, "every tensor is whole"
    for field in fields(CompileOptions):
        if field.name in flags(CompileOptions).keys() - {"dero"}:
            assert given[field.name] == field.default or not (given[field.name] or field.default)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a-b"}, "module name 'a-b': use up to 48 letters"),
        ({"name": 5}, "module name 5: use up to 48 letters"),
        ({"time_limit": float("nan")}, "--time-limit nan: give a number of seconds, 0 or more"),
        ({"time_limit": "soon"}, "--time-limit soon: give a number of seconds, 0 or more"),
        ({"dero": "all"}, "--dero all: not a way to save memory; use one of none, "),
        ({"memory_budget": "much"}, "--memory-budget much: not a size"),
        ({"max_recompute": 1.2}, "--max-recompute bounds what --memory-budget may cost"),
        *(
            ({"max_recompute": ratio, "memory_budget": 1}, f"--max-recompute {ratio}: give a ratio")
            for ratio in (0.99, float("nan"), float("inf"), "1.2")
        ),
        ({"reserve": -1}, "--reserve -1: a size is a positive whole number"),
        ({"target": "stm33"}, "Unknown board 'stm33'"),
        ({"input_layout": "nwhc"}, "--input-layout nwhc: use one of model, nhwc"),
        ({"dero": "overlap", "stream_input": ["x"]}, "--dero overlap keeps every tensor whole"),
        ({"dero": "none", "stream_output": True}, "--dero none keeps every tensor whole"),
    ],
)
def test_refused_before_the_model_is_read(options: dict[str, Any], message: str) -> None:
    for called in (lambda **each: dero_tvm.compile("no-such.onnx", **each), CompileOptions):
        with pytest.raises(UserError) as caught:
            called(**options)
        assert str(caught.value).startswith(message)


def test_what_options_mean() -> None:
    options = CompileOptions(dero="accumulate", memory_budget="64KB", reserve=0, target="host")
    assert (options.mode.value, options.budget, options.reserved) == ("accumulate", 65536, 0)
    assert options.board == dero_tvm.load_board("host")
    assert CompileOptions().reserved == 8192
    assert CompileOptions(time_limit=np.float32(2)).planning.time_limit == 2


@pytest.mark.parametrize(
    ("function", "keyword", "message"),
    [
        ("compile", "deor", "compile() got an unexpected keyword argument 'deor': did you mean 'd"),
        ("compile", "limits", "'limits': did you mean 'time_limit'?"),
        ("compile", "zzz", "'zzz': the options are dero, memory_budget, max_recompute, "),
        ("sweep", "limit", "'limit': did you mean 'limits'?"),
        ("sweep", "dero", "sweep() has no use for 'dero': leave it out"),
        ("fit", "board", "'board': did you mean 'boards'?"),
        ("fit", "stream_input", "fit() has no use for 'stream_input': leave it out"),
    ],
)
def test_unknown_keywords(function: str, keyword: str, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        getattr(dero_tvm, function)("no-such.onnx", **{keyword: 1})
    assert keyword not in inspect.signature(getattr(dero_tvm, function)).parameters


def test_options_keywords_and_both() -> None:
    network, stages = residual_network(), list[str]()
    options = CompileOptions(dero="none", name="other", progress=stages.append)
    plain = dero_tvm.compile(network, options)
    assert (plain.report.dero, plain.archive.name) == ("none", "other") and stages
    changed = dero_tvm.compile(network, options, dero="accumulate")
    assert (changed.report.dero, changed.archive.name) == ("accumulate", "other")
    assert dero_tvm.compile(network, dero="none", name="other").archive == plain.archive
    modes = {point.mode for point in dero_tvm.sweep(network, options, device="none").points}
    assert len(modes) > 1, "a sweep has no use for `dero`"
    with pytest.raises(TypeError, match="compile.. takes CompileOptions behind the model"):
        dero_tvm.compile(network, "stm32f746g_disco")  # type: ignore[call-overload]
