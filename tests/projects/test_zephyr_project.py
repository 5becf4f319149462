"""The Zephyr project: its Kconfig, its CMake files and its C always, a Zephyr tree if there is one.

Without a tree, zephyr_stub/ stands for it: the application is built for this machine and served
over pipes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.projects.devices import check_inferences, qemu
from tests.runners.fake_archive import FakeArchive

kconfiglib = pytest.importorskip("kconfiglib", reason="kconfiglib is not installed")

STUB = Path(__file__).parent / "zephyr_stub"
_ZEPHYR_SYMBOLS = ("SERIAL", "CONSOLE", "UART_CONSOLE", "BOOT_BANNER", "FPU", "REQUIRES_FULL_LIBC")


def configuration(folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch):
    """The application's options as Kconfig works them out of prj.conf."""
    base.mkdir()
    lines = [f'config {name}\n\tbool "{name}"\n' for name in _ZEPHYR_SYMBOLS]
    lines.append('config MAIN_STACK_SIZE\n\tint "stack"\n\tdefault 1024\n')
    lines.append(f'source "{folder / "model" / "Kconfig"}"\n')
    (base / "Kconfig.zephyr").write_text("".join(lines))
    monkeypatch.setenv("srctree", str(base))
    config = kconfiglib.Kconfig(str(folder / "Kconfig"), warn_to_stderr=False)
    config.warn_assign_undef = True
    config.load_config(str(folder / "prj.conf"))
    assert config.warnings == []
    return config


@pytest.fixture
def options(tmp_path, monkeypatch):
    return lambda folder: configuration(folder, tmp_path / "zephyr", monkeypatch)


def test_kconfig(project, options):
    config = options(project("zephyr", "nrf52840dk"))
    values = {name: symbol.str_value for name, symbol in config.syms.items()}
    assert values["TVMGEN_DEFAULT"] == values["TVMGEN_DEFAULT_FOR_SPEED"] == "y"
    assert values["TVMGEN_DEFAULT_FOR_SIZE"] == "n"
    assert values["UART_CONSOLE"] == "n"
    assert values["MAIN_STACK_SIZE"] == "4096"
    assert values["FPU"] == "y"


def test_kconfig_without_the_network(project, options):
    folder = project("zephyr", "rpi_pico")
    (folder / "prj.conf").write_text("CONFIG_TVMGEN_DEFAULT=n\n")
    config = options(folder)
    assert config.syms["TVMGEN_DEFAULT_FOR_SPEED"].str_value == "n"


def test_what_prj_conf_asks_for(project):
    text = (project("zephyr", "rpi_pico") / "prj.conf").read_text()
    assert "CONFIG_FPU" not in text and "FULL_LIBC" not in text
    assert text.endswith("CONFIG_MAIN_STACK_SIZE=4096\n")


def test_a_network_that_needs_the_math_library(project):
    archive = FakeArchive(globals="#include <math.h>")
    text = (project("zephyr", "rpi_pico", archive) / "prj.conf").read_text()
    assert "CONFIG_REQUIRES_FULL_LIBC=y\n" in text


_MISSING = [tool for tool in ("cmake", "make", "gcc") if not shutil.which(tool)]


@pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")
@pytest.mark.parametrize(
    "archive",
    [
        FakeArchive(),
        FakeArchive(arena_bytes={"sram": 50, "dtcm": 40}),
        FakeArchive(external_io=True),
    ],
    ids=["one arena", "two arenas", "outside"],
)
def test_the_application_on_this_machine(project, options, archive):
    folder = project("zephyr", "stm32f746g_disco", archive)
    config = options(folder)
    symbols = [s for s in config.unique_defined_syms if s.name.startswith("TVMGEN_")]
    enabled = [symbol.name for symbol in symbols if symbol.str_value == "y"]
    build = folder / "build"
    command = ["cmake", "-G", "Unix Makefiles", "-S", folder, "-B", build, f"-DZephyr_DIR={STUB}"]
    command += [f"-DCONFIG_{name}=y" for name in enabled]
    configured = subprocess.run(command, capture_output=True, text=True)
    assert configured.returncode == 0 and "Warning" not in configured.stderr, configured.stderr
    made = subprocess.run(["cmake", "--build", build], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert check_inferences([build / "app"], archive) == [500, 500]


@pytest.mark.skipif("ZEPHYR_BASE" not in os.environ, reason="ZEPHYR_BASE is not set")
def test_with_zephyr(project):
    """Built with the Zephyr tree at ZEPHYR_BASE, and run in QEMU."""
    for tool in ("cmake", "ninja", "qemu-system-arm"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    folder = project("zephyr", "mps2-an385")
    build = folder / "build"
    command = ["cmake", "-G", "Ninja", "-S", folder, "-B", build]
    configured = subprocess.run(command, capture_output=True, text=True)
    assert configured.returncode == 0, configured.stderr
    made = subprocess.run(["cmake", "--build", build], capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    program = build / "zephyr" / "zephyr.elf"
    check_inferences(qemu("mps2-an385", program, "-serial", "stdio"), FakeArchive())
