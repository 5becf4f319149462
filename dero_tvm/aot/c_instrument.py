"""What the generated C has for debugging, and leaves out unless it is asked for.

``-DTVMGEN_CHECK=1`` puts guards around each arena and looks at them after every step:

    array:  | guard | arena | guard |
                    ^ what kernels know as the arena

``-DTVMGEN_PROFILE=counter`` adds up what the counter advanced during each step, and within a step
of several operators up to the end of each call of a row kernel: laps, which together are the step.
Without these macros the compiler sees none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .header import Interface, PortPlace
from .names import c_comment

_MISSING, _BAD_POINTER, _GUARD_CHANGED = -1, -2, -3  # what the run function returns


def around_step(number: int, call: Sequence[str]) -> list[str]:
    """The statements `call` that run a step, between macros that mark where it begins and ends."""
    return [f"  TVMGEN_BEGIN({number});", *call, f"  TVMGEN_END({number});"]


def macros(interface: Interface, steps: Iterable[tuple[str, Sequence[str]]], *, laps: bool) -> str:
    """What the source of kernels and steps begins with.

    `steps` are the functions of the steps, each with the model file's layers that it runs; with
    `laps` one of them at least runs several operators.
    """
    prefix, macro = interface.prefix, interface.macro
    names = [f'    "{name}",{_layers(layers)}' for name, layers in steps] or ["    0,"]
    shifted = []
    for _, array, _ in interface.arenas:
        # Inside its own expansion a macro's name stands for itself: here, the array.
        shifted += [f"#define {array} \\", f"  ({array} + {macro}_GUARD_BYTES)"]
    return "\n".join(
        [
            "/* Checks and a profile of the steps, if they are compiled in: see the header. */",
            "#if TVMGEN_CHECK || defined(TVMGEN_PROFILE)",
            f"const char *const {prefix}_step_names[{macro}_STEPS] = {{",
            *names,
            "};",
            "#endif",
            "#if TVMGEN_CHECK",
            *shifted,
            "#define TVMGEN_CHECK_GUARDS(number) \\",
            f"  if ({prefix}_guards_changed( \\",
            f"          {prefix}_step_names[number]) != 0) {{ \\",
            f"    return {_GUARD_CHANGED}; \\",
            "  }",
            "#else",
            "#define TVMGEN_CHECK_GUARDS(number)",
            "#endif",
            "#ifdef TVMGEN_PROFILE",
            "#ifdef TVMGEN_PROFILE_HEADER",
            "#include TVMGEN_PROFILE_HEADER",
            "#endif",
            f"uint64_t {prefix}_profile[{macro}_STEPS];",
            "static uint32_t step_began;",
            *(_laps(interface) if laps else ()),
            "#define TVMGEN_BEGIN(number) \\",
            "  do { \\",
            "    step_began = (uint32_t)(TVMGEN_PROFILE); \\",
            *(["    lap_began = step_began; \\"] if laps else ()),
            "  } while (0)",
            "#define TVMGEN_ADD_TICKS(number) \\",
            f"  {prefix}_profile[number] += (uint32_t)(TVMGEN_PROFILE) - step_began",
            "#else",
            "#define TVMGEN_BEGIN(number) (void)0",
            "#define TVMGEN_ADD_TICKS(number) (void)0",
            *(["#define TVMGEN_LAP(number) (void)0"] if laps else []),
            "#endif",
            "#define TVMGEN_END(number) \\",
            "  do { \\",
            "    TVMGEN_ADD_TICKS(number); \\",
            "    TVMGEN_CHECK_GUARDS(number) \\",
            "  } while (0)",
        ]
    )


def _laps(interface: Interface) -> list[str]:
    """The counters of operators that run together in one step, and what adds to one of them."""
    counters = f"{interface.prefix}_operator_profile"
    return [
        f"uint64_t {counters}[{interface.macro}_OPERATORS];",
        "static uint32_t lap_began;",
        "#define TVMGEN_LAP(number) \\",
        "  do { \\",
        "    const uint32_t lap_ended = (uint32_t)(TVMGEN_PROFILE); \\",
        f"    {counters}[number] += (uint32_t)(lap_ended - lap_began); \\",
        "    lap_began = lap_ended; \\",
        "  } while (0)",
    ]


def _layers(layers: Sequence[str]) -> str:
    """A comment with the name of the first and of the last."""
    ends = [c_comment(layer) for layer in (*layers[:1], *layers[1:][-1:])]
    return f" /* {' to '.join(ends)} */" if ends else ""


def check_arguments(interface: Interface, places: Sequence[PortPlace]) -> list[str]:
    """Statements at the start of the run function."""
    bad = []
    for port in places:
        # What is copied from or to the arena may lie at any address.
        place, alignment = (port.place, 1) if port.place else ("NULL", port.alignment)
        bad.append(f"{interface.prefix}_bad_pointer({port.pointer}, {place}, {alignment}) != 0")
    lines = [
        "#if TVMGEN_CHECK",
        "  if (inputs == NULL || outputs == NULL) {",
        f"    return {_MISSING};",
        "  }",
    ]
    if bad:
        between = " ||\n      "
        lines += [f"  if ({between.join(bad)}) {{", f"    return {_BAD_POINTER};", "  }"]
    return [
        *lines,
        f'  if ({interface.prefix}_guards_changed("before the run") != 0) {{',
        f"    return {_GUARD_CHANGED};",
        "  }",
        "#endif",
    ]


def write_guards(interface: Interface) -> list[str]:
    """Statements before the application gets at the arena."""
    return ["#if TVMGEN_CHECK", f"  {interface.prefix}_write_guards();", "#endif"]


def checks(interface: Interface) -> str:
    """The functions that `macros`, `check_arguments` and `write_guards` call."""
    prefix, guard = interface.prefix, f"{interface.macro}_GUARD_BYTES"
    arenas = [f"    {{{array}, {array.upper()}_BYTES}}," for _, array, _ in interface.arenas]
    if not arenas:
        return _checks_without_arena(prefix)
    return f"""\
