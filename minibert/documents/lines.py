"""Bytes -> lines of text, or an error that names the line. Start at lines_of."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from minibert.documents.sources import display_name, opened

__all__ = ["count_lines", "decoded", "lines_in", "lines_of"]

CHUNK_BYTES = 1 << 20

# First bytes of files that are often taken for UTF-8 -> advice.
BEGINNINGS = {
    b"\x1f\x8b": " It is gzipped: unpack it, or let its name end with .gz.",
    b"\xff\xfe": " It is UTF-16: save it as UTF-8.",
    b"\xfe\xff": " It is UTF-16: save it as UTF-8.",
}


def decoded(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode the lines of a stream, each with its end; only a line feed ends a line.

    Raises ValueError, with `name` and the line's number, for bytes that are not UTF-8, for a NUL
    byte, and for a broken gzip file.
    """
    from gzip import BadGzipFile  # late: only files need it

    lines, number = iter(stream), 0
    while True:
        number += 1
        try:
            line = next(lines)
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            hint = BEGINNINGS.get(line[:2], "") if number == 1 else ""
            raise ValueError(f"{name}, line {number} is not UTF-8: {error}.{hint}") from error
        except (BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f"{name} is no gzip file, or a damaged one, after line {number - 1}: {error}."
            ) from error
        if "\0" in text:  # not in text, but in UTF-16 and binary files
            raise ValueError(
                f"{name}, line {number} holds a NUL byte, which is in no text. Expected UTF-8; is "
                "it UTF-16?"
            )
        yield text


def lines_of(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode the lines of a stream, without their ends. Raises ValueError as `decoded` does."""
    for line in decoded(stream, name):
        yield line.removesuffix("\n").removesuffix("\r")


def lines_in(path: str) -> Iterator[str]:
    """Yield the lines of a text file, gzipped or not, or of standard input for "-"."""
    with opened(path) as stream:
        yield from lines_of(stream, display_name(path))


def count_lines(path: str) -> int:
    """Count the lines of a file, blank ones too, without reading them as text."""
    lines, last = 0, b"\n"
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            lines += chunk.count(b"\n")
            last = chunk[-1:]
    return lines + (last != b"\n")
