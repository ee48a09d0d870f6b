"""A model of the command `llm` that embeds texts here; minibert.integrations.llm registers it.

minibert is imported late: llm makes all its models for many a command that embeds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from minibert.common.advice import needing
from minibert.integrations.metric import store_metric

with needing("llm", "minibert.integrations.llm_model", at_least="0.20"):
    import click
    import llm

if TYPE_CHECKING:
    from minibert.integrations.stored_model import StoredModel

__all__ = ["MinibertModel", "in_one_line"]


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
        check_sample(
            stored.sample,
            self.sample,
            self.arguments["model_name_or_path"],
            whose=self.model_id,
            advice="Put the files back with which it was registered. Or forget it by `llm minibert "
            f"unregister {self.model_id}`, register it again, and embed its collections anew: the "
            "vectors of two models cannot be compared.",
        )
        return stored

    def embed_batch(
        self, items: Iterable[str | bytes], *, key: str | None = None
    ) -> Iterator[list[float]]:
        """Encode texts: n -> n lists of D numbers. llm itself refuses bytes."""
        with in_one_line():
            vectors = self.stored.model.encode_document(cast(list[str], list(items)))
        for vector in vectors:
            yield vector.tolist()


@contextmanager
def in_one_line() -> Iterator[None]:
    """Raise errors in the block as click's, whose message is all that a command prints.

    Outside of a command, they stay what they are.
    """
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from error
