"""ONNX models, float32, QDQ and QOperator, as Relax modules."""

from __future__ import annotations

from .importer import load_onnx
from .reader import parse_onnx

__all__ = ["load_onnx", "parse_onnx"]
