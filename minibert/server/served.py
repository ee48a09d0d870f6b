"""Models that are served: their names and aliases, and which of them a request means.

Start at ServedModels.find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from minibert.common.arrays import Array
from minibert.models.score_activations import as_activation
from minibert.pooling import normalize
from minibert.server.refusals import RequestError

if TYPE_CHECKING:
    from minibert.models.cross_encoder import CrossEncoder
    from minibert.models.sentence_transformer import SentenceTransformer
    from minibert.server.settings import Normalize, Settings

__all__ = ["KINDS", "Found", "ModelKind", "Served", "ServedModels", "Task", "load_models"]

ModelKind: TypeAlias = Literal[
    "embedding", "reranker", "classifier", "sparse"
]  # no model is sparse yet
Task: TypeAlias = Literal["query", "document"]

KINDS: tuple[ModelKind, ...] = get_args(ModelKind)
TASKS: tuple[Task, ...] = ("query", "document")

# What a server without a model of a kind is to be started with.
MISSING: dict[ModelKind, str] = {
    "embedding": "a model for embeddings",
    "reranker": "a cross-encoder with one label",
    "classifier": "a cross-encoder with several labels",
}


@dataclass(frozen=True, eq=False)
class Served:
    """A model with its name. `encoder` or `cross_encoder` is there, by its kind."""

    name: str
    kind: ModelKind
    created: int  # seconds since 1970 of its weights' file
    encoder: SentenceTransformer | None = None
    cross_encoder: CrossEncoder | None = None

    @property
    def model(self) -> SentenceTransformer | CrossEncoder:
        """The model, of either kind."""
        found = self.encoder or self.cross_encoder
        assert found is not None
        return found

    @cached_property
    def weights_sha256(self) -> str:
        """Digest of the weights' bytes; the first access reads them all."""
        return self.model.checkpoint.sha256()

    def normalizes(self, asked: bool | None, rule: Normalize) -> bool:
        """Return whether vectors get the length 1: as asked, else by the server's rule.

        By "auto", those of a model whose metric is the cosine do.
        """
        if asked is not None:
            return asked
        if rule != "auto":
            return rule == "always"
        return self.encoder is not None and self.encoder.similarity_fn_name == "cosine"

    def has_unit_vectors(self, rule: Normalize) -> bool:
        """Return whether vectors have the length 1 where a request does not say."""
        if self.normalizes(None, rule):
            return True
        encoder = self.encoder
        return (
            encoder is not None
            and self.ends_normalized
            and encoder.get_embedding_dimension() == encoder.dimension
        )

    def scores(self, logits: Array) -> Array:
        """Turn a reranker's logits, (n,), into the scores of CrossEncoder.predict, (n,)."""
        assert self.cross_encoder is not None
        activate = as_activation(self.cross_encoder.activation_fn)
        return self.cross_encoder._scores(logits[:, None].copy(), activate, False)

    @cached_property
    def ends_normalized(self) -> bool:
        """True where the model's own last module gives its vectors the length 1."""
        return self.encoder is not None and self.encoder[-1] == normalize.Normalize()

    def order(self, logits: Array) -> list[int]:
        """Return the numbers of a reranker's pairs, best first, as CrossEncoder.rank has them.

        Its logits are (n,). The sigmoids of large ones are all 1, so those have no order.
        """
        order: list[int] = np.argsort(-self.scores(logits), kind="stable").tolist()
        return order

    def ranked(self, logits: Array, *, raw: bool) -> tuple[list[int], Array]:
        """Return the order of a reranker's pairs, and the scores of all: sigmoids, or logits."""
        return self.order(logits), logits if raw else as_activation("sigmoid")(logits.copy())

    @property
    def prompt_names(self) -> list[str]:
        """Names of the prompts that are not empty."""
        return [name for name, prompt in self.model.prompts.items() if prompt]


class Found(NamedTuple):
    """A model that a request means, and the task that the name says."""

    served: Served
    task: Task | None


