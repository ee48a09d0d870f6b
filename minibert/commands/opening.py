"""Options -> the model that they name, with their settings. Start at load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minibert.models.sentence_transformer import SentenceTransformer

if TYPE_CHECKING:
    from minibert.corpus.manifest import Settings
    from minibert.models.cross_encoder import CrossEncoder


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
