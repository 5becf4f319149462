"""The error that a user meets: one line that says what is wrong and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: a file, a flag, an operator, a missing tool.

    The message is one line and names what it is about.  The command line prints it without a
    traceback.
    """
