"""The folder of results: a JSON file for each piece, and the weights of trained networks.

Files appear whole, so a run that was interrupted goes on behind its last complete piece.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dero_tvm.boundary.atomic_write import write_atomically

_SETTINGS = "settings.json"


class OtherSettings(Exception):
    """The folder has results of an experiment with other settings."""


@dataclass(frozen=True)
class Results:
    """See the module's docstring."""

    folder: Path

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make the folder for an experiment of these settings; OtherSettings if it has others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _SETTINGS
        if not path.exists():
            write_atomically(path, _text(settings))
        found = json.loads(path.read_text())
        if found != settings:
            differ = [
                f"{k} {found.get(k)}, not {v}" for k, v in settings.items() if found.get(k) != v
            ]
            raise OtherSettings(
                f"{self.folder}: has results with {'; '.join(differ)}; choose another folder"
            )

    def done(self) -> set[str]:
        """The names of the pieces that have a result."""
        return {path.stem for path in self.folder.glob("*.json")} - {Path(_SETTINGS).stem}

    def read(self, name: str) -> dict[str, Any]:
        """A piece's result."""
        found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return found

    def write(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep a piece's result; with it the piece is done."""
        write_atomically(self.folder / f"{name}.json", _text(result))

    def weights(self, name: str) -> Path:
        """Where a trained network's weights are."""
        return self.folder / f"{name}.pt"

    def all(self) -> dict[str, dict[str, Any]]:
        """Every result by its piece's name, with the settings under `settings`."""
        if not (self.folder / _SETTINGS).exists():
            return {}
        names = sorted(self.done()) + [Path(_SETTINGS).stem]
        return {name: self.read(name) for name in names}


def _text(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
