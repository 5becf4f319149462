"""The model file's names beside the compiler's short ones, in texts that people read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .operators import ReportedOperator

_MOST = 6  # layers that a line names
_WORD = re.compile(r"\w+")


def with_layers(text: str, layers: Mapping[str, Sequence[str]]) -> str:
    """`text` with the layer behind each tensor that it names: ``lv7 (block1/conv)``."""

    def named(word: re.Match[str]) -> str:
        found = layers.get(word[0], ())
        return f"{word[0]} ({brief(found[0])})" if found else word[0]

    return _WORD.sub(named, text)


def layers_by_tensor(operators: Sequence[ReportedOperator]) -> dict[str, tuple[str, ...]]:
    """The layers of each tensor that an operator makes, those of inputs left out."""
    return {operator.name: operator.layers for operator in operators if operator.layers}


def brief(layer: str) -> str:
    """A name, or the first of those that TFLite's converter joins where it has fused layers."""
    return layer.partition(";")[0] or layer


def few(layers: Sequence[str]) -> str:
    """Some layers in a line; of many the first and the last ones."""
    if len(layers) <= _MOST:
        return ", ".join(layers)
    half = _MOST // 2
    left_out = len(layers) - 2 * half
    return ", ".join([*layers[:half], f"... {left_out} more ...", *layers[-half:]])
