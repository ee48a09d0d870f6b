"""Draw curves over a common axis, as of a training: losses and measures by steps.

Start at curves_svg; chart draws lines that a page has chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

import numpy as np

from minibert.common.arrays import Array
from minibert.pictures.colours import HUES, curve_colours
from minibert.pictures.svg import escaped, picture, shortened, width_of

__all__ = ["Chart", "Line", "chart", "curves_svg", "short"]

MARGIN = 16
SIZE = (720.0, 380.0)  # units, about the width of a column of text
FEW = 40  # points up to which each has a marker with its value
TICKS = 5  # at most, but for one that both ends may add
SMALL = 'font-size="11"'
DASHES = ("", "8 4", "2 3", "10 3 2 3")
MARKERS = (  # circle, square, diamond, triangle, around the pen
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "m-2.7-2.7h5.4v5.4h-5.4z",
    "m0-3.9l3.9 3.9l-3.9 3.9l-3.9-3.9z",
    "m0-3.9l3.8 6.6h-7.6z",
)
SAMPLE = 28  # units, the length of a line in the legend
BELOW = 34  # units, for the numbers and the name of the horizontal axis


Number = TypeVar("Number", float, Array)


class Line(NamedTuple):
    """One curve: a name, its points in order, and its look."""

    name: str
    xs: Array  # (P,) float64, finite
    ys: Array  # (P,) float64; NaN interrupts the line
    kind: str = "strong"  # "faint": thin and light; "limit": grey, for a bound of others
    hue: int | None = None  # number of its colour and dashes; None: its place among the lines


class Panel(NamedTuple):
    """Rectangle of the curves in the picture, and the numbers at its sides."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def across(self, x: Number) -> Number:
        """Return the places of numbers of the horizontal axis, in units."""
        low, high = self.x_range
        return self.left + (x - low) / (high - low) * self.width

    def down(self, y: float) -> float:
        """Return the place of a number of the vertical axis, in units."""
        low, high = self.y_range
        return self.top + (high - y) / (high - low) * self.height


class Chart(NamedTuple):
    """Picture of lines, and what a script needs to read it."""

    svg: str
    panel: Panel
    lines: list[Line]  # with the points that are drawn


def curves_svg(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x_label: str = "step",
    y_label: str = "",
) -> str:
    """Draw curves, name -> (x, y), into one panel, as a complete SVG with a legend.

    x rises along a curve. None and NaN in y interrupt it. A curve of few points has a marker for
    each, with its value on hovering. Of thousands of points, the extremes of each unit of width are
    drawn, so no peak is lost.

    Raises ValueError without a curve, and for x and y of different lengths.
    """
    if not curves:
        raise ValueError("There are no curves; pass one at least, as {name: (x, y)}.")
    lines = [line_of(name, *points) for name, points in curves.items()]
    return chart(lines, title, x_label, y_label).svg


def line_of(name: str, xs: Sequence[float], ys: Sequence[float]) -> Line:
    """Make the line of a curve, without points that have no x. Raises ValueError for lengths."""
    if len(xs) != len(ys):
        raise ValueError(
            f"The curve {name!r} has {len(xs)} numbers for x and {len(ys)} for y; expected as many."
        )
    x, y = (np.array([math.nan if n is None else n for n in values], float) for values in (xs, ys))
    y[~np.isfinite(y)] = math.nan
    return Line(name, x[np.isfinite(x)], y[np.isfinite(x)])


def chart(
    lines: Sequence[Line],
    title: str,
    x_label: str = "step",
    y_label: str = "",
    *,
    x_range: tuple[float, float] | None = None,
    size: tuple[float, float] = SIZE,
) -> Chart:
    """Draw lines into one panel, the later ones on top.

    `x_range` are the numbers at both ends of the horizontal axis, by default those of the points;
    `size` is that of the picture, in units, which a high legend makes higher.
    """
    lines = [
        line if line.hue is not None else line._replace(hue=number)
        for number, line in enumerate(lines)
    ]
    rows = [] if [line.name for line in lines] == [title] else legend_rows(lines, size[0])
    y_range, y_ticks = axis([line.ys for line in lines], to_ticks=True)
    x_range, x_ticks = axis([line.xs for line in lines], x_range)
    left = MARGIN + 8 + max(map(width_of, y_ticks.values()))
    above = 28 if y_label else 10
    top = MARGIN + 24 + 20 * len(rows) + above
    height = size[1] - 2 * MARGIN - 24 - above - BELOW
    panel = Panel(left, top, size[0] - left - MARGIN - 8, height, x_range, y_range)
    drawn = [thinned(line, panel) for line in lines]
    heading = escaped(shortened(title, 80))
    parts = [
        f"<desc>{escaped(described(lines, x_label))}</desc><style>{curve_colours()}</style>",
        f'<text x="{MARGIN}" y="{MARGIN + 12}" font-weight="600">{heading}</text>',
        *(legend_row(row, MARGIN + 34 + 20 * number) for number, row in enumerate(rows)),
        *axes(panel, x_ticks, y_ticks, x_label, y_label),
        '<g class="curves">',
        *(part for line in drawn for part in curve(line, panel, x_label)),
        "</g>",
    ]
    svg = picture(title, size[0], top + height + BELOW + MARGIN, "".join(parts))
    return Chart(svg, panel, drawn)


