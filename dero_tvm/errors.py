"""The error that a user of dero_tvm can meet and act on."""

from __future__ import annotations


class UserError(Exception):
    """One sentence that names the file, operator, flag or tool at fault and says what to do."""
