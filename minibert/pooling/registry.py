"""Table of the modules that run after a BERT: one row each, in MODULES.

Reading a folder, its completeness, loading, saving and explaining all use these rows.

Pooling is the one module that pools, and a model has it once: prompts, windows and explanations
depend on its modes. So a new way to pool is a row of POOLINGS in `modes.py`, not a module.
"""

from __future__ import annotations

from typing import TypeAlias

from minibert.pooling.dense import Dense, load_dense, read_dense
from minibert.pooling.dropout import Dropout, load_dropout, read_dropout, written_dropout
from minibert.pooling.layer_norm import LayerNorm, load_layer_norm, read_layer_norm
from minibert.pooling.module import Module, RowSettings
from minibert.pooling.normalize import Normalize, load_normalize, read_normalize
from minibert.pooling.pooling import Pooling, read_pooling, written_pooling
from minibert.pooling.weighted_layers import (
    WeightedLayerPooling,
    load_weighted_layers,
    read_weighted_layers,
)

__all__ = ["MODULES", "ModuleSettings", "kind_of"]

ModuleSettings: TypeAlias = Pooling | RowSettings

# The last part of a type in modules.json -> the row of this kind.
MODULES: dict[str, Module] = {
    "Pooling": Module(Pooling, read_pooling, write=written_pooling),
    "Dense": Module(Dense, read_dense, load_dense, has_weights=True),
    "Normalize": Module(
        Normalize,
        read_normalize,
        load_normalize,
        config="optional",
        may_be_early=True,
        write=Normalize._asdict,
    ),
    "LayerNorm": Module(LayerNorm, read_layer_norm, load_layer_norm, has_weights=True),
    "WeightedLayerPooling": Module(
        WeightedLayerPooling, read_weighted_layers, load_weighted_layers, has_weights=True
    ),
    "Dropout": Module(
        Dropout, read_dropout, load_dropout, config="optional", write=written_dropout
    ),
}


def kind_of(settings: ModuleSettings) -> str:
    """Return the name of a module in MODULES, by its settings."""
    return next(kind for kind, row in MODULES.items() if type(settings) is row.settings)
