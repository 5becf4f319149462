"""The files in targets/projects, and filling in the templates among them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dero_tvm.boards.board_folders import targets_folder


def text_of(path: str) -> str:
    """A file below targets/, unchanged."""
    return (targets_folder() / path).read_text(encoding="utf-8")


def filled(path: str, values: Mapping[str, str]) -> str:
    """A template below targets/ with each ``@NAME@`` replaced; KeyError if a value is missing."""
    text = re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], text_of(path))
    return text.rstrip("\n") + "\n"
