"""Options -> the model that they name, with their settings. Start at load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minibert.models.sentence_transformer import SentenceTransformer

if TYPE_CHECKING:
    from minibert.corpus.manifest import Settings
    from minibert.models.cross_encoder import CrossEncoder

__all__ = [
    "corpus_model",
    "load",
    "load_cross_encoder",
    "load_either",
    "load_for_corpus",
    "opened_as",
]


def load(options: argparse.Namespace) -> SentenceTransformer:
    """Load the model that the options name."""
    return SentenceTransformer(
        options.model,
        revision=options.revision,
        on_long=getattr(options, "on_long", "warn"),
        **opened_as(options),
    )


def load_cross_encoder(name: str | None, options: argparse.Namespace) -> CrossEncoder | None:
    """Load a cross-encoder, where an option names one, as the options say."""
    if name is None:
        return None
    from minibert.models.cross_encoder import CrossEncoder

    return CrossEncoder(name, **opened_as(options))


def load_either(options: argparse.Namespace) -> SentenceTransformer | CrossEncoder:
    """Load the model that the options name as a CrossEncoder if its folder has one."""
    from minibert.checkpoint.folder import model_type_of
    from minibert.checkpoint.hub import find_model
    from minibert.checkpoint.repository import HubOptions
    from minibert.models.cross_encoder import CrossEncoder

    hub = HubOptions(options.revision, options.cache_folder, local_files_only=options.offline)
    if model_type_of(find_model(options.model, hub)) != "CrossEncoder":
        return load(options)
    return CrossEncoder(options.model, revision=options.revision, **opened_as(options))


def opened_as(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that every model of a command is loaded with, a cross-encoder too."""
    return {
        "device": options.device,
        "dtype": options.dtype,
        "cache_folder": options.cache_folder,
        "local_files_only": options.offline,
        "threads": options.threads,
        "reproducible": options.reproducible,
        # A second copy of the weights costs a command more time than it saves. With --reproducible
        # it is made, so that the bits are those of a program.
        "short_inputs": options.reproducible and options.short_inputs,
    }


def corpus_model(options: argparse.Namespace) -> SentenceTransformer:
    """Load the model of the corpus in `options.folder`, as load_for_corpus does."""
    from minibert.corpus.manifest import read_manifest

    return load_for_corpus(options, read_manifest(Path(options.folder)).settings)


def load_for_corpus(options: argparse.Namespace, settings: Settings) -> SentenceTransformer:
    """Load the model that the options name, else the one that made the corpus of `options.folder`.

    Its metric is that of the corpus.
    """
    model = load(options) if options.model is not None else load_own(options, settings)
    model.similarity_fn_name = settings.metric
    return model


def load_own(options: argparse.Namespace, settings: Settings) -> SentenceTransformer:
    """Load the model that made the corpus, from the place that the corpus names."""
    from minibert.corpus.corpus import place_of_model, telling_whose_model

    options.revision = options.revision or settings.revision
    with telling_whose_model(options.folder):
        options.model = place_of_model(Path(options.folder), settings)
        return load(options)
