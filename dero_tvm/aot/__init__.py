"""Ahead-of-time code generation: from a planned network to C and a Model Library Format archive.

`emit` is in a module of its own, so that archives can be read without TVM.
"""

from .archive import ModelArchive, TensorInfo, load_archive

__all__ = ["ModelArchive", "TensorInfo", "load_archive"]
