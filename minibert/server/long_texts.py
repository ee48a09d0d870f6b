"""Very long texts -> rows of tokens, from the only part of them that can be kept.

Some megabytes of text would take a tokenizer many seconds and a gigabyte, for a few hundred tokens.
Start at rows_of.
"""

from __future__ import annotations

from collections.abc import Sequence

from minibert.tokens.texts import Text, characters_of
from minibert.tokens.tokenizer import Rows, TextTokenizer
from minibert.tokens.truncation import Truncation

__all__ = ["rows_of"]

# A part of a text has so many characters for each token that is kept, as in
# text-embeddings-inference.
CHARACTERS_PER_TOKEN = 250


def rows_of(
    tokenizer: TextTokenizer,
    texts: Sequence[Text],
    limit: int | None,
    *,
    side: str | None = None,
    max_second: int | None = None,
) -> Rows:
    """Tokenise texts, as TextTokenizer.rows does, but of very long ones a part that is enough.

    The tokens are the same, where blanks separate words. Only of a pair of two very long texts the
    other one may keep the odd token.
    """
    side = side or tokenizer.truncation_side
    parts = list(texts)
    if limit is not None and limit >= tokenizer.frame.size(2):  # else all tokens are kept
        second = (limit, side) if max_second is None else (min(limit, max_second), "right")
        parts = [
            enough(tokenizer, text, limit, side)
            if isinstance(text, str)
            else (enough(tokenizer, text[0], limit, side), enough(tokenizer, text[1], *second))
            for text in texts
        ]
    rows = tokenizer.rows(parts, limit, side=side, max_second=max_second)
    lengths = [
        characters_of(text)
        for text, part, is_truncated in zip(texts, parts, rows.is_truncated, strict=True)
        if is_truncated and characters_of(part) < characters_of(text)
    ]
    if not lengths:
        return rows
    # Their tokens were not counted.
    counted = rows.truncation + Truncation(0, max(lengths), in_tokens=False)
    return rows._replace(truncation=counted)


def enough(tokenizer: TextTokenizer, text: str, limit: int, side: str) -> str:
    """Return a part of a text with all tokens that are kept, and at least one that is not.

    It begins or ends at a blank. A text without such a part is returned as it is.
    """
    size = limit * CHARACTERS_PER_TOKEN
    if len(text) <= size:
        return text
    if side == "right":
        part = text[: max(0, *(text.rfind(blank, 0, size) for blank in " \n"))]
    else:
        places = [text.find(blank, len(text) - size) for blank in " \n"]
        part = text[min((place for place in places if place >= 0), default=len(text)) :]
    (ids,) = tokenizer.rows([part], None, special=False).ids
    return part if len(ids) > limit else text
