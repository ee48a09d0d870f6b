"""Draw vectors as strips of colour, one above the other. Start at matrix_svg."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

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

__all__ = ["matrix_svg"]

MARGIN = 16
BETWEEN = 2  # units between two rows
STRIP = 720  # units, about the width of a column of text
RISE = 0.75  # height of a rising label, and its reach to the right, in parts of its length
MAX_CELLS = 40_000  # with more, viewers become slow


def matrix_svg(
    array: ArrayLike,
    rows: list[str] | None = None,
    title: str = "",
    columns: list[str] | None = None,
) -> str:
    """Draw numbers (R, C), or one vector (C,), as a complete SVG: a strip of colours for each row.

    `rows` and `columns` are the labels at the left and above; those above rise if one is wider than
    a cell. Each cell has its place and value as a title on hovering. Hidden states have a few
    numbers far larger than all others. Such numbers all have the colour of full strength, with a
    note in the legend, so that the others can be seen.

    Raises ValueError for another number of axes, for NaN or infinity, for more than 40,000 numbers,
    and for another number of labels than rows or columns.
    """
    values = checked(array, rows, columns)
    labels = [shortened(label) for label in rows or []]
    left = MARGIN + (8 + max(map(width_of, labels)) if labels else 0)
    width = min(max(STRIP / values.shape[1], 1.0), 26.0)
    headings = [shortened(label) for label in columns or []]
    rises = any(width_of(heading) > width for heading in headings)
    room = RISE * max(map(width_of, headings)) + 14 if rises else 20 * bool(headings)
    top = MARGIN + (26 if title else 0) + room
    height = min(max(width, 16.0), 22.0)
    end, wide = len(values) * (height + BETWEEN), values.shape[1] * width
    scale = full_strength(np.abs(values))
    clipped, negative = bool(np.abs(values).max() > scale), bool((values < 0).any())
    parts = [
        f'<text x="{MARGIN}" y="{MARGIN + 10}" font-weight="600">{escaped(title)}</text>',
        f'<g transform="translate({left:g} {top:g})" class="strong">',
        *(
            f'<text x="-8" y="{row * (height + BETWEEN) + height / 2 + 4:g}" text-anchor="end">'
            f"{escaped(label)}</text>"
            for row, label in enumerate(labels)
        ),
        *above(headings, width, rises),
        '<g class="cells" shape-rendering="crispEdges">',
        *strips(values, (rows, columns), width, height, scale),
        f'</g><rect class="line" x="-0.5" y="-0.5" width="{wide + 1:g}" height="{end - 1:g}"/>',
        legend(24, end + 12, scale, negative, places(scale), clipped),
        "</g>",
    ]
    reach = [
        (n + 0.5) * width + RISE * width_of(heading) for n, heading in enumerate(headings) if rises
    ]
    whole = max(left + max(wide, LEGEND + 40, *reach), MARGIN + 1.1 * width_of(title)) + MARGIN
    name = title or "numbers as colours"
    return picture(name, whole, top + end + 42 + MARGIN / 2, "".join(parts))


def above(headings: list[str], width: float, rises: bool) -> Iterator[str]:
    """Draw the labels of the columns, straight if each has room above its cells."""
    rotation = "rotate(-45)" if rises else ""
    anchor = "start" if rises else "middle"
    for column, heading in enumerate(headings):
        place = f'transform="translate({(column + 0.5) * width:.5g} -7) {rotation}"'
        yield f'<text {place} text-anchor="{anchor}">{escaped(heading)}</text>'


def strips(
    values: Array,
    labels: tuple[list[str] | None, list[str] | None],
    width: float,
    height: float,
    scale: float,
) -> Iterator[str]:
    """Draw the cells, a group for each row."""
    decimals = places(scale) + 1
    rows, columns = labels
    headings = [escaped(str(heading)) for heading in columns or range(values.shape[1])]
    for row, line in enumerate(values.tolist()):
        yield f'<g transform="translate(0 {row * (height + BETWEEN):g})">'
        name = f"{escaped(rows[row])}, " if rows else f"{row}, " if len(values) > 1 else ""
        for column, (heading, value) in enumerate(zip(headings, line, strict=True)):
            place = f'x="{column * width:.5g}" width="{width:.5g}" height="{height:g}"'
            title = f"<title>{name}{heading}: {number(value, decimals)}</title>"
            yield f"<rect {place} {shade(value, scale)}>{title}</rect>"
        yield "</g>"


def full_strength(sizes: Array) -> float:
    """Return the number of full colour: the largest, or the 99th percentile if below its half."""
    largest, usual = float(sizes.max()), float(np.quantile(sizes, 0.99))
    return usual if 0 < 2 * usual < largest else largest


def checked(array: ArrayLike, rows: list[str] | None, columns: list[str] | None) -> Array:
    """Return the numbers as a table of float64. Raises ValueError as matrix_svg does."""
    values = np.asarray(array, dtype=np.float64)
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"The array has the shape {np.shape(array)}; expected a vector (C,) or a table (R, C)."
        )
    if values.size > MAX_CELLS:
        raise ValueError(
            f"The array has {values.size} numbers; expected at most {MAX_CELLS}. Pass a part of it."
        )
    if not np.isfinite(values).all():
        raise ValueError("The array has NaN or infinity; expected finite numbers.")
    if rows is not None and len(rows) != len(values):
        raise ValueError(
            f"There are {len(rows)} labels for {len(values)} rows; pass one for each row."
        )
    if columns is not None and len(columns) != values.shape[1]:
        raise ValueError(
            f"There are {len(columns)} labels for {values.shape[1]} columns; "
            "pass one for each column."
        )
    return values
