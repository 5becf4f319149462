"""Versions of the packages that have a say in what is generated, for ``metadata.json``."""

from __future__ import annotations

import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version

_PROJECT = "dero-tvm"
_EXTRAS = ("solver", "quantize", "torch")  # whose packages take part in a compilation
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@cache
def versions() -> dict[str, str]:
    """Version by package name: this package, Python, and the dependencies that are installed.

    An extra's packages count if they take part in a compilation, whether or not they did in this
    one: equal inputs and equal versions give equal archives.
    """
    found = {_PROJECT: version(_PROJECT), "python": platform.python_version()}
    for requirement in requires(_PROJECT) or ():
        extra = _EXTRA.search(requirement)
        name = _NAME.match(requirement)
        if name is None or (extra and extra[1] not in _EXTRAS):
            continue
        try:
            found[name[0]] = version(name[0])
        except PackageNotFoundError:  # an extra that is not installed, another Python's backport
            continue
    return dict(sorted(found.items()))
