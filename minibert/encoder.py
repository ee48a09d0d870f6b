"""SentenceTransformer: texts -> tokens -> packs -> hidden -> vectors, wired together.

The names and defaults are those of sentence-transformers' class, so that its users change one
import. What exists only for that stands in this file: `sentences=` beside `inputs=`, one row for
one str, arguments that only torch could fill.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from minibert.arrays import Array
from minibert.bert import hidden_states
from minibert.devices import find_device, one_blas_thread, thread_count
from minibert.errors import CheckpointError
from minibert.packing import Pack, packs
from minibert.pooling import POOLINGS, Pooling
from minibert.scores import SIMILARITIES
from minibert.tokens import Cut, OnLong, check_on_long, check_texts, text_windows

if TYPE_CHECKING:
    from minibert.folder import Folder

__all__ = ["DEFAULT_MODEL", "DOT_PRODUCT_MODELS", "SentenceTransformer"]

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "sentence-transformers/msmarco-bert-base-dot-v5"

# Published models that were trained for the dot product and whose folders do not say so.
# docs/metrics.md names the source of each.
DOT_PRODUCT_MODELS = {
    "sentence-transformers/msmarco-bert-base-dot-v5",
    "sentence-transformers/msmarco-distilbert-dot-v5",
    "sentence-transformers/msmarco-distilbert-base-tas-b",
    "sentence-transformers/multi-qa-mpnet-base-dot-v1",
    "sentence-transformers/multi-qa-distilbert-dot-v1",
    "sentence-transformers/multi-qa-MiniLM-L6-dot-v1",
}

# Other names of the metrics that folders use, and that the reference takes for cosine, unsaid.
METRIC_NAMES = {"dot_score": "dot", "dot_product": "dot", "cos_sim": "cosine"}


class SentenceTransformer:
    """A model that turns texts into vectors.

    Threads may share one. `folder`, `checkpoint` and `similarity_reason` tell what was loaded.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | None = None,
        revision: str | None = None,
        cache_folder: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        truncate_dim: int | None = None,
        threads: int | None = None,
        on_long: OnLong = "warn",
    ) -> None:
        """Load a folder, or a model of the hub by its name.

        `threads` is how many cores to use; None means all that this process may. `on_long` says
        what happens to texts above the maximum length, which are cut: "warn" once a call, "error",
        or "ignore". The other arguments are sentence-transformers'.

        Raises FileNotFoundError or ModelUnavailableError if there is no such model, CheckpointError
        if its folder cannot be used, DeviceError if the device cannot.
        """
        # Imported here, so that importing the class does not wait for what only opens a model.
        from minibert.checkpoint import load_checkpoint
        from minibert.folder import read_folder
        from minibert.hub import find_model, hub_name
        from minibert.vocabulary import load_tokenizer

        check_on_long(on_long)
        check_counts(truncate_dim=truncate_dim)
        self._threads = thread_count(threads)
        self._device = find_device(device)
        path = find_model(
            model_name_or_path,
            revision=revision,
            cache_folder=cache_folder,
            token=token,
            local_files_only=local_files_only,
        )
        self.folder = read_folder(path)
        self.checkpoint = load_checkpoint(self.folder.transformer)
        self.config = self.checkpoint.config
        self._pool = pooling_of(self.folder, self.config.hidden_size)
        if not self.folder.has_modules:
            logger.warning("%s has no modules.json; taking the mean of its tokens.", path)
        self._parameters = self._device.put_parameters(self.checkpoint.parameters)
        self.tokenizer = load_tokenizer(
            self.folder.transformer,
            vocab_size=self.config.vocab_size,
            max_seq_length=self.folder.max_seq_length,
            max_position_embeddings=self.config.max_position_embeddings,
            do_lower_case=self.folder.do_lower_case,
        )
        self.max_seq_length = self.tokenizer.max_length
        self.prompts = {"query": "", "document": "", **self.folder.prompts, **(prompts or {})}
        self.default_prompt_name = default_prompt_name or self.folder.default_prompt_name
        self._prompt(self.default_prompt_name)  # refuses a name that is not among the prompts
        self.similarity_fn_name, self.similarity_reason = metric_of(
            similarity_fn_name,
            self.folder.similarity_fn_name,
            hub_name(model_name_or_path, path) or self.checkpoint.name_or_path,
        )
        self.truncate_dim = truncate_dim or self.folder.truncate_dim
        self._on_long: OnLong = on_long

    @property
    def max_seq_length(self) -> int:
        """The most tokens of a text, [CLS] and [SEP] among them; the rest is cut."""
        return self._max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, length: int) -> None:
        check_counts(max_seq_length=length)
        if length > self.config.max_position_embeddings:
            raise ValueError(
                f"max_seq_length is {length}; this model has "
                f"{self.config.max_position_embeddings} positions."
            )
        self._max_seq_length = length

    def encode(
        self,
        inputs: str | Sequence[str] | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        *,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pack_tokens: int = 1024,
        on_long: OnLong | None = None,
        sentences: str | Sequence[str] | None = None,
    ) -> Array:
        """Turn texts into vectors: n texts -> (n, D) float32, one str -> (D,), none -> (0, D).

        `pack_tokens` bounds the tokens of one forward pass; `batch_size`, if given, its texts.
        `prompt` goes before every text; `prompt_name` takes it from `prompts`. `truncate_dim` keeps
        the first dimensions, before `normalize_embeddings` divides by the length. `sentences` is
        the older name of `inputs`.

        Raises TypeError or ValueError for what is no text, naming the first, and for an argument
        that cannot be meant.
        """
        if convert_to_tensor or not convert_to_numpy:
            raise ValueError(
                "minibert makes NumPy arrays, no tensors: leave out convert_to_tensor and "
                "convert_to_numpy. torch.from_numpy(vectors) shares the memory of a result."
            )
        if inputs is not None and sentences is not None:
            raise TypeError("encode() got both inputs and sentences, which are two names of one.")
        single = isinstance(inputs if sentences is None else sentences, str)
        texts = texts_of(inputs if sentences is None else sentences)
        check_counts(batch_size=batch_size, pack_tokens=pack_tokens, truncate_dim=truncate_dim)
        on_long = on_long or self._on_long
        check_on_long(on_long)
        if prompt is None:
            prompt = self._prompt(prompt_name or self.default_prompt_name)
        check_texts([prompt])
        width = self.config.hidden_size
        width = min(truncate_dim or self.truncate_dim or width, width)

        vectors = np.empty((len(texts), width), dtype=np.float32)
        cut = Cut()
        with self._device.active(), progress(len(texts), bool(show_progress_bar)) as advance:
            for window in text_windows(texts):
                prompted = [prompt + text for text in texts[window]]
                ids, lost = self.tokenizer.ids(prompted, self.max_seq_length)
                cut += lost
                if max(map(len, ids)) > self.config.max_position_embeddings:
                    raise ValueError(
                        f"max_seq_length {self.max_seq_length} leaves no room for [CLS] and [SEP], "
                        "so nothing is cut, and a text is longer than the model's positions."
                    )
                if on_long == "error":
                    cut.report(len(texts), self.max_seq_length, on_long)
                rows = vectors[window]  # a view: what is written here is written to vectors
                for pack, pooled in self._pooled(list(packs(ids, pack_tokens, batch_size))):
                    pooled = pooled[:, :width]
                    if normalize_embeddings:
                        self._device.kernels.normalize_(pooled)
                    rows[pack.order] = self._device.take(pooled)
                    advance(len(pack.order))
        cut.report(len(texts), self.max_seq_length, on_long)
        return vectors[0] if single else vectors

    def similarity(self, a: ArrayLike, b: ArrayLike) -> Array:
        """Score vectors by the model's own metric: (n, D), (m, D) -> (n, m)."""
        check_metric(self.similarity_fn_name)  # an attribute can be set to anything
        return SIMILARITIES[self.similarity_fn_name](a, b)

    def get_sentence_embedding_dimension(self) -> int:
        """The width of a vector, D."""
        width = self.config.hidden_size
        return min(self.truncate_dim or width, width)

    def _prompt(self, name: str | None) -> str:
        """The text of a prompt; without a name, none."""
        if name is None:
            return ""
        if name not in self.prompts:
            names = ", ".join(map(repr, self.prompts))
            raise ValueError(f"There is no prompt {name!r}; this model has {names}.")
        return self.prompts[name]

    def _pooled(self, packs: list[Pack]) -> Iterator[tuple[Pack, Array]]:
        """Compute packs, several at a time: each with its texts' vectors, (S, D), on the device."""
        if len(packs) == 1 or self._threads == 1 or self._device.name != "cpu":
            # One pack has all the BLAS threads, so that a single query is quick as well.
            with one_blas_thread() if self._threads == 1 else nullcontext():
                for pack in packs:
                    yield pack, self._forward(pack)
            return
        # Many packs share the cores better as one thread a pack (5 to 20 %), and their results do
        # not depend on how many threads there are.
        from concurrent.futures import ThreadPoolExecutor

        with one_blas_thread(), ThreadPoolExecutor(self._threads) as workers:
            try:
                yield from zip(packs, workers.map(self._forward, packs), strict=True)
            finally:  # after an error or Ctrl-C, begin no more of them
                workers.shutdown(wait=True, cancel_futures=True)

    def _forward(self, pack: Pack) -> Array:
        """The vectors of a pack's texts: (S, D)."""
        kernels = self._device.kernels
        hidden = hidden_states(
            self._device.put_pack(pack), self._parameters, self.config, kernels
        )  # (N, D)
        vectors = self._pool(hidden, pack.lengths, kernels)
        if self.folder.normalize:
            kernels.normalize_(vectors)
        return vectors


