"""Fields of Config that a family's config.json gives in a way of its own: a reader each.

families.py says whose they are; what all families share is read in load.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minibert.bert.parameters import Config
from minibert.common.arguments import is_count
from minibert.common.json_files import setting
from minibert.errors import CheckpointError

__all__ = ["modernbert_fields", "modernbert_local_layers", "nomic_fields"]

# Kinds of ModernBERT's layers -> the field of Config with the base of their angles.
KINDS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}


def modernbert_fields(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The bases of the angles and the reach of local layers, in the keys of both releases."""
    check_head_dim(path, settings)
    by_kind = setting(path, settings, "rope_parameters", dict, {})
    if by_kind.keys() - KINDS:
        raise CheckpointError(
            f"{path}: rope_parameters has {', '.join(by_kind)}; expected {', '.join(KINDS)}."
        )
    bases = {
        name: rotary_base(path, settings, setting(path, by_kind, kind, dict, {}), name)
        for kind, name in KINDS.items()
    }
    found: dict[str, Any] = {name: base for name, base in bases.items() if base is not None}
    if settings.get("sliding_window") is not None:  # on each side, and so half of the other key
        found["local_attention"] = 2 * setting(path, settings, "sliding_window", int)
    return found


def modernbert_local_layers(path: Path, settings: dict[str, Any], config: Config) -> frozenset[int]:
    """The numbers of the layers that see near tokens alone: a list of kinds, or every so many."""
    layers = config.num_hidden_layers
    every = settings.get("global_attn_every_n_layers", 3)
    kinds = setting(path, settings, "layer_types", list)
    if kinds is None and is_count(every):
        kinds = ["sliding_attention" if number % every else "full_attention"
                 for number in range(layers)]  # fmt: skip
    if kinds is None or len(kinds) != layers or not set(map(str, kinds)) <= KINDS.keys():
        raise CheckpointError(
            f"{path}: layer_types is {kinds!r:.80}, num_hidden_layers {layers!r} and "
            f"global_attn_every_n_layers {every!r}; expected for each layer {' or '.join(KINDS)}."
        )
    local = (number for number, kind in enumerate(kinds) if kind == "sliding_attention")
    return frozenset(local)


def nomic_fields(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The sizes under the keys of the published models, which are GPT-2's.

    A key of transformers' own beats one of these, as it does in transformers.
    """
    check_head_dim(path, settings)
    published = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "layer_norm_eps": "layer_norm_epsilon",
        "global_rope_theta": "rotary_emb_base",
    }
    found = {
        name: settings[key]
        for name, key in published.items()
        if settings.get(key) and settings.get(name) is None
    }
    gates = {"swiglu": "silu", "geglu": "gelu"}
    if settings.get("activation_function") in gates and settings.get("hidden_act") is None:
        found["hidden_act"] = gates[settings["activation_function"]]
    base = rotary_base(path, settings, setting(path, settings, "rope_parameters", dict, {}))
    return found | ({} if base is None else {"global_rope_theta": base})


def check_head_dim(path: Path, settings: dict[str, Any]) -> None:
    """Raise CheckpointError for heads that are wider or narrower than their part of a state."""
    hidden_size, heads = settings.get("hidden_size", 768), settings.get("num_attention_heads", 12)
    head = settings.get("head_dim")
    if head is None or not (is_count(hidden_size) and is_count(heads)):  # they are checked later
        return
    if not is_count(head) or head * heads != hidden_size:
        raise CheckpointError(
            f"{path}: head_dim is {head!r} and num_attention_heads {heads}; their product must be "
            f"hidden_size, which is {hidden_size}."
        )


def rotary_base(
    path: Path, settings: dict[str, Any], rope: dict[str, Any], older: str = "rope_theta"
) -> Any:
    """The base of the angles, or None; `older` is the key that it had beside the others."""
    rope = rope | setting(path, settings, "rope_scaling", dict, {})
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise CheckpointError(
            f"{path}: rope_type is {kind!r}, which stretches the positions; "
            "minibert computes 'default'."
        )
    return rope.get("rope_theta", settings.get(older))
