"""Records of what was tried, and docs/trust.md, the page that is made of them.

    python -m tests.trust                   writes the page anew from the records
    python -m tests.trust repeatability     first runs these tests, and records how many passed
    python -m tests.trust kernels --times 20    with 20 times as many random cases, new ones

A long command calls `record` when it is done, mostly because it was given `--record`.  A record is
docs/trust/NAME.json.  No count on the page is typed: for a new row, write a record.

docs/trust/missed.toml is written by hand: faults that none of these runs had found.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from dero_tvm.aot.versions import versions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "docs" / "trust"
MISSED = RECORDS / "missed.toml"
PAGE = ROOT / "docs" / "trust.md"

# What tests alone show: claim, and pytest's arguments.
TESTS = {
    "kernels": (
        "Kernels equal LiteRT's reference kernels, ONNX Runtime or NumPy on random shapes, strides,"
        " paddings, dilations, groups, zero points and scales, those with which results vanish or"
        " saturate among them, and on infinities and NaN; those for Arm cores equal the"
        " portable ones. Operators of PyTorch programs, compiled, equal PyTorch's.",
        [
            *("tests/relax_passes/operators", "tests/kernels"),
            *("tests/end_to_end/test_special_values.py", "tests/end_to_end/test_average_ties.py"),
            "tests/frontends/test_pytorch_operators.py",
        ],
    ),
    "repeatability": (
        "Equal inputs and versions give byte-identical archives: on the machine that wrote the"
        " digests in `tests/archive_digests.json` and on the one that ran the tests; under other"
        " hash seeds, processor features, numbers of threads, languages and time zones; in two"
        " threads and two processes at a time; the oldest supported TVM gives the C that the newest"
        " does.",
        ["tests/test_repeatability.py"],
    ),
    "lint": (
        "In generated C, cppcheck with its addon for MISRA C:2012 and clang-tidy find nothing but"
        " [what is listed with reasons](generated-code.md#language-rules); types have fixed widths;"
        " of the C library only memcpy, memset and mathematical functions are called.",
        ["tests/aot/test_lint.py"],
    ),
    "interrupts": (
        "Ctrl-C, a signal, a full disk, a compiler that fails or is killed and an emulator that"
        " hangs leave no half-written file and no process, and the tool's words are shown.",
        ["tests/cli/test_cli_failing_tools.py", "tests/cli/test_cli_process.py"],
    ),
    "archives": (
        "Archives with paths that lead outside, links, too much in them, or parts that are missing"
        " or changed are refused in one line, and nothing is unpacked.",
        ["tests/cli/test_cli_run.py::TestArchives", "tests/cli/test_damaged_archives.py"],
    ),
    "hostile_names": (
        "Names in a model that are quotes, line breaks, ends of comments, commands, paths, or"
        " 10,000 characters long reach no C or Python code, file name, shell, page or terminal as"
        " they are.",
        [
            *("tests/test_hostile_names.py", "tests/aot/test_names.py"),
            "tests/training/test_python_source.py::test_names_end_no_string",
        ],
    ),
    "pytorch_programs": (
        "While a PyTorch program is read, no Python object in it is made other than tensors, and"
        " none of its expressions starts a process or writes a file.",
        ["tests/frontends/test_pytorch.py"],
    ),
}

_HEAD = """\
# Trust

What is claimed of the compiler and of the C that it generates, what was tried to prove the claim
wrong, and the command that tries it again. All counts are those of the last recorded run, of the
date in the row; "mended" are faults of the project that such runs ever found.

| claim | last run | found and mended | again |
|---|---|---|---|
"""
_MISSED_HEAD = """
## What these runs had missed

Faults that were found otherwise: with public model files, from bug reports about other tools, by
generators of networks and files that others wrote. Each was taken for one of a kind, and a run that
finds the kind was added.

| date | fault | missed by, and why | found now by |
|---|---|---|---|
"""
_FOOT = """
## How to read this page

