"""A corpus -> what a map of it shows: documents, their places on a plane, a question among them.

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
from minibert.pictures.projection import SEED, principal_components, project, umap_places
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS

if TYPE_CHECKING:
    from minibert.corpus.search import Index

__all__ = ["METHODS", "POINTS", "CorpusMap", "Placed", "Question", "ask", "corpus_map"]

logger = logging.getLogger(__name__)

METHODS = ("pca", "umap")
POINTS = 5000  # that are shown unless more are asked for
NEAREST = 10  # documents of a question


class Question(NamedTuple):
    """A question, and what a search of the corpus finds for it."""

    text: str
    vector: Array  # (D,)
    numbers: IntArray  # (k,), of the documents, best first
    scores: Array  # (k,)


class Placed(NamedTuple):
    """A question on a map."""

    text: str
    place: Array  # (2,)
    nearest: list[int]  # which of the map's points, best first
    scores: list[float]


class CorpusMap(NamedTuple):
    """Points of a map, in the order of the documents."""

    name: str  # of the corpus's folder
    method: str  # of the projection
    metric: str  # of the corpus
    dimension: int  # of the vectors
    documents: int  # all that are not deleted, shown or not
    shares: tuple[float, float]  # of the variance that the two components hold, of all documents
    places: Array  # (p, 2)
    ids: list[str]  # of the documents that are shown: p
    texts: list[str] | None  # None if the corpus keeps none
    question: Placed | None  # None without one

    def as_dict(self) -> dict[str, object]:
        """All of it as JSON has it."""
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


def ask(index: Index, text: str, k: int = NEAREST) -> Question:
    """Search a corpus for the documents nearest to a question. Raises ValueError if it is empty."""
    if not text.strip():
        raise ValueError("The question is empty. A place for it says nothing.")
    vectors = index.encode([text])
    numbers, scores = index.nearest(vectors, min(k, len(index)))
    return Question(text, vectors[0], numbers[0], scores[0])


def corpus_map(
    corpus: Corpus,
    method: str = "pca",
    points: int = POINTS,
    question: Question | None = None,
    advance: Callable[[int], object] = lambda done: None,
) -> CorpusMap:
    """Place a corpus's documents on a plane.

    The plane is that of the principal components of all vectors: those that the corpus is searched
    by, so codes stand for what they stand for in a search, and vectors that are compared by the
    cosine are divided by their lengths. Of more than `points` documents a sample is shown, drawn
    with a fixed seed, and what is nearest to the question. `umap` lays out only what is shown.
    `advance` hears how many more vectors were read.

    Raises CorpusError for a corpus without a document, ValueError for another method, for a number
    that cannot be meant, and as umap_places does.
    """
    check_given_counts(points=points)
    check_choice("method", method, METHODS)
    documents = len(corpus) - len(corpus.deleted)
    if not documents:
        raise CorpusError(f"{corpus.folder} holds no documents: there is nothing to draw.")
    if not corpus.manifest.complete:
        logger.warning("%s is not complete; what is there is drawn.", corpus.folder)
    settings = corpus.manifest.settings
    stack = compared(corpus)
    projection = principal_components(stack, corpus.deleted, advance)
    numbers = chosen(corpus, points, question)
    vectors, asked = stack.take(numbers), as_compared(corpus, question)
    places, place = project(projection, vectors), project(projection, asked)
    if method == "umap":
        places, place = umap_places(vectors, places, settings.metric, asked)
    return CorpusMap(
        corpus.folder.resolve().name.encode(errors="replace").decode(),  # what no UTF-8 is, too
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
    """The vectors as the corpus's metric compares them: as the cosine does, of length 1."""
    stored = corpus.vectors()
    if not ignores_length(corpus):
        return stored

    def decode(codes: NDArray[Any]) -> Array:
        return of_length_1(stored.vectors(codes))

    return Stack(stored.matrices, stored.names, decode)


def as_compared(corpus: Corpus, question: Question | None) -> Array:
    """The question's vector in the same way: (1, D), or (0, D) of none."""
    if question is None:
        return np.empty((0, corpus.manifest.settings.dimension))
    vectors = question.vector[None]
    return of_length_1(vectors) if ignores_length(corpus) else vectors


def ignores_length(corpus: Corpus) -> bool:
    """Whether the corpus's metric compares vectors of length 1.

    A corpus may be made where the metric has a row and drawn where it has none: then as it is.
    """
    row = METRICS.get(corpus.manifest.settings.metric)
    return row is not None and row.ignores_length


def of_length_1(vectors: NDArray[Any]) -> Array:
    """Vectors divided by their lengths, in float64: (n, D) -> (n, D)."""
    wide = vectors.astype(np.float64)
    normalize_(wide)
    return wide


def chosen(corpus: Corpus, points: int, question: Question | None) -> IntArray:
    """The numbers of the documents to show, rising: all, or a sample and the question's."""
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
    """A question among the documents that are shown, by their numbers."""
    nearest = np.searchsorted(numbers, question.numbers).tolist()
    return Placed(question.text, place, nearest, question.scores.tolist())
