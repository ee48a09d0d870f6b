"""Vectors as strips of colour, one above the other: matrix_svg."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
BETWEEN = 2  # rows
STRIP = 720  # about as wide as a column of text
RISE = 0.75  # of a label's length, how high it goes where it rises, and how far to the right
MOST_CELLS = 40_000  # beyond, viewers grow slow


def matrix_svg(
    array: ArrayLike,
    rows: list[str] | None = None,
    title: str = "",
    columns: list[str] | None = None,
) -> str:
    """Numbers (R, C), or one vector (C,), as a complete SVG: a strip of colours a row.

    `rows` are their labels, and `columns` those above, which rise where one is wider than a cell.
    Each cell has its place and value as a title on hovering. A few
    numbers far larger than all others share the colour of full strength, as the legend says: hidden
    states have such, and scaled by them nothing else would be seen.

    Raises ValueError for what has other dimensions, is not finite, is too large to draw, or has
    another number of labels than rows or columns.
    """
    values = checked(array, rows, columns)
    labels = [shortened(label) for label in rows or []]
    left = MARGIN + (8 + max(map(width_of, labels)) if labels else 0)
    width = min(max(STRIP / values.shape[1], 1.0), 26.0)
    heads = [shortened(label) for label in columns or []]
    rises = any(width_of(head) > width for head in heads)
    room = RISE * max(map(width_of, heads)) + 14 if rises else 20 * bool(heads)
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
        *above(heads, width, rises),
        '<g class="cells" shape-rendering="crispEdges">',
        *strips(values, (rows, columns), width, height, scale),
        f'</g><rect class="line" x="-0.5" y="-0.5" width="{wide + 1:g}" height="{end - 1:g}"/>',
        legend(24, end + 12, scale, negative, places(scale), clipped),
        "</g>",
    ]
    reach = [(n + 0.5) * width + RISE * width_of(head) for n, head in enumerate(heads) if rises]
    whole = max(left + max(wide, LEGEND + 40, *reach), MARGIN + 1.1 * width_of(title)) + MARGIN
    name = title or "numbers as colours"
    return picture(name, whole, top + end + 42 + MARGIN / 2, "".join(parts))


def above(heads: list[str], width: float, rises: bool) -> Iterator[str]:
    """The columns' labels, straight where each has room above its cells."""
    turned = "rotate(-45)" if rises else ""
    anchor = "start" if rises else "middle"
    for column, head in enumerate(heads):
        place = f'transform="translate({(column + 0.5) * width:.5g} -7) {turned}"'
        yield f'<text {place} text-anchor="{anchor}">{escaped(head)}</text>'


def strips(
    values: Any,
    labels: tuple[list[str] | None, list[str] | None],
    width: float,
    height: float,
    scale: float,
) -> Iterator[str]:
    """The cells, a group a row."""
    decimals = places(scale) + 1
    rows, columns = labels
    heads = [escaped(str(head)) for head in columns or range(values.shape[1])]
    for row, line in enumerate(values.tolist()):
        yield f'<g transform="translate(0 {row * (height + BETWEEN):g})">'
        name = f"{escaped(rows[row])}, " if rows else f"{row}, " if len(values) > 1 else ""
        for column, (head, value) in enumerate(zip(heads, line, strict=True)):
            place = f'x="{column * width:.5g}" width="{width:.5g}" height="{height:g}"'
            title = f"<title>{name}{head}: {number(value, decimals)}</title>"
            yield f"<rect {place} {shade(value, scale)}>{title}</rect>"
        yield "</g>"


def full_strength(sizes: Any) -> float:
    """The number from which on colours are full: the largest, or that which 1 in 100 exceeds."""
    largest, usual = float(sizes.max()), float(np.quantile(sizes, 0.99))
    return usual if 0 < 2 * usual < largest else largest


def checked(array: Any, rows: list[str] | None, columns: list[str] | None) -> Any:
    """The numbers as a table of float64."""
    values = np.asarray(array, dtype=np.float64)
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"The array has the shape {np.shape(array)}; a vector (C,) or a table (R, C) is drawn."
        )
    if values.size > MOST_CELLS:
        raise ValueError(
            f"The array has {values.size} numbers; at most {MOST_CELLS} are drawn. Pass a part."
        )
    if not np.isfinite(values).all():
        raise ValueError("The array has numbers that are not finite (NaN or infinite).")
    if rows is not None and len(rows) != len(values):
        raise ValueError(f"There are {len(rows)} labels for {len(values)} rows.")
    if columns is not None and len(columns) != values.shape[1]:
        raise ValueError(f"There are {len(columns)} labels for {values.shape[1]} columns.")
    return values
