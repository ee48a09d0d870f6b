"""Search among quantized vectors by usearch, an extra, as sentence-transformers has it.

Start at semantic_search_usearch. A corpus on disk is searched by minibert.corpus instead.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minibert.common.advice import needing
from minibert.common.arguments import check_choice
from minibert.common.arrays import Array
from minibert.scoring.quantization import (
    Codes,
    Precision,
    checked_ranges,
    packed_bits,
    quantize_embeddings,
    ranges_of,
)
from minibert.scoring.semantic_search import FoundVector

__all__ = ["semantic_search_usearch"]

logger = logging.getLogger(__name__)

# Precision -> usearch's metric, and its type of a number.
INDEXES = {
    "float32": ("cos", "f32"),
    "int8": ("ip", "i8"),
    "ubinary": ("hamming", "b1"),
    "binary": ("hamming", "b1"),
}


def semantic_search_usearch(
    query_embeddings: Array | Codes,
    corpus_embeddings: Array | Codes | None = None,
    corpus_index: Any = None,  # usearch.index.Index
    corpus_precision: Precision = "float32",
    top_k: int = 10,
    ranges: Array | None = None,
    calibration_embeddings: Array | None = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> tuple[Any, ...]:  # hits and seconds, and with output_index the index
    """Find the closest vectors for each query: -> (hits, seconds), or (hits, seconds, index).

    `query_embeddings` is (n, D) of floats, or codes. `corpus_embeddings` holds codes of
    `corpus_precision` ("float32", "int8", "binary", "ubinary") from quantize_embeddings;
    `corpus_index`, an index of usearch, may be given instead. With `rescore`, float queries and
    codes in the corpus, `rescore_multiplier` times as many are found first. They are scored again
    by the dot product of the query with the numbers that the codes stand for. `ranges` or
    `calibration_embeddings` should be those of the corpus's int8 codes. Hits are as those of
    semantic_search; without rescoring, a score is usearch's distance, and lower is closer.

    Raises ValueError for both or neither corpus and for another precision, MissingLibraryError
    without usearch.
    """
    check_choice("corpus_precision", corpus_precision, tuple(INDEXES))
    if (corpus_embeddings is None) == (corpus_index is None):
        raise ValueError("Give corpus_embeddings or corpus_index: one of them, and not both.")
    if corpus_embeddings is not None:
        corpus_index = indexed(corpus_embeddings, corpus_precision)
    is_float = query_embeddings.dtype.kind == "f"
    is_rescored = rescore and is_float and corpus_precision != "float32"
    if rescore and not is_rescored:
        codes_of = "corpus holds no codes" if is_float else "queries are codes already"
        logger.warning("Nothing is scored again: the %s. Give rescore=False.", codes_of)
    codes: Any = query_embeddings
    if is_float and corpus_precision == "int8" and ranges is None:
        ranges = ranges_of(codes, "int8", calibration_embeddings)
    if is_float:
        codes = quantize_embeddings(codes, corpus_precision, ranges)

    begin = time.perf_counter()
    count = top_k * rescore_multiplier if is_rescored else top_k
    found = corpus_index.search(packed_bits(codes, corpus_precision), count=count, exact=exact)
    ids, scores = np.atleast_2d(found.keys), np.atleast_2d(found.distances)
    counts = getattr(found, "counts", [ids.shape[1]])  # a lone query has none
    hits = []
    for number, held in enumerate(counts):
        row, row_scores = ids[number, :held], scores[number, :held]
        if is_rescored and held:
            query = np.atleast_2d(query_embeddings)[number]
            numbers = meant(corpus_index.get(row), corpus_precision, ranges, len(query))
            row_scores = numbers @ query.astype(np.float64)
            order = np.argsort(-row_scores, kind="stable")[:top_k]
            row, row_scores = row[order], row_scores[order]
        pairs = zip(row.tolist(), row_scores.tolist(), strict=True)
        hits.append([FoundVector(corpus_id=place, score=score) for place, score in pairs])
    seconds = time.perf_counter() - begin
    return (hits, seconds, corpus_index) if output_index else (hits, seconds)


def indexed(corpus_embeddings: Array | Codes, precision: str) -> Any:
    """Make an index of usearch from codes (m, W), numbered from 0."""
    with needing("usearch", "semantic_search_usearch", "usearch"):
        from usearch.index import Index

    metric, dtype = INDEXES[precision]
    numbers = corpus_embeddings.shape[1] * (8 if dtype == "b1" else 1)
    index = Index(ndim=numbers, metric=metric, dtype=dtype)
    index.add(np.arange(len(corpus_embeddings)), packed_bits(corpus_embeddings, precision))
    return index


def meant(codes: NDArray[Any], precision: str, ranges: Any, dimension: int) -> Array:
    """Return the numbers that codes of an index stand for, as in the reference: (k, D) float64.

    A bit is 0 or 1, and a code of int8 is the beginning of its step.
    """
    if precision != "int8":
        bits = np.unpackbits(np.asarray(codes).astype(np.uint8), axis=-1, count=dimension)
        return bits.astype(np.float64)
    low, high = checked_ranges(ranges, dimension)
    steps = (high - low) / 255
    counted = np.asarray(codes).astype(np.float64) + 128
    begins: Array = counted * np.where(steps == 0, 1, steps) + low
    return begins
