"""Tensors of a checkpoint: names and shapes, and how they become fields of Parameters.

The tables are data. read_parameters uses them for a file -> Parameters; on the way back
stored_values makes the file's tensors, and stored_gradients their gradients. A row's names are in
BERT's or ModernBERT's terms; families.py has the names of other families. No config.json is read
here. Start at the tables, which begin with BERT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from minibert.bert.parameters import AnyLayer, Config, Layer, Parameters, RotaryLayer
from minibert.bert.tensor_uses import (
    AS_STORED,
    BY_DISTANCE,
    DISTANCES,
    OVER_POSITIONS,
    SCALED,
    SIDE_BY_SIDE,
    SUMMED,
    TOKEN_TYPES,
    TRANSPOSED,
    Shapes,
    Use,
)
from minibert.common.arrays import Array
from minibert.common.safetensors_files import NamedTensors
from minibert.errors import CheckpointError
from minibert.kernels import cpu
from minibert.kernels.protocol import Kernels

__all__ = [
    "ALBERT",
    "BERT",
    "MODERNBERT",
    "NOMIC_BERT",
    "NO_TOKEN_TYPES",
    "PROJECTED",
    "WITH_DISTANCES",
    "Layout",
    "Row",
    "numbered_layers",
    "read_bias",
    "read_norm",
    "read_parameters",
    "stored_gradients",
    "stored_values",
]


class Row(NamedTuple):
    """A field of the parameters, and the tensors that become it."""

    field: str  # of Parameters, or of a layer
    # Name -> shape, in the letters of parameters.py, "types" and "buckets". In a table of layers,
    # the layer's name goes before the names.
    tensors: dict[str, str]
    use: Use  # how the tensors become the field
    # The row counts if the file has this tensor; "" is always. The first row of a field that counts
    # is used, and a field without one is None.
    when: str = ""
    zeros: bool = False  # a missing tensor stands for zeros; otherwise it is an error
    # True where the file's bytes may leave memory: they were copied, or few of them are needed.
    let_go: bool = False


def dense(
    field: str, name: str, shape: str, *, when: str = "", zeros: bool = False
) -> tuple[Row, Row]:
    """Rows of a weight and its bias; `zeros` is for the bias."""
    out = shape.split()[0]
    return (
        Row(f"{field}_weight", {f"{name}.weight": shape}, TRANSPOSED, when),
        Row(f"{field}_bias", {f"{name}.bias": out}, AS_STORED, when, zeros),
    )


def merged(
    field: str, names: tuple[str, ...], shape: str, use: Use, *, when: str = "", zeros: bool = False
) -> tuple[Row, Row]:
    """Rows of several weights in one, and of their biases; `zeros` is for the biases."""
    weights = {f"{name}.weight": shape for name in names}
    biases = {f"{name}.bias": shape.split()[0] for name in names}
    return (
        Row(f"{field}_weight", weights, use, when, let_go=True),
        Row(f"{field}_bias", biases, use, when, zeros),
    )


def norm(
    field: str, name: str, size: str, *, when: str = "", zeros: bool = False
) -> tuple[Row, Row]:
    """Rows of a layer norm's gain and bias; `zeros` is for the bias."""
    return (
        Row(f"{field}_weight", {f"{name}.weight": size}, AS_STORED, when),
        Row(f"{field}_bias", {f"{name}.bias": size}, AS_STORED, when, zeros),
    )


@dataclass(frozen=True)
class Layout:
    """All tensors that a family's checkpoint may have, and their fields.

    The rows are read in their order. A tensor that no row names is listed as ignored.
    """

    model: tuple[Row, ...]  # fields of Parameters
    layer: tuple[Row, ...]  # fields of each layer
    layer_class: type[Layer] | type[RotaryLayer]  # holds the fields of a layer
    layer_names: Callable[[Config], list[str]]  # prefix of each layer's names, in order
    # Fields of Parameters that no vector needs, so they may be missing or broken.
    pooler: tuple[Row, ...] = ()

    @property
    def has_token_types(self) -> bool:
        """Return whether token types have vectors."""
        return any(TOKEN_TYPES in row.tensors for row in self.model)


