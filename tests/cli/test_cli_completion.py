"""``tvmc completion``, asked as a shell asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TVMC = Path(sys.executable).with_name("tvmc")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tvmc co", {"compile", "completion"}),
        ("tvmc report --h", {"--html", "--help"}),
        ("tvmc compile --target mps2-an38", {"mps2-an385", "mps2-an386"}),
        ("tvmc run --device qemu:mps3", {"qemu:mps3-an547"}),
        ("tvmc fit model.onnx --board mimx", {"mimxrt1050_evk", "mimxrt1060_evk"}),
        ("tvmc boards stm32f7", {"stm32f746g_disco"}),
        ("tvmc boards --core cortex-m8", {"cortex-m85"}),
        ("tvmc boards --feature d", {"dsp"}),
        ("tvmc micro c", {"create-project"}),
        ("tvmc micro create-project z", {"zephyr"}),
        (
            "tvmc micro create-project zephyr app a.tar --board bbc",
            {"bbc_microbit", "bbc_microbit_v2"},
        ),
        ("tvmc run --device ho", {"host", "host-c"}),
        ("tvmc compile --output-format m", {"mlf"}),
    ],
)
def test_words(words: str, expected: set[str], run) -> None:
    given = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = run(env={"_TVMC_COMPLETE": "bash_complete", **given})
    assert {line.split(",")[1] for line in done.stdout.splitlines()} == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(shell: str, run) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0, done.output
    assert "_TVMC_COMPLETE=" in done.output
    if shutil.which(shell):
        command = [shell, "-n"] if shell != "fish" else [shell, "--no-execute"]
        checked = subprocess.run(command, input=done.output, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_in_bash(tmp_path: Path) -> None:
    """The function that the script defines, called as bash calls it."""
    bash = shutil.which("bash")
    if bash is None or not TVMC.exists():
        pytest.skip("needs bash, and tvmc beside Python")
    script = (
        'eval "$(tvmc completion bash)"\n'
        "COMP_WORDS=(tvmc report --tr); COMP_CWORD=2\n"
        "_tvmc_completion tvmc; echo ${COMPREPLY[@]}\n"
    )
    path = os.pathsep.join([str(TVMC.parent), os.environ["PATH"]])
    done = subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.stdout.split() == ["--trace"], done.stderr


def test_an_unknown_shell(refused) -> None:
    assert refused("completion", "tcsh", status=2).startswith("Invalid value for '{bash|zsh|fish}'")
