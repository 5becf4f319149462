"""The Arduino sketch, compiled for this machine with a header that stands for Arduino's."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.projects.devices import check_inferences
from tests.runners.fake_archive import FakeArchive

_ARDUINO = """
#include <cstdint>
#include <cstddef>
#include <cstdlib>
#include <unistd.h>
struct Port {
  void begin(unsigned long) {}
  std::size_t write(const std::uint8_t* bytes, std::size_t count) {
    return static_cast<std::size_t>(::write(1, bytes, count));
  }
  int available() { return 1; }
  int read() {
    unsigned char character;
    if (::read(0, &character, 1) != 1) std::exit(0);
    return character;
  }
};
static Port Serial;
static unsigned long micros() {
  static unsigned long now;
  return now += 250;
}
"""
_MAIN = "\nint main() {\n  setup();\n  for (;;) loop();\n}\n"

_MISSING = [tool for tool in ("gcc", "g++") if not shutil.which(tool)]


@pytest.mark.skipif(bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)}")
def test_the_sketch_on_this_machine(project, tmp_path):
    # The fake model leaves its arena to the caller; a real one defines it.
    archive = FakeArchive(globals="uint8_t tvmgen_default_workspace[71];")
    folder = project("arduino", "arduino_nano_33_ble", archive)
    warnings = ["-Wall", "-Wextra", "-Werror"]
    sources = sorted((folder / "src").glob("*.c"))
    objects = []
    for source in sources:
        objects.append(tmp_path / f"{source.stem}.o")
        subprocess.run(
            ["gcc", "-std=gnu11", *warnings, "-c", source, "-o", objects[-1]], check=True
        )
    sketch = tmp_path / "sketch.cpp"
    text = (folder / "app.ino").read_text()
    sketch.write_text(_ARDUINO + text.replace('"src/', f'"{folder}/src/') + _MAIN)
    program = tmp_path / "program"
    subprocess.run(["g++", "-std=gnu++14", *warnings, sketch, *objects, "-o", program], check=True)
    assert check_inferences([program], archive) == [250, 250]
