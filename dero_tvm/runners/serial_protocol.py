"""The host's side of the protocol in targets/projects/protocol/protocol.h.

A line that a cable damaged is answered with an error and sent again; so is one without an answer
in time, for every command but ``run`` can be repeated without harm.
"""

from __future__ import annotations

import os
import select
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .archive import Archive, tensor_bytes
from .exchange import pack_inputs
from .result import RunError, Tensor

VERSION = 1
_CHUNK = 64  # bytes of a tensor in one line, at most
_ATTEMPTS = 3
_ANSWER_TIME = 2.0  # seconds
_DAMAGED = "error the line was damaged"


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

    def __init__(self, link: Link, run_time: float = 600.0) -> None:
        self._link = link
        self._run_time = run_time
        self._received = b""

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
        status, microseconds = self.command("run", self._run_time, attempts=1).split()
        if status != "0":
            raise RunError(f"tvmgen_{archive.name}_run returned {status} on the device.")
        outputs = {}
        for number, tensor in enumerate(archive.outputs):
            data = b"".join(
                bytes.fromhex(self.command(f"read {number} {start} {count}"))
                for start, count in _chunks(tensor_bytes(tensor))
            )
            dtype = np.dtype(tensor.dtype).newbyteorder("<")
            outputs[tensor.name] = (
                np.frombuffer(data, dtype).reshape(tensor.shape).astype(tensor.dtype)
            )
        return outputs, int(microseconds)

    def check(self, archive: Archive) -> None:
        """Raises UserError if the device serves another network than `archive`."""
        words = self.command("hello").split()
        if words[:1] != [str(VERSION)]:
            raise UserError(f"The device speaks version {words[0]} of the protocol, not {VERSION}.")
        if words[1:] != [archive.name, str(len(archive.inputs)), str(len(archive.outputs))]:
            raise UserError(
                f"The device serves the network '{words[1]}' with {words[2]} inputs and {words[3]} "
                f"outputs, the archive has '{archive.name}' with {len(archive.inputs)} and "
                f"{len(archive.outputs)}: create and flash its project again."
            )
        for kind, tensors in (("input", archive.inputs), ("output", archive.outputs)):
            for number, tensor in enumerate(tensors):
                size = self.command(f"{kind} {number}").split()[-1]
                if size != str(tensor_bytes(tensor)):
                    raise UserError(
                        f"The device's {kind} {number} has {size} bytes, '{tensor.name}' of the "
                        f"archive {tensor_bytes(tensor)}: create and flash its project again."
                    )

    def command(
        self, text: str, answer_time: float = _ANSWER_TIME, attempts: int = _ATTEMPTS
    ) -> str:
        """The answer to a command without its "ok"; RunError if there is none, or an error."""
        reply = ""
        for _ in range(attempts):
            os.write(self._link.write, with_crc(text))
            reply = self._answer(time.monotonic() + answer_time)
            if reply and not reply.startswith(_DAMAGED):
                break
        if not reply:
            raise RunError(
                f"The device does not answer to '{text.split()[0]}': is the project flashed, and "
                "is this its port?"
            )
        if reply != "ok" and not reply.startswith("ok "):
            raise RunError(f"The device refuses '{text.split()[0]}': {reply}.")
        return reply.removeprefix("ok").strip()

    def _answer(self, deadline: float) -> str:
        """The next line with a correct CRC; "" if there is none in time."""
        while True:
            line, found, rest = self._received.partition(b"\n")
            if found:
                self._received = rest
                text, mark, crc = line.decode("ascii", "replace").strip().rpartition(" *")
                if mark and crc == f"{zlib.crc32(text.encode()):08x}":
                    return text
                continue
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._link.read], [], [], remaining)[0]:
                return ""
            received = os.read(self._link.read, 4096)
            if not received:
                return ""
            self._received += received


def run_on_link(
    archive: Archive, inputs: Sequence[Mapping[str, Tensor]], link: Link, run_time: float = 600.0
) -> tuple[list[dict[str, Tensor]], list[int]]:
    """Outputs and microseconds of one inference for each of `inputs`.

    Raises UserError if inputs or device do not match the archive, RunError if the device fails.
    """
    pack_inputs(archive, inputs)  # checks names, shapes and types
    client = Client(link, run_time)
    client.check(archive)
    results = [client.infer(archive, values) for values in inputs]
    return [outputs for outputs, _ in results], [time for _, time in results]


def _chunks(size: int) -> list[tuple[int, int]]:
    return [(start, min(_CHUNK, size - start)) for start in range(0, size, _CHUNK)]
