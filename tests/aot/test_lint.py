"""Linters look at generated C: portable, and with the kernels of several kinds of cores.

docs/generated-code.md lists what they may find, and why.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import dero_tvm
from dero_tvm.boards.board import load_board

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
)
# Without the checks and the profile that can be compiled in, and with them.
CONFIGURATIONS = (
    ["-DTVMGEN_CHECK=0", "-UTVMGEN_PROFILE"],
    ["-DTVMGEN_CHECK=1", "-DTVMGEN_PROFILE=TVMGEN_DWT"],
)
LIBRARY = {"memcpy", "memset", "expf", "fmaf"}
PROGRAMS = [
    *(("digits_int8", target) for target in ("host", "mps2-an500", "mps3-an547")),
    *(("digits_float32", target) for target in ("host", "mps2-an500")),
]


def needs(tool: str, version: str):
    """Skips without that release of a linter: each finds something else."""
    if shutil.which(tool) is None:
        return pytest.mark.skip(reason=f"not installed: {tool}")
    printed = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
    other = re.search(rf"\b{re.escape(version)}\b", printed) is None
    return pytest.mark.skipif(other, reason=f"the page is about {tool} {version}")


needs_cppcheck = needs("cppcheck", "2.10")
needs_clang_tidy = needs("clang-tidy", "14")


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


@pytest.fixture(scope="module")
def looked_at(sources: dict[str, Path]) -> list[tuple[list[Path], list[str]]]:
    """C files and flags for cppcheck: the programs, and the golden ones, which are short."""
    programs = [(code(folder), CONFIGURATIONS[0]) for folder in sources.values()]
    for header in sorted((ROOT / "tests" / "aot" / "golden").glob("*.h")):
        golden = sorted(header.parent.glob(f"{header.stem.removeprefix('tvmgen_')}*.c"))
        programs += [(golden, flags) for flags in CONFIGURATIONS]
    return programs


def code(folder: Path) -> list[Path]:
    """All C files but that of the weights, in which there is nothing to find for a long time."""
    return sorted(folder.glob("*_lib1.c"))


def listed(heading: str) -> dict[str, str]:
    """The first column of the table below a heading of the page, with the second."""
    section = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    return {name.strip("`"): reason for name, reason in rows[1:]}


def misra_addon(folder: Path) -> Path:
    """cppcheck's addon with a text of its own for each rule.

    Of findings with equal texts on a line cppcheck shows one, and without texts all are equal.
    """
    numbers = [f"{chapter}.{rule}" for chapter in range(1, 23) for rule in range(1, 31)]
    texts = "".join(f"Rule {number} Required\nNumber {number}\n" for number in numbers)
    (folder / "rules.txt").write_text(f"Appendix A Summary of guidelines\n{texts}")
    addon = folder / "misra.json"
    arguments = [f"--rule-texts={folder / 'rules.txt'}"]
    addon.write_text(json.dumps({"script": "misra.py", "args": arguments}))
    return addon


@pytest.fixture(scope="module")
def findings(looked_at: list[tuple[list[Path], list[str]]], tmp_path_factory) -> list[str]:
    """What cppcheck prints of all programs, with the MISRA addon's rules."""
    addon = misra_addon(tmp_path_factory.mktemp("addon"))
    options = ["--enable=warning,performance,portability", f"--addon={addon}"]
    lines = []
    for paths, flags in looked_at:
        # The addon leaves files beside the source.
        copies = tmp_path_factory.mktemp("looked_at")
        copied = [shutil.copy(path, copies) for path in paths]
        done = subprocess.run(
            [*CPPCHECK, *options, *flags, f"-I{paths[0].parent}", *copied],
            capture_output=True,
            text=True,
        )
        if "Did not find addon" in done.stderr:
            pytest.skip("cppcheck's addon for MISRA rules is not installed")
        lines += re.findall(r"^\S+:\d+:\d+: .*\[[\w.-]+\]$", done.stderr, re.MULTILINE)
    return lines


