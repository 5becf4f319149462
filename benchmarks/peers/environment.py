"""Virtual environments for other tools, made once and kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .result import ToolFailed

_INSTALLATION = 1800.0  # seconds at most
_PROGRAMS = Path(__file__).resolve().parent / "programs"


@dataclass(frozen=True)
class Environment:
    """A virtual environment below `folder`, with the packages that pip is asked for."""

    folder: Path
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Make it, unless that was done; raises ToolFailed with what pip says."""
        done = self.folder / "installed.json"
        if done.is_file() and json.loads(done.read_text()) == list(self.requirements):
            return
        _call([sys.executable, "-m", "venv", "--clear", str(self.folder)], _INSTALLATION)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", *self.requirements]
        _call(pip, _INSTALLATION)
        done.write_text(json.dumps(self.requirements))

    def version(self, package: str) -> str:
        """Of an installed package."""
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return _call([str(self.python), "-c", code], 60).strip()

    def ask(self, program: str, arguments: Sequence[str], time_limit: float) -> dict[str, Any]:
        """What a program of `programs/` prints last, as JSON; raises ToolFailed if it fails."""
        command = [str(self.python), str(_PROGRAMS / program), *arguments]
        return json.loads(_call(command, time_limit).strip().splitlines()[-1])


def _call(command: Sequence[str], time_limit: float) -> str:
    # A tool finds its own programs on the path, and nothing of this project's environment.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ["PATH"]])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PATH": path}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=time_limit, env=environment
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"took more than {time_limit:.0f} s") from None
    except OSError as error:
        raise ToolFailed(str(error)) from None
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ToolFailed(lines[-1].strip() if lines else f"exit status {done.returncode}")
    return done.stdout
