from __future__ import annotations

import pytest

from dero_tvm import UserError
from dero_tvm.boards.memory_size import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (65536, 65536),
        ("65536", 65536),
        ("65,536", 65536),
        ("65_536 bytes", 65536),
        ("64K", 65536),
        ("64kb", 65536),
        (" 64 KiB ", 65536),
        ("0.5MB", 524288),
        ("1 MiB", 1048576),
    ],
)
def test_sizes(text: int | str, size: int) -> None:
    assert parse_size(text, "--memory-budget") == size


@pytest.mark.parametrize("text", ["", "KB", "64 GB", "64KBit", "1,00", "1e3", "-5", True])
def test_what_is_no_size_is_refused_with_examples(text: object) -> None:
    with pytest.raises(UserError, match=r"--memory-budget .*: not a size; write 65536, 64KB"):
        parse_size(text, "--memory-budget")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [0, -5, 1.5, "0KB", "0.0001KB"])
def test_a_size_is_a_positive_whole_number_of_bytes(text: object) -> None:
    with pytest.raises(UserError, match="a positive whole number of bytes"):
        parse_size(text, "size")  # type: ignore[arg-type]
