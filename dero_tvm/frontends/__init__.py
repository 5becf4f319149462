"""Model files as Relax modules: :func:`load`."""

from __future__ import annotations

from .load import load
from .loaded import LoadedModel, ModelPort

__all__ = ["LoadedModel", "ModelPort", "load"]
