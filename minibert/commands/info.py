"""minibert info: what a model is."""

from __future__ import annotations

import argparse
from typing import Any

from minibert.commands.options import add_command, load
from minibert.commands.output import print_json

__all__ = ["add", "print_facts"]


def add(commands: Any) -> None:
    command = add_command(
        commands,
        info,
        "Tell what a model is: sizes, pooling, metric, maximum length, the weights' sha256.",
        "minibert info sentence-transformers/all-MiniLM-L6-v2",
        "minibert info ./my-model --json",
    )
    command.add_argument("model", metavar="MODEL", help="a folder, or a name on the hub")
    command.add_argument("--json", action="store_true", help="one object instead of a table")


def info(options: argparse.Namespace) -> None:
    """minibert info: what a model is."""
    model = load(options)
    config, checkpoint, pooling = model.config, model.checkpoint, model.pooling
    facts = {
        "model": options.model,
        "folder": str(model.folder.path),
        "dimension": model.get_sentence_embedding_dimension(),
        "max_seq_length": model.max_seq_length,
        "modules": [type(module).__name__ for module in model],
        "pooling": "+".join(pooling.pooling_mode),
        "include_prompt": pooling.include_prompt,
        "metric": model.similarity_fn_name,
        "metric_reason": model.similarity_reason,
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        **config._asdict(),
        "parameters": checkpoint.tensors.taken_numbers,
        "weights": [str(path.relative_to(model.folder.path)) for path in checkpoint.files],
        "weights_bytes": sum(path.stat().st_size for path in checkpoint.files),
        "weights_sha256": checkpoint.sha256(),
        "tensors_ignored": list(checkpoint.tensors.unused()),
    }
    print_facts(facts, options.json)


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Names and values: one object, or a table."""
    if as_json:
        print_json(facts)
        return
    for name, fact in facts.items():
        shown = ", ".join(map(str, fact)) or "none" if isinstance(fact, list) else fact
        print(f"{name:24}{shown}")