def numbered_layers(config: Config) -> list[str]:
    """Return the prefix of each layer's tensors, in BERT's terms."""
    return [f"encoder.layer.{number}" for number in range(config.num_hidden_layers)]


def albert_layers(config: Config) -> list[str]:
    """Return the prefix of each layer's tensors in ALBERT, which uses its few layers again.

    Each layer of the model runs all inner layers of a group.

    Lan et al., "ALBERT" (2020), section 3.1; the group of a layer is transformers' formula.
    """
    layers_of_a_group = config.num_hidden_layers / config.num_hidden_groups
    return [
        f"encoder.albert_layer_groups.{int(number / layers_of_a_group)}.albert_layers.{part}"
        for number in range(config.num_hidden_layers)
        for part in range(config.inner_group_num)
    ]


def rotary_layers(config: Config) -> list[str]:
    """Return the prefix of each layer's tensors, in ModernBERT's terms."""
    return [f"layers.{number}" for number in range(config.num_hidden_layers)]


POSITIONS = "embeddings.position_embeddings.weight"
# A text needs only a few rows of the word embeddings.
WORD_EMBEDDINGS = Row(
    "word_embeddings", {"embeddings.word_embeddings.weight": "V E"}, AS_STORED, let_go=True
)
NORM = norm("norm", "embeddings.LayerNorm", "E")
ATTENTION = ("attention.self.query", "attention.self.key", "attention.self.value")

BERT = Layout(
    model=(
        Row("types_and_positions", {POSITIONS: "P E", TOKEN_TYPES: "types E"}, SUMMED),
        WORD_EMBEDDINGS,
        *NORM,
    ),
    layer=(
        *merged("qkv", ATTENTION, "D D", SCALED),
        *dense("attention_output", "attention.output.dense", "D D"),
        *norm("attention_norm", "attention.output.LayerNorm", "D"),
        *dense("intermediate", "intermediate.dense", "F D"),
        *dense("output", "output.dense", "D F"),
        *norm("output_norm", "output.LayerNorm", "D"),
    ),
    layer_class=Layer,
    layer_names=numbered_layers,
    pooler=dense("pooler", "pooler.dense", "D D"),
)
# DistilBERT.
NO_TOKEN_TYPES = replace(
    BERT, model=(Row("types_and_positions", {POSITIONS: "P E"}, SUMMED), WORD_EMBEDDINGS, *NORM)
)
# MPNet, whose attention adds a bias by distance.
WITH_DISTANCES = replace(
    NO_TOKEN_TYPES,
    model=(
        *NO_TOKEN_TYPES.model,
        Row("attention_bias", {DISTANCES: "buckets H"}, BY_DISTANCE),
    ),
)
# ELECTRA, whose embeddings may be narrower than its layers.
PROJECTION = "embeddings_project"
PROJECTED = replace(
    BERT,
    model=(*BERT.model, *dense("projection", PROJECTION, "D E", when=f"{PROJECTION}.weight")),
)
ALBERT = replace(PROJECTED, layer_names=albert_layers)

ROTARY_WORD_EMBEDDINGS = Row(
    "word_embeddings", {"embeddings.tok_embeddings.weight": "V D"}, AS_STORED
)
ROTARY_NORMS = (
    *norm("norm", "embeddings.norm", "D", zeros=True),
    *norm("final_norm", "final_norm", "D", when="final_norm.weight", zeros=True),
)
ROTARY_ATTENTION = ("attn.query", "attn.key", "attn.value")

