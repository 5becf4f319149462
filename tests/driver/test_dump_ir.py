"""--dump-ir: which modules are written, which are not, and into which folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import tvm
from onnx import helper
from tvm import relax

import dero_tvm
from dero_tvm import UserError
from dero_tvm.driver.dump_folder import HEADER, INDEX
from dero_tvm.driver.pass_runner import pass_runner
from relax_passes import pipeline
from relax_passes.canonicalization import decompose, fold_constants
from relax_passes.shortcuts import fuse_shortcuts
from relax_passes.streaming import stream_rows
from tests.compiled.models import compiled as compiled_model
from tests.models.tiny_models import model_of, residual


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def index(folder: Path) -> list[str]:
    lines = (folder / INDEX).read_text().splitlines()
    assert lines[:2] == [HEADER, ""]
    return lines[2:]


def with_files(folder: Path) -> list[str]:
    """The lines of the index that name files."""
    return [line for line in index(folder) if line.endswith(".py") and " " not in line]


def names(sequence: tvm.transform.Pass) -> list[str]:
    """The passes of a sequence and of those in it."""
    if not isinstance(sequence, tvm.transform.Sequential):
        return [str(sequence.info.name)]
    return [name for inner in sequence.passes for name in names(inner)]


def ran(folder: Path, rewriting: str = "") -> list[str]:
    """The passes in the index, as far as they belong to one rewriting."""
    prefix = f"{rewriting}/" if rewriting else ""
    found = [line.removesuffix(" unchanged").removesuffix(".py") for line in index(folder)]
    found = [line.removeprefix(prefix) for line in found if line.startswith(prefix)]
    numbered = [line.split("_", 1) for line in found if line[:2].isdigit()]
    first = 0 if not rewriting else 1
    assert [int(number) for number, _ in numbered] == list(range(first, len(numbered) + first))
    return [name for _, name in numbered]


def test_every_pass_of_every_rewriting(tmp_path: Path) -> None:
    folder = tmp_path / "ir"
    plain = compiled_model("residual")
    compiled = dero_tvm.compile(residual(), dump_ir=folder)
    assert compiled.archive.files == plain.archive.files, "to look on changes nothing"

    assert ran(folder) == ["imported", *names(pipeline.canonicalize())]
    for rewriting, sequence in (
        ("stream", pipeline.stream()),
        ("overlap", pipeline.stream()),
        ("accumulate", pipeline.accumulate()),
        ("analyze", pipeline.analyze()),
        ("plain", pipeline.plain()),
    ):
        assert [name for name in ran(folder, rewriting) if name != "ascending"] == names(sequence)

    written = with_files(folder)
    assert files(folder) == {INDEX, *written}
    assert f"03_{decompose.NAME} unchanged" in index(folder)
    texts = [(folder / file).read_text() for file in written]
    assert texts[0] == dero_tvm.load(residual()).module.script() + "\n"
    (final,) = [line for line in index(folder) if line.startswith("the code is generated from")]
    assert (folder / final.split()[-1]).read_text() == compiled.module.script() + "\n"


def test_constants_alone_that_change_are_a_change(tmp_path: Path) -> None:
    """Texts do not have their values."""
    runner = pass_runner(tmp_path)

    @tvm.transform.module_pass(opt_level=0, name="Doubled")
    def doubled(mod: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        return with_constant(2.0)

    first = with_constant(1.0)
    runner.add("first", first)
    runner.run(tvm.transform.Sequential([doubled, doubled]), first)
    assert index(tmp_path)[1:] == ["01_Doubled.py", "02_Doubled unchanged"]
    assert files(tmp_path) == {INDEX, "00_first.py", "01_Doubled.py"}


def with_constant(value: float) -> tvm.IRModule:
    x = relax.Var("x", relax.TensorType((2,), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(relax.op.add(x, relax.const([value, value]))))
    return builder.get()


def test_disabled_passes_and_instruments_of_the_caller_stay(tmp_path: Path) -> None:
    seen = []

    @tvm.instrument.pass_instrument
    class Seen:
        def run_before_pass(self, _module: tvm.IRModule, info: tvm.transform.PassInfo) -> None:
            seen.append(str(info.name))

    with tvm.transform.PassContext(disabled_pass=[fuse_shortcuts.NAME], instruments=[Seen()]):
        dero_tvm.compile(residual(), dero="none", dump_ir=tmp_path)
    assert fuse_shortcuts.NAME not in ran(tmp_path)
    assert fold_constants.NAME in seen


def test_an_earlier_dump_is_replaced(tmp_path: Path) -> None:
    dero_tvm.compile(residual(), dump_ir=tmp_path)
    assert (tmp_path / "stream").is_dir()
    dero_tvm.compile(residual(), dero="none", dump_ir=tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"analyze", "plain"}
    assert files(tmp_path) == {INDEX, *with_files(tmp_path)}


def test_a_pass_that_refuses(tmp_path: Path) -> None:
    """What ran before it is there."""
    nodes = [helper.make_node("Trilu", ["x"], ["y"])]
    model = model_of(nodes, {"x": [1, 4, 4, 2]}, {"y": [1, 4, 4, 2]})
    with pytest.raises(UserError, match="cannot be handed over row by row"):
        dero_tvm.compile(model, stream_input=True, dump_ir=tmp_path)
    assert re.fullmatch(rf"stream/\d\d_{stream_rows.NAME} did not end", index(tmp_path)[-1])
    assert ran(tmp_path)[0] == "imported"


@pytest.mark.parametrize("other", ["notes.txt", "mine.py", "stream/notes.txt", "a/b/01_c.py"])
@pytest.mark.parametrize("dumped", [False, True])
def test_other_files_are_left_alone(tmp_path: Path, other: str, dumped: bool) -> None:
    if dumped:
        (tmp_path / INDEX).write_text(HEADER)
    file = tmp_path / other
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("precious")
    before = files(tmp_path)
    with pytest.raises(UserError, match="--dump-ir did not write what is in this folder"):
        dero_tvm.compile(residual(), dump_ir=tmp_path)
    assert files(tmp_path) == before and file.read_text() == "precious"


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "ir"
    elsewhere.mkdir()
    folder.mkdir()
    (elsewhere / "01_mine.py").write_text("precious")
    (folder / INDEX).write_text(HEADER)
    os.symlink(elsewhere, folder / "stream")
    with pytest.raises(UserError, match="did not write"):
        dero_tvm.compile(residual(), dump_ir=folder)
    assert (elsewhere / "01_mine.py").read_text() == "precious"
