"""What a tool answered for a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One cell of the table.

    `bytes_` is what the tool says that activations need, None if there is none; `enough` whether
    an inference in that much memory went well; `outputs` how its outputs compare; `failure` why
    there is no answer.
    """

    bytes_: int | None = None
    enough: str = "not run"
    outputs: str = "not run"
    failure: str = ""


class ToolFailed(Exception):
    """A tool could not be installed or asked; the message is one line."""