MODERNBERT = Layout(
    # The word embeddings first: the shape of a stored tensor bounds the arrays that are made here.
    model=(ROTARY_WORD_EMBEDDINGS, Row("types_and_positions", {}, OVER_POSITIONS), *ROTARY_NORMS),
    layer=(
        *merged("qkv", ("attn.Wqkv",), "3D D", SCALED, when="attn.Wqkv.weight", zeros=True),
        *merged("qkv", ROTARY_ATTENTION, "D D", SCALED, zeros=True),
        *dense("attention_output", "attn.Wo", "D D", zeros=True),
        *norm("attention_norm", "attn_norm", "D", when="attn_norm.weight", zeros=True),
        *dense("intermediate", "mlp.Wi", "2F D", when="mlp.Wi.weight", zeros=True),
        # The two halves of a gated feed-forward, the activated one first.
        *merged("intermediate", ("mlp.gate", "mlp.up"), "F D", SIDE_BY_SIDE, zeros=True),
        *dense("output", "mlp.Wo", "D F", zeros=True),
        *norm("output_norm", "mlp_norm", "D", zeros=True),
    ),
    layer_class=RotaryLayer,
    layer_names=rotary_layers,
)
NOMIC_BERT = replace(
    MODERNBERT,
    model=(
        ROTARY_WORD_EMBEDDINGS,
        Row("types_and_positions", {TOKEN_TYPES: "types D"}, OVER_POSITIONS),
        *ROTARY_NORMS,
    ),
)


def read_parameters(
    layout: Layout, tensors: NamedTensors, config: Config, kernels: Kernels = cpu
) -> Parameters:
    """Read all tensors of a checkpoint that the layout names.

    Fields are views of the tensors that `take` returns, but for those that a use computes anew,
    with the `kernels` of the tensors' device.

    Raises CheckpointError for a tensor that is missing, misshapen, or holds NaN or infinity.
    """
    model = read_rows(layout.model, "", tensors, config, kernels)
    names = layout.layer_names(config)
    # A layer that is used again is read once.
    layers = {
        name: layout.layer_class(**read_rows(layout.layer, f"{name}.", tensors, config, kernels))
        for name in dict.fromkeys(names)
    }
    pooler = read_pooler(layout, tensors, config, kernels)
    return Parameters(layers=tuple(layers[name] for name in names), **model, **pooler)


def read_rows(
    rows: tuple[Row, ...], prefix: str, tensors: NamedTensors, config: Config, kernels: Kernels
) -> dict[str, Any]:
    """Read the fields of a table from the tensors whose names begin with `prefix`."""
    return {
        field: None if row is None else read_row(row, prefix, tensors, config, kernels)
        for field, row in rows_in_use(rows, prefix, tensors).items()
    }


def read_row(
    row: Row, prefix: str, tensors: NamedTensors, config: Config, kernels: Kernels
) -> Array:
    """Read one field from the tensors of its row."""
    names = [prefix + name for name in row.tensors]
    stored = [
        take_or_zeros(tensors, name, *shape) if row.zeros else tensors.take(name, *shape)
        for name, shape in zip(names, shapes_of(row, config), strict=True)
    ]
    # Zeros that a use makes by itself are float32.
    field: Array = row.use.field(stored, config, kernels).astype(tensors.dtype, copy=False)
    if row.let_go:
        for name in names:
            tensors.let_go(name)
    return field


def read_pooler(
    layout: Layout, tensors: NamedTensors, config: Config, kernels: Kernels
) -> dict[str, Any]:
    """Read the pooler's fields, or the reason why there is none: it may be missing or broken."""
    if not any(name in tensors for row in layout.pooler for name in row.tensors):
        return {}
    try:
        return read_rows(layout.pooler, "", tensors, config, kernels)
    except CheckpointError as error:
        return {"no_pooler": str(error)}


