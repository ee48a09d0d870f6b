"""Colours of all pictures, light and dark: one scale, from "against" through paper to "for".

People with the usual kinds of colour blindness can tell blue from orange. Zero has the colour of
the paper. A fill at full strength keeps a contrast of 4.5:1 to text in ink (WCAG 2.2, 1.4.3), so
values can be printed on it; fills without text are stronger.
"""

from __future__ import annotations

__all__ = ["HUES", "PALETTE", "curve_colours", "page_colours", "svg_colours"]

# Name: on light paper, on dark paper.
PALETTE = {
    "paper": ("#fdfcfa", "#16181b"),
    "ink": ("#1c1d20", "#eceae5"),
    "quiet": ("#5d6068", "#a9acb2"),  # text of less importance
    "line": ("#dcd8d0", "#383c43"),
    "for": ("#1b62a5", "#6db3f2"),  # text, and fills without text
    "against": ("#b2480a", "#f39455"),
    "for-fill": ("#5a8dbd", "#43698b"),
    "against-fill": ("#c77a4d", "#895839"),
    "third": ("#00735c", "#4fc3a1"),  # with "for" and "against": colours of curves
    "fourth": ("#93358f", "#d99be0"),
    "mark": ("#1c1d20", "#eceae5"),  # around the element that the keyboard is on
}
# Of curves in one picture, in this order: blue, orange, green, purple. People with the usual kinds
# of colour blindness see some pairs as alike, so curves differ by their dashes and markers, too.
HUES = ("for", "against", "third", "fourth")
FILLS = {
    ".paper": "paper",
    ".for": "for-fill",
    ".against": "against-fill",
    ".strong .for": "for",
    ".strong .against": "against",
}


def page_colours() -> str:
    """Return the colours as CSS variables: --paper, --ink and so on."""
    lines = [f"  --{name}: light-dark({light}, {dark});" for name, (light, dark) in PALETTE.items()]
    return "\n".join([":root {", "  color-scheme: light dark;", *lines, "}", ""])


def svg_colours() -> str:
    """Return the colours as classes for a picture that stands alone, without CSS variables.

    Programs other than browsers know no variables and no light-dark(); they show light colours.
    """
    return f"{classes(0)}@media (prefers-color-scheme:dark){{{classes(1)}}}"


def curve_colours() -> str:
    """Return the classes of curves, hue-0 and so on, for a picture that stands alone."""
    return f"{hues(0)}@media (prefers-color-scheme:dark){{{hues(1)}}}.picture .curve{{fill:none}}"


def hues(scheme: int) -> str:
    """Return the rules of curves for light paper (0) or dark (1)."""
    colours = [PALETTE[name][scheme] for name in HUES] + [PALETTE["quiet"][scheme]]
    names = [*(f"hue-{number}" for number in range(len(HUES))), "limit"]
    return "".join(
        f".picture .{name}{{stroke:{colour};fill:{colour}}}"
        for name, colour in zip(names, colours, strict=True)
    )


def classes(scheme: int) -> str:
    """Return the rules for light paper (0) or dark (1), of elements inside a picture only."""
    colour = {name: both[scheme] for name, both in PALETTE.items()}
    fills = "".join(f".picture {kind}{{fill:{colour[of]}}}" for kind, of in FILLS.items())
    return (
        f".picture text{{fill:{colour['ink']}}}.picture .quiet{{fill:{colour['quiet']}}}"
        f".picture .line{{stroke:{colour['line']};fill:none}}"
        f".picture .rest{{fill:{colour['paper']};stroke:{colour['line']}}}{fills}"
    )
