"""A folder -> a table of word embeddings, as sentence-transformers and model2vec write it.

Start at load_table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minibert.bert.load import Checkpoint
from minibert.bert.parameters import STATIC, Config, Parameters
from minibert.common.arrays import Array
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.errors import CheckpointError

__all__ = ["NO_LIMIT", "load_table"]

# Largest number of tokens of a text: there are no positions.
NO_LIMIT = (1 << 31) - 1


def load_table(folder: Path) -> Checkpoint:
    """Read the table of a folder; that of sentence-transformers is mapped, not copied.

    Raises CheckpointError for a missing or damaged file, and for tensors that are no such table.
    """
    files = weight_files(folder)
    tensors = Tensors(files)
    name = "embedding.weight"
    whole = name in tensors
    table = tensors.take(name, *matrix_of(tensors, name)) if whole else folded(tensors)
    vocabulary, dimension = table.shape
    config = Config(
        vocab_size=vocabulary,
        hidden_size=dimension,
        num_hidden_layers=0,
        num_attention_heads=1,
        intermediate_size=1,
        hidden_act="linear",
        max_position_embeddings=NO_LIMIT,
        type_vocab_size=1,
        model_type=STATIC,
    )
    nothing = np.zeros(0, np.float32)
    parameters = Parameters(
        word_embeddings=table,
        types_and_positions=nothing.reshape(1, 1, 0),
        norm_weight=nothing,
        norm_bias=nothing,
        layers=(),
    )
    return Checkpoint(config, {}, parameters, tensors, files)


def folded(tensors: Tensors) -> Array:
    """Fold the tensors of model2vec into a table: -> (V, D).

    A token's row is embeddings[mapping[token]] * weights[token]; the last two may be missing.
    """
    name, weights, mapping = "embeddings", "weights", "mapping"
    rows, dimension = matrix_of(tensors, name)
    # torch does not average whole numbers, so without weights they are refused, as others are.
    is_scaled = weights in tensors and tensors.dtype_of(name) == "I8"
    table: Array
    if is_scaled:
        table = tensors.take_integers(name, rows, dimension).astype(np.float32)
    else:
        table = tensors.take(name, rows, dimension)
    if mapping in tensors:
        (tokens,) = shape_of(tensors, mapping, 1)
        of_tokens = tensors.take_integers(mapping, tokens)
        if tokens and not 0 <= of_tokens.min() <= of_tokens.max() < rows:
            raise CheckpointError(
                f"{tensors.where}: mapping goes from {of_tokens.min()} to {of_tokens.max()}; there "
                f"are {rows} rows of embeddings."
            )
        table = table[of_tokens]
    if weights in tensors:
        table = table * tensors.take(weights, len(table))[:, None]
    return table


def matrix_of(tensors: Tensors, name: str) -> tuple[int, int]:
    """Return the shape of a table. CheckpointError for a missing one, and any other shape."""
    rows, dimension = shape_of(tensors, name, 2)
    return rows, dimension


def shape_of(tensors: Tensors, name: str, axes: int) -> tuple[int, ...]:
    """Return the shape of a tensor. CheckpointError for a missing one, and other than `axes`."""
    shape = tensors.shape_of(name)
    if len(shape) != axes or 0 in shape:
        raise CheckpointError(
            f"{tensors.where}: {name} has the shape {shape}; expected {axes} sizes from 1 up."
        )
    return shape
