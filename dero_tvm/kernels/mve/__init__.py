"""Kernels of integers for cores with Helium, the vector extension of Cortex-M55 and M85."""

from relax_passes.operators.registration import import_modules

import_modules(__name__)  # each enters its generators
