"""The ONNX node tests through the whole compiler: all pass but those listed with their reason."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.onnx_backend.cases import node_cases
from tests.onnx_backend.runs import verdicts
from tests.onnx_backend.unsupported import differences, list_release, read_list


@pytest.mark.slow
def test_node_cases(tmp_path: Path) -> None:
    if onnx.__version__ != list_release():
        pytest.skip(f"the list is for the cases of onnx {list_release()}")
    cases = node_cases()
    listed = read_list()
    assert not set(listed) - set(cases), "listed cases that do not exist"
    assert not differences(verdicts(cases.values(), tmp_path), listed)
