"""The one line in which a model is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from dero_tvm.boundary.errors import UserError
from dero_tvm.frontends import load


def refusal(source: object, **options: object) -> str:
    with pytest.raises(UserError) as caught:
        load(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
