"""Pictures by matplotlib as files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dero_tvm.boundary.errors import UserError
from dero_tvm.boundary.installation import pip_install

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png")
_DOTS_PER_INCH = 150


def check_matplotlib(what: str) -> None:
    """Raises UserError if matplotlib is not installed; `what` needs it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(
            f"{what} needs matplotlib, which is not installed: {pip_install('plot')}"
        ) from None


def check_plot(path: Path) -> None:
    """Raises UserError if the name is of no known format or matplotlib is not installed."""
    if path.suffix not in FORMATS:
        raise UserError(f"--plot {path}: the name of a plot ends in {' or '.join(FORMATS)}")
    check_matplotlib("--plot")


@contextmanager
def reproducible(salt: str) -> Iterator[None]:
    """Within it, equal figures give equal files, with text as text in SVG."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        yield


def file_of(figure: Figure, path: Path) -> bytes:
    """The figure in the format of `path`'s name."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    figure.savefig(
        buffer, format=path.suffix.removeprefix("."), dpi=_DOTS_PER_INCH, metadata=metadata
    )
    return buffer.getvalue()
