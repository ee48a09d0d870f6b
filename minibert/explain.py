"""Why a document got its score: the score as a sum over pairs of tokens. Start at explain.

A pooled vector is a sum with one summand a token, its part of the vector. What follows the pooling,
as long as it is linear, does the same to each part as to the sum. So the product of two vectors is
the sum of the products of all pairs of parts, and nothing is left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minibert.arrays import Array
from minibert.pipeline import Pipeline
from minibert.pooling import (
    ROW_NORM_EPSILON,
    Projection,
    RowModule,
    RowNorm,
    factors,
    normalize,
)
from minibert.tokens import Tokens

if TYPE_CHECKING:
    from minibert.encoder import SentenceTransformer

__all__ = ["Difference", "ExplainedText", "Explanation", "Word", "explain", "occlusion"]

# Metrics that are a product of the two vectors, if perhaps divided by their lengths.
METRICS = ("dot", "cosine")


class Word(NamedTuple):
    """A word of a text, or a special token: some tokens side by side."""

    text: str
    tokens: slice  # which of the text's
    is_special: bool


class ExplainedText(NamedTuple):
    """One of the two texts, token by token; T tokens, the special ones among them."""

    text: str  # with the prompt
    tokens: list[str]
    offsets: list[tuple[int, int]]  # where each stands in the text; a special token at (0, 0)
    words: list[Word]
    norms: Array  # (T,): the length of each token's state, as the pooling gets it
    cut: int  # how many tokens fell off the end


@dataclass(frozen=True)
class Explanation:
    """A score, and what each pair of tokens gave of it."""

    score: float
    metric: str  # "dot" or "cosine"
    contributions: Array  # (Q, D), query tokens by document tokens; they sum to the score
    query: ExplainedText
    document: ExplainedText

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

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain lists, for JSON."""
        return {
            "score": self.score,
            "metric": self.metric,
            "query": described(self.query),
            "document": described(self.document),
            "contributions": self.contributions.tolist(),
            "word_contributions": self.by_word().tolist(),
        }


class Difference(NamedTuple):
    """What the score loses where a word is left out."""

    word: Word
    difference: float


def explain(
    model: SentenceTransformer, query: str, document: str, metric: str | None = None
) -> Explanation:
    """Split the score of a query and a document into what each pair of tokens gave of it.

    The score is that of encode_query and encode_document by the model's own metric, or by another
    `metric`, "dot" or "cosine". It is exact for the poolings of this library, before and after
    Dense without activation, LayerNorm and Normalize: for these, the mean, variance and length are
    those of the whole vector.

    Raises ValueError for a metric that is no product, and for a Dense with an activation: there
    the score is no sum over pairs of tokens.
    """
    metric = metric or model.similarity_fn_name
    if metric not in METRICS:
        raise ValueError(
            f"The metric is {metric!r}, whose score is no sum over pairs of tokens; only 'dot' and "
            "'cosine' are. Pass metric= one of these for the split of another score."
        )
    texts, parts = zip(
        explained(model, query, "query"), explained(model, document, "document"), strict=True
    )
    if metric == "cosine":
        parts = tuple(part / max(length(part.sum(axis=0)), 1e-12) for part in parts)
    vectors = [part.sum(axis=0) for part in parts]
    return Explanation(
        score=float(vectors[0] @ vectors[1]),
        metric=metric,
        contributions=parts[0] @ parts[1].T,
        query=texts[0],
        document=texts[1],
    )


