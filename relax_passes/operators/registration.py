"""Modules that register something when they are imported."""

from __future__ import annotations

import importlib
import pkgutil


def import_modules(package: str) -> None:
    """Import every module of a package in alphabetical order, those of its subpackages aside.

    So what a file registers is known because the file exists.
    """
    path = importlib.import_module(package).__path__
    for module in pkgutil.iter_modules(path):
        if not module.ispkg:
            importlib.import_module(f"{package}.{module.name}")
