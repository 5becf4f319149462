"""The example of a pipeline of one's own runs and tells what it did."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_pipeline.py"


def test_custom_pipeline(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "identity shortcut from" in printed
    assert "projection shortcut from" in printed
    assert printed.count("accumulated: ") == 3  # two joins and the line with the peak
    assert '"dero.cascade": "accumulate"' in printed
    before, after = (
        int(line.split(": ")[1].split()[0].replace(",", ""))
        for line in printed.splitlines()
        if line.startswith("peak ")
    )
    assert after < 0.7 * before
    difference = float(printed.split("largest difference of the results: ")[1])
    assert difference < 1e-6
