"""Texts and a model -> the pairs that mean the same, found by `scoring/mining.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from minibert.scoring.mining import paraphrase_mining_embeddings
from minibert.scoring.similarity import ScoreFunction, cos_sim

__all__ = ["paraphrase_mining"]


class Encodes(Protocol):
    """Methods of a model that paraphrase_mining uses."""

    # No signature: the overloads of SentenceTransformer.encode would not match a shorter one.
    @property
    def encode(self) -> Callable[..., Any]: ...


def paraphrase_mining(
    model: Encodes,
    sentences: Sequence[str],
    show_progress_bar: bool = False,
    batch_size: int = 32,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100_000,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: ScoreFunction | str = cos_sim,
    truncate_dim: int | None = None,
    prompt_name: str | None = None,
    prompt: str | None = None,
) -> list[list[float | int]]:
    """Find the pairs of texts that mean the same: -> [score, i, j] with i < j, best first.

    paraphrase_mining_embeddings scores the texts' vectors, and describes the other arguments.

    Raises TypeError for one text.
    """
    if isinstance(sentences, str):
        raise TypeError(f"sentences is one text ({sentences!r:.40}); expected a list of them.")
    vectors = model.encode(
        sentences,
        show_progress_bar=show_progress_bar,
        batch_size=batch_size,
        truncate_dim=truncate_dim,
        prompt_name=prompt_name,
        prompt=prompt,
    )
    return paraphrase_mining_embeddings(
        vectors, query_chunk_size, corpus_chunk_size, max_pairs, top_k, score_function
    )
