"""The microcontroller operator set: channels-last, row by row, float32, int8 and int16."""

# Importing a module registers its operators.
from . import adaptive_pool2d as _adaptive_pool2d  # noqa: F401
from . import add as _add  # noqa: F401
from . import arg_extreme as _arg_extreme  # noqa: F401
from . import binary as _binary  # noqa: F401
from . import cast as _cast  # noqa: F401
from . import column_windows as _column_windows  # noqa: F401
from . import compare as _compare  # noqa: F401
from . import concat as _concat  # noqa: F401
from . import conv2d as _conv2d  # noqa: F401
from . import conv2d_transpose as _conv2d_transpose  # noqa: F401
from . import cumulative as _cumulative  # noqa: F401
from . import dense as _dense  # noqa: F401
from . import depth_to_space as _depth_to_space  # noqa: F401
from . import dequantize_bias as _dequantize_bias  # noqa: F401
from . import flip_sign_bit as _flip_sign_bit  # noqa: F401
from . import gru as _gru  # noqa: F401
from . import integer_binary as _integer_binary  # noqa: F401
from . import joined as _joined  # noqa: F401
from . import layer_norm as _layer_norm  # noqa: F401
from . import local_response_norm as _local_response_norm  # noqa: F401
from . import lookup as _lookup  # noqa: F401
from . import lstm as _lstm  # noqa: F401
from . import matmul as _matmul  # noqa: F401
from . import moments as _moments  # noqa: F401
from . import multiply as _multiply  # noqa: F401
from . import pad as _pad  # noqa: F401
from . import part as _part  # noqa: F401
from . import pool2d as _pool2d  # noqa: F401
from . import prelu as _prelu  # noqa: F401
from . import quantize as _quantize  # noqa: F401
from . import reduce as _reduce  # noqa: F401
from . import requantize as _requantize  # noqa: F401
from . import reshape as _reshape  # noqa: F401
from . import resize2d as _resize2d  # noqa: F401
from . import resize_bilinear as _resize_bilinear  # noqa: F401
from . import row_ports as _row_ports  # noqa: F401
from . import select as _select  # noqa: F401
from . import shortcut_conv2d as _shortcut_conv2d  # noqa: F401
from . import sigmoid as _sigmoid  # noqa: F401
from . import slice as _slice  # noqa: F401
from . import softmax as _softmax  # noqa: F401
from . import space_to_depth as _space_to_depth  # noqa: F401
from . import squared_difference as _squared_difference  # noqa: F401
from . import svdf as _svdf  # noqa: F401
from . import take as _take  # noqa: F401
from . import top_k as _top_k  # noqa: F401
from . import transpose as _transpose  # noqa: F401
from . import transpose_in_place as _transpose_in_place  # noqa: F401
from . import unary as _unary  # noqa: F401
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
