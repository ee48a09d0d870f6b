"""Draw the contributions of pairs of words to a score as a heat map. Start at heat_map_svg."""

from __future__ import annotations

import numpy as np

from minibert.common.arrays import Array
from minibert.explain import ExplainedText, Explanation
from minibert.pictures.grid import Axis, Label, grid_svg
from minibert.pictures.svg import number, places, shortened
from minibert.scoring.metrics import title_of

__all__ = ["heat_map_svg"]

LONGEST = 60  # letters of a word in the title of each of its cells


def heat_map_svg(explanation: Explanation, max_words: int = 40) -> str:
    """Draw the contribution of each pair of words as a complete SVG; the cells sum to the score.

    Rows are the words of the query and columns those of the document, special tokens apart. Of a
    longer text, the `max_words` words with the largest sums of absolute contributions have a row
    each; one more row has the sum of all the others.
    """
    values = explanation.by_word()
    rows, values = shown_words(explanation.query, values, max_words, "query")
    columns, transposed = shown_words(explanation.document, values.T, max_words, "document")
    score = number(explanation.score, places(abs(explanation.score)), sign=False)
    title = f"{title_of(explanation.metric)} {score}: what each pair of words gives"
    return grid_svg(transposed.T, rows, columns, title, sums=True)


def shown_words(
    text: ExplainedText, values: Array, max_words: int, name: str
) -> tuple[Axis, Array]:
    """Return the rows of a text: its words in order, special tokens, one row for the rest."""
    weights = np.abs(values).sum(axis=1)
    words = [n for n, word in enumerate(text.words) if not word.is_special]
    special = [n for n, word in enumerate(text.words) if word.is_special]
    strongest = set(sorted(words, key=lambda n: -weights[n])[:max_words])
    kept = [n for n in words if n in strongest]
    rest = [n for n in words if n not in strongest]
    labels = [Label(shortened(text.words[n].text, LONGEST)) for n in kept]
    labels += [Label(text.words[n].text, apart=True) for n in special]
    shown = values[kept + special]
    if rest:
        labels.append(Label(f"{len(rest)} other words", apart=True, is_rest=True))
        shown = np.vstack([shown, values[rest].sum(axis=0)])
    return Axis(name, labels), shown
