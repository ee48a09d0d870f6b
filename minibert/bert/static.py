"""A table of word embeddings, a model without layers: a token's state is its row of the table.

sentence-transformers has it as StaticEmbedding, model2vec as a model of its own. Its files are read
in table.py.
"""

from __future__ import annotations

from minibert.bert.hook import AllReduce, Hook
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Kernels

__all__ = ["EMPTY", "hidden_states"]

# The one token of a text without any: its state is 0.
EMPTY = -1


def hidden_states(
    pack: Pack,
    parameters: Parameters,
    config: Config,
    kernels: Kernels,
    hook: Hook | None = None,
    query_rows: IntArray | None = None,
    all_reduce: AllReduce | None = None,
) -> Array:
    """Look up the N tokens of a pack: -> (N, D) float32; EMPTY gives zeros.

    The table is never split into shards, so `all_reduce` is None.
    """
    assert all_reduce is None
    hidden: Array = parameters.word_embeddings[pack.ids]
    hidden *= (pack.ids >= 0)[:, None]
    if hook:
        hook("embeddings.word_embeddings", hidden)
        hook("embeddings.output", hidden)
    if query_rows is not None:
        hidden = kernels.rows_at(hidden, query_rows)
    return kernels.floats(hidden)
