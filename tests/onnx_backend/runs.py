"""Node tests through the whole compiler, many of them in one C program.

Every case ends in a verdict: `PASSED`, or one line that says why not.  ``refused:`` is the
compiler's own error, ``wrong:`` a result that is not the expected one, ``fault:`` anything else.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from dero_tvm import UserError
from dero_tvm.aot.program import Program
from tests.compiled.c_batch import CBatch, CLibrary, streamed_program
from tests.onnx_backend.cases import Case

PASSED = "passed"
_BATCH = 150  # cases in a C file


def verdicts(cases: Iterable[Case], folder: Path) -> dict[str, str]:
    """The verdict on each case by its name; C is compiled in `folder`."""
    found: dict[str, str] = {}
    waiting: dict[str, tuple[Case, Program]] = {}
    for case in cases:
        try:
            waiting[case.name] = case, streamed_program(case.model)
        except UserError as error:
            found[case.name] = f"refused: {_without_label(str(error))}"
        except Exception as error:
            found[case.name] = _fault(error)
        if len(waiting) == _BATCH:
            found.update(_run(waiting, folder))
            waiting = {}
    found.update(_run(waiting, folder))
    return dict(sorted(found.items()))


def _run(waiting: dict[str, tuple[Case, Program]], folder: Path) -> dict[str, str]:
    batch, found = CBatch(), {}
    for name, (_, program) in waiting.items():
        try:
            batch.add(name, program)
        except UserError as error:
            found[name] = f"refused: {_without_label(str(error))}"
        except Exception as error:
            found[name] = _fault(error)
    added = {name: case for name, (case, _) in waiting.items() if name not in found}
    try:
        # A library of its own path: the loader gives the first one of a path for ever.
        library = batch.build(Path(mkdtemp(dir=folder)))
    except subprocess.CalledProcessError:
        if len(waiting) == 1:
            return dict.fromkeys(waiting, "fault: the C does not compile")
        names, half = list(waiting), len(waiting) // 2
        for part in (names[:half], names[half:]):
            found.update(_run({name: waiting[name] for name in part}, folder))
        return found
    for name, case in added.items():
        found[name] = _compared(case, library)
    return found


def _compared(case: Case, library: CLibrary) -> str:
    for given, wanted in case.inferences:
        try:
            outputs, _ = library.run(case.name, given)
        except Exception as error:
            return _fault(error)
        for (name, actual), expected in zip(outputs.items(), wanted, strict=True):
            if not isinstance(expected, (np.ndarray, np.generic)):
                return f"wrong: {name} is a tensor, not a {type(expected).__name__}"
            if actual.dtype != expected.dtype or actual.shape != expected.shape:
                return (
                    f"wrong: {name} is {actual.dtype}{list(actual.shape)}, "
                    f"not {expected.dtype}{list(expected.shape)}"
                )
            close = np.isclose(actual, expected, case.rtol, case.atol, equal_nan=True)
            if not close.all():
                return f"wrong: {name} differs in {np.sum(~close)} of {close.size} elements"
    return PASSED


def _without_label(message: str) -> str:
    return re.sub(r"^(the ONNX model '[^']*'|test_\w+): ", "", message)


def _fault(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    return f"fault: {type(error).__name__}: {lines[0].strip()[:160]}"
