"""What the tests of estimates need, and skip without."""

from __future__ import annotations

import shutil

import pytest

MISSING = [
    name
    for name, programs in {
        "arm-none-eabi-gcc": ("arm-none-eabi-gcc",),
        "qemu-system-arm": ("qemu-system-arm",),
        "llvm-mca of LLVM 22": ("llvm-mca-22",),
    }.items()
    if not any(map(shutil.which, programs))
]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
