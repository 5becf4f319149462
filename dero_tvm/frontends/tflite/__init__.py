"""TFLite models, float32 and int8, as Relax modules."""

from __future__ import annotations

from .importer import load_tflite

__all__ = ["load_tflite"]
