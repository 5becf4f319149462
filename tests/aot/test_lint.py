"""Linters look at generated C: portable, and with the kernels of three kinds of cores.

docs/generated-code.md lists what they may find, and why.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import dero_tvm

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "generated-code.md").read_text()
CPPCHECK = ["cppcheck", "--quiet", "--std=c11", "--suppress=missingIncludeSystem"]
CHECKS = (
    "clang-analyzer-*",
    # memcpy_s and the like are an option of C11 that few C libraries have.
    "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling",
    "cert-*",
    "performance-*",
    "portability-*",
    "misc-no-recursion",
    "cppcoreguidelines-avoid-goto",
    "cppcoreguidelines-no-malloc",
)
PROGRAMS = [
    *(("digits_int8", target) for target in ("host", "mps2-an500", "mps3-an547")),
    *(("digits_float32", target) for target in ("host", "mps2-an500")),
]


def needs(tool: str):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"not installed: {tool}")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder with the C of each program."""
    folders = {}
    for model, target in PROGRAMS:
        name = f"{model} for {target}"
        folders[name] = tmp_path_factory.mktemp("c") / name.replace(" ", "_")
        path = ROOT / "examples" / "models" / f"{model}.onnx"
        dero_tvm.compile(
            path, target=target, input_layout="nhwc", stream_input=True
        ).archive.extract_c(folders[name])
    return folders


def code(folder: Path) -> list[Path]:
    """All C files but that of the weights, in which there is nothing to find for a long time."""
    return sorted(folder.glob("*_lib1.c"))


def listed(heading: str) -> dict[str, str]:
    """The first column of the table below a heading of the page, with the second."""
    section = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    return {name.strip("`"): reason for name, reason in rows[1:]}


@pytest.fixture(scope="module")
def findings(sources: dict[str, Path]) -> list[str]:
    """What cppcheck prints of all programs, with the MISRA addon's rules."""
    options = ["--enable=warning,performance,portability", "--addon=misra"]
    options += ["-DTVMGEN_CHECK=0", "-UTVMGEN_PROFILE"]
    lines = []
    for folder in sources.values():
        done = subprocess.run(
            [*CPPCHECK, *options, f"-I{folder}", *code(folder)], capture_output=True, text=True
        )
        if "addon" in done.stderr:
            pytest.skip("cppcheck's addon for MISRA rules is not installed")
        lines += [line for line in done.stderr.splitlines() if line.endswith("]")]
    return lines


@needs("cppcheck")
def test_cppcheck(findings: list[str]) -> None:
    accepted = listed("### Findings of cppcheck")
    kinds = {line: line[line.rindex("[") + 1 : -1] for line in findings}
    others = {line: kind for line, kind in kinds.items() if not kind.startswith("misra")}
    assert set(others.values()) == set(accepted), others


@needs("cppcheck")
def test_misra_rules_that_are_not_kept(findings: list[str]) -> None:
    """They are those of the page: no other, and none that is kept after all."""
    found = {rule for line in findings for rule in re.findall(r"misra-c2012-([\d.]+)", line)}
    rules = [rule for cell in listed("### MISRA C") for rule in cell.split(", ")]
    assert sorted(found) == sorted(rules)


@needs("clang-tidy")
@pytest.mark.parametrize("model", ["digits_int8", "digits_float32"])
def test_clang_tidy(sources: dict[str, Path], model: str) -> None:
    folder = sources[f"{model} for host"]
    checks = f"--checks=-*,{','.join(CHECKS)}"
    done = subprocess.run(
        [
            "clang-tidy",
            "--quiet",
            checks,
            "--warnings-as-errors=*",
            *code(folder),
            "--",
            "-std=c11",
        ],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_types_have_fixed_widths(sources: dict[str, Path]) -> None:
    for folder in sources.values():
        for path in folder.iterdir():
            text = re.sub(r"/\*.*?\*/|\"[^\"\n]*\"", "", path.read_text(), flags=re.DOTALL)
            assert not re.search(r"\b(int|short|long|signed|unsigned|goto)\b", text), path
