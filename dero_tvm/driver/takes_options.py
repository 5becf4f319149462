"""Functions of a model and options that also take the options as keywords.

@takes_options(CompileOptions)
def compile(model, options): ...

compile(model, dero="none")             keywords, as the fields are named and typed
compile(model, options)                 the options themselves
compile(model, options, dero="none")    the options with changes
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from .options import CompileOptions

_P = ParamSpec("_P")
_Options = TypeVar("_Options", bound=CompileOptions)
_R = TypeVar("_R")
_Result = TypeVar("_Result", covariant=True)


class TakesOptions(Protocol[_P, _Result]):
    """What a decorated function can be called with."""

    @overload
    def __call__(self, model: Any, /, *args: _P.args, **changes: _P.kwargs) -> _Result: ...

    @overload
    def __call__(
        self, model: Any, options: CompileOptions, /, *args: _P.args, **changes: _P.kwargs
    ) -> _Result: ...


def takes_options(
    kind: Callable[_P, _Options], without: Collection[str] = ()
) -> Callable[[Callable[[Any, _Options], _R]], TakesOptions[_P, _R]]:
    """Decorator; `kind` is the dataclass of the options, whose defaults hold for the others.

    Options in `without` mean nothing to the function: as keywords they are refused, and of
    options for another function they are passed over.

    A keyword that is no option is a TypeError that names the nearest one.
    """
    make: Callable[..., _Options] = kind
    parameters = inspect.signature(kind).parameters
    accepted = {name: each for name, each in parameters.items() if name not in without}

    def decorated(function: Callable[[Any, _Options], _R]) -> TakesOptions[_P, _R]:
        @functools.wraps(function)
        def calling(model: Any, options: CompileOptions | None = None, **changes: Any) -> _R:
            for name in changes:
                if name in without:
                    raise TypeError(f"{function.__name__}() has no use for {name!r}: leave it out")
                if name not in accepted:
                    raise TypeError(_refusal(function.__name__, name, accepted))
            given = {}
            if options is not None:
                if not isinstance(options, CompileOptions):
                    raise TypeError(
                        f"{function.__name__}() takes CompileOptions behind the model, or options "
                        "by keyword"
                    )
                names = {field.name for field in fields(options)} & accepted.keys()
                given = {name: getattr(options, name) for name in names}
            return function(model, make(**{**given, **changes}))

        # What `help` and editors show.
        known: Any = calling
        signature = inspect.signature(calling, follow_wrapped=False)
        first = list(signature.parameters.values())[:2]
        known.__signature__ = signature.replace(parameters=[*first, *accepted.values()])
        return cast(TakesOptions[_P, _R], known)

    return decorated


def _refusal(function: str, name: str, accepted: Collection[str]) -> str:
    near = difflib.get_close_matches(name, accepted, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the options are {', '.join(accepted)}"
    return f"{function}() got an unexpected keyword argument {name!r}: {hint}"
