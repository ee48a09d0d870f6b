"""Pairs of texts and a model -> the same pairs with hard negatives, as sentence-transformers mines.

    rows = mine_hard_negatives("pairs.jsonl", model, relative_margin=0.05, num_negatives=5)

A hard negative is a text that the model finds near to a query, and that is none of its positives.
The arguments, their defaults and the rows are those of sentence-transformers 6.2. Start at
mine_hard_negatives.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minibert.common.arguments import check_choice, check_given_counts, check_several
from minibert.common.progress import wanted
from minibert.training.candidates import (
    SAMPLING,
    Filters,
    Predicts,
    check_one_label,
    drawn,
    scores_of,
)
from minibert.training.embedded import Embeds, Side, embed
from minibert.training.examples import Data
from minibert.training.mined import FORMATS, Mined, Statistics, statistics_of
from minibert.training.pairs import (
    Dataset,
    Pairs,
    is_dataset,
    read_pairs,
    rows_of_one_query,
    unique_texts,
)

__all__ = ["mine_hard_negatives"]

logger = logging.getLogger(__name__)


def mine_hard_negatives(
    dataset: Data | Dataset,
    model: Embeds,
    anchor_column_name: str | None = None,
    positive_column_name: str | None = None,
    corpus: Iterable[str] | None = None,
    cross_encoder: Predicts | None = None,
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    sampling_strategy: str = "top",
    query_prompt_name: str | None = None,
    query_prompt: str | None = None,
    corpus_prompt_name: str | None = None,
    corpus_prompt: str | None = None,
    include_positives: bool = False,
    output_format: str = "triplet",
    output_scores: bool = False,
    batch_size: int = 32,
    faiss_batch_size: int = 16384,
    use_faiss: bool = False,
    use_multi_process: Sequence[str] | bool = False,
    verbose: bool = True,
    cache_folder: str | os.PathLike[str] | None = None,
    as_triplets: bool | None = None,
    margin: float | None = None,
    *,
    seed: int | None = None,
    form: str | None = None,
    show_progress_bar: bool | None = None,
    report: Callable[[Statistics], object] | None = None,
) -> Any:  # a list of rows, or a Dataset where one was given
    """Add hard negatives to pairs of an anchor (a query) and a positive.

    The nearest documents of each query are found exactly, and its positives are left out. Filters
    drop others by their scores; then ranks are counted. Equal anchors are one query with several
    positives, and equal texts are one document. As in sentence-transformers, a document with the
    text of the query may be one of its negatives. The result is a list of dicts, which
    `minibert.training.fit` reads, or a `datasets.Dataset` where one was given.

    Moreira et al., "NV-Retriever: Improving text embedding models with effective hard-negative
    mining" (2024) recommend relative_margin=0.05, which they call TopK-PercPos with 95%.

    Args:
        dataset: Pairs: a `datasets.Dataset`, or data as `fit` takes it: a file, rows as dicts or
            tuples, or a dict of columns.
        model: Model that embeds the texts, by encode_query and encode_document. Its metric scores
            the vectors, which are normalized.
        anchor_column_name: Column of the anchors; None, or a name that is not there, is the first.
        positive_column_name: Column of the positives; None, or a name that is not there, is the
            second.
        corpus: Further texts to find negatives among, beside the positives of all rows.
        cross_encoder: Cross-encoder with one label that scores positives and candidates anew. It
            is used only with a filter: max_score, min_score or a margin.
        range_min: Number of nearest candidates to skip, after all other filters.
        range_max: Rank of the last candidate that may be taken. None is range_min + num_negatives
            + the most positives of a query; with ten times num_negatives if there is a margin, a
            max_score, or a min_score and a cross-encoder.
        max_score: Highest score of a negative.
        min_score: Lowest score of a negative.
        absolute_margin: Least distance of a negative's score below the positive's, the lowest one
            if a query has several.
        relative_margin: The same distance, as a fraction of the positive's score, without its sign.
        num_negatives: Number of negatives of each query.
        sampling_strategy: "top" takes the nearest candidates, "random" draws among them.
        query_prompt_name: Name of the model's prompt for queries; None is that of encode_query.
        query_prompt: Text before each query; with it, query_prompt_name is not used.
        corpus_prompt_name: Name of the model's prompt for documents; None is that of
            encode_document.
        corpus_prompt: Text before each document; with it, corpus_prompt_name is not used.
        include_positives: True leaves the positives among the candidates, for a ranking as data of
            an evaluation; the output is then "n-tuple".
        output_format: "triplet" is a row (anchor, positive, negative) for each negative; "n-tuple"
            (anchor, positive, negative_1, ...) for each positive, if all negatives were found;
            "labeled-pair" (anchor, positive, label) for each text, with the label 1 of a positive
            and 0 of a negative; "labeled-list" (anchor, texts, labels) for each positive.
        output_scores: True adds the scores: `scores` of the positive and the negatives, or `score`
            or `scores` in place of the labels.
        batch_size: Maximum of the texts of one forward pass.
        faiss_batch_size: Number of queries whose nearest documents are found at a time.
        use_faiss: Changes nothing: the search is exact, and needs no memory for all scores.
        use_multi_process: True shares the work among a process for each core, a list of devices
            among one for each of them.
        verbose: True logs the statistics of the result, at the level INFO.
        cache_folder: Folder where the vectors are kept, in files without pickles, for a further
            call with the same model, prompts and texts.
        as_triplets: Older form of output_format: True is "triplet", False "n-tuple".
        margin: Older name of absolute_margin.
        seed: Seed of "random". None takes the random numbers of Python's module `random`, in the
            order of sentence-transformers.
        form: Form of a file, where its name does not tell it.
        show_progress_bar: None shows bars where INFO is logged and stderr is a terminal.
        report: Function that is called with the Statistics of the result.

    Raises ValueError for data without rows, without two columns of texts or, as a TrainingError,
    with a cell that is no text; for an unknown format or strategy; for ranks that leave fewer than
    num_negatives candidates; for a filter that is NaN; for a cross-encoder with several labels; and
    for a column of the pairs with the name of one that is added.
    """
    check_arguments(sampling_strategy, num_negatives, faiss_batch_size, corpus, use_faiss)
    kind, has_scores = settled_format(output_format, output_scores, as_triplets, include_positives)
    pairs = read_pairs(dataset, anchor_column_name, positive_column_name, form)
    filters = filters_of(
        pairs, num_negatives, range_min, range_max, max_score, min_score,
        settled_margin(absolute_margin, margin), relative_margin, cross_encoder is not None,
    )  # fmt: skip
    tell_of_filters(filters, sampling_strategy, include_positives)
    reranker = None if cross_encoder is None else of_effect(cross_encoder, filters)
    texts, k = unique_texts(pairs, corpus), filters.range_max + rows_of_one_query(pairs)
    queries = Side("query", texts.queries, query_prompt_name, query_prompt)
    documents = Side("corpus", texts.documents, corpus_prompt_name, corpus_prompt)
    options: dict[str, Any] = {"devices": use_multi_process, "batch_size": batch_size}
    options["show_progress_bar"] = wanted(show_progress_bar)
    vectors = embed(model, queries, documents, cache_folder=cache_folder, **options)
    scored = scores_of(
        texts, vectors, k, model.similarity_fn_name, reranker, rows=faiss_batch_size, **options,
    )  # fmt: skip
    window, skipped = filters.window(scored, texts, include_positives)
    negatives = drawn(window, num_negatives, sampling_strategy, seed)
    mined = Mined(pairs.anchor, pairs.positive, texts, scored.of_positives, negatives)
    columns = FORMATS[kind].columns(mined, has_scores)
    tell(statistics_of(mined, columns, skipped, kind, filters, scored), verbose, report)
    return dataset.from_dict(columns) if is_dataset(dataset) else rows_of(columns)


def check_arguments(
    sampling_strategy: object,
    num_negatives: object,
    faiss_batch_size: object,
    corpus: object,
    use_faiss: bool,
) -> None:
    """Check arguments by themselves. Raises ValueError, or TypeError for a corpus of one text."""
    check_choice("sampling_strategy", sampling_strategy, SAMPLING)
    check_given_counts(num_negatives=num_negatives, faiss_batch_size=faiss_batch_size)
    check_several(corpus=corpus)
    if use_faiss:
        logger.info("use_faiss changes nothing: the search is exact without faiss, too.")


def settled_format(
    output_format: str, output_scores: bool, as_triplets: bool | None, include_positives: bool
) -> tuple[str, bool]:
    """Return the format of the output, and whether it has scores; older arguments are told of."""
    if as_triplets is not None:
        output_format = "triplet" if as_triplets else "n-tuple"
        logger.warning(
            "as_triplets is the older form of output_format, which is now %r.", output_format
        )
    if include_positives and output_format != "n-tuple":
        logger.warning(
            'With include_positives, output_format is "n-tuple", in which the ranking is kept; it '
            "was %r.",
            output_format,
        )
        return "n-tuple", output_scores
    if output_format == "n-tuple-scores":
        logger.warning(
            'output_format="n-tuple-scores" is the older form of "n-tuple" with output_scores=True.'
        )
        return "n-tuple", True
    check_choice("output_format", output_format, FORMATS)
    return output_format, output_scores


def settled_margin(absolute_margin: float | None, margin: float | None) -> float | None:
    """Return the absolute margin, which `margin` replaces if it is given."""
    if margin is None:
        return absolute_margin
    logger.warning("margin is the older name of absolute_margin, which is now %s.", margin)
    return margin


def filters_of(
    pairs: Pairs,
    num_negatives: int,
    range_min: int,
    range_max: int | None,
    max_score: float | None,
    min_score: float | None,
    absolute_margin: float | None,
    relative_margin: float | None,
    is_rescored: bool,
) -> Filters:
    """Make the filters. Raises ValueError for ranks that leave too few candidates.

    Without a `range_max`, there are more candidates where a filter may drop many of them.
    """
    if range_max is None:
        drops = [absolute_margin, relative_margin, max_score, min_score if is_rescored else None]
        kept = num_negatives * (1 if drops.count(None) == len(drops) else 10)
        range_max = range_min + kept + rows_of_one_query(pairs)
        logger.info("range_max is %d, by the other arguments.", range_max)
    return Filters(
        num_negatives, range_min, range_max, max_score, min_score, absolute_margin, relative_margin
    )


def tell_of_filters(filters: Filters, sampling_strategy: str, include_positives: bool) -> None:
    """Log a warning of arguments that drop positives which shall be included."""
    is_default = not filters.by_score() and filters.range_min == 0 and sampling_strategy == "top"
    if include_positives and not is_default:
        logger.warning(
            "include_positives leaves positives among the candidates; filters, ranks and a random "
            "choice may still drop them."
        )


def of_effect(cross_encoder: Predicts, filters: Filters) -> Predicts | None:
    """Return the cross-encoder if there is a filter to score for, else None with a warning.

    Raises ValueError for a cross-encoder with several labels, before any text is embedded.
    """
    if filters.by_score():
        check_one_label(cross_encoder, "cross_encoder")
        return cross_encoder
    logger.warning(
        "cross_encoder has no effect: it scores candidates for max_score, min_score, "
        "absolute_margin or relative_margin, and none is given."
    )
    return None


def tell(
    statistics: Statistics, verbose: bool, report: Callable[[Statistics], object] | None
) -> None:
    """Log the statistics if `verbose`, and give them to `report`."""
    for line in statistics.lines() if verbose else ():
        logger.info("%s", line)
    if report is not None:
        report(statistics)


def rows_of(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Turn columns of equal lengths into rows."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
