"""Split the score of a document into a sum over pairs of tokens. Start at explain.

A pooled vector is the sum of one part for each token. A linear module after the pooling maps the
sum by mapping each part. So the product of two vectors is the sum of the products of all pairs of
their parts, and nothing is left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from minibert.common.arrays import Array
from minibert.errors import MinibertError
from minibert.explain.words import Traces, Word, place_of, traced, trimmed, words_of
from minibert.pooling.module import NotLinearError
from minibert.pooling.normalize import normalized
from minibert.scoring.metrics import METRICS, product_metrics

__all__ = [
    "ExplainedText",
    "Explanation",
    "NoSumError",
    "Pair",
    "explain",
]


class NoSumError(MinibertError, ValueError):
    """Raised for a score that is no sum over pairs of tokens.

    Either its metric is no product of two vectors, or a module after the pooling is not linear.
    """


class ExplainedText(NamedTuple):
    """One of the two texts, token by token: T tokens, special ones among them."""

    text: str  # with the prompt
    tokens: list[str]  # T of them, as the vocabulary spells them
    offsets: list[tuple[int, int]]  # start and end of each in `text`; (0, 0) for a special token
    words: list[Word]  # in order; each special token is one
    norms: Array  # (T,), the length of each token's state before the pooling
    truncated: int  # tokens of the text that the model did not read

    def place_of(self, word: Word) -> tuple[int, int]:
        """Return the start and the end of a word in `text`."""
        return place_of(word, self.offsets)


class Pair(NamedTuple):
    """A word of the query, a word of the document, and their contribution to the score."""

    query: Word  # a word of the query
    document: Word  # a word of the document
    contribution: float  # the sum over the pairs of their tokens


# Without __eq__, which cannot compare arrays.
@dataclass(frozen=True, eq=False)
class Explanation:
    """A score, and the contribution of each pair of tokens to it."""

    score: float  # of the query and the document, by `metric`
    metric: str  # one of `product_metrics`, as "dot" or "cosine"
    contributions: Array  # (query tokens, document tokens) float64; their sum is the score
    query: ExplainedText  # the query as the model read it
    document: ExplainedText  # the document as the model read it

    @property
    def query_tokens(self) -> list[str]:
        """Tokens of the query, special ones among them: the rows of `contributions`."""
        return self.query.tokens

    @property
    def document_tokens(self) -> list[str]:
        """Tokens of the document, special ones among them: the columns of `contributions`."""
        return self.document.tokens

    def by_word(self) -> Array:
        """Sum the contributions to pairs of words: (query words, document words), the same sum."""
        rows = [word.tokens.start for word in self.query.words]
        columns = [word.tokens.start for word in self.document.words]
        by_row: Array = np.add.reduceat(self.contributions, rows, axis=0)
        found: Array = np.add.reduceat(by_row, columns, axis=1)
        return found

    def strongest(self, k: int | None = None) -> list[Pair]:
        """Return the `k` pairs of words with the largest contributions of either sign, in order.

        Pairs with a special token are left out; `k` is None for all others.
        """
        amounts = self.by_word()
        pairs = [
            Pair(word, other, float(amount))
            for word, row in zip(self.query.words, amounts, strict=True)
            for other, amount in zip(self.document.words, row, strict=True)
            if not (word.is_special or other.is_special)
        ]
        return sorted(pairs, key=lambda pair: -abs(pair.contribution))[:k]

    def between_words(self) -> Array:
        """Return `by_word` with 0 for each pair with a special token; these sum to the rest."""
        rows = [not word.is_special for word in self.query.words]
        columns = [not word.is_special for word in self.document.words]
        return np.where(np.outer(rows, columns), self.by_word(), 0.0)

    def as_dict(self) -> dict[str, object]:
        """Return all of it as plain lists, for JSON."""
        return {
            "score": self.score,
            "metric": self.metric,
            "query": plain(self.query),
            "document": plain(self.document),
            "contributions": self.contributions.tolist(),
            "word_contributions": self.by_word().tolist(),
        }


class Splits(Traces, Protocol):
    """A model with all that `explain` uses of it."""

    @property
    def similarity_fn_name(self) -> str: ...

    def get_embedding_dimension(self) -> int: ...

    def vector_parts(self, states: Array, prompt_length: int) -> Array: ...


def explain(model: Splits, query: str, document: str, *, metric: str | None = None) -> Explanation:
    """Split the score of a query and a document into contributions of pairs of tokens.

    The score is that of encode_query and encode_document, by the metric of `model` or by another
    `metric`, "dot" or "cosine". The split is exact for every pooling of this library, before and
    after Dense without activation, LayerNorm and Normalize. Mean, variance and length are those of
    the whole vector. The bias of a Dense or a LayerNorm is divided among the tokens by the weights
    of the pooling.

    Raises NoSumError, a ValueError, for a metric that is no product, and for a Dense with an
    activation: there the score is no sum over pairs of tokens. Raises ValueError for a text that
    the model reads in windows, and for one that is empty after its prompt is left out; TypeError
    for a `query` or `document` that is no str.
    """
    metric = model.similarity_fn_name if metric is None else metric
    if metric not in (known := product_metrics()):
        raise NoSumError(
            f"The metric is {metric!r}, whose score is no sum over pairs of tokens; expected "
            f"{' or '.join(map(repr, known))}. Pass metric= one of these to split another score."
        )
    seen_query, q = explained(model, query, "query")
    seen_document, d = explained(model, document, "document")
    if METRICS[metric].ignores_length:
        q, d = normalized(q), normalized(d)
    return Explanation(
        score=float(q.sum(axis=0) @ d.sum(axis=0)),
        metric=metric,
        contributions=q @ d.T,
        query=seen_query,
        document=seen_document,
    )


def explained(model: Splits, text: str, task: str) -> tuple[ExplainedText, Array]:
    """Return a text as the model reads it, and the parts of its vector: (T, dimension) float64."""
    trace = traced(model, text, task)
    states = trace["token_embeddings"].astype(np.float64)  # sums of thousands of products follow
    parts = parts_of(model, states, trace.prompt_length)
    seen = str(trace.text)
    tokens = trimmed(seen, trace.tokens)
    words, norms = words_of(seen, tokens), np.linalg.norm(states, axis=1)
    found = ExplainedText(seen, tokens.tokens, tokens.offsets, words, norms, tokens.truncated)
    return found, parts[:, : model.get_embedding_dimension()]


def parts_of(model: Splits, states: Array, prompt_length: int) -> Array:
    """Compute each token's part of the vector, which is their sum: (T, E) -> (T, dimension)."""
    try:
        return model.vector_parts(states, prompt_length)
    except NotLinearError as error:
        raise NoSumError(
            f"After its pooling this model has a module that is not linear ({error}), so its score "
            "is no sum over pairs of tokens. Use minibert.explain.occlusion, or `minibert explain "
            "--occlusion`, for the change of the score without each word."
        ) from error


def plain(text: ExplainedText) -> dict[str, Any]:
    """Return a text as plain lists."""
    return {
        "text": text.text,
        "tokens": text.tokens,
        "offsets": [list(place) for place in text.offsets],
        "words": [
            {"text": word.text, "tokens": [word.tokens.start, word.tokens.stop],
             "is_special": word.is_special}
            for word in text.words
        ],
        "norms": text.norms.tolist(),
        "truncated": text.truncated,
    }  # fmt: skip