def occlusion(
    model: SentenceTransformer, query: str, document: str
) -> tuple[list[Difference], list[Difference]]:
    """What the score loses when one word of the query, or of the document, is left out.

    Unlike the split, this is causal: the model reads the text without the word, and every other
    token may change. The differences do not sum to the score. A pass of the model a word; words
    that are cut off are not tried. The score is the model's own.
    """

    def without(text: str, words: list[Word], tokens: Tokens) -> list[str]:
        places = [place_of(word, tokens) for word in words]
        return [text[:start] + text[end:] for start, end in places]

    read = [model.tokens(text) for text in (query, document)]
    words = [
        [word for word in words_of(text, tokens) if not word.is_special]
        for text, tokens in zip((query, document), read, strict=True)
    ]
    questions = model.encode_query([query, *without(query, words[0], read[0])])
    answers = model.encode_document([document, *without(document, words[1], read[1])])
    of_query = model.similarity(questions, answers[:1])[:, 0]
    of_document = model.similarity(questions[:1], answers)[0]
    found = []
    for mine, scores in zip(words, (of_query, of_document), strict=True):
        found.append(
            [
                Difference(word, float(scores[0] - score))
                for word, score in zip(mine, scores[1:], strict=True)
            ]
        )
    return found[0], found[1]


def explained(model: SentenceTransformer, text: str, task: str) -> tuple[ExplainedText, Array]:
    """A text as the model sees it, and its tokens' parts of its vector: (T, W)."""
    trace = model.trace(text, task=task, keep="token_embeddings")
    states = trace["token_embeddings"].astype(np.float64)  # sums of thousands of products follow
    parts = parts_of(states, model.pipeline, trace.prompt_length)
    parts = parts[:, : model.get_embedding_dimension()]
    seen = ExplainedText(
        text=trace.text,
        tokens=trace.tokens.pieces,
        offsets=trace.tokens.offsets,
        words=words_of(trace.text, trace.tokens),
        norms=np.linalg.norm(states, axis=1),
        cut=trace.tokens.cut,
    )
    return seen, parts


def parts_of(states: Array, pipeline: Pipeline, prompt_length: int) -> Array:
    """Each token's part of the vector, which is their sum: (T, E) -> (T, W)."""
    modes = pipeline.pooling.pooling_mode
    factor = factors(modes, states, pipeline.skipped(prompt_length))
    parts = np.tile(states, len(modes)) * factor  # (T, E * modes)
    # Whatever is added to the vector as a whole, each token gets this share of: (T, 1), the sum 1.
    share = factor.sum(axis=1, keepdims=True) / factor.sum()
    for module in pipeline.after:
        parts = carried(module, parts, share)
    return parts


def carried(module: RowModule, parts: Array, share: Array) -> Array:
    """What a module makes of each part, such that their sum is what it makes of the sum."""
    total = parts.sum(axis=0)
    if module is normalize:
        return parts / max(length(total), 1e-12)
    if isinstance(module, RowNorm):
        centred = parts - parts.mean(axis=1, keepdims=True)
        deviation = np.sqrt(total.var() + ROW_NORM_EPSILON)
        return centred / deviation * module.weight + share * module.bias
    if isinstance(module, Projection) and module.activation == "linear":
        projected: Array = parts @ module.weight + share * module.bias
        if module.has_residual:
            projected += parts if module.residual is None else parts @ module.residual
        return projected
    kind = getattr(module, "activation", type(module).__name__)
    raise ValueError(
        f"After its pooling this model has a module that is not linear ({kind}), so its score is "
        "no sum over pairs of tokens. model.explain(...) cannot split it; occlusion can be used."
    )


def words_of(text: str, tokens: Tokens) -> list[Word]:
    """The words of a text, and its special tokens each by itself, in order."""
    words: list[Word] = []
    start = 0
    for end in range(1, len(tokens.ids) + 1):
        number = tokens.words[start]
        if number is not None and end < len(tokens.ids) and tokens.words[end] == number:
            continue
        here = slice(start, end)
        first, last = tokens.offsets[start][0], tokens.offsets[end - 1][1]
        spoken = tokens.pieces[start] if number is None else text[first:last]
        words.append(Word(spoken, here, number is None))
        start = end
    return words


def place_of(word: Word, tokens: Tokens) -> tuple[int, int]:
    """Where a word stands in its text: from, to."""
    offsets = tokens.offsets[word.tokens]
    return offsets[0][0], offsets[-1][1]


def described(text: ExplainedText) -> dict[str, Any]:
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


def length(vector: Array) -> float:
    """The Euclidean length of a vector."""
    return float(np.sqrt(vector @ vector))