A model file is data, and may come from anybody. An archive is a program: `tvmc run` compiles and
runs the C in it, so take archives only from those of whom you would take programs.

Commands run in the repository's folder, in the environment that `./run-tests` makes, and exit with
status 1 if they found something. `./run-tests` runs a small part of each every time. With
`--record` they write their counts to `docs/trust/`, in JSON with the versions of what took part,
and `python -m tests.trust` makes this page of these files.
"""


def record(
    name: str,
    *,
    claim: str,
    command: str,
    counts: Mapping[str, int | str],
    faults: str | None = None,
) -> Path:
    """Write docs/trust/`name`.json, and the page with it; returns the file.

    claim: what the run would have refuted, in Markdown.
    command: that repeats the run, in the repository's folder.
    counts: what was tried, in the order of the page: "networks" -> 5000.
    faults: what such runs found in the project and was mended, in Markdown; None keeps what the
        last record says, so that a run without a finding does not make it forgotten.
    """
    path = RECORDS / f"{name}.json"
    if faults is None:
        faults = json.loads(path.read_text())["faults"] if path.exists() else "nothing"
    content = {
        "claim": claim,
        "command": command,
        "counts": dict(counts),
        "faults": faults,
        "date": datetime.date.today().isoformat(),
        "versions": versions(),
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    PAGE.write_text(page())
    return path


def page() -> str:
    """docs/trust.md, made of the records, in the order of their names."""
    records = [json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.json"))]
    missed = tomllib.loads(MISSED.read_text())["fault"] if MISSED.exists() else []
    rows = [
        _cells([fault[key] for key in ("date", "what", "missed_by", "found_by")])
        for fault in missed
    ]
    section = _MISSED_HEAD + "".join(rows) if rows else ""
    return _HEAD + "".join(map(_row, records)) + section + _FOOT


def _row(entry: Mapping[str, object]) -> str:
    counts = [
        f"{count:,} {what}" if isinstance(count, int) else f"{what}: {count}"
        for what, count in entry["counts"].items()
    ]
    shown = "; ".join([*counts, str(entry["date"])])
    return _cells([entry["claim"], shown, entry["faults"], f"`{entry['command']}`"])


def _cells(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |\n"


def record_tests(name: str, claim: str, arguments: Sequence[str], times: int = 1) -> bool:
    """Run pytest with these arguments and record the counts; False, and no record, at a failure.

    times: how many times the suite's number of random cases are tried.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        environment = {**os.environ, "DERO_CASES": str(times)}
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            return False
        suite = ElementTree.parse(report).getroot().find("testsuite")
    skipped = int(suite.get("skipped"))
    counts = {"tests": int(suite.get("tests")) - skipped}
    if cases := _random_cases(suite):
        counts["random cases at least"] = cases
    if skipped:
        counts["skipped"] = skipped
    command = f"python -m tests.trust {name}" + (f" --times {times}" if times > 1 else "")
    record(name, claim=claim, command=command, counts=counts)
    return True


def _random_cases(suite: ElementTree.Element) -> int:
    """How many cases hypothesis drew, of the statistics that it adds to pytest's report.

    Those of functions inside a test are not in it.
    """
    total = 0
    for entry in suite.iter("property"):
        if entry.get("name", "").startswith("hypothesis-statistics-"):
            text = base64.b64decode(entry.get("value", "")).decode()
            total += sum(map(int, re.findall(r"(\d+) passing", text)))
    return total


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write docs/trust.md from docs/trust/*.json.")
    parser.add_argument("tests", nargs="*", choices=[[], *TESTS], help="tests to run before")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="more random cases")
    options = parser.parse_args()
    failed = [name for name in options.tests if not record_tests(name, *TESTS[name], options.times)]
    PAGE.write_text(page())
    if failed:
        sys.exit(f"not recorded, as a test failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
