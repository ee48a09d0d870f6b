"""Transformer and settings of a SentenceTransformer: from a folder, or from a program's modules.

Start at find_parts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from minibert.checkpoint.folder import Folder, read_folder
from minibert.checkpoint.hub import find_model, hub_name
from minibert.checkpoint.repository import HubOptions
from minibert.checkpoint.transformer_settings import STATIC_TASK, TransformerSettings
from minibert.common.arguments import type_of
from minibert.models.foreign_arguments import Meaning
from minibert.models.transformer import Transformer
from minibert.pooling.registry import MODULES, ModuleSettings, kind_of

__all__ = ["Parts", "checked_modules", "find_parts"]


class Parts(NamedTuple):
    """A Transformer on its device, and the modules after it."""

    transformer: Transformer
    folder: Folder
    name: str | None  # on the hub, as far as it is known


def find_parts(
    model_name_or_path: str | os.PathLike[str],
    modules: Sequence[Transformer | ModuleSettings] | None,
    hub: HubOptions,
    device: str | None,
    *,
    threads: int | None,
    reproducible: bool,
    short_inputs: bool,
    dtype: object,
    meant: Meaning,
) -> Parts:
    """Load a model's folder, or take its modules if there are any.

    See SentenceTransformer for the arguments and the errors; `meant` is read of those for torch.
    """
    dtype = meant.dtype if dtype is None else dtype
    if modules is not None:
        transformer, folder = parts_of_modules(modules)
        transformer.place(
            device, dtype, threads=threads, reproducible=reproducible, short_inputs=short_inputs
        )
        limit(transformer, meant)
        return Parts(transformer, folder, None)
    path = find_model(model_name_or_path, hub)
    folder = read_folder(path)
    transformer = class_of(folder.transformer)(
        folder.transformer,
        device=device,
        threads=threads,
        reproducible=reproducible,
        short_inputs=short_inputs,
        dtype=dtype,
    )
    limit(transformer, meant)
    name = hub_name(model_name_or_path, path) or transformer.checkpoint.name_or_path
    return Parts(transformer, folder, name)


def limit(transformer: Transformer, meant: Meaning) -> None:
    """Set the maximum length that an argument for torch has, if it has one."""
    if meant.max_seq_length is not None:
        transformer.max_seq_length = meant.max_seq_length


def class_of(settings: TransformerSettings) -> type[Transformer]:
    """Return the class of a model's first module."""
    if settings.task != STATIC_TASK:
        return Transformer
    from minibert.models.static_embedding import StaticEmbedding  # late: few models have one

    return StaticEmbedding


def parts_of_modules(
    modules: Sequence[Transformer | ModuleSettings],
) -> tuple[Transformer, Folder]:
    """Check modules that a program made: -> the first, and settings as of a plain BERT's folder.

    Raises TypeError for what is no module, ValueError for a module with weights of its own.
    """
    if isinstance(modules, str) or not isinstance(modules, Sequence) or not modules:
        raise TypeError(f"modules is {modules!r:.80}; expected a list, as [Transformer, Pooling].")
    transformer = modules[0]
    if not isinstance(transformer, Transformer):
        raise TypeError(
            f"modules[0] is {type_of(transformer)}; expected a Transformer of minibert.models."
        )
    others = checked_modules(modules[1:])
    settings = transformer.settings
    return transformer, Folder(settings.path, settings, others, has_modules=False)


def checked_modules(
    modules: Sequence[object], own: Sequence[ModuleSettings] = ()
) -> tuple[ModuleSettings, ...]:
    """Check the modules after a Transformer, and return them. `own` are those that a model has.

    Raises TypeError for what is no module, ValueError for a new one with weights of its own.
    """
    rows = {row.settings: row for row in MODULES.values()}
    fitting = ", ".join(kind for kind, row in MODULES.items() if row.write is not None)
    checked: list[ModuleSettings] = []
    for number, module in enumerate(modules, start=1):
        if type(module) not in rows:
            raise TypeError(
                f"modules[{number}] is {type_of(module)}; expected one of minibert.models: "
                f"{fitting}."
            )
        settings: Any = module
        if rows[type(module)].write is None and module not in own:
            raise ValueError(
                f"modules[{number}] is a {kind_of(settings)}, whose weights are in a folder. "
                f"Expected {fitting} after the Transformer; else open the folder of a whole model."
            )
        checked.append(settings)
    return tuple(checked)