# Axes.


def axis(
    values: Sequence[Array], ends: tuple[float, float] | None = None, *, to_ticks: bool = False
) -> tuple[tuple[float, float], dict[float, str]]:
    """Return the numbers at the ends of an axis, and its ticks with their texts.

    The ends are those of the values if none are given; with `to_ticks`, they are ticks.
    """
    finite = np.concatenate([one[np.isfinite(one)] for one in values] or [np.zeros(0)])
    counts = not to_ticks and bool((finite == np.rint(finite)).all())  # of steps, for example
    if ends is None:
        ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    low, high = ends
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-9 * largest, 1e-290):  # a constant, up to rounding
        room = 0.1 * largest or 1.0
        # A measure of at most 1 has an axis that ends there.
        low, high = low - room, min(high + room, 1.0 if to_ticks and high <= 1 else math.inf)
    step = round_step((high - low) / TICKS)
    if counts:
        step = max(step, 1.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if to_ticks:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # step has one digit; the digits of a product behind the twelfth are rounding.
    ticks = [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    if to_ticks:
        low, high = ticks[0], ticks[-1]
    return (low, high), {tick: printed(tick, step, largest) for tick in ticks}


def round_step(least: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def printed(value: float, step: float, largest: float) -> str:
    """Print a number with the digits of `step`; far from 1, as 2e-5."""
    if largest and not 1e-3 <= largest < 1e7:
        digits = max(0, math.floor(math.log10(largest)) - math.floor(math.log10(step) + 1e-9))
        mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return with_signs(f"{mantissa}e{exponent}" if value else "0")
    return with_signs(f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}")


def short(value: float) -> str:
    """Print a number for reading: a whole one as it is, another to four digits."""
    is_whole = value == round(value) and abs(value) < 1e7
    return with_signs(f"{value:,.0f}" if is_whole else f"{value:.4g}")


def with_signs(text: str) -> str:
    """Give a printed number a true minus, and a short exponent: 2e-5 for 2e-05."""
    mantissa, e, exponent = text.partition("e")
    return mantissa.replace("-", "−") + (f"e{int(exponent)}" if e else "")


def axes(
    panel: Panel, x_ticks: dict[float, str], y_ticks: dict[float, str], x_label: str, y_label: str
) -> Iterator[str]:
    """Draw the lines of the grid, the numbers beside them, and the names of both axes."""
    right, bottom = panel.left + panel.width, panel.top + panel.height
    for value, text in y_ticks.items():
        y = panel.down(value)
        yield f'<path class="line" d="M{at(panel.left)} {at(y)}H{at(right)}"/>'
        place = f'x="{at(panel.left - 8)}" y="{at(y + 4)}" text-anchor="end"'
        yield f'<text {place} {SMALL} class="quiet">{text}</text>'
    yield f'<path class="line" d="M{at(panel.left)} {at(bottom)}H{at(right)}"/>'
    for value, text in x_ticks.items():
        x = panel.across(value)
        yield f'<path class="line" d="M{at(x)} {at(bottom)}v5"/>'
        place = f'x="{at(x)}" y="{at(bottom + 18)}" text-anchor="middle"'
        yield f'<text {place} {SMALL} class="quiet">{text}</text>'
    place = f'x="{at(right)}" y="{at(bottom + 34)}" text-anchor="end"'
    yield f'<text {place} {SMALL} class="quiet">{escaped(x_label)}</text>'
    if y_label:
        place = f'x="{MARGIN}" y="{at(panel.top - 12)}"'
        yield f'<text {place} {SMALL} class="quiet">{escaped(y_label)}</text>'


def at(place: float) -> str:
    """Print a place to a tenth of a unit, so that the last bits of a number change no picture."""
    return f"{round(place, 1) + 0.0:.1f}".removesuffix(".0")


# Curves.


def curve(line: Line, panel: Panel, x_label: str) -> Iterator[str]:
    """Draw a curve: a path for all its parts, and markers if the points are few."""
    kept = zip(line.xs.tolist(), line.ys.tolist(), strict=True)
    parts = [list(part) for is_gap, part in groupby(kept, lambda p: math.isnan(p[1])) if not is_gap]
    paths = [
        "M" + "L".join(f"{at(panel.across(x))} {at(panel.down(y))}" for x, y in part)
        for part in parts
    ]
    if paths:
        yield f'<path {look(line)} d="{"".join(paths)}"/>'
    points = [point for part in parts for point in part]
    # A point between two gaps has no line, so it has a marker also among many.
    marked = points if len(points) <= FEW else [part[0] for part in parts if len(part) == 1]
    if line.kind != "strong":
        return
    shape = MARKERS[style_of(line)]
    for x, y in marked:
        place = f"M{at(panel.across(x))} {at(panel.down(y))}"
        title = escaped(f"{line.name}, {x_label} {short(x)}: {short(y)}")
        yield f'<path class="hue-{hue_of(line)}" d="{place}{shape}"><title>{title}</title></path>'


def hue_of(line: Line) -> int:
    """Return the number of a line's colour."""
    return (line.hue or 0) % len(HUES)


def style_of(line: Line) -> int:
    """Return the number of a line's dashes and marker: 16 lines differ in these or in colour."""
    number = line.hue or 0
    return (number + number // len(HUES)) % len(DASHES)


def look(line: Line) -> str:
    """Return the attributes of a line's path."""
    if line.kind == "limit":
        return 'class="limit curve" stroke-dasharray="3 3"'
    dashes = DASHES[style_of(line)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    if line.kind == "faint":
        return f'class="hue-{hue_of(line)} curve" stroke-opacity="0.35"'
    return f'class="hue-{hue_of(line)} curve" stroke-width="2" stroke-linejoin="round"{dashed}'


def thinned(line: Line, panel: Panel) -> Line:
    """Return a line with the points that are drawn: of many, four at most for a unit of width.

    These are the first, the lowest, the highest and the last; NaN between them stays.
    """
    xs, ys = line.xs, line.ys
    if len(xs) <= 2 * panel.width:
        return line
    units, gaps = np.floor(panel.across(xs)), np.isnan(ys)
    begins = np.ones(len(xs), bool)  # of a unit, or of a part between two gaps
    begins[1:] = (units[1:] != units[:-1]) | (gaps[1:] != gaps[:-1])
    starts, of_unit = np.flatnonzero(begins), np.cumsum(begins) - 1
    kept = [starts, np.append(starts[1:], len(xs)) - 1]
    for extreme in (np.minimum, np.maximum):
        found = np.flatnonzero(ys == extreme.reduceat(ys, starts)[of_unit])
        kept.append(found[np.unique(of_unit[found], return_index=True)[1]])  # of equal ones a first
    numbers = np.unique(np.concatenate(kept))
    return line._replace(xs=xs[numbers], ys=ys[numbers])


# Texts.


def legend_rows(lines: Sequence[Line], width: float) -> list[list[tuple[float, Line]]]:
    """Place the names of lines in rows of the width of the picture: (x, line) in each row."""
    rows: list[list[tuple[float, Line]]] = []
    x = width
    for line in lines:
        needed = SAMPLE + 8 + width_of(shortened(line.name, 40), 12) + 18
        if x + needed > width - MARGIN:
            rows.append([])
            x = MARGIN
        rows[-1].append((x, line))
        x += needed
    return rows


def legend_row(row: list[tuple[float, Line]], y: float) -> str:
    """Draw names in a row, each behind a short line in its look."""
    parts = []
    for x, line in row:
        parts.append(f'<path {look(line)} d="M{at(x)} {at(y)}h{SAMPLE}"/>')
        if line.kind == "strong" and len(line.xs) <= FEW:
            place = f"M{at(x + SAMPLE / 2)} {at(y)}"
            marker = MARKERS[style_of(line)]
            parts.append(f'<path class="hue-{hue_of(line)}" d="{place}{marker}"/>')
        place = f'x="{at(x + SAMPLE + 8)}" y="{at(y + 4)}" font-size="12"'
        parts.append(f"<text {place}>{escaped(shortened(line.name, 40))}</text>")
    return "".join(parts)


def described(lines: Sequence[Line], x_label: str) -> str:
    """Describe curves in words, for a reader who does not see them."""
    told = []
    for line in lines:
        finite = np.isfinite(line.ys)
        xs, ys = line.xs[finite].tolist(), line.ys[finite].tolist()
        if not ys:
            told.append(f"{line.name}: no values.")
            continue
        low, high = ys.index(min(ys)), ys.index(max(ys))
        told.append(
            f"{line.name}: from {short(ys[0])} at {x_label} {short(xs[0])} to {short(ys[-1])} at "
            f"{short(xs[-1])}, lowest {short(ys[low])} at {short(xs[low])}, highest "
            f"{short(ys[high])} at {short(xs[high])}."
        )
    return " ".join(told)
