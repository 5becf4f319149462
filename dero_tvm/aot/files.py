"""Files of an archive, some of them written only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping


class LazyFiles(Mapping[str, bytes]):
    """Path -> content, where a content may still be the function that writes it.

    The weights of a large network take longer to print as C than all the rest, and who runs the C
    does not need the host's program, nor the other way round.
    """

    def __init__(self, contents: Mapping[str, bytes | Callable[[], bytes]]) -> None:
        self._contents = dict(contents)

    def __getitem__(self, path: str) -> bytes:
        content = self._contents[path]
        if not isinstance(content, bytes):
            content = self._contents[path] = content()
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)
