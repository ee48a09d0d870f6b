"""A model for MTEB 2.x (https://github.com/embeddings-benchmark/mteb), which brings torch itself.

import mteb
from minibert.integrations.mteb import MinibertEncoder

model = MinibertEncoder("sentence-transformers/all-MiniLM-L6-v2")
mteb.evaluate(model, mteb.get_tasks(tasks=["NFCorpus"]))
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from minibert import SentenceTransformer
from minibert.common.advice import needing

with needing("mteb", "minibert.integrations.mteb"):
    import torch
    from mteb.models import ModelMeta
    from mteb.models.abs_encoder import get_prompt_name
    from mteb.models.model_meta import ScoringFunction

__all__ = ["MinibertEncoder"]


class MinibertEncoder:
    """A SentenceTransformer as an encoder of MTEB (mteb.models.EncoderProtocol)."""

    def __init__(
        self,
        model_name: str | os.PathLike[str],
        revision: str | None = None,
        *,
        device: str | None = None,
        **arguments: Any,
    ) -> None:
        """Load a folder or a model of the hub; `arguments` are SentenceTransformer's own."""
        self.name = str(model_name)  # name on the hub, or folder
        self.revision = revision  # commit on the hub; None for the newest
        # Model, loaded.
        self.model = SentenceTransformer(model_name, revision=revision, device=device, **arguments)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **arguments: Any,
    ) -> Any:
        """Encode all texts of MTEB's batches: -> (n, D).

        The prompt is that of the model for the task, else for its type, else for queries or
        documents, as MTEB chooses it for sentence-transformers. `arguments` are encode()'s own.
        Raises ValueError for a batch without texts, such as pictures or sounds.
        """
        encode = {
            None: self.model.encode,
            "query": self.model.encode_query,
            "document": self.model.encode_document,
        }[prompt_type and prompt_type.value]
        name = get_prompt_name(self.model.prompts, task_metadata, prompt_type)
        prompt = None if name is None else self.model.prompts[name]
        return encode(texts_of(inputs), prompt=prompt, **arguments)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Score vectors by the model's metric: (n, D), (m, D) -> (n, m), a tensor.

        MTEB's tasks convert a (1, 1) to a float, which NumPy refuses for arrays.
        """
        return torch.from_numpy(self.model.similarity(embeddings1, embeddings2))

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Score the rows of both, in pairs: (n, D), (n, D) -> (n,), a tensor."""
        return torch.from_numpy(self.model.similarity_pairwise(embeddings1, embeddings2))

    @cached_property
    def mteb_model_meta(self) -> ModelMeta:
        """Facts of the model that MTEB writes beside its results.

        MTEB tells models apart by name and revision. Without a revision, it is the sha256 of the
        weights, so that two folders of one name are two models.
        """
        facts = {
            "loader": type(self),
            "name": organisation_and_name(self.name),
            "revision": self.revision or self.model.checkpoint.sha256(),
            "n_parameters": self.model.checkpoint.tensors.taken_numbers,
            "max_tokens": self.model.max_seq_length,
            "embed_dim": self.model.get_embedding_dimension(),
            "framework": ["NumPy"],
            "similarity_fn_name": ScoringFunction(self.model.similarity_fn_name),
            "use_instructions": any(self.model.prompts.values()),
        }
        return ModelMeta.create_empty(overwrites=facts)


def texts_of(batches: Iterable[Mapping[str, Any]]) -> Sequence[str]:
    """Join the texts of batches to one list. Raises ValueError for a batch without texts."""
    texts: list[str] = []
    for batch in batches:
        if "text" not in batch:
            raise ValueError(f"A batch holds {', '.join(batch)}; minibert encodes texts only.")
        texts += batch["text"]
    return texts


def organisation_and_name(name: str) -> str:
    """Return a name in MTEB's form, organisation/name: "local" and its own name for a folder."""
    return f"local/{Path(name).resolve().name}" if os.path.isdir(name) else name
