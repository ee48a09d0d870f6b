"""Explain the score of a document on one page that needs no network. Start at explanation_page.

explanation.html is the frame of the page. The score, the texts, the heat map and the ranked words
are written here as HTML, to be read without a script. The script (explanation.js) shades the
partners of a word and draws the X-ray.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from minibert.common.arrays import Array
from minibert.explain import ExplainedText, Explanation, Word, explain
from minibert.pictures.heat_map import heat_map_svg
from minibert.pictures.page import asset, page
from minibert.pictures.svg import escaped, number, places, shortened
from minibert.pictures.xray import as_shorts, xray
from minibert.scoring.metrics import title_of

if TYPE_CHECKING:
    from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["explanation_page"]

TOP = 12  # rows of a table that are open; the others unfold
TAIL = 300  # characters shown of the text after the last token that was read
LONGEST = 100  # letters shown of a word


def explanation_page(
    model: SentenceTransformer, query: str, document: str, *, metric: str | None = None
) -> str:
    """Write one HTML page: the split of the score into pairs of words, and an X-ray of both texts.

    For long texts the heat map and the X-ray show a part, with a note; the page stays below 2.5 MB.

    Raises ValueError as model.explain does: for a score that is no sum over pairs of tokens.
    """
    explanation = explain(model, query, document, metric=metric)
    values = explanation.by_word()
    pairs, step = as_shorts(values)
    data = {
        "decimals": places(largest(values)),
        "pairs": pairs,
        "step": step,
        "words": [
            [shortened(word.text, LONGEST) for word in text.words] for text in sides(explanation)
        ],
        "xrays": [xray(model, query, "query"), xray(model, document, "document")],
    }
    body = Template(asset("explanation.html")).substitute(
        in_words(explanation, values),
        texts=shaded_texts(explanation, values),
        heat_map=heat_map_svg(explanation),
        words=ranked_words(explanation, values),
        pairs=strongest_pairs(explanation, values),
        query=f"query: {escaped(shortened(query, 40))}",
        document=f"document: {escaped(shortened(document, 40))}",
    )
    title = f"Why {printed_score(explanation)}? {shortened(query, 60)}"
    return page(title, body, data, "explanation.js", "explanation.css")


def sides(explanation: Explanation) -> tuple[ExplainedText, ExplainedText]:
    """Return the query and the document."""
    return explanation.query, explanation.document


def printed_score(explanation: Explanation) -> str:
    """Print the score to four digits."""
    return number(explanation.score, places(abs(explanation.score), 4), sign=False)


def in_words(explanation: Explanation, values: Array) -> dict[str, str]:
    """Print the score, its metric and its parts, by name."""
    spoken = [np.array([not w.is_special for w in text.words]) for text in sides(explanation)]
    words = np.outer(spoken[0], spoken[1])
    sums = {
        "by_words": float(values[words].sum()),
        "by_special": float(values[~words].sum()),
        "gains": float(values[values > 0].sum()),
        "losses": float(values[values < 0].sum()),
    }
    decimals = places(max(map(abs, sums.values())))
    printed = {name: number(value, decimals) for name, value in sums.items()}
    return {"score": printed_score(explanation), "metric": title_of(explanation.metric), **printed}


def shaded_texts(explanation: Explanation, values: Array) -> str:
    """Write both texts, each word a button in the colour of its contribution."""
    totals = values.sum(axis=1), values.sum(axis=0)
    scale = max(map(largest, totals))
    return "\n".join(
        shaded_text(name, text, total, scale)
        for name, text, total in zip(("Query", "Document"), sides(explanation), totals, strict=True)
    )


def shaded_text(name: str, text: ExplainedText, totals: Array, scale: float) -> str:
    """Write one text as it is, with its words shaded; special tokens stand apart."""
    parts, at = [], 0
    for order, (word, total) in enumerate(zip(text.words, totals.tolist(), strict=True)):
        if not word.is_special:
            start, end = text.offsets[word.tokens.start][0], text.offsets[word.tokens.stop - 1][1]
            parts.append(between(text.text[at:start]))
            at = max(at, end)
        parts.append(word_button(order, word, total, scale))
    tail = text.text[at:]
    note = ""
    if text.truncated:
        more = f"… and {len(tail) - TAIL} characters more" if len(tail) > TAIL else ""
        note = (
            f'<p class="hint">The model did not read the last {text.truncated} tokens: <span '
            f'class="truncated" dir="auto">{escaped(tail[:TAIL], lines=True)}</span>{more}</p>'
        )
    return (
        f'<div class="text"><h3>{name}</h3><p class="words" data-side="{name.lower()}" dir="auto">'
        f"{''.join(parts)}</p>{note}</div>"
    )


def word_button(order: int, word: Word, total: float, scale: float) -> str:
    """Write a word as a button."""
    kind = "word special" if word.is_special else "word"
    value = number(total, places(scale))
    return (
        f'<button type="button" class="{kind} {sign_of(total)}" data-word="{order}" '
        f'aria-pressed="false" title="gives {value}" style="--strength:{strength(total, scale)}">'
        f"{escaped(shortened(word.text, LONGEST))}</button>"
    )


def between(text: str) -> str:
    """Write the characters between two words: mostly a space."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… [{len(text) - LONGEST} characters more] "
    return escaped(text, lines=True)


