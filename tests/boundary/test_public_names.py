"""What the package says it has."""

from __future__ import annotations

import pytest

import dero_tvm


@pytest.mark.parametrize("name", dero_tvm.__all__)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(dero_tvm, name)
    assert getattr(found, "__name__", name) == name
    assert name in dir(dero_tvm)
