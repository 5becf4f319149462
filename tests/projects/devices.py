"""Programs that serve a network, started and stopped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dero_tvm.runners.serial_protocol import Link, run_on_link
from tests.runners.fake_archive import FakeArchive, expected_output, some_inputs


@contextmanager
def started(command: Sequence[str | Path]) -> Iterator[Link]:
    """The pipes of a running program, which is stopped at the end."""
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin and process.stdout
    try:
        yield Link(process.stdout.fileno(), process.stdin.fileno())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def qemu(machine: str, program: Path, *options: str) -> list[str]:
    """The command that runs a program in QEMU; `options` say where its console is."""
    quiet = ["-display", "none", "-monitor", "none", "-nic", "none"]
    return ["qemu-system-arm", "-M", machine, *quiet, *options, "-kernel", str(program)]


def check_inferences(command: Sequence[str | Path], archive: FakeArchive) -> list[int]:
    """Run two inferences and compare; returns their microseconds."""
    inputs = some_inputs(2)
    with started(command) as link:
        outputs, microseconds = run_on_link(archive, inputs, link)
    for values, found in zip(inputs, outputs, strict=True):
        np.testing.assert_array_equal(found["y"], expected_output(values))
    return microseconds
