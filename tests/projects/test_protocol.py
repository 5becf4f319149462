"""The C side of the protocol, built for this machine, against the Python side."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dero_tvm
from dero_tvm.boards.board_folders import targets_folder
from dero_tvm.boundary.errors import UserError
from dero_tvm.projects.network_source import network_source
from dero_tvm.runners import RunError, run
from dero_tvm.runners.serial_protocol import Client, Link, run_on_link, with_crc
from tests.end_to_end.oracles import litert
from tests.end_to_end.stateful_models import svdf
from tests.projects.devices import started
from tests.random_cases import cases
from tests.runners.fake_archive import FakeArchive, FakeTensor, expected_output, some_inputs

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")

_MAIN = """
#include <stdio.h>
#include "protocol.h"
void platform_write(const char* text, uint32_t length) {
  fwrite(text, 1, length, stdout);
  fflush(stdout);
}
uint64_t platform_microseconds(void) {
  static uint64_t now, step = 1000; /* so that no two inferences take equally long */
  return now += step++;
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
    assert microseconds == [1001, 1003, 1005]


def test_a_network_that_remembers(tmp_path):
    """Inferences of one call are a sequence; every call begins anew."""
    (tmp_path / "filters.tflite").write_bytes(svdf("int16"))
    archive = dero_tvm.compile(tmp_path / "filters.tflite").archive
    values = list(np.random.default_rng(0).integers(-128, 128, (3, 1, 10)).astype(np.int8))
    expected = litert(svdf("int16"), values)
    with started([build(tmp_path / "device", archive)]) as link:
        for _ in range(2):
            outputs, _ = run_on_link(archive, [{"x": frame} for frame in values], link)
            for found, answer in zip(outputs, expected, strict=True):
                np.testing.assert_array_equal(found["y"], answer)


def test_a_failing_inference(tmp_path):
    program = build(tmp_path / "failing", FakeArchive(status="-7"))
    with started([program]) as link:
        with pytest.raises(RunError, match="tvmgen_default_run returned -7 on the device"):
            run_on_link(FakeArchive(), some_inputs(1), link)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("hello", "ok 2 default 2 1"),
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
    process = answers(device, "4294967295 hello", f"7 {command}")
    assert process.stdout == with_crc("4294967295 ok 2 default 2 1") + with_crc(f"7 {reply}")
    assert process.returncode == (0 if command == "bye" else 1)


@pytest.mark.parametrize(
    ("lines", "replies"),
    [
        (["hello"], ["ok 2 default 2 1"]),  # of a host that speaks version 1
        (["run"], ["error a line begins with a number"]),
        (["4294967296 run"], ["error a line begins with a number"]),
        (["1 run"], ["1 error the device has restarted: say hello first"]),
        (["1 hello", "2 run", "2 run"], ["1 ok 2 default 2 1", *["2 ok 0 1001"] * 2]),
        (["1 hello", "2 run", "3 run"], ["1 ok 2 default 2 1", "2 ok 0 1001", "3 ok 0 1003"]),
    ],
)
def test_numbers(device, lines, replies):
    assert answers(device, *lines).stdout == b"".join(map(with_crc, replies))


def answers(device: Path, *lines: str) -> subprocess.CompletedProcess[bytes]:
    text = b"".join(map(with_crc, lines))
    return subprocess.run([device], input=text, capture_output=True, timeout=5)


@cases(25)
@given(noise=st.binary(max_size=400))
def test_noise_does_no_harm(noise):
    # The bytes end with a line break, so that what follows is a line of its own.
    program = _BUILT["device"]
    process = subprocess.run(
        [program], input=noise + b"\n" + with_crc("3 bye"), capture_output=True, timeout=5
    )
    assert process.stdout.endswith(with_crc("3 ok"))
    assert process.returncode == 0, process.stderr.decode()


_BUILT: dict[str, Path] = {}


@pytest.fixture(autouse=True, scope="module")
def remember(device):
    _BUILT["device"] = device


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "late": lambda line: line,
    "lost": lambda line: b"",
    "twice": lambda line: line * 2,
    "damaged": lambda line: line[:2] + b"?" + line[3:],
}


