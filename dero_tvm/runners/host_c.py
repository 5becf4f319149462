"""Runs generated C on the host: compiled by any C compiler, optionally with sanitizers."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..boards.board import load_board
from ..boards.board_folders import targets_folder
from ..boundary.errors import UserError
from .binding import binding_source, guard_bytes
from .elf import section_sizes
from .errors import RunError
from .exchange import pack_inputs, unpack_results
from .process import MORE_TIME, build, compile_objects, find_tool, run
from .result import RunResult, Tensor
from .unpacked_archive import Archive
from .workspace import build_folder, write_archive

STRICT_FLAGS = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"),
)
_PROFILE_FLAGS = (
    "-DTVMGEN_PROFILE=harness_clock()",
    '-DTVMGEN_PROFILE_HEADER="harness_clock.h"',
)
_CLOCK_TICK = 100  # nanoseconds, of targets/harness/harness_clock.h
_SANITIZER_FLAGS = ("-g", "-fsanitize=address,undefined")
_SANITIZER_ENVIRONMENT = {
    # The program allocates nothing that could leak, and looking for leaks needs ptrace.
    "ASAN_OPTIONS": "detect_leaks=0",
    # With -fno-sanitize-recover instead, clang takes minutes for a network's file.
    "UBSAN_OPTIONS": "halt_on_error=1",
}


def find_compiler(name: str | None = None) -> str:
    """The path of that C compiler, or of one that is installed; UserError if there is none."""
    return find_tool([name] if name else ["cc", "gcc", "clang"], name or "gcc")


def run_host_c(
    archive: Archive,
    inputs: Sequence[Mapping[str, Tensor]],
    *,
    compiler: str | None = None,
    flags: Sequence[str] = (),
    sanitize: bool = False,
    copy_io: bool = False,
    fill: int = 0xA5,
    time_limit: float = 60.0,
    profile: bool = False,
    keep: Path | None = None,
) -> RunResult:
    """Compile the archive's C with the host's compiler and run one inference for each of `inputs`.

    compiler: name or path; the first of cc, gcc and clang if None.
    flags: further flags, after STRICT_FLAGS.
    sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer, whose finding is a RunError; an
        access around an arena is one of them.
    copy_io: inputs and outputs lie outside the arena, and the model copies them; always so if it
        was compiled for inputs and outputs in the caller's memory.
    fill: the byte that arenas hold before the first inference.
    time_limit: of the run in seconds, without compiling.
    profile: also measure each step, by the clock on the wall.
    keep: folder to build in and leave behind, for a look at what was run.

    Raises UserError if the compiler is missing or `inputs` are not the model's, RunError if the
    code does not compile or fails.
    """
    packed = pack_inputs(archive, inputs)
    tool = find_compiler(compiler)
    alignment = load_board("host").alignment
    harness = targets_folder() / "harness"
    with build_folder(keep) as folder:
        sources, includes = write_archive(archive, folder)
        binding = folder / "binding.c"
        binding.write_text(
            binding_source(archive, alignment=alignment, sections={}, copy_io=copy_io)
        )
        command = [
            tool,
            *STRICT_FLAGS,
            f"-DTVMGEN_{archive.name.upper()}_CALLER_WORKSPACE",
            *(f"-I{include}" for include in includes),
            *(_SANITIZER_FLAGS if sanitize else ()),
            *((f"-I{harness}", *_PROFILE_FLAGS) if profile else ()),
            *flags,
        ]
        objects = compile_objects(command, sources, folder)
        program = folder / "program"
        link = [
            *command,
            f"-I{harness}",
            f"-DHARNESS_GUARD_BYTES={guard_bytes(alignment)}",
            f"-DHARNESS_FILL={fill}",
            *(("-DHARNESS_ASAN",) if sanitize else ()),
            *map(str, (binding, harness / "harness.c", harness / "host.c", *objects)),
            "-lm",
            *("-o", str(program)),
        ]
        try:
            build(link, folder)
        except RunError as error:
            if re.search(r"cannot find .*(asan|ubsan|clang_rt)", error.details):
                raise UserError(
                    f"{tool} has no sanitizer run-time library: install it (on Debian, clang's is "
                    "in libclang-rt-dev) or use another compiler."
                ) from None
            raise
        (folder / "inputs.bin").write_bytes(packed)
        completed = run(
            [str(program), "inputs.bin", "outputs.bin"],
            folder,
            time_limit=time_limit,
            remedy=MORE_TIME,
            environment=_SANITIZER_ENVIRONMENT,
        )
        if completed.status:
            raise RunError(_failure(completed.status, completed.messages), completed.messages)
        data = (folder / "outputs.bin").read_bytes()
        results = unpack_results(archive, len(inputs), data, profile=profile)
        return RunResult(
            outputs=[inference.outputs for inference in results.inferences],
            model_sections=section_sizes(objects),
            image_sections=section_sizes([program]),
            guard_report=results.guard_report,
            seconds=completed.seconds,
            profile=results.profile(archive, "ns", _CLOCK_TICK) if profile else None,
        )


def _failure(status: int, messages: str) -> str:
    """One sentence on why the program ended: the sanitizer's finding, a signal, its last words."""
    for line in messages.splitlines():
        if "runtime error:" in line or line.startswith("SUMMARY: AddressSanitizer"):
            return f"The sanitizer stopped the generated code: {line.strip()}"
    if status < 0:
        return f"The generated code crashed with {signal.Signals(-status).name}."
    last = messages.strip().splitlines()[-1:] or ["no message"]
    return f"The test program ended with status {status}: {last[0]}"
