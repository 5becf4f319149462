"""Why a network has no reorganized counterpart: one line that names the model's own layer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tvm

from ..ir.operator_graph import Node
from ..residuals.image_norms import is_image_norm

_CONVOLUTIONS = ("conv", "conv1d", "conv3d", "convolution", "conv_2d", "conv_3d")
_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@tvm.error.register_error("CannotReorganize")  # passes are run by C++, which knows errors by name
class CannotReorganize(ValueError):
    """The network has no reorganized counterpart; the message says why.

    `at` is the node of the description that the message is about, where that is known.
    """

    at: str | None = None


def layer(name: str, data: Node) -> str:
    """An operator of the graph in the words of the model file; without these, its variable."""
    if data.origin is not None:
        return str(data.origin)
    return f"the operator {_word(data)} ({name})"


def no_counterpart(name: str, data: Node, why: str = "") -> CannotReorganize:
    """For an operator that the description of a network has no node for; `why` qualifies it."""
    origin, word = data.origin, _word(data)
    own = "" if origin is None else origin.operator.lower()
    if is_image_norm(own) or is_image_norm(word):
        return CannotReorganize(
            f"{layer(name, data)} normalizes each image by its own statistics; a reorganized "
            "network has batch normalizations, whose statistics training fixes: use BatchNorm in "
            "its place"
        )
    if data.operator == "dero.arg_extreme":
        return CannotReorganize(
            f"{layer(name, data)} gives places, not values, through which nothing can be trained: "
            "end the network before it (--outputs)"
        )
    if word == "conv3d":
        return one_axis(name, data)
    if own in _CONVOLUTIONS and _is_layout(data) and len(data.signature.inputs[0].shape) != 4:
        return one_axis(name, data)
    if origin is None or _letters(word) in _letters(own):
        return CannotReorganize(
            f"{layer(name, data)}{why} has no counterpart in a reorganized network"
        )
    reads = "reads a tensor through" if _is_layout(data) else "comes to"
    return CannotReorganize(
        f"{layer(name, data)} {reads} the operator {word}{why}, which has no counterpart in a "
        "reorganized network"
    )


def one_axis(name: str, data: Node) -> CannotReorganize:
    """For a convolution of something else than images."""
    return CannotReorganize(
        f"{layer(name, data)} is a convolution along another number of axes than one or two; only "
        "networks of convolutions on images and sequences can be reorganized"
    )


@contextmanager
def refusing(what: str, at: str | None = None) -> Iterator[None]:
    """Whatever a step meets in the layer `what` that nobody has foreseen is a refusal of it.

    A refusal is noted to be about the node `at`.
    """
    try:
        yield
    except CannotReorganize as refusal:
        refusal.at = refusal.at or at
        raise
    except _ERRORS as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise CannotReorganize(
            f"{what} is used in a way that reorganization does not know ({said})"
        ) from error


def _letters(word: str) -> str:
    """``image.resize2d`` and ``RESIZE_BILINEAR`` -> ``resize``, ``resizebilinear``."""
    return re.sub("image|[0-9]d|[^a-z]", "", word)


def _is_layout(data: Node) -> bool:
    return data.operator in ("dero.reshape", "dero.transpose")


def _word(data: Node) -> str:
    return data.operator.removeprefix("dero.").removeprefix("relax.").removeprefix("nn.")
