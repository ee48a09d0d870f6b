"""Words shaded by numbers, for a terminal. What a text holds never reaches it raw. Start at shaded.

Colours are a terminal's own 24 bits, or the 256 of xterm; without any, signs stand behind a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, NamedTuple

from minibert.common.escapes import visible
from minibert.explain import ExplainedText

__all__ = ["STEPS", "colours_of", "painted", "shaded"]

ALL_COLOURS, XTERM_COLOURS, NO_COLOURS = 1 << 24, 256, 0


class Shade(NamedTuple):
    """A background, and whether white is read better on it than black."""

    rgb: str
    xterm: int  # the nearest of its 256
    is_dark: bool


# Faint to full: blue for what adds to a score and orange for what takes from it, which people with
# any of the usual kinds of colour blindness can tell apart.
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
    """How many colours a stream shows: 0 where it is no terminal, or where nobody wants any.

    NO_COLOR is that of https://no-color.org; COLORTERM is how terminals say that they have 24 bits.
    """
    if environment.get("NO_COLOR") or not stream.isatty():
        return NO_COLOURS
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return ALL_COLOURS
    return XTERM_COLOURS if "256color" in environment.get("TERM", "") else NO_COLOURS


def shaded(text: ExplainedText, amounts: Sequence[float], colours: int) -> str:
    """A text in a line, each word shaded by its amount; the largest of them has the full shade.

    `amounts` are by text.words, special tokens among them, which are not shown. What was cut off is
    not shown either.
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
    """A word on one of the shades, -4 to 4; 0 is none."""
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
