"""float32 kernels for cores with a floating-point unit that multiplies and adds at once."""

from relax_passes.operators.registration import import_modules

import_modules(__name__)  # each enters its generators
