"""The microcontroller operator set: channels-last, row by row, float32 and int8."""

# Importing a module registers its operators.
from . import add as _add  # noqa: F401
from . import concat as _concat  # noqa: F401
from . import conv2d as _conv2d  # noqa: F401
from . import multiply as _multiply  # noqa: F401
from .registry import (
    Operator,
    OperatorClass,
    attributes_of,
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
    "make_call",
    "operator_of",
    "register",
    "signature_of",
    "spec_of",
]
