"""Shade words by numbers, for a terminal. Control characters are made visible. Start at shaded.

Colours have 24 bits, or are from the 256 of xterm; without colours, signs follow a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

from minibert.common.escapes import visible
from minibert.explain import ExplainedText

__all__ = ["STEPS", "colours_of", "painted", "shaded"]

ALL_COLOURS, XTERM_COLOURS, NO_COLOURS = 1 << 24, 256, 0


class Shade(NamedTuple):
    """A background colour, and the ink for it."""

    rgb: str  # "red;green;blue", 0 to 255 each
    xterm: int  # the nearest of the 256 colours
    is_dark: bool  # whether white ink is easier to read on it than black


# Faint to full: blue for words that add to a score, orange for words that take from it. People with
# the usual kinds of colour blindness can tell them apart.
FOR = (
    Shade("213;228;242", 189, False),
    Shade("167;200;230", 153, False),
    Shade("107;163;214", 74, False),
    Shade("27;98;165", 25, True),
)
AGAINST = (
    Shade("249;224;208", 223, False),
    Shade("239;189;153", 216, False),
    Shade("221;136;80", 173, False),
    Shade("178;72;10", 130, True),
)
STEPS = len(FOR)


def colours_of(stream: IO[str], environment: Mapping[str, str]) -> int:
    """Return the number of colours of a stream: 0 if it is no terminal, or NO_COLOR is set.

    NO_COLOR is that of https://no-color.org; a terminal with 24 bits says so in COLORTERM.
    """
    if environment.get("NO_COLOR") or not stream.isatty():
        return NO_COLOURS
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return ALL_COLOURS
    return XTERM_COLOURS if "256color" in environment.get("TERM", "") else NO_COLOURS


def shaded(text: ExplainedText, amounts: Sequence[float], colours: int) -> str:
    """Write a text in a line, each word shaded by its amount; the largest has the full shade.

    `amounts` has one for each of text.words. Special tokens and truncated tokens are not written.
    """
    seen = [
        (text.place_of(word), amount)
        for word, amount in zip(text.words, amounts, strict=True)
        if not word.is_special
    ]
    largest = max((abs(amount) for _, amount in seen), default=0.0)
    line, end = "", seen[0][0][0] if seen else 0
    for (start, stop), amount in seen:
        step = round(STEPS * amount / largest) if largest else 0
        line += visible(text.text[end:start]) + painted(text.text[start:stop], step, colours)
        end = stop
    return line


def painted(word: str, step: int, colours: int) -> str:
    """Write a word on one of the shades, -4 to 4; 0 is none."""
    shown = visible(word)
    if not step:
        return shown
    if not colours:
        return f"{shown}[{('+' if step > 0 else '-') * abs(step)}]"
    shade = (FOR if step > 0 else AGAINST)[abs(step) - 1]
    if colours == ALL_COLOURS:
        ink = "255;255;255" if shade.is_dark else "0;0;0"
        return f"\x1b[38;2;{ink};48;2;{shade.rgb}m{shown}\x1b[0m"
    return f"\x1b[38;5;{231 if shade.is_dark else 16};48;5;{shade.xterm}m{shown}\x1b[0m"
