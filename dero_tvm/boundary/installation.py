"""How this package was installed, for advice on what else to install.

Its distribution says so itself: an installer writes down what it was given, unless that was the
package's name alone.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

NAME = "dero-tvm"


def version() -> str:
    """The version; that of a checkout which is not installed stands in its pyproject.toml."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "0+checkout"


def pip_install(extra: str) -> str:
    """The command that adds an extra of pyproject.toml to the installation as it is."""
    origin = _origin()
    url = str(origin.get("url", ""))
    vcs = origin.get("vcs_info")
    if origin.get("dir_info", {}).get("editable") or origin.get("checkout"):
        return f"pip install -e '{_path(url)}[{extra}]'"
    if "dir_info" in origin:
        return f"pip install '{_path(url)}[{extra}]'"
    if isinstance(vcs, dict):
        return f"pip install '{NAME}[{extra}] @ {vcs.get('vcs', 'git')}+{url}'"
    if url:  # a wheel or an archive of sources
        return f"pip install '{NAME}[{extra}] @ {url}'"
    return f"pip install '{NAME}[{extra}]'"


def _origin() -> dict[str, Any]:
    """What the installer was given (PEP 610); of a checkout that is not installed its folder."""
    try:
        text = metadata.distribution(NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return {"checkout": True, "url": Path(__file__).resolve().parents[2].as_uri()}
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _path(url: str) -> str:
    return unquote(urlparse(url).path)
