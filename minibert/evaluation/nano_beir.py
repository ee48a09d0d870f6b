"""Evaluators on NanoBEIR: 13 small collections of the hub, with sentence-transformers' names.

A data set of the hub has files `corpus/NanoMSMARCO-*.parquet` of "_id" and "text", so for each
collection; `queries/` of the same; `qrels/` of "query-id" and "corpus-id"; and for re-ranking
`bm25/` of "query-id" and "corpus-ids", best first. A local folder may have them, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minibert.documents.parquet import parquet_records
from minibert.evaluation.cross_encoder_evaluators import Predicts
from minibert.evaluation.information_retrieval import InformationRetrievalEvaluator
from minibert.evaluation.reranking import CrossEncoderRerankingEvaluator, names_of_measures
from minibert.evaluation.sentence_evaluator import Encodes, SentenceEvaluator, results_file
from minibert.scoring.similarity import ScoreFunction

__all__ = ["CrossEncoderNanoBEIREvaluator", "NanoBEIREvaluator"]

DATASET = "sentence-transformers/NanoBEIR-en"
# A collection's short name -> its name in files and results, after "Nano".
NAMES = {
    "climatefever": "ClimateFEVER",
    "dbpedia": "DBPedia",
    "fever": "FEVER",
    "fiqa2018": "FiQA2018",
    "hotpotqa": "HotpotQA",
    "msmarco": "MSMARCO",
    "nfcorpus": "NFCorpus",
    "nq": "NQ",
    "quoraretrieval": "QuoraRetrieval",
    "scidocs": "SCIDOCS",
    "arguana": "ArguAna",
    "scifact": "SciFact",
    "touche2020": "Touche2020",
}


class NanoBEIREvaluator(SentenceEvaluator):
    """Measures a model's search on NanoBEIR's collections, each by itself and on the average.

    Measures are those of InformationRetrievalEvaluator: "NanoMSMARCO_cosine_ndcg@10" and so on, and
    of all collections "NanoBEIR_mean_cosine_ndcg@10". The data is fetched from the hub once.
    """

    def __init__(
        self,
        dataset_names: Sequence[str] | None = None,
        dataset_id: str = DATASET,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool = False,
        batch_size: int = 32,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        score_functions: Mapping[str, ScoreFunction] | None = None,
        main_score_function: str | None = None,
        aggregate_fn: Callable[[list[float]], float] = np.mean,
        aggregate_key: str = "mean",
        query_prompts: str | Mapping[str, str] | None = None,
        corpus_prompts: str | Mapping[str, str] | None = None,
        write_predictions: bool = False,
    ) -> None:
        """Read the collections of some names, by default all.

        `dataset_id` is a data set of the hub or a local folder. `aggregate_fn` turns the values of
        all collections into one, under `aggregate_key`. Prompts are one text, or one for each of
        the names. The other arguments are those of InformationRetrievalEvaluator. Raises ValueError
        for an unknown name and for data that cannot be read, MissingLibraryError without pyarrow.
        """
        super().__init__()
        self.dataset_names = checked(dataset_names, list(NAMES))  # as given
        self.dataset_id = dataset_id  # name on the hub, or path
        self.aggregate_fn = aggregate_fn  # from values of all collections to one
        suffix = f"_{truncate_dim}" if truncate_dim else ""
        self._set_up(
            f"NanoBEIR_{aggregate_key}{suffix}", results_file("NanoBEIR_evaluation", aggregate_key),
            write_csv, truncate_dim=truncate_dim,
        )  # fmt: skip
        texts = prompts_of("query_prompts", query_prompts, self.dataset_names)
        self.query_prompts = texts  # of each collection, by its name; None is the model's own
        texts = prompts_of("corpus_prompts", corpus_prompts, self.dataset_names)
        self.corpus_prompts = texts  # the same for documents
        one = partial(
            InformationRetrievalEvaluator,
            mrr_at_k=mrr_at_k, ndcg_at_k=ndcg_at_k, accuracy_at_k=accuracy_at_k,
            precision_recall_at_k=precision_recall_at_k, map_at_k=map_at_k,
            show_progress_bar=show_progress_bar, batch_size=batch_size, write_csv=write_csv,
            truncate_dim=truncate_dim, score_functions=score_functions,
            main_score_function=main_score_function, write_predictions=write_predictions,
        )  # fmt: skip
        evaluators = [
            one(
                *(queries_of(dataset_id, name), corpus_of(dataset_id, name)),
                qrels_of(dataset_id, name),
                name=f"Nano{NAMES[name.lower()]}{suffix}",
                query_prompt=(self.query_prompts or {}).get(name),
                corpus_prompt=(self.corpus_prompts or {}).get(name),
            )
            for name in self.dataset_names
        ]
        self.evaluators = evaluators  # one for each collection

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model, of each collection and of all."""
        of_each = [one(model, output_path, epoch, steps) for one in self.evaluators]
        of_all = aggregated(of_each, self.evaluators, self.aggregate_fn)
        first = self.evaluators[0]
        self.csv_headers = first.csv_headers
        if self.primary_metric is None:
            cutoff = f"_ndcg@{max(first.ndcg_at_k)}"
            named = f"{first.main_score_function}{cutoff}"
            candidates = sorted(key for key in of_all if key.endswith(cutoff))
            highest = max(candidates, key=of_all.__getitem__)
            self.primary_metric = named if first.main_score_function else highest
        row = [of_all[key] for key in first.keys_of_columns()]
        found = self._report(model, of_all, (output_path, epoch, steps), row, line_end="\n")
        return joined(of_each) | found

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        names = "dataset_names", "dataset_id", "truncate_dim", "query_prompts", "corpus_prompts"
        return self._settings(*names)


