"""The name of a pass stands once, as `NAME` beside it: a search for it leads there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("relax_passes", "dero_tvm", "tests", "examples", "benchmarks")
_NAME = re.compile(r'^NAME = "(\w+)"$', re.MULTILINE)


def sources(*folders: str) -> dict[Path, str]:
    return {path: path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")}


def test_every_pass_has_its_name_beside_it() -> None:
    for path, text in sources("relax_passes").items():
        if path.name == "rewriting_pass.py":
            continue
        decorated = len(re.findall(r"transform\.module_pass\(", text))
        assert decorated == text.count("name=NAME)"), path
        if decorated or "rewriting_pass(" in text:
            (name,) = _NAME.findall(text)
            made = rf"^(class {name}:|def {name}\(|{name} = rewriting_pass\(NAME, )"
            assert re.search(made, text, re.MULTILINE), path


def test_names_stand_once() -> None:
    names = [name for text in sources("relax_passes").values() for name in _NAME.findall(text)]
    assert len(names) == len(set(names)) > 20
    quoted = re.compile(rf"""(["'])({"|".join(names)})\1""")
    found = [match[2] for text in sources(*FOLDERS).values() for match in quoted.finditer(text)]
    assert sorted(found) == sorted(names), "a name that is typed again, instead of imported"