@contextmanager
def cable(device: Link, command: str, fault: str, *, back: bool) -> Iterator[tuple[Link, list]]:
    """A connection to the device that does something once, to a command or (`back`) its answer.

    The list is empty until it has happened.
    """
    there, here = os.pipe(), os.pipe()
    spoilt: list[bytes] = []
    last = [""]

    def carry(source: int, target: int, answers: bool) -> None:
        with os.fdopen(source, "rb", buffering=0) as lines, os.fdopen(target, "wb", 0) as sink:
            while line := lines.readline():
                if not answers and b" " in line:
                    last[0] = line.decode().split(" ")[1]
                if answers == back and last[0] == command and not spoilt:
                    spoilt.append(line)
                    time.sleep(0.25 if fault == "late" else 0)
                    line = FAULTS[fault](line)
                sink.write(line)

    threads = [
        Thread(target=carry, args=(there[0], os.dup(device.write), False)),
        Thread(target=carry, args=(os.dup(device.read), here[1], True)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield Link(here[0], there[1]), spoilt
    finally:
        os.write(there[1], with_crc("1 bye"))  # the device ends, and with it its answers
        os.close(there[1])
        for thread in threads:
            thread.join(5)
        os.close(here[0])


@pytest.mark.parametrize(
    ("command", "fault", "back"),
    [
        (command, fault, back)
        for command in ("hello", "input", "output", "write", "run", "read")
        for fault in FAULTS
        for back in (False, True)
        # An inference may take long: nothing tells that its answer is lost.
        if (command, fault) != ("run", "lost")
    ],
)
def test_a_line_that_goes_wrong_once(device, command, fault, back):
    with started([device]) as whole, cable(whole, command, fault, back=back) as (link, spoilt):
        client = Client(link, answer_time=0.1)
        client.check(FakeArchive())
        for values, duration in zip(some_inputs(2), (1001, 1003), strict=True):
            outputs, microseconds = client.infer(FakeArchive(), values)
            np.testing.assert_array_equal(outputs["y"], expected_output(values))
            assert microseconds == duration  # nothing was run twice
    assert spoilt


def test_a_device_that_restarts_between_two_inferences(device):
    values = some_inputs(1)[0]
    with started([device]) as first, started([device]) as second:
        client = Client(first)
        client.check(FakeArchive())
        client.infer(FakeArchive(), values)
        client._link = second
        with pytest.raises(RunError, match="refuses 'write': error the device has restarted"):
            client.infer(FakeArchive(), values)


@pytest.fixture
def pipes() -> Iterator[tuple[Link, Link]]:
    """Both ends of a connection: the host's and the device's."""
    back, there = os.pipe(), os.pipe()
    yield Link(back[0], there[1]), Link(there[0], back[1])
    for descriptor in (*back, *there):
        with suppress(OSError):  # a test has closed it
            os.close(descriptor)


@pytest.fixture
def client(pipes, monkeypatch) -> Client:
    monkeypatch.setattr("secrets.randbelow", lambda limit: 40)
    return Client(pipes[0], answer_time=0.05)


def test_other_lines_on_the_port_are_ignored(client, pipes):
    noise = b"*** Booting ***\n41 ok 2 other 2 1 *00000000\n\n" + with_crc("40 ok stray")
    os.write(pipes[1].write, noise + with_crc("41 ok fine"))
    assert client.command("hello") == "fine"


def test_no_answer(client):
    with pytest.raises(RunError, match="does not answer to 'hello': is the project flashed"):
        client.command("hello")


@pytest.mark.parametrize("reply", ["error unknown command", "ok 1 default 2 1", "ok"])
def test_a_device_of_version_1(client, pipes, reply):
    os.write(pipes[1].write, with_crc(reply))
    with pytest.raises(UserError, match="speaks version 1 of the protocol, not 2: create and fla"):
        client.check(FakeArchive())


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([" ok"], "speaks version ? of the protocol, not 2: create and flash its project again."),
        ([" ok 3 default"], "speaks version 3 of the protocol, not 2: create and flash"),
        ([" ok 2 default 2"], "The device answers 'default 2' to 'hello': create and flash"),
        ([" ok 2 default 2 1", " ok x"], "The device answers 'x' to 'input': create and flash"),
        ([" error \x1b[2J"], r"The device refuses 'hello': error \x1b[2J."),
        ([""], "The device refuses 'hello': ."),
    ],
)
def test_answers_that_are_none(client, pipes, replies, message):
    for number, reply in enumerate(replies, 41):
        os.write(pipes[1].write, with_crc(f"{number}{reply}"))
    with pytest.raises((RunError, UserError)) as error:
        client.check(FakeArchive())
    assert message in str(error.value)


@pytest.mark.parametrize("reply", ["ok", "ok x 1", "ok 0", "ok 0 1 2", "ok 0x0 1"])
def test_answers_to_run_that_are_none(client, pipes, reply):
    values = some_inputs(1)[0]
    for number in range(41, 41 + len(values)):
        os.write(pipes[1].write, with_crc(f"{number} ok"))
    os.write(pipes[1].write, with_crc(f"{41 + len(values)} {reply}"))
    with pytest.raises(RunError, match="to 'run': create and flash its project again"):
        client.infer(FakeArchive(), values)


def test_a_cable_that_always_damages(client, pipes):
    os.write(pipes[1].write, b"41 ok 2 *00000000\n" * 3)
    with pytest.raises(RunError, match="damaged 'hello' 3 times: check the cable"):
        client.command("hello")


def test_a_port_that_disappears(client, pipes):
    os.close(pipes[1].read)
    with pytest.raises(RunError, match=r"connection to the device broke \(Broken pipe\)"):
        client.command("hello")


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
    assert result.microseconds == [1001, 1003]


def test_ports_that_are_none(tmp_path):
    with pytest.raises(UserError, match="There is no serial port /dev/ttyNONE: plug the board in"):
        run(FakeArchive(), some_inputs(1), "serial:/dev/ttyNONE")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match="is no serial port"):
        run(FakeArchive(), some_inputs(1), f"serial:{file}")
