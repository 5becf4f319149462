"""Files of an archive, some of them written only when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

Piece = bytes | memoryview


class LazyFiles(Mapping[str, bytes]):
    """Path -> content, where a content may still be the function that writes it, in pieces.

    The weights of a large network take longer to print as C than all the rest, and who runs the C
    does not need the host's program, nor the other way round.
    """

    def __init__(self, contents: Mapping[str, bytes | Callable[[], Iterable[Piece]]]) -> None:
        self._contents = dict(contents)

    def __getitem__(self, path: str) -> bytes:
        content = self._contents[path]
        if not isinstance(content, bytes):
            content = self._contents[path] = b"".join(content())
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)

    def pieces(self, path: str) -> Iterable[Piece]:
        """A content that is wanted once, so that it is never in memory as a whole."""
        content = self._contents[path]
        return [content] if isinstance(content, bytes) else content()


def pieces(files: Mapping[str, bytes], path: str) -> Iterable[Piece]:
    """A file's content from beginning to end."""
    return files.pieces(path) if isinstance(files, LazyFiles) else [files[path]]
