"""Parts of every SVG picture: safe texts, numbers, the legend, the outermost element."""

from __future__ import annotations

import html
import math
import re
import unicodedata

from minibert.pictures.colours import svg_colours

__all__ = ["escaped", "legend", "number", "picture", "places", "shade", "shortened", "width_of"]

# Characters that XML 1.0 cannot hold (section 2.2), and those that are invisible.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"
# Widths of letters in parts of the font's size. The font is not known, so they are rather large.
NARROW, WIDE = 0.62, 1.05
LEGEND = 140  # units, the width of the legend


def visible(found: re.Match[str], lines: bool) -> str:
    """Return a sign for a character that XML cannot hold or that is invisible: ␀ for NUL."""
    code = ord(found.group())
    if lines and found.group() in "\t\n\r":
        return found.group()
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


def escaped(text: str, lines: bool = False) -> str:
    """Escape a text for SVG or HTML, in an element or in quotes; control characters get a sign.

    With `lines`, tabs and line ends stay.
    """
    return html.escape(UNSEEN.sub(lambda found: visible(found, lines), text))


def shortened(text: str, longest: int = 24) -> str:
    """Return a text of at most `longest` characters: itself, or its beginning and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def width_of(text: str, size: float = 13) -> float:
    """Estimate the width of a text in units at a font's size, rather too large than too small."""
    wide = sum(unicodedata.east_asian_width(letter) in "WFA" for letter in text)
    return size * (wide * WIDE + (len(text) - wide) * NARROW)


def places(scale: float, significant: int = 3) -> int:
    """Return the decimal places that show `scale`, a largest number, with `significant` digits."""
    if not scale:
        return 1
    return min(max(0, significant - 1 - math.floor(math.log10(scale))), 9)


def number(value: float, decimals: int, sign: bool = True) -> str:
    """Print a number: with a true minus, and with a plus if `sign`; zero has neither."""
    text = f"{abs(value):.{decimals}f}"
    if not float(text):
        return text
    return ("−" if value < 0 else "+" if sign else "") + text


def shade(value: float, scale: float) -> str:
    """Return the attributes of a cell's colour; from `scale` on it has full strength."""
    strength = min(abs(value) / scale, 1.0) if scale else 0.0
    kind = "against" if value < 0 else "for"
    return f'class="{kind}" fill-opacity="{f"{strength:.3f}".rstrip("0").rstrip(".")}"'


def legend(
    x: float, y: float, scale: float, negative: bool, decimals: int, clipped: bool = False
) -> str:
    """Draw the scale of colours with its numbers, from 0 or from its negative end: 30 units high.

    With `clipped`, the numbers at its ends have ≥ and ≤, as larger numbers have the same colours.
    """
    steps = 28
    parts = []
    for step in range(steps):
        portion = (step + 0.5) / steps
        value = (2 * portion - 1 if negative else portion) * scale
        place = f'x="{x + step * LEGEND / steps:g}" y="{y:g}" width="{LEGEND / steps:g}" height="9"'
        parts.append(f"<rect {place} {shade(value, scale)}/>")
    ends = [(0.0, -scale), (0.5, 0.0), (1.0, scale)] if negative else [(0.0, 0.0), (1.0, scale)]
    for portion, value in ends:
        place = f'x="{x + portion * LEGEND:g}" y="{y + 23:g}" font-size="11" text-anchor="middle"'
        text = number(value, decimals, negative) if value else "0"
        if clipped and value:
            text = ("≤ " if value < 0 else "≥ ") + text
        parts.append(f'<text {place} class="quiet">{text}</text>')
    return f'<g shape-rendering="crispEdges">{"".join(parts)}</g>'


def picture(title: str, width: float, height: float, content: str) -> str:
    """Write a complete SVG of this size, for a file or a page; `content` is escaped already."""
    name = escaped(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" aria-label="{name}" '
        f'width="{math.ceil(width)}" height="{math.ceil(height)}" '
        f'viewBox="0 0 {math.ceil(width)} {math.ceil(height)}">'
        f'<title>{name}</title><style>.picture{{font:13px {FONT}}}'
        f'.picture text{{unicode-bidi:plaintext;white-space:pre}}{svg_colours()}</style>'
        f'<rect class="paper" width="100%" height="100%"/>{content}</svg>\n'
    )  # fmt: skip
