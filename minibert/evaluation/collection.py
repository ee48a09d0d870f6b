"""Read and write the files of a measurement: a BEIR folder, judgements, runs. No models.

BEIR's layout (Thakur et al. 2021, https://github.com/beir-cellar/beir) is a folder with

    corpus.jsonl     {"_id": "d1", "title": "Tides", "text": "The moon pulls the sea."}
    queries.jsonl    {"_id": "q1", "text": "why is there ebb and flow"}
    qrels.tsv        query, document, grade between tabs; or the same in qrels/test.tsv

Judgements may also have TREC's four columns; a run has TREC's six. A malformed line is refused with
its file and number. Ids that do not match between files are counted and logged.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np

from minibert.common.arrays import Array
from minibert.common.escapes import has_controls
from minibert.documents import lines_in, read_documents

__all__ = [
    "CORPUS_FILES",
    "SAMPLE",
    "Collection",
    "Qrels",
    "Ranking",
    "read_collection",
    "read_qrels",
    "read_run",
    "with_relevant",
    "write_run",
]

logger = logging.getLogger(__name__)

# Short passages of our own; some have the words of a query and another topic.
SAMPLE = Path(__file__).parent / "sample"

# Names that a folder may have for them; the first that is there is read.
CORPUS_FILES = ("corpus.jsonl", "corpus.jsonl.gz")
QUERIES_FILES = ("queries.jsonl", "queries.jsonl.gz")
QRELS_FILES = ("qrels.tsv", "qrels/test.tsv", "qrels.tsv.gz", "qrels/test.tsv.gz")

# query id -> document id -> grade, such as 2 or 0.5: 0 and below is not relevant
Qrels: TypeAlias = dict[str, dict[str, float]]


class Ranking(NamedTuple):
    """Documents found for one query, best first."""

    ids: list[str]  # of the documents
    scores: Array  # (n,), falling


class Collection(NamedTuple):
    """Documents, queries, and judgements of which document is relevant to which query."""

    documents: dict[str, str]  # id -> title and text
    queries: dict[str, str]  # id -> text
    qrels: Qrels  # of queries with a text and a relevant document; the documents may be unknown


def read_collection(
    folder: str | os.PathLike[str], qrels: str | os.PathLike[str] | None = None
) -> Collection:
    """Read a folder in BEIR's layout; `qrels` names another file of judgements.

    A document is its title and its text, joined by one space and stripped. Only queries with a
    relevant document are kept, since nothing can be measured on others. Warnings give the numbers
    of queries without a relevant document, of judged queries without a text, and of relevant
    documents that are not in the corpus: these count as missed.

    Raises FileNotFoundError for a missing file, ValueError for a malformed one, and for a
    collection on which nothing can be measured.
    """
    folder = Path(folder)
    documents = read_texts(first_of(folder, CORPUS_FILES))
    texts = read_texts(first_of(folder, QUERIES_FILES))
    judged = with_relevant(read_qrels(qrels or first_of(folder, QRELS_FILES)))
    kept = {id: grades for id, grades in judged.items() if id in texts}
    if not kept or not documents:
        raise ValueError(
            f"{folder} has {len(documents)} documents, and {len(kept)} queries with a text and a "
            "relevant document; without both there is nothing to measure."
        )
    relevant = {id for grades in kept.values() for id, grade in grades.items() if grade > 0}
    say_how_many(texts.keys() - judged.keys(), "queries have no relevant document: left out")
    say_how_many(judged.keys() - texts.keys(), "judged queries have no text: left out")
    say_how_many(
        relevant - documents.keys(), "relevant documents are not in the corpus: counted as missed"
    )
    return Collection(documents, {id: text for id, text in texts.items() if id in kept}, kept)


def with_relevant(qrels: Qrels) -> Qrels:
    """Return the judgements of the queries with a relevant document."""
    return {id: grades for id, grades in qrels.items() if any(g > 0 for g in grades.values())}


def say_how_many(ids: set[str], what: str) -> None:
    """Log a warning with the number of ids and one of them, if there are any."""
    if ids:
        logger.warning("%d %s (%r, for one).", len(ids), what, min(ids))


def first_of(folder: Path, names: Sequence[str]) -> Path:
    """Find the first of these files in a folder. Raises FileNotFoundError if there is none."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{str(folder)!r} has no {', and no '.join(names)}.")


def read_texts(path: Path) -> dict[str, str]:
    """Read the texts of a JSON Lines file: id -> text. Raises ValueError for an id that repeats."""
    texts: dict[str, str] = {}
    for document in read_documents([str(path)]):
        if document.id is None:
            raise ValueError(f'{document.origin} has no "_id"; judgements need one.')
        if document.id in texts:
            raise ValueError(f"{document.origin}: the _id {document.id!r} was there before.")
        texts[document.id] = document.text
    return texts


