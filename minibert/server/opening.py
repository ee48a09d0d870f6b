"""Settings -> all that a server answers with: its models, and the corpus if it has one.

Start at open_all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from minibert.errors import CorpusError
from minibert.server.environment import place_of
from minibert.server.served import Served, ServedModels, load_models, loaded

if TYPE_CHECKING:
    from minibert.corpus.manifest import Settings as CorpusSettings
    from minibert.corpus.search import Index
    from minibert.server.settings import Settings

__all__ = ["Opened", "open_all"]


@dataclass(frozen=True)
class Opened:
    """All that is read before a server answers."""

    models: ServedModels  # all models, by their names
    index: Index | None  # the corpus with its model, which is one of `models`


def open_all(settings: Settings) -> Opened:
    """Load the models of the settings, and open the corpus.

    If no served model made the corpus, its own model is loaded, and served as the last one. Raises
    the errors of SentenceTransformer and of Index, and CorpusError where the name of that model
    stands for another one.
    """
    models = load_models(settings)
    return Opened(models, None) if settings.corpus is None else with_corpus(models, settings)


def with_corpus(models: ServedModels, settings: Settings) -> Opened:
    """Open the corpus of the settings with the model that made it."""
    from minibert.corpus.corpus import Corpus
    from minibert.corpus.search import Index

    folder = settings.corpus
    assert folder is not None
    corpus = Corpus(folder)  # a damaged one is told before a model is tried
    for served in models.all:
        if served.encoder is None:
            continue
        try:
            return Opened(models, Index(folder, served.encoder, threads=settings.threads))
        except CorpusError:  # the corpus is of another model or metric
            continue
    own = load_own(corpus.manifest.settings, settings)
    index = Index(folder, own.encoder, threads=settings.threads)
    check_name(own, models, index, settings)
    return Opened(ServedModels([*models.all, own], dict(settings.aliases)), index)


def load_own(corpus_settings: CorpusSettings, settings: Settings) -> Served:
    """Load the model that the corpus was made with, from the place that the corpus names."""
    from minibert.corpus.corpus import place_of_model, telling_whose_model

    folder = settings.corpus
    assert folder is not None
    arguments = {"revision": corpus_settings.revision, "similarity_fn_name": corpus_settings.metric}
    with telling_whose_model(folder, "name it as a MODEL to serve"):
        place = place_of_model(Path(folder), corpus_settings)
        return loaded(
            *place_of(place), replace(settings, opened_as={**settings.opened_as, **arguments})
        )


def check_name(own: Served, models: ServedModels, index: Index, settings: Settings) -> None:
    """Raise CorpusError if the name of the corpus' model stands for another one."""
    names = {served.name for served in models.all} | {other for other, _ in settings.aliases}
    if own.name in names:
        metric = index.corpus.manifest.settings.metric
        raise CorpusError(
            f"{settings.corpus} was made with a model {own.name!r} and the metric {metric!r}, and "
            f"the model that is served as {own.name!r} is not the same. Serve that one under "
            f"another name: NAME={own.name}."
        )