def check_counts(**counts: int | None) -> None:
    """Raise ValueError, with its name, for a number that is neither None nor 1 or more."""
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(f"{name} is {count!r}; expected a whole number from 1 up.")


def texts_of(inputs: object) -> Sequence[str]:
    """What encode() was given, as a sequence of str: one of them counts as a list of one."""
    if isinstance(inputs, str):
        inputs = [inputs]
    if isinstance(inputs, np.ndarray) and inputs.ndim == 1:
        inputs = inputs.tolist()
    if isinstance(inputs, bytes) or not isinstance(inputs, Sequence):
        raise TypeError(
            f"encode() got a {type(inputs).__name__} ({inputs!r:.40}). Pass a str or a list of str."
        )
    check_texts(inputs)
    return inputs


def pooling_of(folder: Folder, hidden_size: int) -> Pooling:
    """The function for the pooling that a folder asks for, which must fit the model's width."""
    name = "+".join(folder.pooling)
    if name not in POOLINGS:
        raise CheckpointError(
            f"{folder.path}: the pooling is {name!r}; minibert computes {', '.join(POOLINGS)}."
        )
    if folder.pooling_dimension not in (None, hidden_size):
        raise CheckpointError(
            f"{folder.path}: the pooling expects {folder.pooling_dimension} dimensions; "
            f"the model's hidden_size is {hidden_size}."
        )
    return POOLINGS[name]


