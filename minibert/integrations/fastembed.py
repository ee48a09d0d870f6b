"""TextEmbedding as fastembed has it (https://qdrant.github.io/fastembed), which is not needed.

from minibert.integrations.fastembed import TextEmbedding

model = TextEmbedding("BAAI/bge-small-en-v1.5")
vectors = list(model.embed(["A dog barks.", "A cat sleeps."]))
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from minibert import SentenceTransformer
from minibert.common.arguments import check_counts
from minibert.common.arrays import Array

__all__ = ["TextEmbedding"]

# fastembed's models with a BERT-like encoder -> dimension of a vector. Other names work, too.
SUPPORTED = {
    "BAAI/bge-base-en": 768,
    "BAAI/bge-base-en-v1.5": 768,
    "BAAI/bge-large-en-v1.5": 1024,
    "BAAI/bge-small-en": 384,
    "BAAI/bge-small-en-v1.5": 384,
    "BAAI/bge-small-zh-v1.5": 512,
    "intfloat/multilingual-e5-large": 1024,
    "mixedbread-ai/mxbai-embed-large-v1": 1024,
    "nomic-ai/nomic-embed-text-v1": 768,
    "nomic-ai/nomic-embed-text-v1.5": 768,
    "sentence-transformers/all-MiniLM-L6-v2": 384,
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": 384,
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2": 768,
    "snowflake/snowflake-arctic-embed-l": 1024,
    "snowflake/snowflake-arctic-embed-m": 768,
    "snowflake/snowflake-arctic-embed-s": 384,
    "snowflake/snowflake-arctic-embed-xs": 384,
    "thenlper/gte-base": 768,
    "thenlper/gte-large": 1024,
}
PROVIDERS = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda"}


class TextEmbedding:
    """A model that yields one vector after another, (D,) float32, as fastembed's does."""

    model_name: str  # name on the hub, or path of a folder
    cache_dir: str | None  # folder of downloaded models
    threads: int | None  # number of cores to use

    def __init__(
        self,
        model_name: str | os.PathLike[str] = "BAAI/bge-small-en-v1.5",
        cache_dir: str | None = None,
        threads: int | None = None,
        providers: Sequence[str | tuple[str, object]] | None = None,
        cuda: bool | str = False,
        device_ids: Sequence[int] | None = None,
        lazy_load: bool = False,
        specific_model_path: str | None = None,
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Load a folder, or a model of the hub by its name: safetensors, and no ONNX.

        Args:
            model_name: Name of a model on the hub, or path of its folder.
            cache_dir: Folder of downloaded models; None is huggingface_hub's own.
            threads: Number of cores to use; None is all.
            providers: Names of ONNX Runtime's providers, of which the first tells the device.
            cuda: True computes on a GPU; False, and fastembed's "auto", on the CPU.
            device_ids: Number of the GPU, as a list of one.
            lazy_load: True loads the model at its first use.
            specific_model_path: Path of a folder, in place of the name.
            arguments: SentenceTransformer's own, as `local_files_only`.

        Raises ValueError for a provider that minibert does not have, and for several GPUs; else the
        errors of SentenceTransformer.
        """
        self.model_name = os.fspath(model_name)
        self.cache_dir, self.threads = cache_dir, threads
        self._arguments = {
            "model_name_or_path": specific_model_path or self.model_name,
            "cache_folder": cache_dir,
            "threads": threads,
            "device": device_of(providers, cuda, device_ids),
            **arguments,
        }
        if not lazy_load:
            _ = self.model

    @cached_property
    def model(self) -> SentenceTransformer:
        """The SentenceTransformer, loaded."""
        return SentenceTransformer(**self._arguments)

    @property
    def embedding_size(self) -> int:
        """Dimension of a vector, D."""
        return self.model.get_embedding_dimension()

    @classmethod
    def get_embedding_size(cls, model_name: str) -> int:
        """Return the dimension of a supported model's vectors. Raises ValueError for others."""
        known = {name.lower(): size for name, size in SUPPORTED.items()}
        if model_name.lower() not in known:
            raise ValueError(
                f"{model_name!r} is not in the list of supported_models(), so its dimension is "
                "known when it is loaded: TextEmbedding(...).embedding_size."
            )
        return known[model_name.lower()]

    @classmethod
    def list_supported_models(cls) -> list[dict[str, str | int]]:
        """List fastembed's models that minibert computes, too: [{"model": ..., "dim": ...}].

        A folder, or another name of the hub with a BERT-like encoder, needs no place in the list.
        """
        return [{"model": name, "dim": size} for name, size in SUPPORTED.items()]

    supported_models = list_supported_models

    def embed(
        self,
        documents: str | Iterable[str],
        batch_size: int = 256,
        parallel: int | None = None,
        **arguments: Any,  # encode's own
    ) -> Iterator[Array]:
        """Yield the vector of each document, with the model's prompt for documents.

        One text counts as a list of one. `batch_size` texts are read and computed at a time.
        `parallel` changes nothing: one process uses all cores.
        """
        return self._embedded(self.model.encode_document, documents, batch_size, arguments)

    def passage_embed(
        self,
        texts: str | Iterable[str],
        **arguments: Any,  # embed's own
    ) -> Iterator[Array]:
        """Yield the vector of each passage: the same as embed()."""
        return self.embed(texts, **arguments)

    def query_embed(
        self,
        query: str | Iterable[str],
        **arguments: Any,  # embed's own
    ) -> Iterator[Array]:
        """Yield the vector of each question, with the model's prompt for queries."""
        batch_size = arguments.pop("batch_size", 256)
        arguments.pop("parallel", None)
        return self._embedded(self.model.encode_query, query, batch_size, arguments)

    def token_count(self, texts: str | Iterable[str], batch_size: int = 1024) -> int:
        """Count the tokens of texts, with the special ones, each up to the maximum length."""
        return sum(
            len(tokens.ids)
            for group in groups(texts, batch_size)
            for tokens in self.model.tokens(group)
        )

    def _embedded(
        self, encode: Any, texts: str | Iterable[str], batch_size: int, arguments: Any
    ) -> Iterator[Array]:
        check_counts(batch_size=batch_size)
        # A generator of its own, so that arguments are checked at the call.
        return (row for group in groups(texts, batch_size) for row in encode(group, **arguments))


def groups(texts: str | Iterable[str], size: int) -> Iterator[list[str]]:
    """Split texts, of which one may come alone, into lists of `size`."""
    rest = iter([texts] if isinstance(texts, str) else texts)
    while group := list(islice(rest, size)):
        yield group


def device_of(
    providers: Sequence[str | tuple[str, object]] | None,
    cuda: bool | str,
    device_ids: Sequence[int] | None,
) -> str | None:
    """Choose the device: that of the first provider, or of `cuda` and its number."""
    if providers:
        name = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if name not in PROVIDERS:
            raise ValueError(
                f"providers begins with {name!r}, which is of ONNX Runtime; minibert has "
                f"{' and '.join(PROVIDERS)}."
            )
        device = PROVIDERS[name]
    else:
        device = "cuda" if cuda is True else "cpu"
    if device == "cpu" or not device_ids:
        return device
    if len(device_ids) > 1:
        raise ValueError(
            f"device_ids is {list(device_ids)}; a model has one GPU. Encode with a pool instead: "
            "SentenceTransformer.start_multi_process_pool."
        )
    return f"{device}:{device_ids[0]}"
