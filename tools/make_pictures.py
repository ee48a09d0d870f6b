"""Run the tour as a reader does, and keep its pictures and outputs.

    python tools/make_pictures.py              # every chapter: docs/tour/pictures, and the outputs
    python tools/make_pictures.py 3-attention  # one of them

A chapter of docs/tour is a program: its Python blocks, one after another, in one namespace. A text
block right behind a Python block is its output. A block with a title= is a quotation of that file,
and is not run. The blocks write the pictures. tests/test_tour.py runs the same.
"""

import code
import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TOUR = ROOT / "docs" / "tour"
PICTURES = TOUR / "pictures"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of code of a page."""

    language: str
    title: str | None  # the file that is quoted
    text: str
    place: slice  # the place of the text in the page

    @property
    def is_program(self) -> bool:
        return self.language == "python" and self.title is None


def place_of(chapter: Path) -> int:
    """Return the number before a chapter's name: 10-the-gradient stands behind 9-by-hand."""
    return int(chapter.name.split("-")[0])


def chapters() -> list[Path]:
    """List the pages of the tour, in reading order."""
    return [TOUR / "index.md", *sorted(TOUR.glob("[0-9]*.md"), key=place_of)]


def blocks_of(page: str) -> list[Block]:
    """List all blocks of a page, in order."""
    return [
        Block(match[1], match[2], match[3], slice(*match.span(3))) for match in BLOCK.finditer(page)
    ]


class Prompt(code.InteractiveConsole):
    """Python's prompt, for pasted blocks; it raises errors instead of printing them."""

    def paste(self, program: str) -> None:
        for line in [*program.splitlines(), ""]:
            unfinished = self.push(line)
        if unfinished:
            raise SyntaxError(f"the block ends in the middle of a statement: {program!r}")

    def showtraceback(self) -> None:
        raise

    def showsyntaxerror(self, *_: object, **__: object) -> None:
        raise


def run(page: str, folder: Path) -> Iterator[tuple[Block, Block | None, str]]:
    """Run a page's programs in a folder: -> (program, block of its output, its output) for each.

    The folder stands for the one in which the reader starts Python; it has the model.
    """
    models = folder / ".models"
    if not models.exists():
        models.symlink_to(ROOT / ".models", target_is_directory=True)
    prompt, blocks = Prompt(), blocks_of(page)
    shown = {block.place.start: block for block in blocks if block.language == "text"}
    for block in blocks:
        if not block.is_program:
            continue
        printed = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            prompt.paste(block.text)
        yield block, shown.get(block.place.stop + len("```\n\n```text\n")), printed.getvalue()


def rewritten(page: str, folder: Path) -> str:
    """Return the page with the present outputs of its programs."""
    places = [
        (shown.place, printed) for _, shown, printed in run(page, folder) if shown is not None
    ]
    for place, printed in reversed(places):
        page = page[: place.start] + printed + page[place.stop :]
    return page


def main(names: list[str]) -> None:
    """Bring the named pages, or all pages, up to date."""
    PICTURES.mkdir(exist_ok=True)
    for path in chapters():
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            page = path.read_text(encoding="utf-8")
            path.write_text(rewritten(page, Path(scratch)), encoding="utf-8")
            for picture in sorted(Path(scratch).glob("*.svg")):
                shutil.copy(picture, PICTURES)
                print(os.path.relpath(PICTURES / picture.name, ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
