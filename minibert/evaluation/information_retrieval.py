"""Evaluator of a search, with sentence-transformers' name, arguments, measures and files.

RetrievalEvaluator measures the same with grades; this one knows only relevant or not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray, as_array
from minibert.common.progress import progress
from minibert.evaluation.measures import (
    Found,
    average_precision,
    found_of,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
    success,
)
from minibert.evaluation.sentence_evaluator import (
    Encodes,
    SentenceEvaluator,
    metric_name,
    results_file,
)
from minibert.scoring.nearest import nearest
from minibert.scoring.similarity import ScoreFunction
from minibert.scoring.top_k import top_k

__all__ = ["InformationRetrievalEvaluator"]

Hits: TypeAlias = tuple[IntArray, Array]  # of each query: numbers of documents, scores, (q, k)
Id: TypeAlias = Any  # of a query or a document: a text or a number, all of one kind

# A measure -> its function of a query, its name in the file, the argument with its cutoffs.
KINDS: dict[str, tuple[Callable[[Found, int], float], str, str]] = {
    "accuracy": (success, "Accuracy", "accuracy_at_k"),
    "precision": (precision, "Precision", "precision_recall_at_k"),
    "recall": (recall, "Recall", "precision_recall_at_k"),
    "ndcg": (ndcg, "NDCG", "ndcg_at_k"),
    "mrr": (reciprocal_rank, "MRR", "mrr_at_k"),
    "map": (average_precision, "MAP", "map_at_k"),
}
# Measures that stand next to each other in the file, in its order.
COLUMNS = [("accuracy",), ("precision", "recall"), ("mrr",), ("ndcg",), ("map",)]


class InformationRetrievalEvaluator(SentenceEvaluator):
    """Searches a corpus for each query, exactly, and measures the rankings.

    Measures are "cosine_ndcg@10" and so on, for accuracy, precision, recall, ndcg, mrr and map, and
    for each score function. Documents with equal scores are ranked by their ids.
    """

    def __init__(
        self,
        queries: Mapping[Id, str],
        corpus: Mapping[Id, str],
        relevant_docs: Mapping[Id, Collection[Id]],
        corpus_chunk_size: int = 50000,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool = False,
        batch_size: int = 32,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
        score_functions: Mapping[str, ScoreFunction] | None = None,
        main_score_function: str | None = None,
        query_prompt: str | None = None,
        query_prompt_name: str | None = None,
        corpus_prompt: str | None = None,
        corpus_prompt_name: str | None = None,
        write_predictions: bool = False,
    ) -> None:
        """Take queries and documents by their ids, and the ids of each query's relevant documents.

        Queries without a relevant document are left out. The vectors of `corpus_chunk_size`
        documents are in memory at a time. Score functions are functions on arrays, (q, D), (n, D)
        -> (q, n), by the names that they have in the result; without them it is the model's own
        metric. `write_predictions` writes a JSON line for each query, with the documents found.

        Raises ValueError if nothing can be measured, TypeError for documents whose ids have no
        order.
        """
        super().__init__()
        self.queries_ids = [id for id in queries if relevant_docs.get(id)]  # of the queries kept
        self.queries = [queries[id] for id in self.queries_ids]  # their texts
        if not self.queries or not corpus:
            raise ValueError(
                f"There are {len(corpus)} documents, and {len(self.queries)} queries with a "
                "relevant document; without both there is nothing to measure."
            )
        self._order = order_of(list(corpus))  # so that a search settles ties by the id
        self.corpus_ids = sorted(corpus)  # of the documents
        self.corpus = [corpus[id] for id in self.corpus_ids]  # their texts
        self.relevant_docs = relevant_docs  # query id -> ids of documents
        self.corpus_chunk_size = corpus_chunk_size  # documents that are encoded at a time
        self.mrr_at_k = mrr_at_k  # cutoffs of the mean reciprocal rank
        self.ndcg_at_k = ndcg_at_k  # cutoffs of ndcg
        self.accuracy_at_k = accuracy_at_k  # cutoffs of the accuracy
        self.precision_recall_at_k = precision_recall_at_k  # cutoffs of precision and recall
        self.map_at_k = map_at_k  # cutoffs of the mean average precision
        self.query_prompt = query_prompt  # before each query
        self.query_prompt_name = query_prompt_name  # the model's name of it
        self.corpus_prompt = corpus_prompt  # before each document
        self.corpus_prompt_name = corpus_prompt_name  # the model's name of it
        self.score_functions = score_functions  # by name; None is the model's own metric
        main = main_score_function
        main = None if main is None else metric_name("main_score_function", main)
        self.main_score_function = main  # name of the one of the primary measure
        self._set_up(
            name, results_file("Information-Retrieval_evaluation", name), write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip
        self.write_predictions = write_predictions  # True writes what was found
        self._names: list[str] = []  # of the score functions, of the last call

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
        corpus_model: Encodes | None = None,
        corpus_embeddings: Array | None = None,
    ) -> dict[str, float]:
        """Return the measures of a model.

        The documents are encoded by `corpus_model`, if given, or are `corpus_embeddings`, in the
        order of the corpus.
        """
        values = self.compute_all_metrics(model, corpus_model, corpus_embeddings, output_path)
        names = sorted(values)
        if names != self._names:
            self._names, self.primary_metric = names, None
            self.csv_headers = ["epoch", "steps", *self._columns()]
        if self.primary_metric is None:
            cutoff = max(self.ndcg_at_k)
            winner = max(names, key=lambda name: values[name]["ndcg@k"][cutoff])
            self.primary_metric = f"{self.main_score_function or winner}_ndcg@{cutoff}"
        metrics = {
            f"{name}_{kind[:-1]}{k}": value
            for name in values
            for kind, of_cutoffs in values[name].items()
            for k, value in of_cutoffs.items()
        }
        row = [metrics[key] for key in self.keys_of_columns()]
        return self._report(model, metrics, (output_path, epoch, steps), row, line_end="\n")

    def _columns(self) -> list[str]:
        """Return the columns of the file, without epoch and steps."""
        return [
            f"{name}-{KINDS[kind][1]}@{k}"
            for name in self._names
            for kind, k in self._kinds_and_cutoffs()
        ]

    def keys_of_columns(self) -> list[str]:
        """Return the measures in the order of the file, by their names in the result."""
        return [
            f"{name}_{kind}@{k}" for name in self._names for kind, k in self._kinds_and_cutoffs()
        ]

    def _kinds_and_cutoffs(self) -> Iterator[tuple[str, int]]:
        """Yield each measure with each of its cutoffs, in the order of the file."""
        for kinds in COLUMNS:
            for k in getattr(self, KINDS[kinds[0]][2]):
                yield from ((kind, k) for kind in kinds)

    def compute_all_metrics(
        self,
        model: Encodes,
        corpus_model: Encodes | None = None,
        corpus_embeddings: Array | None = None,
        output_path: str | os.PathLike[str] | None = None,
    ) -> dict[str, dict[str, dict[int, float]]]:
        """Compute the measures: score function -> "ndcg@k" and so on -> cutoff -> value."""
        found = {}
        rankings = self._rankings(model, corpus_model or model, corpus_embeddings)
        for name, (numbers, scores) in rankings.items():
            hits = [
                [
                    {"corpus_id": self.corpus_ids[number], "score": score}
                    for number, score in zip(*row, strict=True)
                ]
                for row in zip(numbers.tolist(), scores.tolist(), strict=True)
            ]
            if self.write_predictions and output_path is not None:
                self._write_predictions(Path(output_path), name, hits)
            found[name] = self.compute_metrics(hits)
        return found

    def compute_metrics(
        self,
        queries_result_list: Sequence[Sequence[Mapping[str, Any]]],  # as semantic_search has
    ) -> dict[str, dict[int, float]]:
        """Compute measures of each query's hits: "ndcg@k" and so on -> cutoff -> value.

        A hit is {"corpus_id", "score"}. They are sorted by score, and equal ones by the id.
        """
        queries = []
        for id, hits in zip(self.queries_ids, queries_result_list, strict=True):
            ranked = sorted(hits, key=lambda hit: (-hit["score"], hit["corpus_id"]))
            relevant = dict.fromkeys(self.relevant_docs[id], 1)
            queries.append(found_of([hit["corpus_id"] for hit in ranked], relevant))
        return {
            f"{kind}@k": {
                k: float(np.mean([measure(found, k) for found in queries]))
                for k in getattr(self, cutoffs)
            }
            for kind, (measure, _, cutoffs) in KINDS.items()
        }

    def _rankings(
        self, model: Encodes, corpus_model: Encodes, corpus_embeddings: Array | None
    ) -> dict[str, Hits]:
        """Search by each score function: name -> numbers of documents and scores, (q, k) each."""
        functions: Mapping[str, Any] = self.score_functions or {
            model.similarity_fn_name: model.similarity_fn_name
        }
        k = max(max(getattr(self, cutoffs)) for _, _, cutoffs in KINDS.values())
        prompts = {"prompt_name": self.query_prompt_name, "prompt": self.query_prompt}
        queries = self.embed_inputs(model, self.queries, "query", **prompts)
        prompts = {"prompt_name": self.corpus_prompt_name, "prompt": self.corpus_prompt}
        kept: dict[str, Hits] = {}
        with progress(len(self.corpus), self.show_progress_bar or False, "document") as advance:
            for start in range(0, len(self.corpus), self.corpus_chunk_size):
                chunk = slice(start, start + self.corpus_chunk_size)
                if corpus_embeddings is None:
                    texts = self.corpus[chunk]
                    vectors = self.embed_inputs(corpus_model, texts, "document", **prompts)
                else:
                    vectors = as_array(corpus_embeddings)[self._order[chunk]]
                for name, function in functions.items():
                    numbers, scores = nearest(queries, [vectors], k, function)
                    found = numbers + start, scores
                    kept[name] = merged(kept[name], found, k) if name in kept else found
                advance(len(vectors))
        return kept

    def _write_predictions(
        self, folder: Path, name: str, hits: Sequence[Sequence[Mapping[str, Any]]]
    ) -> None:
        """Write the hits of each query as a JSON line, in a file for each score function."""
        folder.mkdir(parents=True, exist_ok=True)
        file_name = self.csv_file.replace("_results.csv", f"_predictions_{name}.jsonl")
        with open(folder / file_name, "w", encoding="utf-8") as file:
            for id, text, results in zip(self.queries_ids, self.queries, hits, strict=True):
                line = {"query_id": id, "query": text, "results": results}
                file.write(json.dumps(line) + "\n")

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        prompts = "query_prompt", "query_prompt_name", "corpus_prompt", "corpus_prompt_name"
        return self._settings("truncate_dim", *prompts)


def order_of(ids: list[Id]) -> list[int]:
    """Return the places of ids in their order. Raises TypeError for ids of several types."""
    try:
        return sorted(range(len(ids)), key=ids.__getitem__)
    except TypeError as error:
        kinds = " and ".join(sorted({type(id).__name__ for id in ids}))
        raise TypeError(
            f"The ids of the documents are of the types {kinds}, which have no order; give all of "
            "them one type, as str."
        ) from error


def merged(first: Hits, second: Hits, k: int) -> Hits:
    """Merge two rankings of each query, the second of higher numbers: (q, a), (q, b) -> (q, k)."""
    numbers, scores = (np.concatenate(pair, axis=1) for pair in zip(first, second, strict=True))
    places, found = top_k(scores, k)  # equal scores in the order of the columns
    return np.take_along_axis(numbers, places, axis=1), found