def check_metric(name: str) -> None:
    """Raise ValueError for a name that is none of SIMILARITIES'."""
    if name not in SIMILARITIES:
        expected = ", ".join(map(repr, SIMILARITIES))
        raise ValueError(f"similarity_fn_name is {name!r}; expected one of {expected}.")


def metric_of(asked: str | None, written: str | None, name: str | None) -> tuple[str, str]:
    """The name of a model's metric, and why it is that one."""
    if asked is not None:
        check_metric(asked)
        return asked, "asked for"
    if written is not None:
        metric = METRIC_NAMES.get(written, written)
        if metric not in SIMILARITIES:
            raise CheckpointError(
                f"config_sentence_transformers.json: similarity_fn_name is {written!r}; "
                f"minibert computes {', '.join(SIMILARITIES)}."
            )
        if metric != written:
            logger.warning("The folder's metric %r is taken as %r.", written, metric)
        return metric, f"config_sentence_transformers.json says {written}"
    if name in DOT_PRODUCT_MODELS:
        return "dot", f"{name} was trained for it; its folder does not say"
    return "cosine", "the default; the folder does not say"


@contextmanager
def progress(texts: int | None, shown: bool) -> Iterator[Callable[[int], object]]:
    """A progress bar on stderr, or none: gives the function that moves it on."""
    if not shown:
        yield lambda texts: None
        return
    # huggingface_hub brings tqdm, and honours the switches that its users know.
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    with tqdm(total=texts, unit="text") as bar:  # type: ignore[no-untyped-call]
        yield bar.update