class CrossEncoderNanoBEIREvaluator(SentenceEvaluator):
    """Measures a cross-encoder's re-ranking of the first documents of BM25 on NanoBEIR.

    Measures are those of CrossEncoderRerankingEvaluator: "NanoMSMARCO_R100_ndcg@10" and so on, and
    of all collections "NanoBEIR_R100_mean_ndcg@10". The data is fetched from the hub once.
    """

    def __init__(
        self,
        dataset_names: Sequence[str] | None = None,
        dataset_id: str = DATASET,
        rerank_k: int = 100,
        at_k: int = 10,
        always_rerank_positives: bool = True,
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        aggregate_fn: Callable[[list[float]], float] = np.mean,
        aggregate_key: str = "mean",
    ) -> None:
        """Read the collections of some names, by default all but ArguAna and Touche2020.

        `rerank_k` documents of each query are ranked again. The other arguments are those of
        NanoBEIREvaluator and CrossEncoderRerankingEvaluator, and the errors are the same.
        """
        super().__init__()
        default = [name for name in NAMES if name not in ("arguana", "touche2020")]
        self.dataset_names = checked(dataset_names, default)  # as given
        self.dataset_id = dataset_id  # name on the hub, or path
        self.rerank_k = rerank_k  # documents of a query that are ranked again
        self.at_k = at_k  # cutoff of mrr and ndcg
        self.always_rerank_positives = always_rerank_positives  # also those not found
        self.aggregate_fn = aggregate_fn  # from values of all collections to one
        measures = names_of_measures(at_k)
        self._set_up(
            f"NanoBEIR_R{rerank_k}_{aggregate_key}",
            results_file("NanoBEIR_evaluation", aggregate_key), write_csv,
            headers=[measure.upper() for measure in measures], primary=measures[-1],
        )  # fmt: skip
        evaluators = [
            CrossEncoderRerankingEvaluator(
                list(samples_of(dataset_id, name, rerank_k)),
                at_k=at_k, always_rerank_positives=always_rerank_positives,
                name=f"Nano{NAMES[name.lower()]}_R{rerank_k}", prompt_name=prompt_name,
                batch_size=batch_size, show_progress_bar=show_progress_bar, write_csv=write_csv,
            )
            for name in self.dataset_names
        ]  # fmt: skip
        self.evaluators = evaluators  # one for each collection

    def __call__(
        self,
        model: Predicts,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model, of each collection and of all."""
        of_each = [one(model, output_path, epoch, steps) for one in self.evaluators]
        of_all = aggregated(of_each, self.evaluators, self.aggregate_fn)
        row = [of_all[name] for name in names_of_measures(self.at_k)]
        return joined(of_each) | self._report(model, of_all, (output_path, epoch, steps), row, "\n")

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        names = "dataset_names", "dataset_id", "rerank_k", "at_k", "always_rerank_positives"
        return self._settings(*names)


def joined(of_each: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the measures of all collections in one dict; their names begin with the collection."""
    return {key: value for found in of_each for key, value in found.items()}


def aggregated(
    of_each: Sequence[dict[str, float]],
    evaluators: Sequence[SentenceEvaluator],
    aggregate: Callable[[list[float]], float],
) -> dict[str, float]:
    """Aggregate each measure over the collections; its name is without that of a collection."""
    values: dict[str, list[float]] = {}
    for found, evaluator in zip(of_each, evaluators, strict=True):
        for key, value in found.items():
            values.setdefault(key.removeprefix(f"{evaluator.name}_"), []).append(value)
    return {key: float(aggregate(of)) for key, of in values.items()}


def checked(names: Sequence[str] | None, default: list[str]) -> list[str]:
    """Return the names of collections. Raises ValueError for an unknown one, and for none."""
    given = default if names is None else list(names)
    unknown = [name for name in given if name.lower() not in NAMES]
    if unknown or not given:
        raise ValueError(
            f"dataset_names is {given}; expected None for all, or some of {', '.join(NAMES)}."
        )
    return given


def prompts_of(
    argument: str, prompts: str | Mapping[str, str] | None, names: Sequence[str]
) -> dict[str, str] | None:
    """Return a prompt for each collection. Raises ValueError if one has none."""
    if prompts is None or isinstance(prompts, str):
        return None if prompts is None else dict.fromkeys(names, prompts)
    if missing := [name for name in names if name not in prompts]:
        raise ValueError(f"{argument} has no prompt for {', '.join(missing)}; expected one each.")
    return dict(prompts)


def queries_of(dataset: str, name: str) -> dict[str, str]:
    """Read the queries of a collection: id -> text; empty texts are left out."""
    return texts_of(rows(dataset, "queries", name, "_id", "text"))


def corpus_of(dataset: str, name: str) -> dict[str, str]:
    """Read the documents of a collection: id -> text; empty texts are left out."""
    return texts_of(rows(dataset, "corpus", name, "_id", "text"))


def texts_of(found: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Return texts by their ids, without empty ones."""
    return {id: text for id, text in found if text}


def qrels_of(dataset: str, name: str) -> dict[str, list[str]]:
    """Read the judgements of a collection: query id -> ids of relevant documents."""
    found: dict[str, list[str]] = {}
    for query, documents in rows(dataset, "qrels", name, "query-id", "corpus-id"):
        listed = documents if isinstance(documents, list) else [documents]
        found.setdefault(query, []).extend(listed)
    return {query: list(dict.fromkeys(documents)) for query, documents in found.items()}


def samples_of(dataset: str, name: str, k: int) -> Iterator[dict[str, Any]]:
    """Yield a sample for each query: its text, the relevant texts, the first k of BM25."""
    queries = dict(rows(dataset, "queries", name, "_id", "text"))
    texts = dict(rows(dataset, "corpus", name, "_id", "text"))
    qrels = qrels_of(dataset, name)
    for query, found in rows(dataset, "bm25", name, "query-id", "corpus-ids"):
        positives = [texts[id] for id in qrels[query]]
        documents = [texts[id] for id in found[:k]]
        yield {"query": queries[query], "positive": positives, "documents": documents}


def rows(dataset: str, subset: str, name: str, *columns: str) -> Iterator[list[Any]]:
    """Yield some columns of a part of a collection, row after row.

    Raises ValueError if the data is not there or has other columns.
    """
    pattern = f"{subset}/Nano{NAMES[name.lower()]}-*.parquet"
    folder = Path(dataset)
    if not folder.is_dir():
        folder = fetched(dataset, pattern)
    files = sorted(folder.glob(pattern))
    if not files:
        raise ValueError(f"The data set {dataset!r} has no file {pattern}.")
    for path in files:
        with open(path, "rb") as file:
            for row, place in parquet_records(file, str(path)):
                if missing := [column for column in columns if column not in row]:
                    raise ValueError(f"{place} has no column {missing[0]!r}.")
                yield [row[column] for column in columns]


def fetched(dataset: str, pattern: str) -> Path:
    """Fetch files of a data set of the hub: -> its folder in the hub's cache.

    Raises ValueError if that fails.
    """
    from huggingface_hub import snapshot_download  # late: takes a second, and a folder needs none

    try:
        found = snapshot_download(dataset, repo_type="dataset", allow_patterns=pattern)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The data set {dataset!r} cannot be fetched from the hub ({error}). Check the name "
            "and the network, or give the path of a folder with its files."
        ) from error
    return Path(found)
