"""What the generated C tells compilers that are known to translate it wrongly.

gcc's induction variable pass may write an address as a sum of numbers without a pointer in it.
Before gcc 14 (its bug 110702), the passes that find out what a function changes took such an access
for one through a null pointer, which never happens, and everything behind it for dead: of a loop
that moves a tensor, they concluded that it changes nothing, and dropped the call.  It shows from
-O2 on, on x86 as on Cortex-M3 and above.  Where null pointers are addresses like others
(``-fno-delete-null-pointer-checks``), they conclude nothing.  The file says so itself: it is
compiled by whatever command the application has.
"""

from __future__ import annotations

_CONDITION = "#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14"

GUARD_BEGIN = f"""\
/* gcc before 14 may take an access to the arena for one through a null pointer (its bug 110702). */
{_CONDITION}
#pragma GCC push_options
#pragma GCC optimize("no-delete-null-pointer-checks")
#endif"""

GUARD_END = f"""\
{_CONDITION}
#pragma GCC pop_options
#endif"""


def guarded(text: str) -> str:
    """`text`, a whole file of C with functions, between the two marks."""
    return f"{GUARD_BEGIN}\n\n{text.rstrip()}\n\n{GUARD_END}\n"
