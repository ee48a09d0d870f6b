"""minibert info: a model -> its facts; or the list of models that are supported."""

from __future__ import annotations

import argparse
from typing import Any

from minibert.bert.parameters import STATIC, Config
from minibert.bert.table import NO_LIMIT
from minibert.commands.command import Command
from minibert.commands.opening import load
from minibert.commands.options import MODEL_VARIABLE, add_model_options, named_model
from minibert.commands.output import print_facts, print_json, say

__all__ = ["COMMAND"]

OF_EVERY_FAMILY = (
    *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "hidden_act", "max_position_embeddings", "type_vocab_size"),
    "layer_norm_eps",
)


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    choice = command.add_mutually_exclusive_group(required=named_model() is None)
    choice.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        default=named_model(),
        help=f"a folder, or a name on the hub (default ${MODEL_VARIABLE}, if it is set)",
    )
    choice.add_argument(
        "--supported",
        action="store_true",
        help="list the families, and the models that are known to run, instead",
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )


def info(options: argparse.Namespace) -> None:
    """minibert info: print the facts of a model, or the list of supported models."""
    if options.supported:
        print_supported(options.json)
        return
    model = load(options)
    config, checkpoint, pooling = model.config, model.checkpoint, model.pooling
    facts = {
        "model": options.model,
        "folder": str(model.folder.path),
        "dimension": model.get_sentence_embedding_dimension(),
        "max_seq_length": None if model.max_seq_length == NO_LIMIT else model.max_seq_length,
        "modules": [type(module).__name__ for module in model],
        "pooling": "+".join(pooling.pooling_mode),
        "include_prompt": pooling.include_prompt,
        "metric": model.similarity_fn_name,
        "metric_reason": model.similarity_reason,
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        **facts_of(config),
        "parameters": checkpoint.tensors.taken_numbers,
        "weights": [str(path.relative_to(model.folder.path)) for path in checkpoint.files],
        "weights_bytes": sum(path.stat().st_size for path in checkpoint.files),
        "weights_sha256": checkpoint.sha256(),
        "tensors_ignored": list(checkpoint.tensors.unused()),
    }
    print_facts(facts, options.json)


COMMAND = Command(
    info,
    add_options,
    "Print the facts of a model: sizes, pooling, metric, maximum length, sha256 of the weights.",
    (
        "minibert info sentence-transformers/all-MiniLM-L6-v2",
        "minibert info ./my-model --json",
        "minibert info --supported",
    ),
)


def facts_of(config: Config) -> dict[str, Any]:
    """Return the settings of a model; those that not all families have, only if not the default."""
    if config.model_type == STATIC:  # it has no layers
        return {key: getattr(config, key) for key in ("model_type", "vocab_size", "hidden_size")}
    own = config._asdict()
    found = {
        field: value
        for field, value in own.items()
        if field in OF_EVERY_FAMILY or value != Config._field_defaults[field]
    }
    return {
        field: sorted(value) if isinstance(value, frozenset) else value
        for field, value in found.items()
    }


def print_supported(as_json: bool) -> None:
    """Print the families and models: one object, or two tables."""
    from minibert.checkpoint.supported import supported

    found = supported()
    if as_json:
        print_json(found)
        return
    say(f"families: {', '.join(found['families'])}")
    say()
    say(f"{'model':62}{'family':13}{'D':>5}{'tokens':>8}  {'metric':8}runs")
    for model in found["models"]:
        size, tokens = (str(model[key] or "") for key in ("dimensions", "max_seq_length"))
        runs = ("yes" if model["runs"] else "no") + (f": {model['remark']}" * bool(model["remark"]))
        metric = model["metric"] or ""
        say(f"{model['model']:62}{model['model_type']:13}{size:>5}{tokens:>8}  {metric:8}{runs}")
