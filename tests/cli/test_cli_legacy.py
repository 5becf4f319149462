"""Flags that scripts for the old tvmc pass: accepted with their meaning, or refused with why."""

from __future__ import annotations

import numpy as np
import pytest

from dero_tvm.aot.archive import load_archive
from dero_tvm.boundary.errors import UserError
from dero_tvm.cli.legacy import board_of_target, parse_pass_config


def test_a_whole_old_command_line(run, model_file, tmp_path):
    output = tmp_path / "module.tar"
    result = run(
        "compile",
        *("--target", "c -mcpu=cortex-m7"),
        *("--executor", "aot"),
        *("--executor-aot-interface-api", "c"),
        *("--executor-aot-unpacked-api", "1"),
        *("--runtime", "crt"),
        *("--pass-config", "tir.disable_vectorize=1"),
        *("--pass-config", "tir.usmp.enable=1"),
        *("--pass-config", "tir.usmp.algorithm=hill_climb"),
        *("--output-format", "mlf"),
        *("-o", output),
        model_file,
    )
    assert result.exit_code == 0, result.output
    assert load_archive(output).metadata["modules"]["default"]["target"] == ["host"]


@pytest.mark.parametrize("target", ["c", "c -mcpu=cortex-m7", "c -keys=arm_cpu -mcpu=cortex-m4"])
def test_c_target(target):
    assert board_of_target(target) == "host"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("llvm", "C for microcontrollers is generated here"),
        ("cmsis-nn", "C for microcontrollers is generated here"),
        ("cmsis-nn,c", "--target cmsis-nn,c: C for microcontrollers is generated here"),
        ("c -link-params", "unknown option -link-params"),
    ],
)
def test_refused_targets(refused, model_file, target, reason):
    message = refused("compile", model_file, "--target", target)
    assert message.startswith("--target ")
    assert reason in message


@pytest.mark.parametrize(
    ("flag", "value", "reason"),
    [
        ("--executor", "graph", "only ahead-of-time code is generated"),
        ("--executor-aot-interface-api", "packed", "needs TVM's runtime on the device"),
        ("--executor-aot-unpacked-api", "0", "packed calls need TVM's runtime"),
        ("--runtime", "cpp", "the generated C needs no runtime"),
        ("--pass-config", "tir.usmp.enable=maybe", "expected 0 or 1"),
        ("--pass-config", "tir.usmp.algorithm=magic", "unknown algorithm (one of greedy_by_size"),
        ("--pass-config", "tir.disable_vectorize", "expected KEY=VALUE"),
        ("--pass-config", "tir.disable_vectorize=2", "expected 0 or 1"),
        ("--pass-config", "relay.FuseOps.max_depth=5", "has no meaning here (known: "),
    ],
)
def test_refused(refused, model_file, flag, value, reason):
    message = refused("compile", model_file, flag, value)
    assert message.startswith(f"{flag} {value.split('=')[0]}")
    assert reason in message


@pytest.mark.parametrize(
    "entry",
    [
        "tir.usmp.enable=1",
        "tir.usmp.enable=True",
        *(
            f"tir.usmp.algorithm={name}"
            for name in ("greedy_by_size", "greedy_by_conflicts", "hill_climb")
        ),
        "tir.disable_vectorize=1",
        "tir.disable_vectorize=0",
        "tir.disable_storage_rewrite=1",
    ],
)
def test_accepted_pass_config(entry):
    assert parse_pass_config([entry]).external_io is None


def test_workspace_io(run, refused, model_file, tmp_path):
    """``use_workspace_io`` decides where inputs and outputs lie, as it did."""
    assert parse_pass_config(["tir.usmp.use_workspace_io=1"]).external_io is False
    outside = tmp_path / "outside.tar"
    config = ("--pass-config", "tir.usmp.use_workspace_io=0")
    assert run("compile", model_file, *config, "-q", "-o", outside).exit_code == 0
    assert "map_io" not in load_archive(outside).c_headers()["tvmgen_default.h"].decode()
    config = ("--pass-config", "tir.usmp.use_workspace_io=1")
    message = refused("compile", model_file, "--external-io", *config)
    assert message.startswith("--external-io contradicts --pass-config")


class TestBareDero:
    @pytest.mark.parametrize(
        "words",
        [
            ("--dero", "MODEL"),
            ("MODEL", "--dero"),
            ("--dero", "-q", "MODEL"),
            ("--dero", "--", "MODEL"),
            ("--dero", "stream", "MODEL"),
            ("--dero=stream", "MODEL"),
        ],
    )
    def test_positions(self, run, model_file, archive_file, tmp_path, words):
        output = tmp_path / "model.tar"
        given = [model_file if word == "MODEL" else word for word in words]
        result = run("compile", "-q", "-o", output, *given)
        assert result.exit_code == 0, result.output
        assert output.read_bytes() == archive_file.read_bytes()

    def test_model_without_suffix(self, run, model_file, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net").write_bytes(model_file.read_bytes())
        assert run("compile", "--dero", "net", "-q", "-o", "net.tar").exit_code == 0

    def test_in_run(self, run, model_file):
        assert run("run", "--dero", model_file).exit_code == 0

    @pytest.mark.parametrize("words", [("--dero", "nonsense"), ("--dero=nonsense",)])
    def test_unknown_value(self, refused, model_file, words):
        message = refused("compile", model_file, *words)
        assert message.startswith("--dero nonsense: not a way to save memory; use one of none, ")

    def test_from_python(self, model_file):
        import dero_tvm

        with pytest.raises(UserError, match="use one of none, accumulate"):
            dero_tvm.compile(model_file, dero="nonsense")


def test_left_out_is_none(run, model_file):
    result = run("compile", model_file)
    assert result.exit_code == 0
    assert "--dero none" in result.stdout


def test_options_reach_the_program(run, model_file, tmp_path):
    """--keep-inputs, --module-name: seen in what the archive does."""
    output = tmp_path / "kept.tar"
    words = ("--keep-inputs", "--module-name", "net", "--dero", "-q", "-o", output)
    assert run("compile", model_file, *words).exit_code == 0
    archive = load_archive(output)
    assert archive.name == "net"
    report = archive.report
    image = next(b for b in report["buffers"] if b["kind"] == "input")
    assert image["last_step"] == len(report["steps"]) - 1
    others = [
        b
        for b in report["buffers"]
        if b is not image
        and b["offset"] < image["offset"] + image["size"]
        and image["offset"] < b["offset"] + b["size"]
    ]
    assert others == []
    assert np.prod(archive.inputs[0].shape) * 4 == image["size"]