def read_qrels(path: str | os.PathLike[str]) -> Qrels:
    """Read judgements: BEIR's three columns, with a header or without, or TREC's four.

    These are `query document grade` and `query iteration document grade`, between tabs or other
    white space. A grade is a number, such as 2 or 0.5. Raises ValueError for any other line, for an
    empty id, and for two grades of one document.
    """
    qrels: Qrels = {}
    for number, (place, line) in enumerate(lines_with_places(Path(path))):
        columns = columns_of(line)
        # A header's names have no digits, which a grade has.
        if number == 0 and not any(char.isdigit() for char in line):
            continue
        if len(columns) not in (3, 4):
            raise ValueError(f"{place}: {len(columns)} columns; expected query, document, grade.")
        query, document, grade = columns[0], columns[-2], grade_of(columns[-1], place)
        if not query or not document:
            raise ValueError(f"{place}: an id is empty; expected query, document, grade.")
        if qrels.setdefault(query, {}).setdefault(document, grade) != grade:
            raise ValueError(
                f"{place}: the grade of {document!r} for {query!r} is {grade}, "
                f"and was {qrels[query][document]} before."
            )
    return qrels


def grade_of(text: str, place: str) -> float:
    """Read a finite number; a whole one, also 1.0, as an int. Raises ValueError for others."""
    grade = number_of(text, place, "grade")
    return int(grade) if grade.is_integer() else grade


def number_of(text: str, place: str, name: str) -> float:
    """Read a finite number. Raises ValueError for others."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{place}: the {name} is {text!r}; expected a number.")
    return number


def read_run(path: str | os.PathLike[str]) -> dict[str, Ranking]:
    """Read a TREC run, `query Q0 document rank score tag` a line: query id -> its ranking.

    Documents are sorted by score, whatever their rank, as in trec_eval; of equal scores the smaller
    id, as a text, comes first. Raises ValueError for a malformed line and for a document that was
    found twice.
    """
    found: dict[str, dict[str, float]] = {}
    for place, line in lines_with_places(Path(path)):
        columns = line.split()
        if len(columns) != 6:
            raise ValueError(
                f"{place}: {len(columns)} columns; a run has query, Q0, document, rank, score, tag."
            )
        query, _, document, _, score, _ = columns
        scores = found.setdefault(query, {})
        if document in scores:
            raise ValueError(f"{place}: {document!r} was found for {query!r} before.")
        scores[document] = number_of(score, place, "score")
    return {query: ranking_of(scores) for query, scores in found.items()}


def ranking_of(scores: dict[str, float]) -> Ranking:
    """Sort document ids by falling score, equal ones by the id."""
    ids = sorted(scores, key=lambda id: (-scores[id], id))
    return Ranking(ids, np.array([scores[id] for id in ids]))


def write_run(
    rankings: Iterable[tuple[str, Ranking]], file: BinaryIO
) -> Iterator[tuple[str, Ranking]]:
    """Write rankings as a TREC run, and yield each ranking after it was written.

    Raises ValueError for a query that comes twice, for a document that comes twice in a ranking,
    for an id that is empty or has white space or a control character, and for a score that is not
    finite. So read_run can read every file that was written.
    """
    queries: set[str] = set()
    for query, ranking in rankings:
        if query in queries:
            raise ValueError(f"A run cannot hold two rankings of one query, and {query!r} has two.")
        queries.add(query)
        check_ranking(query, ranking)
        lines = []
        for rank, (id, score) in enumerate(zip(*ranking, strict=True), start=1):
            # Nine digits tell every float32 from its neighbours.
            lines.append(f"{query} Q0 {id} {rank} {score:.9g} minibert\n")
        file.write("".join(lines).encode())
        yield query, ranking


def check_ranking(query: str, ranking: Ranking) -> None:
    """Raise ValueError for an id or a score that a run cannot hold."""
    for id in (query, *ranking.ids):
        if [id] != id.split() or has_controls(id):
            raise ValueError(
                f"A run cannot hold the id {id!r}: it is empty, or has white space or a control "
                "character in it."
            )
    if len(set(ranking.ids)) < len(ranking.ids):
        twice = next(id for n, id in enumerate(ranking.ids) if id in ranking.ids[:n])
        raise ValueError(f"A run cannot hold a document twice: {twice!r} for {query!r}.")
    if not np.isfinite(ranking.scores).all():
        raise ValueError(f"A run cannot hold scores that are not finite, and {query!r} has one.")


def lines_with_places(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the lines of a file but blank ones, gzipped or not, each after its place."""
    for number, line in enumerate(lines_in(str(path)), start=1):
        if line.strip():
            yield f"{path}, line {number}", line


def columns_of(line: str) -> list[str]:
    """Split a line at tabs, if there are any, else at white space."""
    return [part.strip() for part in line.split("\t")] if "\t" in line else line.split()
