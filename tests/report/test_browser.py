"""The page in a browser: no complaint on its console, nothing wider than the window."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dero_tvm.report import Report
from dero_tvm.report.html import html_page

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--hide-scrollbars",
)
# Points at every box, then says on the console what it found.
PROBE = r"""
<script>
addEventListener("load", () => {
  let tips = 0;
  for (const box of document.querySelectorAll("b[data-b]")) {
    box.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 60, clientY: 60}));
    const text = document.getElementById("tip").textContent;
    tips += text.includes("bytes") && text.includes("kind") ? 1 : 0;
  }
  // A cell of a map of rows is found by where the pointer is: at the middle of each.
  for (const path of document.querySelectorAll("path[data-cells]")) {
    const svg = path.ownerSVGElement, view = svg.viewBox.baseVal;
    const frame = svg.getBoundingClientRect();
    const boxes = Array.from(path.getAttribute("d").matchAll(/M(\d+) (\d+)h(\d+)v(\d+)/g));
    path.dataset.cells.split(",").forEach((cell, i) => {
      const [left, top, width, height] = boxes[i].slice(1).map(Number);
      path.dispatchEvent(new PointerEvent("pointermove", {
        bubbles: true,
        clientX: frame.left + ((left + width / 2) / view.width) * frame.width,
        clientY: frame.top + ((top + height / 2) / view.height) * frame.height,
      }));
      const [row, rows, first, last] = cell.split(":").map(Number);
      const from = view.height - top - height;
      const [start, end] = [from, from + height - 1].map((n) => n.toLocaleString("en"));
      const told = `address${start} to ${end}`;
      const text = document.getElementById("tip").textContent;
      const life = `lifecall ${first} to ${last}`;
      const named = text.includes(rows > 1 ? `row${row} to ${row + rows - 1}` : `row${row}`);
      tips += named && text.includes(told) && text.includes(life) && text.includes("bytes") ? 1 : 0;
    });
  }
  // The wheel and the buttons make the time larger, and what is pointed at stays where it is.
  const zoom = document.querySelector(".zoom"), view = zoom.querySelector(".window");
  const plot = zoom.querySelector(".plot"), whole = plot.clientWidth;
  const left = view.getBoundingClientRect().left, x = left + 200;
  const share = () => (x - plot.getBoundingClientRect().left) / plot.clientWidth;
  const before = share();
  view.dispatchEvent(new WheelEvent("wheel", {deltaY: -400, clientX: x, cancelable: true}));
  const larger = plot.clientWidth / whole, moved = Math.abs(share() - before);
  zoom.querySelector('[data-zoom="0"]').click();
  const right = larger > 2 && moved < 0.02 && plot.clientWidth === whole;
  const zoomed = right ? "zooms" : `${larger} ${moved}`;
  const root = document.documentElement;
  console.log(`${document.title}: found ${root.scrollWidth}/${root.clientWidth}/${tips} ${zoomed}`);
});
</script>
"""


@pytest.mark.parametrize(("names", "width"), [("report", 1280), ("hostile", 390), ("by_rows", 390)])
def test_page(names: str, width: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("not installed: chromium")
    report: Report = request.getfixturevalue(names)
    text = html_page(report)
    page = tmp_path / "report.html"
    page.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    # A window of a browser is at least 500 pixels wide, a frame is not.
    window = tmp_path / "window.html"
    window.write_text(f'<iframe src="report.html" style="border:0" width={width} height=900>')
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", f"--screenshot={tmp_path / 'page.png'}"]
    done = subprocess.run([*command, window.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert len(said) == 1, said
    found = re.search(r": found (\d+)/(\d+)/(\d+) zooms", said[0])
    assert found, said
    needed, there, tips = map(int, found.groups())
    assert there == width
    assert needed <= there, "the page is wider than the window"
    assert "memory report" in said[0]
    cells = [cell for found in re.findall(r'data-cells="(.*?)"', text) for cell in found.split(",")]
    assert bool(cells) == (names == "by_rows")
    assert tips == len(re.findall(r"<b [^>]*data-b=", text)) + len(cells)
