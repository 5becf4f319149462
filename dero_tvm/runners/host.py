"""The host runner: the generated program through TVM's LLVM JIT, no C compiler needed.

It runs in exactly the planned arena.  Guard bytes around each region are checked after every
inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tvm

from dero_tvm.aot.archive import HOST_PROGRAM, PARAMETERS, ModelArchive
from dero_tvm.aot.host_program import ENTRY, GUARD_BYTES
from dero_tvm.aot.lower import host_library

_PATTERN = 0x5A