def stored_values(
    layout: Layout,
    parameters: Parameters,
    tensors: NamedTensors,
    config: Config,
    given: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Map parameters back to the tensors of the file that they were read from, under its names.

    Every tensor has the bits of the file, with two exceptions. The queries' weights are divided by
    the scale: see SideBySide. Positions are the sum minus the given token types, to rounding.
    `given` has the tensors that the parameters do not determine, by name in the layout: TOKEN_TYPES
    and DISTANCES. Arrays may be views of the parameters'.

    Raises ValueError if the layout has one of these two and it is not given.
    """
    given = given or {}
    found: dict[str, Array] = {}
    # A layer that is used again is in the file once.
    layers = dict(zip(layout.layer_names(config), parameters.layers, strict=True)).items()
    for row, prefix, field in fields_of(layout, parameters, layers, tensors):
        names = [prefix + name for name in row.tensors]
        of_row = [given.get(name) for name in names]
        values = row.use.values(field, shapes_of(row, config), config, of_row)
        for name, value in zip(names, values, strict=True):
            if name in tensors:  # and is no zeros
                found[tensors.stored_name(name)] = value
    return found


def stored_gradients(
    layout: Layout,
    gradients: Parameters,
    tensors: NamedTensors,
    config: Config,
    kernels: Kernels = cpu,
) -> dict[str, Array]:
    """Turn gradients by the parameters into gradients by the file's tensors, under its names.

    `gradients.layers` has an entry for each computed layer. The entries of a layer that is used
    again are added up; one entry that is there several times is their sum, and counts once. A field
    that is None has no gradient. Arrays may be views of `gradients`.
    """
    found: dict[str, Array] = {}
    entries = zip(layout.layer_names(config), gradients.layers, strict=True)
    layers = {(name, id(layer)): (name, layer) for name, layer in entries}.values()
    for row, prefix, field in fields_of(layout, gradients, layers, tensors):
        parts = row.use.gradients(field, shapes_of(row, config), config, kernels)
        for short, part in zip(row.tensors, parts, strict=True):
            if prefix + short in tensors:  # and is no zeros
                name = tensors.stored_name(prefix + short)
                found[name] = found[name] + part if name in found else part
    return found


def fields_of(
    layout: Layout,
    parameters: Parameters,
    layers: Iterable[tuple[str, AnyLayer]],
    tensors: NamedTensors,
) -> Iterator[tuple[Row, str, Array]]:
    """Walk the fields that are not None: the row of each, the prefix of its names, the field."""
    tables: list[tuple[tuple[Row, ...], str, Parameters | AnyLayer]] = [
        (layout.model + layout.pooler, "", parameters),
        *((layout.layer, f"{name}.", layer) for name, layer in layers),
    ]
    for rows, prefix, holder in tables:
        for name, row in rows_in_use(rows, prefix, tensors).items():
            field = getattr(holder, name)
            if row is not None and field is not None:
                yield row, prefix, field


def rows_in_use(rows: tuple[Row, ...], prefix: str, tensors: NamedTensors) -> dict[str, Row | None]:
    """Choose each field's row by the file's tensors; None for an optional field without one."""
    in_use: dict[str, Row | None] = dict.fromkeys(row.field for row in rows)
    for row in rows:
        if in_use[row.field] is None and (not row.when or prefix + row.when in tensors):
            in_use[row.field] = row
    return in_use


def shapes_of(row: Row, config: Config) -> Shapes:
    """Return the shapes of a row's tensors in numbers: "3D D" with D = 20 -> (60, 20)."""
    sizes = {
        "D": config.hidden_size,
        "F": config.intermediate_size,
        "H": config.num_attention_heads,
        "V": config.vocab_size,
        "P": config.max_position_embeddings,
        "E": config.embedding_size or config.hidden_size,
        "types": config.type_vocab_size,
        "buckets": config.relative_attention_num_buckets,
        "2F": 2 * config.intermediate_size,
        "3D": 3 * config.hidden_size,
    }
    return [tuple(sizes[axis] for axis in shape.split()) for shape in row.tensors.values()]


def take_or_zeros(tensors: NamedTensors, name: str, *shape: int) -> Array:
    """Read a tensor, or return zeros where the file has none."""
    return tensors.take(name, *shape) if name in tensors else np.zeros(shape, dtype=tensors.dtype)


def read_bias(tensors: NamedTensors, name: str, dimension: int) -> Array:
    """Read a bias, or return zeros where the model has none."""
    return take_or_zeros(tensors, f"{name}.bias", dimension)


def read_norm(tensors: NamedTensors, name: str, dimension: int) -> tuple[Array, Array]:
    """Read a layer norm's gain and its bias, or zeros for the bias: (D,), (D,)."""
    return tensors.take(f"{name}.weight", dimension), read_bias(tensors, name, dimension)
