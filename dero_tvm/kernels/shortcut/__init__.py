"""Kernels of convolutions with a virtual shortcut, on every core with kernels of convolutions."""

from relax_passes.operators.registration import import_modules

import_modules(__name__)  # each enters its generators
