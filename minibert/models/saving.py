"""A SentenceTransformer -> its folder. Start at write_folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minibert.checkpoint.save import save_model
from minibert.common.arguments import check_prompts
from minibert.tokens.texts import prompt_of

if TYPE_CHECKING:
    from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["write_folder"]


def write_folder(model: SentenceTransformer, path: str | os.PathLike[str]) -> None:
    """Write a model as save_pretrained does. The model does not take it for its own folder."""
    check_prompts(model.prompts)
    prompt_of(model.prompts, None, model.default_prompt_name)  # refuses a name that is not there
    changed = model.max_seq_length != model.transformer.loaded_max_seq_length
    save_model(
        model.folder,
        model.loaded,
        path,
        hidden_size=model.config.hidden_size,
        include_prompt=model.pooling.include_prompt,
        max_seq_length=model.max_seq_length if changed else None,
        settings={
            "prompts": model.prompts,
            "default_prompt_name": model.default_prompt_name,
            "similarity_fn_name": model.similarity_fn_name,
            "truncate_dim": model.truncate_dim,
        },
        trained=model.trained,
    )