#if TVMGEN_CHECK
#ifdef TVMGEN_CHECK_FAILED
void TVMGEN_CHECK_FAILED(const char *what, const char *where);
#else
#define TVMGEN_CHECK_FAILED(what, where) (void)(where)
#endif

static const struct {{
  uint8_t *array;
  uint32_t bytes;
}} guarded[{len(arenas)}] = {{
{chr(10).join(arenas)}
}};
static int32_t guards_written = 0;

static uint8_t guard_byte(uint32_t index) {{ return (uint8_t)(0xC5u ^ (index * 29u)); }}

void {prefix}_write_guards(void) {{
  for (int32_t a = 0; guards_written == 0 && a < {len(arenas)}; ++a) {{
    uint8_t *behind =
        guarded[a].array + guarded[a].bytes - {guard};
    for (uint32_t i = 0; i < {guard}; ++i) {{
      guarded[a].array[i] = guard_byte(i);
      behind[i] = guard_byte(i);
    }}
  }}
  guards_written = 1;
}}

int32_t {prefix}_guards_changed(const char *where) {{
  {prefix}_write_guards();
  for (int32_t a = 0; a < {len(arenas)}; ++a) {{
    const uint8_t *behind =
        guarded[a].array + guarded[a].bytes - {guard};
    for (uint32_t i = 0; i < {guard}; ++i) {{
      if (guarded[a].array[i] != guard_byte(i) || behind[i] != guard_byte(i)) {{
        guards_written = 0; /* the next run begins anew */
        TVMGEN_CHECK_FAILED("a guard around the arena was overwritten", where);
        return 1;
      }}
    }}
  }}
  return 0;
}}

int32_t {prefix}_bad_pointer(
    const void *pointer, const void *place, uint32_t alignment) {{
  const uintptr_t at = (uintptr_t)pointer;
  for (int32_t a = 0; a < {len(arenas)}; ++a) {{
    const uintptr_t start = (uintptr_t)guarded[a].array;
    if (start % {interface.macro}_WORKSPACE_ALIGNMENT != 0) {{
      TVMGEN_CHECK_FAILED("the arena is not aligned", "arguments");
      return 1;
    }}
    if (pointer != place && at >= start && at - start < guarded[a].bytes) {{
      TVMGEN_CHECK_FAILED("a pointer leads into the arena, but not to its tensor", "arguments");
      return 1;
    }}
  }}
  if (at % alignment != 0) {{
    TVMGEN_CHECK_FAILED("a pointer is not aligned", "arguments");
    return 1;
  }}
  return 0;
}}
#endif"""


def _checks_without_arena(prefix: str) -> str:
    return f"""\
#if TVMGEN_CHECK
int32_t {prefix}_guards_changed(const char *where) {{
  (void)where;
  return 0;
}}

int32_t {prefix}_bad_pointer(
    const void *pointer, const void *place, uint32_t alignment) {{
  return pointer != place && (uintptr_t)pointer % alignment != 0;
}}
#endif"""
