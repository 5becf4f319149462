"""The host's side of the protocol in targets/projects/protocol/protocol.h.

Commands are numbered, and answers have their numbers.  A line that a cable damaged, on its way to
the device or back, is sent again under its number, and so is one without an answer in time: the
device carries it out once.  An answer to an earlier command is dropped.
"""

from __future__ import annotations

import os
import re
import secrets
import select
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..boundary.errors import UserError
from ..boundary.printable import printable
from .errors import RunError
from .exchange import pack_inputs
from .result import Tensor
from .unpacked_archive import Archive, has_state, tensor_bytes

VERSION = 2
_CHUNK = 64  # bytes of a tensor in one line, at most
_ATTEMPTS = 3
_ANSWER_TIME = 2.0  # seconds
_DAMAGED = "error the line was damaged"
_UNNUMBERED = ("ok", "error unknown command")  # how answers of version 1 begin
_FLASH_AGAIN = "create and flash its project again"


@dataclass(frozen=True)
class Link:
    """File descriptors of a serial port, a terminal, or the pipes of a process."""

    read: int
    write: int


def with_crc(text: str) -> bytes:
    """A line of the protocol."""
    return f"{text} *{zlib.crc32(text.encode()):08x}\n".encode()


class Client:
    """Sends commands and waits for their answers."""

    def __init__(
        self, link: Link, run_time: float = 600.0, answer_time: float = _ANSWER_TIME
    ) -> None:
        self._link = link
        self._run_time = run_time
        self._answer_time = answer_time
        self._received = b""
        # Any: the device may still have answers for a host that was stopped.
        self._number = secrets.randbelow(1 << 31)

    def infer(
        self, archive: Archive, values: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], int]:
        """Outputs by name, and microseconds of the inference (0: the device has no clock).

        Raises RunError if the device does not answer or the inference fails.
        """
        for number, tensor in enumerate(archive.inputs):
            data = values[tensor.name].astype(np.dtype(tensor.dtype).newbyteorder("<")).tobytes()
            for start in range(0, len(data), _CHUNK):
                chunk = data[start : start + _CHUNK]
                self.command(f"write {number} {start} {chunk.hex()}")
        # Of a device that computes, no answer can be expected earlier.
        answer = self.command("run", self._run_time, attempts=1)
        match = _expected("run", r"(-?[0-9]+) ([0-9]+)", answer)
        if match[1] != "0":
            raise RunError(f"tvmgen_{archive.name}_run returned {match[1]} on the device.")
        outputs = {}
        for number, tensor in enumerate(archive.outputs):
            data = b"".join(
                self._read(number, start, count) for start, count in _chunks(tensor_bytes(tensor))
            )
            dtype = np.dtype(tensor.dtype).newbyteorder("<")
            outputs[tensor.name] = (
                np.frombuffer(data, dtype).reshape(tensor.shape).astype(tensor.dtype)
            )
        return outputs, int(match[2])

    def _read(self, number: int, start: int, count: int) -> bytes:
        answer = self.command(f"read {number} {start} {count}")
        return bytes.fromhex(_expected("read", rf"[0-9a-fA-F]{{{2 * count}}}", answer)[0])

    def check(self, archive: Archive) -> None:
        """Raises UserError if the device serves another network than `archive`."""
        words = self.command("hello").split()
        if words[:1] != [str(VERSION)]:
            raise _other_version(words[0] if words else "?")
        match = _expected("hello", r"(\w+) ([0-9]+) ([0-9]+)", " ".join(words[1:]))
        if match.groups() != (archive.name, str(len(archive.inputs)), str(len(archive.outputs))):
            raise UserError(
                f"The device serves the network '{match[1]}' with {match[2]} inputs and {match[3]} "
                f"outputs, the archive has '{archive.name}' with {len(archive.inputs)} and "
                f"{len(archive.outputs)}: {_FLASH_AGAIN}."
            )
        for kind, tensors in (("input", archive.inputs), ("output", archive.outputs)):
            for number, tensor in enumerate(tensors):
                size = _expected(kind, r"\w+ ([0-9]+)", self.command(f"{kind} {number}"))[1]
                if size != str(tensor_bytes(tensor)):
                    raise UserError(
                        f"The device's {kind} {number} has {size} bytes, '{tensor.name}' of the "
                        f"archive {tensor_bytes(tensor)}: {_FLASH_AGAIN}."
                    )

    def command(
        self, text: str, answer_time: float | None = None, attempts: int = _ATTEMPTS
    ) -> str:
        """The answer to a command without its "ok"; RunError if there is none, or an error.

        It is sent `attempts` times if no answer comes in `answer_time` seconds.
        """
        answer_time = self._answer_time if answer_time is None else answer_time
        self._number = (self._number + 1) % (1 << 32)
        line = f"{self._number} {text}"
        reply = None
        for attempt in range(attempts):
            # A line break ends what may have arrived of the line before.
            reply = self._ask(line, answer_time, b"\n" if attempt else b"")
            if reply is not None:
                break
        word = text.split()[0]
        if reply is None:
            raise RunError(
                f"The device does not answer to '{word}': is the project flashed, and is this its "
                "port?"
            )
        if reply.startswith(_DAMAGED):
            raise RunError(f"The connection damaged '{word}' {_ATTEMPTS} times: check the cable.")
        if reply != "ok" and not reply.startswith("ok "):
            raise RunError(f"The device refuses '{word}': {printable(reply, 200)}.")
        return reply.removeprefix("ok").strip()

    def _ask(self, line: str, answer_time: float, before: bytes) -> str | None:
        """The answer without its number; None if there is none in time."""
        reply = None
        deadline = time.monotonic() + answer_time
        for _ in range(_ATTEMPTS):
            try:
                os.write(self._link.write, before + with_crc(line))
                reply = self._answer(deadline)
            except OSError as error:
                raise RunError(f"The connection to the device broke ({error.strerror}).") from None
            if reply is None or not reply.startswith(_DAMAGED):
                break
            before = b"\n"
        return reply

    def _answer(self, deadline: float) -> str | None:
        """The answer to the last command, without its number; None if there is none in time."""
        while (line := self._line(deadline)) is not None:
            text, mark, crc = line.decode("ascii", "replace").strip().rpartition(" *")
            if not mark or not re.fullmatch("[0-9A-Fa-f]{8}", crc):
                continue  # something else that the device prints
            if crc.lower() != f"{zlib.crc32(text.encode()):08x}":
                return f"{_DAMAGED} on the way back"
            if text.startswith(_UNNUMBERED):
                raise _other_version("1")
            number, _, answer = text.partition(" ")
            if number == str(self._number):
                return answer
            if text.startswith(_DAMAGED):
                return text
        return None

    def _line(self, deadline: float) -> bytes | None:
        """The next line of the device; None if there is none in time."""
        while True:
            line, found, rest = self._received.partition(b"\n")
            if found:
                self._received = rest
                return line
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._link.read], [], [], remaining)[0]:
                return None
            received = os.read(self._link.read, 4096)
            if not received:
                return None
            self._received += received


