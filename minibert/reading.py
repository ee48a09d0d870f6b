"""Files and streams -> texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["lines_of"]


def lines_of(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a stream as text, without their ends: only a line feed ends one.

    Raises ValueError, with the stream's name and the line's number, for what is not UTF-8.
    """
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}, line {number} is not UTF-8: {error}.") from error
        yield text.removesuffix("\n").removesuffix("\r")
