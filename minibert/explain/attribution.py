"""Why a document got its score: the score as a sum over pairs of tokens. Start at explain.

A pooled vector is a sum with one summand a token, its part of the vector. What follows the pooling,
as long as it is linear, does the same to each part as to the sum. So the product of two vectors is
the sum of the products of all pairs of parts, and nothing is left over.
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
    """The score is no sum over pairs of tokens: its metric is no product, or a module bends it."""


class ExplainedText(NamedTuple):
    """One of the two texts, token by token; T tokens, the special ones among them."""

    text: str  # with the prompt
    tokens: list[str]  # as the vocabulary has them
    offsets: list[tuple[int, int]]  # where each stands in the text; a special token at (0, 0)
    words: list[Word]  # of one or several tokens each
    norms: Array  # (T,): the length of each token's state, as the pooling gets it
    cut: int  # how many tokens fell off the end

    def place_of(self, word: Word) -> tuple[int, int]:
        """Where a word stands in the text: from, to."""
        return place_of(word, self.offsets)


class Pair(NamedTuple):
    """A word of the query, one of the document, and what the two gave of the score."""

    query: Word  # a word of the query
    document: Word  # a word of the document
    contribution: float  # of the score


# Without __eq__, which cannot compare arrays.
@dataclass(frozen=True, eq=False)
class Explanation:
    """A score, and what each pair of tokens gave of it."""

    score: float  # the sum of all contributions
    metric: str  # one of `product_metrics`, as "dot" or "cosine"
    contributions: Array  # (Q, D) float64, query tokens by document tokens; the score is their sum
    query: ExplainedText  # the query, token by token
    document: ExplainedText  # the document, token by token

    @property
    def query_tokens(self) -> list[str]:
        """The query's tokens, special ones among them: Q of them."""
        return self.query.tokens

    @property
    def document_tokens(self) -> list[str]:
        """The document's tokens, special ones among them: D of them."""
        return self.document.tokens

    def by_word(self) -> Array:
        """The contributions of pairs of words: (query.words, document.words), the same sum."""
        rows = [word.tokens.start for word in self.query.words]
        columns = [word.tokens.start for word in self.document.words]
        by_row: Array = np.add.reduceat(self.contributions, rows, axis=0)
        found: Array = np.add.reduceat(by_row, columns, axis=1)
        return found

    def strongest(self, count: int | None = None) -> list[Pair]:
        """The pairs of words that gave or took most, special tokens apart, the strongest first."""
        amounts = self.by_word()
        pairs = [
            Pair(word, other, float(amount))
            for word, row in zip(self.query.words, amounts, strict=True)
            for other, amount in zip(self.document.words, row, strict=True)
            if not (word.is_special or other.is_special)
        ]
        return sorted(pairs, key=lambda pair: -abs(pair.contribution))[:count]

    def between_words(self) -> Array:
        """`by_word` with 0 for all pairs with a special token, whose sum is the score's rest."""
        rows = [not word.is_special for word in self.query.words]
        columns = [not word.is_special for word in self.document.words]
        return np.where(np.outer(rows, columns), self.by_word(), 0.0)

    def as_dict(self) -> dict[str, object]:
        """All of it as plain lists, for JSON."""
        return {
            "score": self.score,
            "metric": self.metric,
            "query": plain(self.query),
            "document": plain(self.document),
            "contributions": self.contributions.tolist(),
            "word_contributions": self.by_word().tolist(),
        }


class Splits(Traces, Protocol):
    """A model whose score can be split, as far as `explain` asks it."""

    @property
    def similarity_fn_name(self) -> str: ...

    def get_embedding_dimension(self) -> int: ...

    def vector_parts(self, states: Array, prompt_length: int) -> Array: ...


def explain(model: Splits, query: str, document: str, metric: str | None = None) -> Explanation:
    """Split the score of a query and a document into what each pair of tokens gave of it.

    The score is that of encode_query and encode_document by the model's own metric, or by another
    `metric`, "dot" or "cosine". It is exact for the poolings of this library, before and after
    Dense without activation, LayerNorm and Normalize: for these, the mean, variance and length are
    those of the whole vector. What a Dense or a LayerNorm adds, its bias, is shared out among the
    tokens as the pooling weighs them.

    Raises NoSumError, a ValueError, for a metric that is no product, and for a Dense with an
    activation: there the score is no sum over pairs of tokens. ValueError for a text that the model
    reads in windows, and for one of which the prompt leaves nothing; TypeError for what is no text.
    """
    metric = model.similarity_fn_name if metric is None else metric
    if metric not in (known := product_metrics()):
        raise NoSumError(
            f"The metric is {metric!r}, whose score is no sum over pairs of tokens; only "
            f"{' and '.join(map(repr, known))} are. Pass metric= one of these for the split of "
            "another score."
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
    """A text as the model sees it, and its tokens' parts of its vector: (T, W) float64."""
    trace = traced(model, text, task)
    states = trace["token_embeddings"].astype(np.float64)  # sums of thousands of products follow
    parts = parts_of(model, states, trace.prompt_length)
    seen = str(trace.text)
    tokens = trimmed(seen, trace.tokens)
    words, norms = words_of(seen, tokens), np.linalg.norm(states, axis=1)
    found = ExplainedText(seen, tokens.pieces, tokens.offsets, words, norms, tokens.cut)
    return found, parts[:, : model.get_embedding_dimension()]


def parts_of(model: Splits, states: Array, prompt_length: int) -> Array:
    """Each token's part of the vector, which is their sum: (T, E) -> (T, W)."""
    try:
        return model.vector_parts(states, prompt_length)
    except NotLinearError as error:
        raise NoSumError(
            f"After its pooling this model has a module that is not linear ({error}), so its score "
            "is no sum over pairs of tokens. What each word changes, "
            "minibert.explain.occlusion says, and `minibert explain --occlusion`."
        ) from error


def plain(text: ExplainedText) -> dict[str, Any]:
    """A text as plain lists."""
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
        "cut": text.cut,
    }  # fmt: skip
