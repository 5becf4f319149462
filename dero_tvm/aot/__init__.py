"""Ahead-of-time code generation: from a planned network to C and a Model Library Format archive."""

from .archive import ModelArchive, TensorInfo, load_archive
from .emit import emit

__all__ = ["ModelArchive", "TensorInfo", "emit", "load_archive"]
