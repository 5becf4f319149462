"""The attributes of an ONNX node as plain values."""

from __future__ import annotations

from typing import Any

import onnx


def attributes_of(node: onnx.NodeProto, *leave_out: str) -> dict[str, Any]:
    """Values by name; strings are bytes."""
    return {
        attribute.name: onnx.helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.name not in leave_out
    }
