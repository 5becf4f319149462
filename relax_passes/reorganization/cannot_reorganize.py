"""Why a network has no reorganized counterpart: one line that names the model's own layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tvm

_STATISTICS = ("norm", "variance")
_CONVOLUTIONS = ("conv", "conv1d", "conv3d", "convolution", "conv_2d", "conv_3d")
_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@tvm.error.register_error("CannotReorganize")  # passes are run by C++, which knows errors by name
class CannotReorganize(ValueError):
    """The network has no reorganized counterpart; the message says why."""


def layer(name: str, data: Mapping[str, Any]) -> str:
    """An operator of the graph in the words of the model file; without these, its variable."""
    if data["origin"] is not None:
        return str(data["origin"])
    return f"the operator {_word(data)} ({name})"


def no_counterpart(name: str, data: Mapping[str, Any], why: str = "") -> CannotReorganize:
    """For an operator that the description of a network has no node for; `why` qualifies it."""
    origin, word = data["origin"], _word(data)
    own = "" if origin is None else origin.operator.lower()
    if "batch" not in own and any(part in own or part in word for part in _STATISTICS):
        return CannotReorganize(
            f"{layer(name, data)} normalizes each image by its own statistics; a reorganized "
            "network has batch normalizations, whose statistics training fixes: use BatchNorm in "
            "its place"
        )
    if own in _CONVOLUTIONS and _is_layout(data) and len(data["signature"].inputs[0].shape) != 4:
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


def one_axis(name: str, data: Mapping[str, Any]) -> CannotReorganize:
    """For a convolution of something else than images."""
    return CannotReorganize(
        f"{layer(name, data)} is a convolution along another number of axes than two; only "
        "networks of two-dimensional convolutions on images can be reorganized"
    )


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Whatever a step meets in the layer `what` that nobody has foreseen is a refusal of it."""
    try:
        yield
    except CannotReorganize:
        raise
    except _ERRORS as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise CannotReorganize(
            f"{what} is used in a way that reorganization does not know ({said})"
        ) from error


def _letters(word: str) -> str:
    """``image.resize2d`` and ``RESIZE_BILINEAR`` -> ``resize``, ``resizebilinear``."""
    return re.sub("image|[0-9]d|[^a-z]", "", word)


def _is_layout(data: Mapping[str, Any]) -> bool:
    return data["operator"] in ("dero.reshape", "dero.transpose")


def _word(data: Mapping[str, Any]) -> str:
    return data["operator"].removeprefix("dero.").removeprefix("relax.").removeprefix("nn.")
