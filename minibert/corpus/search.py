"""A corpus on disk and questions -> the documents nearest to each question. Start at `Index`.

    index = Index("my-corpus")
    for hit in index.search(["How many people live in London?"], k=3)[0]:
        print(hit.rank, hit.score, hit.id, hit.text)

`scoring.nearest` ranks the vectors of the mapped shards.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from minibert.common.arguments import check_counts, check_given_counts, check_several
from minibert.common.arrays import Array, IntArray
from minibert.common.counts import counted
from minibert.corpus.corpus import Corpus, place_of_model, telling_whose_model
from minibert.corpus.filters import Where, matching, words_of
from minibert.corpus.fingerprint import check_is_model
from minibert.corpus.graph import open_graph
from minibert.documents import Scalar
from minibert.errors import CorpusError
from minibert.models.model import prompt_of_task
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.scoring.hamming import nearest_bits
from minibert.scoring.matrices import Stack
from minibert.scoring.nearest import nearest, rescored
from minibert.scoring.quantization import quantize_embeddings
from minibert.tokens.texts import listed

if TYPE_CHECKING:
    from minibert.models.cross_encoder import CrossEncoder  # loads the tokenizers library

__all__ = ["Hit", "Index"]

logger = logging.getLogger(__name__)

RERANKED = 100  # documents per question that a CrossEncoder scores


class Hit(NamedTuple):
    """A document that was found."""

    rank: int  # from 1
    id: str  # as in the corpus
    score: float  # by the model's metric, or the CrossEncoder's
    text: str | None  # None if the corpus keeps no texts
    fields: Mapping[str, Scalar] = {}  # by their names; empty if the corpus keeps none

    def as_dict(self) -> dict[str, object]:
        """Return the hit as JSON has it, without fields if there are none."""
        found = self._asdict()
        if not self.fields:
            del found["fields"]
        return found


class Index:
    """An open corpus and the model that made it, for questions. Threads may share one."""

    corpus: Corpus  # the open corpus
    model: SentenceTransformer  # the model of its vectors
    threads: int | None  # of a search; None for one per core
    vectors: Stack  # decoded: (n, D)

    def __init__(
        self,
        folder: str | os.PathLike[str],
        model: SentenceTransformer | None = None,
        *,
        threads: int | None = None,
        approximate: bool = False,
    ) -> None:
        """Open a corpus; without a `model`, load the one that its manifest names.

        `threads` work on a search, by default one per core. With `approximate`, the graph that
        `minibert index graph` made is asked: it is quick and may miss some documents. A search
        among given ids stays exact. Raises FileNotFoundError for a folder without a corpus,
        CorpusError for a damaged or empty one, and for another model or metric than it was made
        with.
        """
        check_counts(threads=threads)
        self.corpus = Corpus(folder)
        self.threads = threads
        self._warned = False  # of fewer documents than k
        settings = self.corpus.manifest.settings
        if not len(self):
            raise CorpusError(f"{folder} holds no documents: there is nothing to search.")
        if not self.corpus.manifest.complete:
            logger.warning(
                "%s is not complete; what is there is searched. Repeat the command that was "
                "stopped to finish it.",
                folder,
            )
        if model is None:
            with telling_whose_model(folder):
                place = place_of_model(self.corpus.folder, settings)
                model = SentenceTransformer(
                    place, revision=settings.revision, similarity_fn_name=settings.metric
                )
        check_is_model(model)
        self.corpus.check_model(model)
        if model.similarity_fn_name != settings.metric:
            raise CorpusError(
                f"{folder} was made for the metric {settings.metric!r}; this model has "
                f"{model.similarity_fn_name!r}. Give similarity_fn_name={settings.metric!r} to it."
            )
        self.model = model  # model that made the vectors
        self._codes = self.corpus.codes()
        # Vectors of all documents, with the deleted ones: (n, D).
        self.vectors = self.corpus.vectors()
        self._graph = open_graph(self.corpus, self.vectors) if approximate else None

    def __len__(self) -> int:
        """Return the number of documents that can be found: all that are not deleted."""
        return len(self.corpus) - len(self.corpus.deleted)

    @property
    def prompt(self) -> str:
        """Prompt before every question."""
        return prompt_of_task(self.model, "query")

    @overload
    def search(  # type: ignore[overload-overlap]  # a text is an Iterable of texts to mypy
        self,
        queries: str,
        k: int = 10,
        *,
        ids: Iterable[str] | None = None,
        where: Where | None = None,
        rescore: int | None = None,
        rerank: CrossEncoder | None = None,
        candidates: int = RERANKED,
        allow_empty: bool = False,
    ) -> list[Hit]: ...
    @overload
    def search(
        self,
        queries: Iterable[str],
        k: int = 10,
        *,
        ids: Iterable[str] | None = None,
        where: Where | None = None,
        rescore: int | None = None,
        rerank: CrossEncoder | None = None,
        candidates: int = RERANKED,
        allow_empty: bool = False,
    ) -> list[list[Hit]]: ...
    def search(
        self,
        queries: str | Iterable[str],
        k: int = 10,
        *,
        ids: Iterable[str] | None = None,
        where: Where | None = None,
        rescore: int | None = None,
        rerank: CrossEncoder | None = None,
        candidates: int = RERANKED,
        allow_empty: bool = False,
    ) -> list[Hit] | list[list[Hit]]:
        """Find the k documents nearest to each question: Q texts -> Q lists, best first.

        Scores are by the model's metric, computed in float64; equal ones come in the documents'
        order. In a corpus of int8 or bits, the vectors are the decoded codes: middles of steps,
        signs.

        Args:
            queries: Questions. One text instead of a list gives one list of hits, as with encode.
            k: Number of documents of each question; all where there are fewer.
            ids: Ids of the only documents to be found; None allows all.
            where: Conditions on the fields of the documents to be found, all of which must hold:
                {"lang": "de"}, {"lang": ["de", "fr"]}, {"year": {">=": 2000, "<": 2010}}. See
                `minibert.corpus.filters.matching`.
            rescore: For a corpus of bits: `rescore` * k documents are taken by Hamming distance,
                and only these are scored. None scores all.
            rerank: CrossEncoder that scores the first `candidates` again; the hits have its scores.
            candidates: Number of documents of each question that `rerank` scores.
            allow_empty: True accepts questions without a character.

        Raises TypeError for a question that is no text and for one text as `ids`, ValueError for an
        empty question unless `allow_empty`, for an unknown id, for a number out of its range, and
        for conditions on a field that the corpus lacks, or that has values of another kind.
        """
        check_given_counts(k=k, candidates=candidates)
        check_counts(rescore=rescore)
        is_one = isinstance(queries, str)
        texts = check_queries([queries] if isinstance(queries, str) else queries, allow_empty)
        allowed = self.allowed(ids=ids, where=where)
        there = len(self) if allowed is None else len(allowed)
        if k > there and not self._warned:
            self._warned = True
            limits = ("" if ids is None else " of `ids`") + (
                "" if where is None else f" with {words_of(where)}"
            )
            logger.warning("%s", told_of_few(self.corpus.folder, k, there, limits))
        if not texts:
            return []
        first = max(k, candidates) if rerank else k
        numbers, scores = self.nearest(self.encode(texts), first, allowed=allowed, rescore=rescore)
        if rerank:
            found = [
                self._reranked(rerank, text, row, k)
                for text, row in zip(texts, numbers, strict=True)
            ]
        else:
            found = [self._hits(*row) for row in zip(numbers, scores, strict=True)]
        return found[0] if is_one else found

    def encode(self, queries: Sequence[str]) -> Array:
        """Encode questions with the settings of the corpus: Q texts -> (Q, D)."""
        check_several(queries=queries)
        settings = self.corpus.manifest.settings
        vectors: Array = self.model.encode_query(
            list(queries),
            truncate_dim=settings.truncate_dim,
            normalize_embeddings=settings.normalize,
        )
        return vectors

    def nearest(
        self,
        queries: Array,
        k: int,
        *,
        allowed: IntArray | None = None,
        rescore: int | None = None,
    ) -> tuple[IntArray, Array]:
        """Find the documents nearest to vectors: (Q, D) -> numbers and scores, (Q, k), (Q, k)."""
        metric, deleted = self.corpus.manifest.settings.metric, self.corpus.deleted
        if self._graph is not None and rescore is not None:
            raise ValueError(
                f"rescore is {rescore}, and this index is approximate: its graph is the first pass."
            )
        if self._graph is not None and allowed is None:
            return self._graph.nearest(queries, k)
        if rescore is None:
            return nearest(
                queries,
                self.vectors,
                k,
                metric,
                threads=self.threads,
                allowed=allowed,
                excluded=deleted,
            )
        if self.corpus.manifest.settings.precision != "binary":
            raise ValueError(
                f"rescore is {rescore}, and {self.corpus.folder} is of "
                f"{self.corpus.manifest.settings.precision}; a first pass by Hamming distance "
                "needs binary. Leave it out: all documents are scored anyway."
            )
        codes = quantize_embeddings(queries, "binary")
        found, _ = nearest_bits(
            codes,
            self._codes,
            k * rescore,
            threads=self.threads,
            allowed=allowed,
            excluded=deleted,
        )
        return rescored(queries, found, self.vectors, k, metric)

    def search_vectors(
        self,
        queries: Array,
        k: int,
        *,
        ids: Iterable[str] | None = None,
        where: Where | None = None,
        rescore: int | None = None,
    ) -> list[list[Hit]]:
        """Find the k documents nearest to vectors of questions: (Q, D) -> Q lists, best first.

        The vectors are those of `encode`. `ids`, `where` and `rescore` are those of `search`, as
        are the errors.
        """
        check_given_counts(k=k)
        check_counts(rescore=rescore)
        allowed = self.allowed(ids=ids, where=where)
        rows = self.nearest(queries, k, allowed=allowed, rescore=rescore)
        return [self._hits(*row) for row in zip(*rows, strict=True)]

    def allowed(
        self, *, ids: Iterable[str] | None = None, where: Where | None = None
    ) -> IntArray | None:
        """Find the documents of a search by `ids` and `where`: -> numbers, rising; None for all.

        Raises the errors of `search` for them.
        """
        numbers = None if ids is None else self._numbers(ids)
        if where is None:
            return numbers
        met = matching(self.corpus, where)
        return met if numbers is None else np.intersect1d(numbers, met, assume_unique=True)

    def _numbers(self, ids: Iterable[str]) -> IntArray:
        """Return the numbers of documents, rising. Raises ValueError for an unknown id."""
        check_several(ids=ids)
        wanted = list(dict.fromkeys(ids))
        numbers = self.corpus.numbers(wanted)
        missing = [id for id in wanted if id not in numbers]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(wanted)} ids are not in {self.corpus.folder}, or deleted: "
                f"{missing[0]!r:.80} is the first."
            )
        return np.array(sorted(numbers.values()), dtype=np.int64)

    def _hits(self, numbers: IntArray, scores: Array) -> list[Hit]:
        """Turn numbers and scores into hits."""
        ids, texts, fields = (
            self.corpus.ids(numbers),
            self._texts(numbers),
            self.corpus.fields(numbers),
        )
        found = zip(ids, scores.tolist(), texts, fields, strict=True)
        return [Hit(rank, *hit) for rank, hit in enumerate(found, start=1)]

    def _texts(self, numbers: IntArray) -> Sequence[str | None]:
        """Read the texts of documents; None for each if the corpus keeps none."""
        if not self.corpus.manifest.settings.texts:
            return [None] * len(numbers)
        return self.corpus.texts(numbers)

    def _reranked(self, rerank: CrossEncoder, query: str, numbers: IntArray, k: int) -> list[Hit]:
        """Rank documents by a CrossEncoder; return the k best. Raises CorpusError without texts."""
        ranking = rerank.rank(query, self.corpus.texts(numbers), top_k=k)
        reranked = numbers[[hit["corpus_id"] for hit in ranking]]
        return self._hits(reranked, np.array([float(hit["score"]) for hit in ranking]))


def told_of_few(folder: Path, k: int, there: int, limits: str) -> str:
    """Return a message that there are fewer than k documents, and what has left out others."""
    if not there:
        return f"There is no document{limits} in {folder}; none is returned."
    are = f"{'is' if there == 1 else 'are'} {counted(there, 'document')}"
    return f"k is {k}, and there {are}{limits}; all are returned."


def check_queries(given: Iterable[str], allow_empty: bool) -> list[str]:
    """Check questions. Raises TypeError for one that is no text, ValueError for an empty one."""
    queries: list[Any] = listed(given, "search()")
    for number, query in enumerate(queries, start=1):
        if not isinstance(query, str):
            raise TypeError(f"Query {number} of {len(queries)} is {query!r:.40}; expected a text.")
        if not allow_empty and not query.strip():
            raise ValueError(
                f"Query {number} of {len(queries)} is empty. A ranking for it says nothing; "
                "allow_empty=True (--allow-empty) gives it all the same."
            )
    return queries
