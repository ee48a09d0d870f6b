"""Rows with a teacher's scores -> a file, which appears when it is whole.

    FILE                        at the end: a line of JSON for each row
    FILE.partial/rows.jsonl     until then: rows of whole chunks, and perhaps a part of the next one
    FILE.partial/settings.json  all that decides the scores, by which a run goes on

So a run may be stopped at any moment: the same call goes on after the last whole chunk, and ends
with the same bytes. Chunks begin at the same rows then, since the rounding of a score depends on
the texts beside it. Start at write_labels.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from minibert.common.escapes import json_line
from minibert.common.files import append, locked, not_writable, place, replacing, sync
from minibert.common.json_files import read_json
from minibert.common.progress import Advance
from minibert.errors import OutputError, TrainingError
from minibert.training.labels import CHUNK_ROWS, Chunk, Scorer, labelled, name_of_scores

__all__ = ["count_kept", "partial_folder", "write_labels"]

ROWS, SETTINGS = "rows.jsonl", "settings.json"


def partial_folder(path: Path) -> Path:
    """Return the folder that holds the rows of a file until it is whole."""
    return path.with_name(f"{path.name}.partial")


def count_kept(path: Path, chunk_rows: int = CHUNK_ROWS) -> int:
    """Count the rows of whole chunks that a stopped run has left for a file."""
    try:
        with open(partial_folder(path) / ROWS, "rb") as file:
            lines = sum(line.endswith(b"\n") for line in file)
    except FileNotFoundError:
        return 0
    return lines // chunk_rows * chunk_rows


def write_labels(
    path: Path,
    chunks: Iterable[Chunk],
    score: Scorer,
    settings: Mapping[str, Any],
    advance: Advance,
) -> int:
    """Score chunks and write their rows to a file, which may exist; return their number.

    The rows of a run that was stopped are kept. `settings` are values of JSON by name, that decide
    the scores beside the data. `advance` is called with the number of further rows.

    Raises TrainingError for rows of a run with other settings or other data, OutputError if the
    file cannot be created, and OSError, for example for a full disk; then the rows stay.
    """
    chunks = iter(chunks)
    first = list(islice(chunks, 1))  # now: data that cannot be read leaves nothing behind
    folder = partial_folder(path)
    if path.is_dir():
        raise OutputError(f"cannot create {str(path)!r}: it is a folder. Expected a file.")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise not_writable(folder, error) from error
    with locked(folder):
        check_settings(folder, settings)
        count = write_rows(folder / ROWS, chain(first, chunks), score, advance)
        place(folder / ROWS, path)
    shutil.rmtree(folder, ignore_errors=True)
    return count


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings, or compare them with those of a run that was stopped."""
    if not (folder / SETTINGS).exists():
        with replacing(folder / SETTINGS) as file:
            file.write(json.dumps(settings, indent=2).encode() + b"\n")
        return
    before = read_json(folder / SETTINGS, dict)
    different = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
    if different:
        raise TrainingError(
            f"{folder} has rows of a run that was stopped, with another {', '.join(different)}. "
            "Give what that run began with, or remove the folder to begin anew."
        )


def write_rows(path: Path, chunks: Iterator[Chunk], score: Scorer, advance: Advance) -> int:
    """Keep the whole chunks that a file has, write the others behind them; return all rows."""
    size, count, waiting = kept_rows(path, chunks, advance)
    with open(path, "ab", buffering=0) as file:
        file.truncate(size)
        for chunk in chain(waiting, chunks):
            rows = labelled(chunk, score)
            append(file, "".join(json_line(row) + "\n" for row in rows).encode())
            sync(file)
            count += len(rows)
            advance(len(rows))
    return count


def kept_rows(
    path: Path, chunks: Iterator[Chunk], advance: Advance
) -> tuple[int, int, list[Chunk]]:
    """Compare a file with chunks: -> its bytes and its rows that stay, and the next chunk, if any.

    Raises TrainingError if a whole chunk has other texts, or the data has ended before.
    """
    size = count = 0
    if not path.exists():
        return size, count, []
    with open(path, "rb") as file:
        for chunk in chunks:
            if not has_chunk(file, chunk, path):
                return size, count, [chunk]
            size, count = file.tell(), count + len(chunk.rows)
            advance(len(chunk.rows))
        if file.read(1):
            raise TrainingError(
                f"{path} has more rows than the data, which ends after {count}. Give the data that "
                f"the run began with, or remove {path.parent} to begin anew."
            )
    return size, count, []


def has_chunk(file: BinaryIO, chunk: Chunk, path: Path) -> bool:
    """Return whether the next lines of a file are the rows of a chunk, whole.

    Raises TrainingError for rows with other texts.
    """
    for row, origin in zip(chunk.rows, chunk.origins, strict=True):
        line = file.readline()
        try:
            old = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            old = None
        if not isinstance(old, dict):  # a part of a line, or what a power failure has left
            return False
        scores = name_of_scores(len(row))
        if {name: value for name, value in old.items() if name != scores} != row:
            raise TrainingError(
                f"{origin}: the texts differ from those in {path}, which a stopped run has left. "
                f"Give the data that it began with, or remove {path.parent} to begin anew."
            )
    return True