@needs_cppcheck
def test_the_addon_shows_all_rules_of_a_line(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text(
        "int f(int n) { top: if (n > 3) { goto top; } free(malloc(4)); return f(n); }"
    )
    options = ["--enable=style", f"--addon={misra_addon(tmp_path)}"]
    shown = subprocess.run([*CPPCHECK, *options, source], capture_output=True, text=True).stderr
    if "Did not find addon" in shown:
        pytest.skip("cppcheck's addon for MISRA rules is not installed")
    assert {"15.1", "17.2", "21.3"} <= set(re.findall(r"\[misra-c2012-([\d.]+)\]", shown))


@needs_cppcheck
def test_cppcheck(findings: list[str]) -> None:
    accepted = listed("### Findings of cppcheck")
    kinds = {line: line[line.rindex("[") + 1 : -1] for line in findings}
    others = {line: kind for line, kind in kinds.items() if not kind.startswith("misra")}
    assert set(others.values()) == set(accepted), others


@needs_cppcheck
def test_misra_rules_that_are_not_kept(findings: list[str]) -> None:
    """They are those of the page: no other, and none that is kept after all."""
    found = {rule for line in findings for rule in re.findall(r"misra-c2012-([\d.]+)", line)}
    rules = [rule for cell in listed("### MISRA C") for rule in cell.split(", ")]
    assert sorted(found) == sorted(rules), found ^ set(rules)


@needs_clang_tidy
@pytest.mark.parametrize(("model", "target"), PROGRAMS)
def test_clang_tidy(sources: dict[str, Path], model: str, target: str) -> None:
    flags = ["-std=c11", *(_flags_of(target) if target != "host" else [])]
    checks = f"--checks=-*,{','.join(CHECKS)}"
    command = ["clang-tidy", "--quiet", checks, "--warnings-as-errors=*"]
    done = subprocess.run(
        [*command, *code(sources[f"{model} for {target}"]), "--", *flags],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def _flags_of(board: str) -> list[str]:
    """Clang's for the core, and the C library of its gcc, whose folders gcc prints."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("not installed: arm-none-eabi-gcc")
    asked = ["arm-none-eabi-gcc", "-xc", "-E", "-v", "/dev/null"]
    printed = subprocess.run(asked, capture_output=True, text=True).stderr.splitlines()
    folders = [line.strip() for line in printed if line.endswith("arm-none-eabi/include")]
    flags = [flag for flag in load_board(board).flags if not flag.startswith("-mfpu")]
    return ["--target=arm-none-eabi", *flags, *(f"-isystem{folder}" for folder in folders)]


@pytest.mark.parametrize(("model", "target"), PROGRAMS)
def test_what_is_called_of_the_c_library(
    sources: dict[str, Path], model: str, target: str, tmp_path: Path
) -> None:
    """No heap, no standard output: objects need nothing but these functions and each other."""
    prefix = "" if target == "host" else "arm-none-eabi-"
    for tool in ("gcc", "nm"):
        if shutil.which(prefix + tool) is None:
            pytest.skip(f"not installed: {prefix}{tool}")
    flags = load_board(target).flags if prefix else ()
    needed, defined = set(), set()
    for number, path in enumerate(sorted(sources[f"{model} for {target}"].glob("*.c"))):
        result = tmp_path / f"{number}.o"
        subprocess.run(
            [f"{prefix}gcc", "-std=c11", "-O2", *flags, "-c", path, "-o", result], check=True
        )
        listing = subprocess.run([f"{prefix}nm", result], capture_output=True, text=True).stdout
        for line in listing.splitlines():
            *_, kind, name = line.split()
            (needed if kind == "U" else defined).add(name)
    others = {name for name in needed - defined if not name.startswith(("__aeabi_", "_GLOBAL_"))}
    assert defined and others <= LIBRARY


def test_types_have_fixed_widths(sources: dict[str, Path]) -> None:
    for folder in sources.values():
        for path in folder.iterdir():
            text = re.sub(r"/\*.*?\*/|\"[^\"\n]*\"", "", path.read_text(), flags=re.DOTALL)
            assert not re.search(r"\b(int|short|long|signed|unsigned|goto)\b", text), path


def test_what_is_used_beyond_c11(sources: dict[str, Path]) -> None:
    """Attributes, and of what kinds of code assembly is part, are those of the page."""
    sentences = re.search(r"Beyond C11 it uses .*?(?=\n\n)", PAGE, re.DOTALL)[0]
    portable, particular = (
        set(re.findall(r"`(\w+)`", part))
        for part in " ".join(sentences.split()).split("Kernels for particular cores also use")
    )
    for name, folder in sources.items():
        text = "".join(path.read_text() for path in folder.iterdir())
        lists = re.findall(r"__attribute__\(\((.*?)\)\)", text)
        attributes = set(re.findall(r"\w+", re.sub(r"\([^()]*\)?", "", ",".join(lists))))
        assert attributes
        if name.endswith(" host"):
            assert attributes <= portable and "__asm__" not in text
        else:
            assert attributes <= portable | particular
