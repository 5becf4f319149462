"""How a run of generated code fails."""

from __future__ import annotations

from ..boundary.errors import UserError


class RunError(UserError):
    """The generated code did not compile, failed, crashed, or ran longer than it may.

    `details` has all that the tool printed, of which the message has one line or none.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
