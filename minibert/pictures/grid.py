"""A table of numbers as a grid of colours, with words at its sides. Start at grid_svg."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from minibert.arrays import Array
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
GAP = 10  # between words and what is set apart from them
CELL, WIDE_CELL = 22, 46  # a wide one has room for its value
PRINTED = 14  # with at most so many columns, values are printed
STRONG = ' class="strong"'
REST = 'class="rest"'
AXIS_NAME = 'text-anchor="end" class="quiet" font-size="12"'
SLOPE = 0.71  # labels of columns rise by 45 degrees


class Label(NamedTuple):
    """What stands beside a row or above a column."""

    text: str
    apart: bool = False  # a special token, say
    is_rest: bool = False  # stands for all that have no row or column of their own


class Axis(NamedTuple):
    """One side of a grid: what it is of, and its labels."""

    name: str
    labels: list[Label]

    def starts(self, cell: float) -> list[float]:
        """Where each row or column begins, and where the last one ends."""
        at, found = 0.0, []
        for number_, label in enumerate(self.labels):
            if number_ and label.apart != self.labels[number_ - 1].apart:
                at += GAP
            found.append(at)
            at += cell
        return [*found, at]


def grid_svg(values: Array, rows: Axis, columns: Axis, title: str, sums: bool = False) -> str:
    """A picture of numbers (R, C): each cell in its colour, its value as a title on hovering.

    `title` stands above it, and names it for who cannot see it. With `sums`, the sums of rows and
    columns stand at its sides. What stands for many has its value but no colour: sums of many would
    leave none for the others.
    """
    values = np.asarray(values, dtype=np.float64)
    one = [np.array([not label.is_rest for label in axis.labels]) for axis in (rows, columns)]
    single = np.outer(one[0], one[1])
    scale = float(np.abs(values[single]).max(initial=0))
    negative = bool((values < 0).any())
    sign = negative or sums
    printed = len(columns.labels) <= PRINTED
    width = WIDE_CELL if printed else CELL
    xs, ys = columns.starts(width), rows.starts(CELL if not printed else CELL + 4)
    names = [width_of(f"{axis.name} →", 12) for axis in (rows, columns)]
    left = MARGIN + 8 + max(names + [label_width(label) for label in rows.labels])
    top = MARGIN + 30 + SLOPE * max([0.0, *map(label_width, columns.labels)])
    decimals = places(scale)

    cells = []
    for row, y in zip(range(len(rows.labels)), ys, strict=False):
        for column, x in zip(range(len(columns.labels)), xs, strict=False):
            value = float(values[row, column])
            name = f"{rows.labels[row].text} × {columns.labels[column].text}"
            cells.append(
                f'<rect x="{x:g}" y="{y:g}" width="{width - 1}" height="{height_of(ys) - 1:g}" '
                f"{shade(value, scale) if single[row, column] else REST}><title>{escaped(name)}: "
                f"{number(value, decimals + 1, sign)}</title></rect>"
            )
            if printed:
                cells.append(printed_value(value, x + width / 2, y, decimals - 1, sign))
    parts = [
        f'<text x="{MARGIN}" y="{MARGIN + 12}" font-weight="600">{escaped(title)}</text>',
        f'<g transform="translate({left:g} {top:g})"{"" if printed else STRONG}>',
        *row_labels(rows, ys),
        f'<text x="-8" y="-26" {AXIS_NAME}>{columns.name} →</text>',
        f'<text x="-8" y="-10" {AXIS_NAME}>{rows.name} ↓</text>',
        *column_labels(columns, xs, width),
        f'<g class="cells">{"".join(cells)}</g>',
    ]
    if sums:
        parts += sums_of(values, xs, ys, width, decimals)
    below = ys[-1] + (36 if sums else 16)
    parts += [legend(0, below, scale, negative, decimals), "</g>"]
    aside = max(
        [64.0 if sums else 0.0]
        + [
            x + width / 2 + SLOPE * label_width(label) - xs[-1]
            for x, label in zip(xs, columns.labels, strict=False)
        ]
    )
    whole = max(left + max(xs[-1] + aside, LEGEND + 20), MARGIN + 1.1 * width_of(title)) + MARGIN
    return picture(title, whole, top + below + 30 + MARGIN / 2, "".join(parts))


def height_of(ys: list[float]) -> float:
    """The height of a row."""
    return ys[-1] - ys[-2] if len(ys) > 1 else 0.0


def label_width(label: Label) -> float:
    """About how wide a label is."""
    return width_of(shortened(label.text))


def quiet(label: Label) -> str:
    """What marks a label that is set apart."""
    return ' class="quiet" font-style="italic"' if label.apart else ""


def row_labels(rows: Axis, ys: list[float]) -> Iterable[str]:
    """The words on the left."""
    for y, label in zip(ys, rows.labels, strict=False):
        at = y + height_of(ys) / 2 + 4
        words = escaped(shortened(label.text))
        yield f'<text x="-8" y="{at:g}" text-anchor="end"{quiet(label)}>{words}</text>'


def column_labels(columns: Axis, xs: list[float], width: float) -> Iterable[str]:
    """The words above, rising."""
    for x, label in zip(xs, columns.labels, strict=False):
        words = escaped(shortened(label.text))
        place = f"translate({x + width / 2:g} -8) rotate(-45)"
        yield f'<text transform="{place}"{quiet(label)}>{words}</text>'


def printed_value(value: float, x: float, y: float, decimals: int, sign: bool) -> str:
    """A value in its cell."""
    return (
        f'<text x="{x:g}" y="{y + 17:g}" font-size="11" text-anchor="middle" '
        f'pointer-events="none">{number(value, max(decimals, 0), sign)}</text>'
    )


def sums_of(
    values: Array, xs: list[float], ys: list[float], width: float, decimals: int
) -> Iterable[str]:
    """The sum of each row at the right, of each column below, and of all in the corner."""
    style = 'font-size="11" class="quiet"'
    for y, total in zip(ys, values.sum(axis=1), strict=False):
        at = f'x="{xs[-1] + 8:g}" y="{y + height_of(ys) / 2 + 4:g}"'
        yield f"<text {at} {style}>{number(float(total), decimals)}</text>"
    if width == WIDE_CELL:  # else there is no room for them
        for x, total in zip(xs, values.sum(axis=0), strict=False):
            at = f'x="{x + width / 2:g}" y="{ys[-1] + 16:g}" text-anchor="middle"'
            yield f"<text {at} {style}>{number(float(total), decimals)}</text>"
    at = f'x="{xs[-1] + 8:g}" y="{ys[-1] + 16:g}" font-size="12" font-weight="600"'
    yield f"<text {at}>{number(float(values.sum()), decimals)}</text>"
