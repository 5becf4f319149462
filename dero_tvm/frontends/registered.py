"""Readers of files that plug-ins bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .loaded import LoadedModel


class Reader(Protocol):
    """What a plug-in's frontend calls to read the bytes of a file.

    `label` is how messages name the model, `name` what it is called, `folder` where its file lies
    (None for bytes in memory), `input_shapes` sizes for open dimensions.  It raises UserError for
    what the user can put right; a Relax module becomes a `LoadedModel` by
    `dero_tvm.frontends.relax_module.load_relax`.
    """

    def __call__(
        self,
        data: bytes,
        *,
        label: str,
        name: str,
        folder: Path | None,
        input_shapes: Mapping[str, Sequence[int]] | None,
    ) -> LoadedModel: ...


@dataclass(frozen=True)
class Frontend:
    """A format of model files: how it is called, recognized and read."""

    name: str  # as messages list it: "Darknet (.cfg)"
    suffixes: tuple[str, ...]  # with the point, in small letters
    read: Reader
    recognizes: Callable[[bytes], bool] = lambda data: False  # by what the file begins with


_FRONTENDS: list[Frontend] = []


def register_frontend(frontend: Frontend) -> Frontend:
    """Let `frontend` read what it recognizes, before the package's own readers are asked."""
    _FRONTENDS.append(frontend)
    return frontend


def frontend_of(data: bytes, suffix: str) -> Frontend | None:
    """The frontend, registered last, that takes files of this suffix or content."""
    for frontend in reversed(_FRONTENDS):
        if suffix in frontend.suffixes or frontend.recognizes(data):
            return frontend
    return None


def registered_formats() -> list[str]:
    """What messages call the formats."""
    return [frontend.name for frontend in _FRONTENDS]
