"""C identifiers for names that come from a model file.

A model may call its tensors anything.  No such name reaches C source as it is: it is reduced to
letters, digits and underscores, kept off reserved words, and made unique.

Macros are what a struct's member must not be called, whoever defines them.  All those of generated
code begin with ``tvmgen`` in some spelling, so no member does; those of the C library, of compilers
and of frameworks (Arduino's ``INPUT``) are written in capitals, so no member of two letters or more
is.  Macros that take arguments do no harm: no member stands right before a parenthesis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# C and C++ (the header serves both), and macros in small letters that headers or compilers define.
_RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while _Bool _Complex _Imaginary asm typeof bool true false "
    "main alignas alignof and and_eq bitand bitor catch char8_t char16_t char32_t class co_await "
    "co_return co_yield compl concept const_cast consteval constexpr constinit decltype delete "
    "dynamic_cast explicit export friend mutable namespace new noexcept not not_eq nullptr "
    "operator or or_eq private protected public reinterpret_cast requires static_assert "
    "static_cast template this thread_local throw try typeid typename using virtual wchar_t xor "
    "xor_eq typeof_unqual complex imaginary noreturn assert errno stdin stdout stderr environ "
    "tzname signgam math_errhandling strtodf basename fd_set physadr quad linux unix arm i386 sun "
    "mips sparc near far huge interrupt interface small byte I".split()
)
# Macros of generated code; capitals; and families of the C library's such as PRIu8 and M_PIf.
_MACROS = re.compile(r"(?i:tvmgen)\w*|[^a-z]{2,}|(PRI|SCN)\w+|([MLP]|si|sa|sigev)_\w+")
_LONGEST = 48  # C11 promises 63 significant characters, and prefixes need some of them


def c_identifiers(names: Iterable[str]) -> list[str]:
    """One C identifier for each name, in order; distinct even in capitals, as in macros."""
    taken: set[str] = set()
    identifiers = []
    for name in names:
        base = c_identifier(name)
        candidate, count = base, 1
        while candidate.lower() in taken:
            candidate, count = f"{base}_{count}", count + 1
        taken.add(candidate.lower())
        identifiers.append(candidate)
    return identifiers


def c_identifier(name: str) -> str:
    """`name` reduced to a C identifier."""
    reduced = re.sub(r"_+", "_", re.sub(r"[^0-9A-Za-z_]", "_", name)).strip("_")[:_LONGEST]
    reserved = reduced in _RESERVED or _MACROS.fullmatch(reduced)
    if not reduced or reduced[0].isdigit() or reserved:
        reduced = f"t_{reduced}".rstrip("_")
    return reduced


def c_comment(text: str, longest: int = 120) -> str:
    """`text` made safe inside a C comment: printable ASCII, one line, no comment delimiters.

    No trigraphs either: two question marks and a character that stand for another.
    """
    printable = "".join(c if " " <= c <= "~" else "?" for c in text)
    plain = printable.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")
    return re.sub(r"\?(?=\?)", "? ", plain)[:longest]
