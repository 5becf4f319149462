"""Model files as Relax modules: :func:`load`."""

from __future__ import annotations

from .load import load
from .loaded import LoadedModel, ModelPort
from .registered import Frontend, register_frontend

__all__ = ["Frontend", "LoadedModel", "ModelPort", "load", "register_frontend"]
