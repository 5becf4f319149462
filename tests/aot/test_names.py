"""C names for tensors that may be called anything."""

from __future__ import annotations

import re

import pytest

from dero_tvm.aot.names import c_comment, c_identifier, c_identifiers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("image", "image"),
        ("serving_default_x:0", "serving_default_x_0"),
        ("", "t"),
        ("///", "t"),
        ("0", "t_0"),
        ("int", "t_int"),
        ("class", "t_class"),
        ("linux", "t_linux"),
        ("INT8_MAX", "t_INT8_MAX"),
        ("M_PI", "t_M_PI"),
        ("größe", "gr_e"),
        ("__reserved", "reserved"),
        ("a" * 10_000, "a" * 48),
    ],
)
def test_identifier(name, expected):
    assert c_identifier(name) == expected
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", c_identifier(name))


def test_identifiers_are_distinct_in_upper_case_too():
    assert c_identifiers(["a", "A", "a", "a_1"]) == ["a", "A_1", "a_2", "a_1_1"]
    assert c_identifiers(["workspace", "x"], reserved=["workspace"]) == ["workspace_1", "x"]


@pytest.mark.parametrize("text", ["*/ int x; /*", "a\nb", "a\\", "é", "/*/*/"])
def test_comment_cannot_be_left(text):
    safe = c_comment(text)
    assert "*/" not in safe
    assert "/*" not in safe
    assert "\\" not in safe
    assert safe.isascii()
    assert safe.isprintable()
