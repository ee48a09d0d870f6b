"""Rows of texts and a teacher -> the rows with the teacher's scores, from which a student learns.

    for row in label("triples.jsonl", CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2")):
        row   # {"query": ..., "positive": ..., "negative": ..., "scores": [9.2, -3.7]}

MarginMSELoss reads such rows: Hofstätter et al., "Improving Efficient Neural Ranking Models with
Cross-Architecture Knowledge Distillation" (2020), section 3. Start at label.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np

from minibert.common.arguments import check_counts
from minibert.common.arrays import Array, IntArray
from minibert.common.progress import progress, wanted
from minibert.documents import count_documents
from minibert.errors import TrainingError
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS
from minibert.scoring.nearest import scores_of_pairs
from minibert.training.candidates import Predicts, check_one_label
from minibert.training.columns import Columns
from minibert.training.embedded import Embeds
from minibert.training.examples import Data, records_of

__all__ = [
    "CHUNK_ROWS",
    "Chunk",
    "Scorer",
    "Teacher",
    "chunks_of",
    "label",
    "labelled",
    "name_of_scores",
    "rows_in",
    "scorer_of",
]

logger = logging.getLogger(__name__)

CHUNK_ROWS = 64  # few, as a run that is stopped loses the rows of its chunk
# What has truncated texts logs a warning for each call; of a file's many chunks, one is enough.
TRUNCATION = logging.getLogger("minibert.tokens.truncation")

Teacher: TypeAlias = Embeds | Predicts
# Pairs of texts (n of them) -> their scores (n,).
Scorer: TypeAlias = Callable[[Sequence[tuple[str, str]]], Array]


class Chunk(NamedTuple):
    """Rows whose texts are scored together."""

    rows: list[dict[str, str]]  # texts by column, the first one against all others
    origins: list[str]  # place of each row in the data, as "FILE, line 3"


def label(
    data: Data,
    teacher: Teacher,
    *,
    form: str | None = None,
    activation_fn: Any = None,  # whatever the teacher's predict takes
    batch_size: int | None = None,
    chunk_size: int = CHUNK_ROWS,
    show_progress_bar: bool | None = None,
) -> Iterator[dict[str, Any]]:  # a text for each column, and the scores
    """Score the first text of each row against its other texts: yield the rows with the scores.

    A row that is yielded has its texts under the names of their columns, and a number `score` for
    two texts, or a list `scores` for more, one for each text after the first. Other columns are
    left out, and scores take the place of a label. `minibert.training.fit` reads such rows: of
    three and more texts MarginMSELoss, of two texts CoSENTLoss and, if the scores are cosines,
    CosineSimilarityLoss. The data is read as a stream, and a chunk of it is in memory.

    Args:
        data: Rows as `fit` takes them: a file, dicts or tuples, or a dict of columns. Columns are
            put in order by their names, as there.
        teacher: SentenceTransformer, whose metric scores its vectors, or a CrossEncoder with one
            label. A SentenceTransformer takes the first text as a query and the others as
            documents, with its prompts for these.
        form: Form of the file, as "jsonl"; None goes by its name.
        activation_fn: Activation of a CrossEncoder, as "sigmoid"; None is "identity", so that the
            scores are its logits, as MarginMSELoss takes them.
        batch_size: Maximum of the texts of one forward pass; None sets no limit.
        chunk_size: Number of rows that are scored together. Each text of a chunk is embedded, and
            each pair is scored, once.
        show_progress_bar: None shows a bar where INFO is logged and stderr is a terminal.

    Each score is a float32, written as the shortest decimal number that float32 rounds to it.

    Raises TypeError for a teacher that is neither, ValueError for a CrossEncoder with several
    labels and for an activation of a SentenceTransformer. Raises TrainingError, with the place of
    the row, for data that cannot be read, for rows with one text, and for a score that is NaN or
    infinite.
    """
    check_counts(batch_size=batch_size, chunk_size=chunk_size)
    score = scorer_of(teacher, activation_fn, batch_size)
    return rows_with_scores(
        chunks_of(data, form, chunk_size), score, rows_in(data, form), wanted(show_progress_bar)
    )


def rows_with_scores(
    chunks: Iterator[Chunk], score: Scorer, total: int | None, is_shown: bool
) -> Iterator[dict[str, Any]]:
    """Yield the rows of chunks with their scores, and show a bar."""
    with progress(total, is_shown, "row") as advance:
        for chunk in chunks:
            yield from labelled(chunk, score)
            advance(len(chunk.rows))


def rows_in(data: Data, form: str | None) -> int | None:
    """Count the rows of data; None if that would take long."""
    if isinstance(data, str | os.PathLike):
        return count_documents([os.fspath(data)], form)
    return len(data) if isinstance(data, Sequence) else None


def chunks_of(data: Data, form: str | None = None, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Read and check data, some rows at a time. Raises TrainingError as `label` does."""
    columns, chunk = None, Chunk([], [])
    for values, origin in records_of(data, form):
        if columns is None:
            columns = Columns(values, origin, has_labels=False)
            check_columns(columns, origin)
        texts = columns.row(values, origin).texts
        chunk.rows.append(dict(zip(columns.texts, texts, strict=True)))
        chunk.origins.append(origin)
        if len(chunk.rows) == size:
            yield chunk
            chunk = Chunk([], [])
    if columns is None:
        raise TrainingError("The data has no rows; expected one for each example.")
    if chunk.rows:
        yield chunk


