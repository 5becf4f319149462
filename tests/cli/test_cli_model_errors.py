"""What a user can get wrong with a model: one line, a status, nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.models.tiny_models import model_of, residual, save


@pytest.fixture
def output(tmp_path):
    return tmp_path / "model.tar"


@pytest.mark.parametrize("command", ["compile", "run"])
def test_file_that_is_no_model(refused, tmp_path, command, model_file):
    missing = tmp_path / "missing.onnx"
    assert refused(command, missing) == f"{missing} does not exist"
    assert refused(command, tmp_path).startswith(f"{tmp_path} is a folder; give the model file")
    empty = tmp_path / "empty.tflite"
    empty.write_bytes(b"")
    assert refused(command, empty) == f"{empty} is empty"
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(model_file.read_bytes()[:500])
    assert f"{truncated} is not a readable ONNX model" in refused(command, truncated)
    notes = tmp_path / "notes.txt"
    notes.write_text("These are notes.\n" * 9)
    assert f"{notes} is not a model of a known format" in refused(command, notes)
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, image=np.zeros(3))
    assert "is a file of arrays without a network" in refused(command, arrays)


def test_unsupported_operators(refused, tmp_path, output):
    nodes = [
        helper.make_node("Wobble", ["x"], ["a"], name="first", domain="acme"),
        helper.make_node("Det", ["a"], ["y"], name="second"),
    ]
    path = save(model_of(nodes, {"x": (1, 4, 4)}, {"y": (1,)}), tmp_path / "odd.onnx")
    assert refused("compile", path, "-o", output) == (
        f"{path}: unsupported operators: acme.Wobble (node 'first'); Det (node 'second')"
    )


def test_operator_that_is_imported_but_has_no_kernel(refused, tmp_path, output):
    node = helper.make_node("EyeLike", ["x"], ["y"])
    path = save(model_of([node], {"x": (4, 8)}, {"y": (4, 8)}), tmp_path / "unity.onnx")
    message = refused("compile", path, "-o", output)
    assert message.startswith(f"{path}: operator relax.eye_like has no implementation as a static")
    assert "replace it in the model (in the model: EyeLike 'y')" in message


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "STRING", "COMPLEX64"])
def test_unsupported_type(refused, tmp_path, output, kind):
    node = helper.make_node("Relu", ["x"], ["y"])
    model = model_of([node], {"x": (1, 4)}, {"y": (1, 4)}, kind=getattr(TensorProto, kind))
    path = save(model, tmp_path / "typed.onnx")
    message = refused("compile", path, "-o", output)
    assert f"{path}: input 'x' has the unsupported type {kind.lower()}" in message


def test_type_inside_the_network(refused, tmp_path, output):
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Abs", ["half"], ["absolute"]),
        helper.make_node("Cast", ["absolute"], ["y"], to=TensorProto.FLOAT),
    ]
    path = save(model_of(nodes, {"x": (1, 4)}, {"y": (1, 4)}), tmp_path / "half.onnx")
    message = refused("compile", path, "-o", output)
    assert message.startswith(f"{path}: tensor ")
    assert "has the type float16, which generated code does not have" in message


class TestInputShapes:
    @pytest.fixture
    def path(self, tmp_path):
        return save(residual(batch="n"), tmp_path / "open.onnx")

    def test_needed(self, refused, path, output):
        assert refused("compile", path, "-o", output) == (
            f"{path}: input 'image' has the open shape [n, 4, 8, 8]; fix it with "
            '--input-shapes "image:[1,4,8,8]"'
        )

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("photo:[1,4,8,8]", "--input-shapes names 'photo', but the model's inputs are: image"),
            ("image:[1,5,8,8]", "which contradicts the model's [n, 4, 8, 8]"),
            ("image:[1,4,8]", "which contradicts the model's [n, 4, 8, 8]"),
            ("image:[0,4,8,8]", "every dimension must be a positive whole number"),
            ("image:[n,4,8,8]", 'expected entries like "x:[1,3,32,32]"'),
            ("image=1,4,8,8", 'expected entries like "x:[1,3,32,32]"'),
            ("image:[1,4,8,8] image:[2,4,8,8]", "gives 'image' two shapes"),
            ("", "--input-shapes is empty"),
            ("image:[99999999999,4,8,8]", "more than the 2,147,483,647 that generated code can"),
        ],
    )
    def test_wrong(self, refused, path, output, text, reason):
        assert reason in refused("compile", path, "--input-shapes", text, "-o", output)

    def test_right(self, run, path, output):
        result = run("compile", path, "--input-shapes", "image:[1, 4, 8, 8]", "-q", "-o", output)
        assert result.exit_code == 0, result.output
        assert output.is_file()


class TestTooLarge:
    @staticmethod
    def board(tmp_path, ram: int, flash: int):
        path = tmp_path / "small.toml"
        path.write_text(
            'name = "small"\ndescription = "Test"\ncore = "cortex-m4"\nfeatures = []\n'
            'flags = ["-mcpu=cortex-m4", "-mthumb"]\nalignment = 4\nsource = "Test"\n'
            '[[ram]]\nname = "sram"\norigin = 0x20000000\nsection = ".bss"\nsource = "Test"\n'
            f'size = {ram}\n[flash]\norigin = 0\nsize = {flash}\nsource = "Test"\n'
        )
        return path

    def test_ram(self, refused, model_file, tmp_path, output):
        board = self.board(tmp_path, 8192 + 2900, 1 << 20)
        message = refused("compile", model_file, "--target", board, "-o", output)
        assert message.startswith(f"{model_file} does not fit small: operator ")
        assert (
            "output [1, 8, 8, 4] float32) needs 3,072 bytes of RAM, which is 172 bytes" in message
        )
        assert "more than the 2,900 that are left beside the stack" in message
        assert "--memory-budget 2900, for which some things may be made twice" in message
        assert "choose another --dero (stream needs least), --memory-budget" in message
        board = self.board(tmp_path, 8192 + 64, 1 << 20)
        message = refused("compile", model_file, "--target", board, "--dero", "-o", output)
        assert "choose --memory-budget 64" in message

    def test_as_small_as_it_fits(self, run, model_file, tmp_path, output):
        board = self.board(tmp_path, 8192 + 3072, 1 << 20)
        assert run("compile", model_file, "--target", board, "-o", output).exit_code == 0

    def test_flash(self, refused, model_file, tmp_path, output):
        board = self.board(tmp_path, 1 << 20, 1000)
        message = refused("compile", model_file, "--target", board, "-o", output)
        assert message.startswith(f"{model_file} does not fit small: its weights are 1,168 bytes")
        assert "which is 168 bytes more than its flash of 1,000" in message


def test_board(refused, model_file, tmp_path, output):
    message = refused("compile", model_file, "--target", "stm32", "-o", output)
    assert "Unknown board 'stm32': did you mean stm32f" in message
    message = refused("compile", model_file, "--target", tmp_path / "no.toml", "-o", output)
    assert f"There is no board description {tmp_path / 'no.toml'}" in message
    path = tmp_path / "board.toml"
    path.write_text("name = [")
    assert f"{path} is not a TOML file" in refused("compile", model_file, "--target", path)
    path.write_text('name = "x"\ncolour = "red"')
    message = refused("compile", model_file, "--target", path)
    assert "'core' is missing" in message
    assert "'colour' is not a known field" in message
