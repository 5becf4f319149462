"""The microcontroller operator set: channels-last, row by row, float32, int8 and int16."""

from .registration import import_modules
from .registry import (
    Operator,
    OperatorClass,
    attributes_of,
    implementation,
    make_call,
    operator_of,
    register,
    signature_of,
    spec_of,
)
from .signature import Signature, TensorSpec

__all__ = [
    "Operator",
    "OperatorClass",
    "Signature",
    "TensorSpec",
    "attributes_of",
    "implementation",
    "make_call",
    "operator_of",
    "register",
    "signature_of",
    "spec_of",
]

import_modules(__name__)  # each registers its operators