def check_columns(columns: Columns, origin: str) -> None:
    """Raise TrainingError for columns that cannot be scored; tell of a label that is replaced."""
    if len(columns.texts) < 2:
        raise TrainingError(
            f"{origin} has one column of texts, {columns.texts[0]!r}. Expected two or more, as "
            "query and positive: the teacher scores the first text against the others."
        )
    name = name_of_scores(len(columns.texts))
    if name in columns.texts:
        raise TrainingError(
            f"{origin}: the column {name!r} holds texts, and the scores get this name. Rename it."
        )
    if columns.label is not None:
        logger.warning(
            "%s: the label in the column %s is left out; the teacher's scores take its place.",
            origin,
            columns.label,
        )


def name_of_scores(texts: int) -> str:
    """Return the name of the teacher's scores in a row of so many texts."""
    return "score" if texts == 2 else "scores"


def labelled(chunk: Chunk, score: Scorer) -> list[dict[str, Any]]:
    """Score the rows of a chunk, each pair of texts once, and return them with their scores.

    Raises TrainingError, with the place of the row, for a score that is NaN or infinite.
    """
    numbers: dict[tuple[str, str], int] = {}
    of_rows = []
    for row in chunk.rows:
        first, *others = row.values()
        of_rows.append([numbers.setdefault((first, other), len(numbers)) for other in others])
    scores = np.asarray(score(list(numbers)), dtype=np.float32)
    found = []
    for row, origin, places in zip(chunk.rows, chunk.origins, of_rows, strict=True):
        own = scores[places]
        if not np.isfinite(own).all():
            names = list(row)
            wrong = int(np.flatnonzero(~np.isfinite(own))[0])
            raise TrainingError(
                f"{origin}: the teacher's score of {names[0]} and {names[1 + wrong]} is "
                f"{own[wrong]}. Leave the row out, or choose another teacher."
            )
        decimals = [shortest(number) for number in own]
        name = name_of_scores(len(row))
        found.append({**row, name: decimals[0] if name == "score" else decimals})
    return found


def shortest(number: np.float32) -> float:
    """Return the float whose decimal digits are the fewest that float32 rounds to `number`."""
    return float(np.format_float_scientific(number, unique=True))


def scorer_of(
    teacher: Teacher,
    activation_fn: Any = None,  # whatever the teacher's predict takes
    batch_size: int | None = None,
) -> Scorer:
    """Make a function that scores pairs of texts by a teacher. Raises as `label` does."""
    if hasattr(teacher, "encode_query"):
        if activation_fn is not None:
            raise ValueError(
                f"activation_fn is {activation_fn!r:.80}, and the teacher is a "
                "SentenceTransformer, whose metric scores. Leave it out (for the command: "
                "--activation)."
            )
        return saying_once(partial(scores_of_vectors, cast(Embeds, teacher), batch_size))
    if not hasattr(teacher, "predict"):
        raise TypeError(
            f"teacher is {teacher!r:.80}; expected a SentenceTransformer or a CrossEncoder."
        )
    check_one_label(teacher, "The teacher")
    predict = partial(teacher.predict, activation_fn=activation_fn or "identity")
    return saying_once(lambda pairs: in_two_passes(predict, pairs, batch_size))


def saying_once(score: Scorer) -> Scorer:
    """Make a scorer that warns of truncated texts once, however many chunks have some."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        is_known = record.msg in said
        said.add(record.msg)
        return not is_known

    def scored(pairs: Sequence[tuple[str, str]]) -> Array:
        TRUNCATION.addFilter(is_new)
        try:
            return score(pairs)
        finally:
            TRUNCATION.removeFilter(is_new)

    return scored


def scores_of_vectors(
    teacher: Embeds, batch_size: int | None, pairs: Sequence[tuple[str, str]]
) -> Array:
    """Score pairs by the metric of their vectors, each text embedded once: n pairs -> (n,)."""
    firsts, others = zip(*pairs, strict=True)
    queries, rows = embedded(teacher.encode_query, firsts, batch_size)
    documents, numbers = embedded(teacher.encode_document, others, batch_size)
    pairwise = METRICS[teacher.similarity_fn_name].pairwise
    return scores_of_pairs(queries, rows, Stack([documents]), numbers, pairwise)


def embedded(
    encode: Callable[..., Any], texts: Sequence[str], batch_size: int | None
) -> tuple[Array, IntArray]:
    """Embed each text once: -> vectors (m, D), and the number of each text's vector (n,)."""
    places = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    vectors = in_two_passes(encode, list(places), batch_size)
    return vectors, np.array([places[text] for text in texts])


def in_two_passes(
    compute: Callable[..., Any],  # encode or predict
    items: Sequence[Any],  # texts, or pairs of them
    batch_size: int | None,
) -> Array:
    """Compute n items, texts or pairs, in two forward passes or more: -> (n, ...).

    All threads that are free share a pass that comes alone, and its rounding depends on their
    number. With two passes, a run that was stopped and goes on gives the same bits.
    """
    given = [*items] if len(items) > 1 else [*items, *items]
    half = -(-len(given) // 2)
    size = min(batch_size or half, half)
    return np.asarray(compute(given, batch_size=size, show_progress_bar=False))[: len(items)]
