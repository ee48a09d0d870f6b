"""A corpus -> its map: documents, their places on a plane, a question among them.

    corpus = Corpus("my-corpus")
    shown = corpus_map(corpus)                   # principal components of all vectors
    shown.ids[0], shown.places[0], shown.shares

`map_page.py` draws it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minibert.common.arguments import check_choice, check_given_counts
from minibert.common.arrays import Array, IntArray
from minibert.corpus.corpus import Corpus
from minibert.errors import CorpusError
from minibert.kernels.cpu import normalize_
from minibert.pictures.projection import (
    METHODS,
    SEED,
    principal_components,
    project,
    umap_places,
)
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS

if TYPE_CHECKING:
    from minibert.corpus.search import Index

__all__ = ["POINTS", "CorpusMap", "Placed", "Question", "ask", "corpus_map"]

logger = logging.getLogger(__name__)

POINTS = 5000  # largest number of documents on a map, by default
TOP_K = 10  # documents of a question


class Question(NamedTuple):
    """A question, and the documents that a search of the corpus finds for it."""

    text: str  # without the prompt
    vector: Array  # (D,)
    numbers: IntArray  # (k,), of the documents, best first
    scores: Array  # (k,), of the same documents


class Placed(NamedTuple):
    """A question on a map."""

    text: str  # without the prompt
    place: Array  # (2,)
    nearest: list[int]  # indices of the nearest points of the map, best first
    scores: list[float]  # of the same points


class CorpusMap(NamedTuple):
    """Points of a map, in the order of the documents."""

    name: str  # of the corpus's folder
    method: str  # "pca" or "umap"
    metric: str  # of the corpus
    dimension: int  # of the vectors of the corpus
    documents: int  # the number of all that are not deleted, on the map or not
    shares: tuple[float, float]  # portions of the variance along the two principal components
    places: Array  # (p, 2)
    ids: list[str]  # p of them
    texts: list[str] | None  # p of them; None if the corpus keeps none
    question: Placed | None  # None without a question

    def as_dict(self) -> dict[str, object]:
        """Return all of it as `minibert map --json` prints it."""
        texts = [{}] * len(self.ids) if self.texts is None else [{"text": t} for t in self.texts]
        points = [
            {"id": id, "x": x, "y": y, **text}
            for id, (x, y), text in zip(self.ids, self.places.tolist(), texts, strict=True)
        ]
        shown: dict[str, Any] = {
            **{name: getattr(self, name) for name in ("name", "method", "metric", "dimension")},
            "documents": self.documents,
            "shares": list(self.shares),
            "seed": SEED,
            "points": points,
        }
        if self.question is not None:
            x, y = self.question.place.tolist()
            pairs = zip(self.question.nearest, self.question.scores, strict=True)
            nearest = [{"id": self.ids[point], "score": score} for point, score in pairs]
            shown["question"] = {"text": self.question.text, "x": x, "y": y, "nearest": nearest}
        return shown


def ask(index: Index, text: str, k: int = TOP_K) -> Question:
    """Search a corpus for the `k` documents nearest to a question.

    Raises ValueError for an empty `text`.
    """
    if not text.strip():
        raise ValueError("The question is empty; expected a text, to find the documents near it.")
    vectors = index.encode([text])
    numbers, scores = index.nearest(vectors, min(k, len(index)))
    return Question(text, vectors[0], numbers[0], scores[0])


def corpus_map(
    corpus: Corpus,
    method: str = "pca",
    *,
    points: int = POINTS,
    question: Question | None = None,
    advance: Callable[[int], object] = lambda done: None,
) -> CorpusMap:
    """Place the documents of a corpus on a plane.

    The plane is that of the principal components of all vectors, as a search compares them: codes
    are decoded, and for the cosine the vectors are divided by their lengths. Of more than `points`
    documents, a sample with a fixed seed is placed, and the documents nearest to `question`. The
    method "umap" lays out only these. `advance` is called with the number of vectors read since
    the last call.

    Raises CorpusError for a corpus without a document, ValueError for another method, for `points`
    below 1, and as umap_places does.
    """
    check_given_counts(points=points)
    check_choice("method", method, METHODS)
    documents = len(corpus) - len(corpus.deleted)
    if not documents:
        raise CorpusError(f"{corpus.folder} holds no documents: there is nothing to draw.")
    if not corpus.manifest.complete:
        logger.warning(
            "%s is not complete; the map shows the documents that are there.", corpus.folder
        )
    settings = corpus.manifest.settings
    stack = compared(corpus)
    projection = principal_components(stack, corpus.deleted, advance=advance)
    numbers = sampled(corpus, points, question)
    vectors, asked = stack.take(numbers), as_compared(corpus, question)
    places, place = project(projection, vectors), project(projection, asked)
    if method == "umap":
        places, place = umap_places(vectors, places, settings.metric, asked)
    return CorpusMap(
        corpus.folder.resolve().name.encode(errors="replace").decode(),  # it may be no UTF-8
        method,
        settings.metric,
        settings.dimension,
        documents,
        projection.shares,
        places,
        corpus.ids(numbers),
        corpus.texts(numbers) if settings.texts else None,
        None if question is None else placed(question, place[0], numbers),
    )


def compared(corpus: Corpus) -> Stack:
    """Return the vectors as the metric of the corpus compares them: for the cosine, of length 1."""
    stored = corpus.vectors()
    if not ignores_length(corpus):
        return stored

    def decode(codes: NDArray[Any]) -> Array:
        return of_length_1(stored.vectors(codes))

    return Stack(stored.matrices, stored.names, decode=decode)


def as_compared(corpus: Corpus, question: Question | None) -> Array:
    """Return the vector of the question in the same way: (1, D), or (0, D) without a question."""
    if question is None:
        return np.empty((0, corpus.manifest.settings.dimension))
    vectors = question.vector[None]
    return of_length_1(vectors) if ignores_length(corpus) else vectors


def ignores_length(corpus: Corpus) -> bool:
    """Return whether the metric of the corpus compares vectors of length 1.

    A metric without a row here, added by another program, leaves the vectors as they are.
    """
    row = METRICS.get(corpus.manifest.settings.metric)
    return row is not None and row.ignores_length


def of_length_1(vectors: Array) -> Array:
    """Divide vectors by their lengths, in float64: (n, D) -> (n, D)."""
    wide = vectors.astype(np.float64)
    normalize_(wide)
    return wide


def sampled(corpus: Corpus, points: int, question: Question | None) -> IntArray:
    """Choose the numbers of documents to place, rising: all, or a sample and the question's."""
    there: IntArray = np.setdiff1d(np.arange(len(corpus)), corpus.deleted, assume_unique=True)
    if len(there) <= points:
        return there
    logger.warning(
        "%s has %d documents; %d of them are drawn, chosen with the seed %d. --points draws more.",
        corpus.folder,
        len(there),
        points,
        SEED,
    )
    sample: IntArray = np.sort(np.random.default_rng(SEED).choice(there, points, replace=False))
    return sample if question is None else np.union1d(sample, question.numbers)


def placed(question: Question, place: Array, numbers: IntArray) -> Placed:
    """Place a question among the documents with these `numbers`."""
    nearest = np.searchsorted(numbers, question.numbers).tolist()
    return Placed(question.text, place, nearest, question.scores.tolist())
