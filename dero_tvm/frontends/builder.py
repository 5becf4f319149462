"""Leaving TVM's importers in good order when an import fails."""

from __future__ import annotations

from relax_passes.ir.unfinished import abandon

__all__ = ["abandon"]
