"""A plugin of the command `llm` (https://llm.datasette.io): models that embed texts here.

llm minibert register sentence-transformers/all-MiniLM-L6-v2 --alias minilm
llm embed-multi notes notes.jsonl -m minilm --store
llm similar notes -c "Who barks?"

llm finds the plugin by itself where both are installed. The list of models is the file
minibert.json, in the folder of llm's settings. Start at register_embedding_models.

minibert is imported late: every `llm` command loads the plugin.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from minibert.common.advice import needing
from minibert.common.files import replacing
from minibert.common.json_files import read_json
from minibert.integrations.metric import store_metric

with needing("llm", "minibert.integrations.llm", at_least="0.20"):
    import click
    import llm

if TYPE_CHECKING:
    from minibert.integrations.stored_model import StoredModel

__all__ = ["MinibertModel"]


# Offered until one of that name is registered; its files come from the hub at the first use.
OFFERED = {"minibert/all-MiniLM-L6-v2": {"model": "sentence-transformers/all-MiniLM-L6-v2"}}


class MinibertModel(llm.EmbeddingModel):
    """A model of llm. It is opened when it embeds the first text.

    llm embeds questions as it embeds documents, so the prompt for documents is taken for all.
    """

    batch_size = 256  # texts of a call of embed_batch
    model_id: str  # its name in llm
    sample: list[float] | None  # that of its vectors when it was registered
    arguments: dict[str, Any]  # SentenceTransformer's own

    def __init__(
        self,
        model_id: str,
        model_name_or_path: str,
        *,
        sample: list[float] | None = None,
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Name a folder or a model of the hub, and give it llm's name `model_id`.

        `sample` is that of its vectors when it was registered; None checks nothing.
        """
        self.model_id, self.sample = model_id, sample
        self.arguments = {"model_name_or_path": model_name_or_path, **arguments}

    @cached_property
    def stored(self) -> StoredModel:
        """Model, opened, and a sample of its vectors.

        Raises the errors of SentenceTransformer(), ValueError for a metric that is not the cosine,
        by which llm compares, and CorpusError for other vectors than when it was registered.
        """
        from minibert.integrations.stored_model import check_sample, open_model  # late: see the top

        stored = open_model(self.arguments)
        store_metric(stored.model, {"cosine": "cosine"}, "llm")
        check_sample(stored, self.sample, self.arguments["model_name_or_path"])
        return stored

    def embed_batch(
        self, items: Iterable[str | bytes], *, key: str | None = None
    ) -> Iterator[list[float]]:
        """Encode texts: n -> n lists of D numbers. llm itself refuses bytes."""
        for vector in self.stored.model.encode_document(cast(list[str], list(items))):
            yield vector.tolist()


@llm.hookimpl
def register_embedding_models(register: Callable[..., None]) -> None:
    """Name the offered and the registered models to llm; none is opened."""
    for model_id, entry in {**OFFERED, **read_models()}.items():
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
    if os.path.isdir(model):
        model = os.path.abspath(model)
    model_id = model_id or f"minibert/{os.path.basename(model)}"
    models = read_models()
    if model_id in models:
        raise click.ClickException(f"{model_id} is there already; give another --id.")
    renamed = {"revision": options["revision"], "similarity_fn_name": options["similarity"]}
    arguments = {name: value for name, value in renamed.items() if value is not None}
    try:
        opened = MinibertModel(model_id, model, **arguments).stored
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    prompts = opened.model.prompts
    if prompts.get("query") != prompts.get("document"):
        click.echo("llm embeds questions, too, with the prompt for documents.", err=True)
    entry = {"model": model, "aliases": list(aliases), "sample": opened.sample, **arguments}
    write_models({**models, model_id: entry})


@minibert.command(name="unregister")
@click.argument("model_id")
def unregister_model(model_id: str) -> None:
    """Forget a registered model. Its files, and collections made with it, stay."""
    models = read_models()
    if models.pop(model_id, None) is None:
        known = ", ".join(models) or "no model"
        raise click.ClickException(f"{model_id} is not registered; {known} is.")
    write_models(models)


def list_of_models() -> Path:
    """Path of the file with the registered models."""
    return Path(llm.user_dir()) / "minibert.json"


def read_models() -> dict[str, dict[str, Any]]:
    """Read the registered models: llm's name -> "model", "aliases" and other arguments."""
    path = list_of_models()
    models: dict[str, dict[str, Any]] = read_json(path, dict) if path.exists() else {}
    return models


def write_models(models: dict[str, dict[str, Any]]) -> None:
    """Replace the file with the registered models."""
    with replacing(list_of_models()) as file:
        file.write(json.dumps(models, indent=2, ensure_ascii=False).encode())