def ranked_words(explanation: Explanation, values: Array) -> str:
    """Write tables of the words of both texts, those with the largest contributions first."""
    totals = values.sum(axis=1), values.sum(axis=0)
    return "\n".join(
        table(name, [(word.text, value) for word, value in zip(text.words, total, strict=True)])
        for name, text, total in zip(("Query", "Document"), sides(explanation), totals, strict=True)
    )


def strongest_pairs(explanation: Explanation, values: Array) -> str:
    """Write tables of the pairs that add most to the score, and of those that take most from it."""
    order = np.argsort(-values, axis=None, kind="stable")
    texts = sides(explanation)

    def named(flat: int) -> tuple[str, float]:
        place = np.unravel_index(flat, values.shape)
        pair = [text.words[n].text for text, n in zip(texts, place, strict=True)]
        return " × ".join(pair), float(values[place])

    gains = [named(flat) for flat in order[:TOP].tolist() if values.flat[flat] > 0]
    losses = [named(flat) for flat in order[::-1][:TOP].tolist() if values.flat[flat] < 0]
    return table("For", gains) + table("Against", losses)


def table(name: str, rows: Iterable[tuple[str, float]]) -> str:
    """Write names and values with bars from a common zero, the largest first, the rest folded."""
    ranked = sorted(rows, key=lambda row: -abs(row[1]))
    scale = max((abs(value) for _, value in ranked), default=0.0)
    two_sided = any(value < 0 for _, value in ranked) and any(value > 0 for _, value in ranked)
    decimals = places(scale)
    lines = [
        f'<tr><th scope="row" dir="auto">{escaped(shortened(label, 60))}</th><td class="bar '
        f'{sign_of(value)}" style="--strength:{strength(value, scale)}"><i></i></td>'
        f'<td class="value">{number(value, decimals)}</td></tr>'
        for label, value in ranked
    ]
    kind = "bars two-sided" if two_sided else "bars"

    def of(rows_: list[str], label: str) -> str:
        return f'<table class="{kind}" aria-label="{label}">{"".join(rows_)}</table>'

    if not lines:
        return f'<div class="text"><h3>{name}</h3><p class="hint">There are none.</p></div>'
    more = ""
    if len(lines) > TOP:
        summary = f"<summary>{len(lines) - TOP} more</summary>"
        more = f"<details>{summary}{of(lines[TOP:], f'{name}, the rest')}</details>"
    first = of(lines[:TOP], f"{name}, strongest first")
    return f'<div class="text"><h3>{name}</h3>{first}{more}</div>'


def largest(values: Array) -> float:
    """Return the largest absolute value, 0 for no values."""
    return float(np.abs(values).max(initial=0))


def sign_of(value: float) -> str:
    """Return the class for the colour of a value."""
    return "against" if value < 0 else "for"


def strength(value: float, scale: float) -> str:
    """Return the strength of a value's colour, from 0 to 1."""
    return f"{abs(value) / scale if scale else 0:.3f}"