def _expected(command: str, pattern: str, answer: str) -> re.Match[str]:
    """The answer's parts; RunError if it is not what the protocol says."""
    match = re.fullmatch(pattern, answer, re.ASCII)
    if match is None:
        shown = printable(answer, 60)
        raise RunError(f"The device answers '{shown}' to '{command}': {_FLASH_AGAIN}.")
    return match


def _other_version(version: str) -> UserError:
    return UserError(
        f"The device speaks version {printable(version, 20)} of the protocol, not {VERSION}: "
        f"{_FLASH_AGAIN}."
    )


def run_on_link(
    archive: Archive, inputs: Sequence[Mapping[str, Tensor]], link: Link, run_time: float = 600.0
) -> tuple[list[dict[str, Tensor]], list[int]]:
    """Outputs and microseconds of one inference for each of `inputs`, from the initial state on.

    Raises UserError if inputs or device do not match the archive, RunError if the device fails.
    """
    pack_inputs(archive, inputs)  # checks names, shapes and types
    client = Client(link, run_time)
    client.check(archive)
    if has_state(archive):
        client.command("reset")
    results = [client.infer(archive, values) for values in inputs]
    return [outputs for outputs, _ in results], [time for _, time in results]


def _chunks(size: int) -> list[tuple[int, int]]:
    return [(start, min(_CHUNK, size - start)) for start in range(0, size, _CHUNK)]
