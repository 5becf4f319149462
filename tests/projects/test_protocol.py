"""The C side of the protocol, built for this machine, against the Python side."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import tty
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from devices import started
from fake_archive import FakeArchive, FakeTensor, expected_output, some_inputs
from hypothesis import given
from hypothesis import strategies as st

from dero_tvm.boards import targets_folder
from dero_tvm.errors import UserError
from dero_tvm.projects.network_source import network_source
from dero_tvm.runners import RunError, run
from dero_tvm.runners.serial_protocol import Client, Link, run_on_link, with_crc
from tests.random_cases import cases

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")

_MAIN = """
#include <stdio.h>
#include "protocol.h"
void platform_write(const char* text, uint32_t length) {
  fwrite(text, 1, length, stdout);
  fflush(stdout);
}
uint64_t platform_microseconds(void) {
  static uint64_t now;
  return now += 1234;
}
int main(void) {
  protocol_begin();
  for (int c = getchar(); c != EOF; c = getchar()) {
    if (protocol_receive((char)c)) {
      return 0;
    }
  }
  return 1;
}
"""


def build(folder: Path, archive: FakeArchive) -> Path:
    folder.mkdir(exist_ok=True)
    files = {**archive.c_sources(), **archive.c_headers()}
    files["network.c"] = network_source(archive, dict.fromkeys(archive.arena_bytes, ".noinit"))
    files["main.c"] = _MAIN
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    protocol = targets_folder() / "projects" / "protocol"
    command = ["gcc", "-std=c11", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += [f"-I{folder}", f"-I{protocol}", "-DTVMGEN_DEFAULT_CALLER_WORKSPACE"]
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    program = folder / "device"
    subprocess.run(
        [*command, *sources, str(protocol / "protocol.c"), "-o", str(program)], check=True
    )
    return program


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("device"), FakeArchive())


def test_inferences(device):
    inputs = some_inputs(3)
    with started([device]) as link:
        outputs, microseconds = run_on_link(FakeArchive(), inputs, link)
    for values, found in zip(inputs, outputs, strict=True):
        np.testing.assert_array_equal(found["y"], expected_output(values))
    assert microseconds == [1234] * 3


def test_a_failing_inference(tmp_path):
    program = build(tmp_path / "failing", FakeArchive(status="-7"))
    with started([program]) as link:
        with pytest.raises(RunError, match="tvmgen_default_run returned -7 on the device"):
            run_on_link(FakeArchive(), some_inputs(1), link)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("hello", "ok 1 default 2 1"),
        ("input 0", "ok x 8"),
        ("input 1", "ok bias 16"),
        ("output 0", "ok y 32"),
        ("input 2", "error no such tensor"),
        ("input", "error no such tensor"),
        ("input 0 0", "error no such tensor"),
        ("output 4294967296", "error no such tensor"),
        ("write 0 0 00112233", "ok"),
        ("write 0 4 0011223344", "error these bytes are not part of the input"),
        ("write 0 9 ", "error these bytes are not part of the input"),
        ("write 0 4294967295 00", "error these bytes are not part of the input"),
        ("write 0 0 123", "error these bytes are not part of the input"),
        ("write 0 0 0g", "error not a hexadecimal digit"),
        ("write 0 0", "error write needs an input, an offset and bytes"),
        ("write 5 0 00", "error write needs an input, an offset and bytes"),
        ("read 0 0", "error read needs an output, an offset and a count"),
        ("read 0 24 9", "error these bytes are not part of the output, or too many for a line"),
        ("read 0 0 65", "error these bytes are not part of the output, or too many for a line"),
        ("runs", "error unknown command"),
        ("", "error unknown command"),
        ("bye", "ok"),
    ],
)
def test_answers(device, command, reply):
    process = subprocess.run([device], input=with_crc(command), capture_output=True, timeout=5)
    assert process.stdout == with_crc(reply)
    assert process.returncode == (0 if command == "bye" else 1)


@cases(25)
@given(noise=st.binary(max_size=400))
def test_noise_does_no_harm(noise):
    # The bytes end with a line break, so that what follows is a line of its own.
    program = _BUILT["device"]
    process = subprocess.run(
        [program], input=noise + b"\n" + with_crc("bye"), capture_output=True, timeout=5
    )
    assert process.stdout.endswith(with_crc("ok"))
    assert process.returncode == 0, process.stderr.decode()


_BUILT: dict[str, Path] = {}


@pytest.fixture(autouse=True, scope="module")
def remember(device):
    _BUILT["device"] = device


def test_a_damaged_line_is_sent_again(device, monkeypatch):
    sent = []
    write = os.write

    def damaging(descriptor, data):
        sent.append(data)
        return write(descriptor, data.replace(b"hello", b"hullo") if len(sent) == 1 else data)

    monkeypatch.setattr(os, "write", damaging)
    with started([device]) as link:
        assert Client(link).command("hello") == "1 default 2 1"
    assert sent == [with_crc("hello")] * 2


def test_a_lost_line_is_sent_again(device, monkeypatch):
    sent = []
    write = os.write

    def losing(descriptor, data):
        sent.append(data)
        return len(data) if len(sent) == 1 else write(descriptor, data)

    monkeypatch.setattr(os, "write", losing)
    with started([device]) as link:
        assert Client(link).command("hello", answer_time=0.2) == "1 default 2 1"
    assert len(sent) >= 2


def test_other_lines_on_the_port_are_ignored():
    here, there = os.pipe(), os.pipe()
    os.write(here[1], b"*** Booting ***\nok 1 other 2 1 *00000000\n" + with_crc("ok fine"))
    assert Client(Link(here[0], there[1])).command("hello") == "fine"
    for descriptor in (*here, *there):
        os.close(descriptor)


def test_no_answer():
    here, there = os.pipe(), os.pipe()
    with pytest.raises(RunError, match="does not answer to 'hello': is the project flashed"):
        Client(Link(here[0], there[1])).command("hello", answer_time=0.01)
    for descriptor in (*here, *there):
        os.close(descriptor)


def test_another_network(device):
    other = replace(FakeArchive(), name="camera")
    larger = replace(FakeArchive(), outputs=(FakeTensor("y", "y", (2, 5), "int32"),))
    with started([device]) as link:
        with pytest.raises(UserError, match="serves the network 'default' with 2 inputs and 1 out"):
            run_on_link(other, some_inputs(1), link)
        with pytest.raises(UserError, match="output 0 has 32 bytes, 'y' of the archive 40"):
            run_on_link(larger, some_inputs(1), link)


def test_a_serial_port(device):
    """A terminal stands for the port: what is written to one end is read at the other."""
    host, board = pty.openpty()
    tty.setraw(host)
    tty.setraw(board)
    process = subprocess.Popen([device], stdin=host, stdout=host)
    try:
        inputs = some_inputs(2)
        result = run(FakeArchive(), inputs, f"serial:{os.ttyname(board)}")
    finally:
        process.kill()
        process.wait()
        os.close(host)
        os.close(board)
    np.testing.assert_array_equal(result.outputs[1]["y"], expected_output(inputs[1]))
    assert result.microseconds == [1234, 1234]


def test_ports_that_are_none(tmp_path):
    with pytest.raises(UserError, match="There is no serial port /dev/ttyNONE: plug the board in"):
        run(FakeArchive(), some_inputs(1), "serial:/dev/ttyNONE")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="is no serial port"):
        run(FakeArchive(), some_inputs(1), f"serial:{file}")