class ServedModels:
    """All models of a server, in the order of its command."""

    def __init__(self, models: Iterable[Served], aliases: Mapping[str, str]) -> None:
        self.all: tuple[Served, ...] = tuple(models)
        self._by_name = {served.name: Found(served, None) for served in self.all}
        for other, name in aliases.items():
            found = self._named(name)
            assert found is not None, name  # the command has checked it
            self._by_name[other] = found
        spelled = [name + task for name in self._by_name for task in ("", ":query", ":document")]
        self._by_lower = {name.lower(): name for name in spelled if self._named(name)}

    def find(self, name: str | None, *kinds: ModelKind) -> Found:
        """Return the model of one of these kinds that a name means; without one, the first.

        Raises RequestError for an unknown name, and for a model of another kind.
        """
        if not name:
            for served in self.all:
                if served.kind in kinds:
                    return Found(served, None)
            raise RequestError("wrong_model", f"This server has {self._of_kinds(kinds)}.")
        found = self._named(name)
        if found is None:
            names = ", ".join(self._by_name)
            raise RequestError(
                "unknown_model",
                f"There is no model {name[:80]!r} here; this server has {names}.",
                field="model",
            )
        if found.served.kind not in kinds:
            raise RequestError(
                "wrong_model",
                f"{found.served.name!r} is of the kind {found.served.kind}; expected "
                f"{' or '.join(kinds)}. This server has {self._of_kinds(kinds)}.",
                field="model",
            )
        return found

    def names_of(self, served: Served) -> list[str]:
        """Return the names that mean a model: its own, then its aliases."""
        return [name for name, found in self._by_name.items() if found.served is served]

    def spelled(self, name: str) -> str | None:
        """Return a name as the command spells it, whatever its case; None for an unknown one."""
        return name if self._named(name) else self._by_lower.get(name.lower())

    def _of_kinds(self, kinds: Sequence[ModelKind]) -> str:
        """Name the models of some kinds, or tell that there is none, and what to do."""
        names = [served.name for served in self.all if served.kind in kinds]
        if names:
            return ", ".join(names)
        missing = " or ".join(MISSING[kind] for kind in kinds if kind in MISSING)
        advice = f"start it with {missing}" if missing else "minibert runs none yet"
        return f"no {' or '.join(kinds)} model: {advice}"

    def _named(self, name: str) -> Found | None:
        """Find a name, an alias, or either of them with ":query" or ":document" behind."""
        if name in self._by_name:
            return self._by_name[name]
        before, _, task = name.rpartition(":")
        found = self._by_name.get(before)
        if found is None or found.task is not None:
            return None
        return next((found._replace(task=one) for one in TASKS if one == task), None)


def load_models(settings: Settings) -> ServedModels:
    """Load all models of the settings. Raises the errors of SentenceTransformer."""
    return ServedModels(
        [loaded(place.name, place.place, settings) for place in settings.models],
        dict(settings.aliases),
    )


def loaded(name: str, place: str, settings: Settings) -> Served:
    """Load a model, of the class that its folder names."""
    from minibert.checkpoint.folder import model_type_of
    from minibert.checkpoint.hub import find_model
    from minibert.checkpoint.repository import HubOptions
    from minibert.models.cross_encoder import CrossEncoder
    from minibert.models.sentence_transformer import SentenceTransformer

    arguments = {
        **settings.opened_as,
        "on_long": "ignore",  # each answer tells what was truncated
        "reproducible": settings.reproducible,
        "threads": settings.threads,
    }
    hub = HubOptions(
        arguments.get("revision"),
        arguments.get("cache_folder"),
        local_files_only=arguments.get("local_files_only", False),
    )
    if model_type_of(find_model(place, hub)) == "CrossEncoder":
        scorer = CrossEncoder(place, **arguments)
        kind: ModelKind = "reranker" if scorer.num_labels == 1 else "classifier"
        return Served(name, kind, created_of(scorer), cross_encoder=scorer)
    encoder = SentenceTransformer(place, **arguments)
    return Served(name, "embedding", created_of(encoder), encoder=encoder)


def created_of(model: SentenceTransformer | CrossEncoder) -> int:
    """Return when the file of the weights was written, in seconds since 1970."""
    return int(model.checkpoint.files[0].stat().st_mtime)
