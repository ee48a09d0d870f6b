"""Draw a table of numbers as a grid of colours, with words at its sides. Start at grid_svg."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.pictures.svg import (
    LEGEND,
    escaped,
    legend,
    number,
    picture,
    places,
    shade,
    shortened,
    width_of,
)

__all__ = ["Axis", "Label", "grid_svg"]

MARGIN = 16
GAP = 10  # between words and special tokens
PRINTED = 14  # columns up to which values are printed in their cells
CELL, PRINTED_CELL = 22, 46  # the widths of cells
SLOPE = 0.71  # labels of columns rise by 45 degrees
SMALL = 'font-size="11"'
REST = 'class="rest"'
STRONG = ' class="strong"'


class Label(NamedTuple):
    """Text beside a row or above a column."""

    text: str  # drawn at most 24 characters long
    apart: bool = False  # drawn after a gap, as special tokens are
    is_rest: bool = False  # of the sum of all rows or columns that are left out


class Axis(NamedTuple):
    """One side of a grid: its name and its labels."""

    name: str  # of all rows or all columns, as "query"
    labels: list[Label]  # one for each row or column

    def starts(self, cell: float) -> list[float]:
        """Return the start of each row or column, and the end of the last, for a size of cells."""
        at, found, apart = 0.0, [], None
        for label in self.labels:
            at += GAP if apart not in (None, label.apart) else 0
            found.append(at)
            at, apart = at + cell, label.apart
        return [*found, at]

    def widest(self) -> float:
        """Estimate the width of the widest label."""
        return max((label_width(label) for label in self.labels), default=0.0)


class Grid(NamedTuple):
    """All values of a picture, and their places."""

    values: Array  # (R, C) float64
    rows: Axis  # R labels
    columns: Axis  # C labels
    xs: list[float]  # starts of the columns, and the end of the last: C + 1
    ys: list[float]  # the same for the rows: R + 1
    width: float  # of a cell
    height: float  # of a cell
    scale: float  # the number of full strength
    decimals: int  # of a printed number
    sign: bool  # whether positive numbers have a plus
    printed: bool  # whether values stand in their cells


def grid_svg(values: Array, rows: Axis, columns: Axis, title: str, sums: bool = False) -> str:
    """Draw numbers (R, C): each cell in its colour, with its value as a title on hovering.

    `title` stands above, and is also the name of the picture for a screen reader. `sums` draws the
    sums of rows and columns at the sides. A row or column that is the rest has its values but no
    colours: its sums are so large that all other cells would look empty.
    """
    grid = laid_out(np.asarray(values, dtype=np.float64), rows, columns, sums)
    names = [width_of(f"{axis.name} →", 12) for axis in (rows, columns)]
    left = MARGIN + 8 + max(*names, rows.widest())
    top = MARGIN + 30 + SLOPE * columns.widest()
    end = grid.ys[-1] + (36 if sums else 16)
    negative = bool((grid.values < 0).any())
    parts = [
        f'<text x="{MARGIN}" y="{MARGIN + 12}" font-weight="600">{escaped(title)}</text>',
        f'<g transform="translate({left:g} {top:g})"{"" if grid.printed else STRONG}>',
        *labels_of(grid),
        f'<g class="cells">{"".join(cells_of(grid))}</g>',
        *(sums_of(grid) if sums else []),
        legend(0, end, grid.scale, negative, grid.decimals),
        "</g>",
    ]
    wide = max(grid.xs[-1] + (64 if sums else 0), leaning_end(grid), LEGEND + 20)
    wide = max(left + wide, MARGIN + 1.1 * width_of(title)) + MARGIN
    return picture(title, wide, top + end + 30 + MARGIN / 2, "".join(parts))


def laid_out(values: Array, rows: Axis, columns: Axis, sums: bool) -> Grid:
    """Compute the places of all parts, and the form of the numbers."""
    single = [np.array([not label.is_rest for label in axis.labels]) for axis in (rows, columns)]
    scale = float(np.abs(values[np.outer(single[0], single[1])]).max(initial=0))
    decimals = places(scale)
    printed = len(columns.labels) <= PRINTED
    width, height = (PRINTED_CELL if printed else CELL), (CELL + 4 if printed else CELL)
    if printed and sums:
        below = [number(float(total), decimals) for total in values.sum(axis=0)]
        width = max([width, *(math.ceil(width_of(total, 11)) + 8 for total in below)])
    return Grid(
        values, rows, columns, columns.starts(width), rows.starts(height), width, height,
        scale, decimals, sums or bool((values < 0).any()), printed,
    )  # fmt: skip


def leaning_end(grid: Grid) -> float:
    """Return the x to which the labels of the columns lean."""
    ends = [
        x + grid.width / 2 + SLOPE * label_width(label)
        for x, label in zip(grid.xs, grid.columns.labels, strict=False)
    ]
    return max(ends, default=0.0)


def label_width(label: Label) -> float:
    """Estimate the width of a label."""
    return width_of(shortened(label.text))


def labels_of(grid: Grid) -> Iterator[str]:
    """Draw the labels on the left, those above, rising, and the names of both axes."""
    style = 'text-anchor="end" class="quiet" font-size="12"'
    yield f'<text x="-8" y="-26" {style}>{grid.columns.name} →</text>'
    yield f'<text x="-8" y="-10" {style}>{grid.rows.name} ↓</text>'
    for y, label in zip(grid.ys, grid.rows.labels, strict=False):
        place = f'x="-8" y="{y + grid.height / 2 + 4:g}" text-anchor="end"'
        yield f"<text {place}{look(label)}>{escaped(shortened(label.text))}</text>"
    for x, label in zip(grid.xs, grid.columns.labels, strict=False):
        place = f'transform="translate({x + grid.width / 2:g} -8) rotate(-45)"'
        yield f"<text {place}{look(label)}>{escaped(shortened(label.text))}</text>"


def look(label: Label) -> str:
    """Return the attributes of a label that is set apart."""
    return ' class="quiet" font-style="italic"' if label.apart else ""


def cells_of(grid: Grid) -> Iterator[str]:
    """Draw the cells row by row, each with its names and value as its title."""
    size = f'width="{grid.width - 1:g}" height="{grid.height - 1:g}"'
    for line, y, row in zip(grid.values.tolist(), grid.ys, grid.rows.labels, strict=False):
        for value, x, column in zip(line, grid.xs, grid.columns.labels, strict=False):
            colour = REST if row.is_rest or column.is_rest else shade(value, grid.scale)
            yield (
                f'<rect x="{x:g}" y="{y:g}" {size} {colour}><title>'
                f"{escaped(f'{row.text} × {column.text}')}: "
                f"{number(value, grid.decimals + 1, grid.sign)}</title></rect>"
            )
            if grid.printed:
                place = f'x="{x + grid.width / 2:g}" y="{y + 17:g}" {SMALL} text-anchor="middle"'
                text = number(value, max(grid.decimals - 1, 0), grid.sign)
                yield f'<text {place} pointer-events="none">{text}</text>'


def sums_of(grid: Grid) -> Iterator[str]:
    """Draw the sums of rows at the right, of columns below if there is room, and of all."""
    right, below = grid.xs[-1] + 8, grid.ys[-1] + 16
    for y, total in zip(grid.ys, grid.values.sum(axis=1).tolist(), strict=False):
        place = f'x="{right:g}" y="{y + grid.height / 2 + 4:g}"'
        yield f'<text {place} {SMALL} class="quiet">{number(total, grid.decimals)}</text>'
    if grid.printed:
        for x, total in zip(grid.xs, grid.values.sum(axis=0).tolist(), strict=False):
            place = f'x="{x + grid.width / 2:g}" y="{below:g}" text-anchor="middle"'
            yield f'<text {place} {SMALL} class="quiet">{number(total, grid.decimals)}</text>'
    whole = number(float(grid.values.sum()), grid.decimals)
    yield f'<text x="{right:g}" y="{below:g}" font-size="12" font-weight="600">{whole}</text>'
