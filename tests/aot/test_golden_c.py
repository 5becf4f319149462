"""Generated C is the committed C, and the same every time; see `write_golden`."""

from __future__ import annotations

import pytest

from tests.aot.write_golden import FOLDER, NETWORKS, generated


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_c_is_as_committed(name: str) -> None:
    committed = {path.name: path.read_bytes() for path in FOLDER.glob(f"*{name}*")}
    found = generated(name)
    assert sorted(found) == sorted(committed)
    for file, content in found.items():
        assert content.decode() == committed[file].decode(), f"{file}: see write_golden.py"


def test_generated_twice_is_the_same() -> None:
    assert generated("int8_block") == generated("int8_block")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.[ch]")), ids=lambda path: path.name)
def test_lines_are_short(path) -> None:
    assert max(map(len, path.read_text().splitlines())) <= 100
