"""Kernels of integers for cores with the DSP extension: Cortex-M4, M7, M33 and the like."""

from relax_passes.operators.registration import import_modules

import_modules(__name__)  # each enters its generators
