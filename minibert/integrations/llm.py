"""A plugin of the command `llm` (https://llm.datasette.io): models that embed texts here.

llm minibert register sentence-transformers/all-MiniLM-L6-v2 --alias minilm
llm embed-multi notes notes.jsonl -m minilm --store
llm similar notes -c "Who barks?"

llm finds the plugin by itself where both are installed. The list of models is the file
minibert.json, in the folder of llm's settings. Start at register_embedding_models.

Every `llm` command loads the plugin, and an error in it would end them all. So whatever may be
missing, too old or damaged is looked at late.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from minibert.common.advice import needing
from minibert.common.files import replacing
from minibert.common.json_files import read_json

with needing("llm", "minibert.integrations.llm"):
    import click
    import llm

__all__ = ["register_commands", "register_embedding_models"]

logger = logging.getLogger(__name__)

# Offered until one of that name is registered; its files come from the hub at the first use.
OFFERED = {"minibert/all-MiniLM-L6-v2": {"model": "sentence-transformers/all-MiniLM-L6-v2"}}


@llm.hookimpl
def register_embedding_models(register: Callable[..., None]) -> None:
    """Name the offered and the registered models to llm; none is opened.

    An llm that is too old, or a damaged list, is a warning, and no model is named.
    """
    try:
        from minibert.integrations.llm_model import MinibertModel  # late: see the top

        entries = {**OFFERED, **read_models()}
    except (ImportError, OSError, ValueError) as error:
        logger.warning("minibert offers no model to llm. %s", error)
        return
    for model_id, entry in entries.items():
        arguments = {**entry}
        name, aliases = arguments.pop("model"), arguments.pop("aliases", None)
        register(MinibertModel(model_id, name, **arguments), aliases=aliases)


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `llm minibert register` and `llm minibert unregister`."""
    cli.add_command(minibert)


@click.group()
def minibert() -> None:
    """Embed texts on this machine with minibert."""


@minibert.command(name="register")
@click.argument("model")
@click.option("--id", "model_id", help="Name of the model in llm; by default minibert/ and MODEL's")
@click.option("--alias", "aliases", multiple=True, help="A shorter name; may be repeated")
@click.option("--revision", help="Branch, tag or commit of the hub's repository")
@click.option("--similarity", help='"cosine" accepts it for a model with another metric')
def register_model(
    model: str, model_id: str | None, aliases: tuple[str, ...], **options: Any
) -> None:
    """Offer MODEL, a folder or a name on the hub, to the other commands of llm."""
    try:
        from minibert.integrations.llm_model import MinibertModel, in_one_line  # late: see the top
    except ImportError as error:
        raise click.ClickException(str(error)) from error

    if os.path.isdir(model):
        model = os.path.abspath(model)
    if model_id is None:
        model_id = f"minibert/{os.path.basename(model)}"
    renamed = {"revision": options["revision"], "similarity_fn_name": options["similarity"]}
    arguments = {name: value for name, value in renamed.items() if value is not None}
    with in_one_line():
        models = read_models()
        check_free("--id", [model_id], OFFERED.keys() - models.keys())
        check_free("--alias", aliases)
        opened = MinibertModel(model_id, model, **arguments).stored
    prompts = opened.model.prompts
    if prompts.get("query") != prompts.get("document"):
        click.echo("llm embeds questions, too, with the prompt for documents.", err=True)
    entry = {"model": model, "aliases": list(aliases), "sample": opened.sample, **arguments}
    write_models({**models, model_id: entry})


@minibert.command(name="unregister")
@click.argument("name")
def unregister_model(name: str) -> None:
    """Forget a registered model by its id or an alias. Files and collections of it stay."""
    try:
        models = read_models()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    named = [id for id, entry in models.items() if name in (id, *(entry.get("aliases") or []))]
    if not named:
        known = f"registered are: {', '.join(models)}" if models else "no model is"
        raise click.ClickException(f"{name} is not registered; {known}.")
    models.pop(name if name in models else named[0])
    write_models(models)


def check_free(option: str, names: Iterable[str], replaced: Iterable[str] = ()) -> None:
    """Raise ValueError for a name that is empty, or that llm has for a model already.

    A name of `replaced` may be taken over.
    """
    taken = {name: one.model_id for name, one in llm.get_embedding_model_aliases().items()}
    for name in names:
        if not name.strip():
            raise ValueError(f"{option} is empty; give a name, or leave it out.")
        if name in taken and name not in replaced:
            of_another = "" if taken[name] == name else f", as an alias of {taken[name]}"
            raise ValueError(f"{name} is there already{of_another}; give another {option}.")


def list_of_models() -> Path:
    """Path of the file with the registered models."""
    return Path(llm.user_dir()) / "minibert.json"


def read_models() -> dict[str, dict[str, Any]]:
    """Read the registered models: llm's name -> "model", "aliases" and other arguments.

    Raises CheckpointError or ValueError for a damaged list.
    """
    path = list_of_models()
    models: dict[str, dict[str, Any]] = read_json(path, dict) if path.exists() else {}
    for model_id, entry in models.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
            raise ValueError(
                f"{path}: {model_id!r} is {entry!r:.80}; expected an object with the name of its "
                '"model". Mend it, or remove the file and register the models again.'
            )
    return models


def write_models(models: dict[str, dict[str, Any]]) -> None:
    """Replace the file with the registered models."""
    with replacing(list_of_models()) as file:
        file.write(json.dumps(models, indent=2, ensure_ascii=False).encode())
