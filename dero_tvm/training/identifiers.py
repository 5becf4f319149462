"""Names from a model as Python identifiers."""

from __future__ import annotations

import builtins
import keyword
import re


def identifier(name: str, *, otherwise: str) -> str:
    """`name` with every other character as ``_``; `otherwise` if nothing readable is left."""
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if not text or not re.search("[A-Za-z]", text):
        return otherwise
    if text[0].isdigit():
        text = f"{otherwise}_{text}"
    return f"{text}_" if keyword.iskeyword(text) or hasattr(builtins, text) else text


def class_name(prefix: str, name: str) -> str:
    """``mobilenet_v2`` -> ``<prefix>MobilenetV2``."""
    words = re.findall("[A-Za-z0-9]+", name)
    return prefix + "".join(word[0].upper() + word[1:] for word in words)


class Names:
    """Identifiers of one scope, each given once."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        """`wanted`, with a number behind it if that is taken."""
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name
