"""Draw two texts with each word in the colour of its contribution. Start at shaded_words_svg."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.explain import ExplainedText, Explanation
from minibert.pictures.svg import (
    escaped,
    legend,
    number,
    picture,
    places,
    shade,
    shortened,
    width_of,
)

__all__ = ["shaded_words_svg"]

MARGIN, LINE, SIZE = 16, 30, 15
WIDTH = 640
MAX_WORDS = 300  # words of a text


class Placed(NamedTuple):
    """A word of a line, and its contribution."""

    text: str  # drawn at most 40 characters long
    value: float  # the contribution to the score
    x: float  # of its left edge
    line: int  # from 0
    width: float  # with its ground


def shaded_words_svg(explanation: Explanation) -> str:
    """Draw query and document as a complete SVG, each word in the colour of its contribution.

    Special tokens are left out; the caption has their contribution. Of a text of more than 300
    words the first are drawn, with the number of the others.
    """
    values = explanation.by_word()
    totals = values.sum(axis=1), values.sum(axis=0)
    texts = explanation.query, explanation.document
    scale = max(float(np.abs(total).max(initial=0)) for total in totals)
    decimals = places(scale)

    parts, y = [], float(MARGIN)
    for name, text, total in zip(("query", "document"), texts, totals, strict=True):
        special = sum(v for v, word in zip(total, text.words, strict=True) if word.is_special)
        caption = f"{name}: {number(float(total.sum()), decimals)}, of that from special tokens"
        parts.append(
            f'<text x="{MARGIN}" y="{y + 14:g}" class="quiet" font-size="12">{caption} '
            f"{number(float(special), decimals)}</text>"
        )
        placed = lines_of(text, total)
        parts += [drawn(word, y + 24, scale, decimals) for word in placed]
        y += 24 + LINE * (placed[-1].line + 1 if placed else 0) + 14
    negative = any(bool((total < 0).any()) for total in totals)
    parts.append(legend(MARGIN + 14, y, scale, negative, decimals))
    score = number(explanation.score, places(abs(explanation.score)), sign=False)
    title = f"{explanation.metric} {score}: what each word gives"
    return picture(title, WIDTH, y + 30 + MARGIN / 2, "".join(parts))


def lines_of(text: ExplainedText, totals: Array) -> list[Placed]:
    """Place the words of a text in lines as wide as the picture."""
    words = [
        (shortened(word.text, 40), float(total))
        for word, total in zip(text.words, totals, strict=True)
        if not word.is_special
    ]
    if len(words) > MAX_WORDS:
        words = [*words[:MAX_WORDS], (f"… {len(words) - MAX_WORDS} more words", 0.0)]
    found, x, line = [], float(MARGIN), 0
    for word, value in words:
        width = width_of(word, SIZE) + 8
        if x + width > WIDTH - MARGIN and x > MARGIN:
            x, line = float(MARGIN), line + 1
        found.append(Placed(word, value, x, line, width))
        x += width + 4
    return found


def drawn(word: Placed, top: float, scale: float, decimals: int) -> str:
    """Draw a word on its ground, with its value as a title."""
    y = top + word.line * LINE
    place = f'x="{word.x:g}" y="{y:g}" width="{word.width:g}" height="25" rx="3"'
    return (
        f'<g class="cells"><rect {place} {shade(word.value, scale)}>'
        f"<title>{escaped(word.text)}: "
        f"{number(word.value, decimals + 1)}</title></rect></g>"
        f'<text x="{word.x + word.width / 2:g}" y="{y + 17.5:g}" font-size="{SIZE}" '
        f'text-anchor="middle" pointer-events="none">{escaped(word.text)}</text>'
    )
