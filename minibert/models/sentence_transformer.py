"""SentenceTransformer: texts -> vectors, with the names and defaults of sentence-transformers.

Users of that library change one import. Methods that exist for them alone stand in
`sentence_names.py` and `reference_names.py`, the computation in `encoding.py` and `transformer.py`.
Start at SentenceTransformer.encode.

Imports inside methods are late: only an opened model, or one method, needs them. Every program and
every command imports the class, and must not wait for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import ArrayLike

from minibert.checkpoint.metric import DOT_PRODUCT_MODELS, check_metric, metric_of
from minibert.common.arguments import (
    check_counts,
    check_prompts,
    older_names,
    one_name,
)
from minibert.common.arrays import Array
from minibert.models.model import job_of, prompt_name_of
from minibert.models.sentence_names import SentenceNames
from minibert.models.signatures import with_overloads
from minibert.scoring.metrics import METRICS
from minibert.scoring.quantization import Precision, check_precision
from minibert.tokens.texts import Text, check_texts, is_one, list_of, prompt_of
from minibert.tokens.truncation import OnLong, check_on_long

if TYPE_CHECKING:
    from minibert.bert.parameters import Parameters
    from minibert.checkpoint.folder import Folder
    from minibert.explain.attribution import Explanation
    from minibert.models.job import OutputValue
    from minibert.models.processes import Processes
    from minibert.models.signatures import Encoded, Inputs, OneInput
    from minibert.models.trace import Trace
    from minibert.models.trainable import Trainable
    from minibert.models.transformer import Transformer
    from minibert.pooling.pipeline import Pipeline
    from minibert.pooling.pooling import Pooling
    from minibert.pooling.registry import ModuleSettings
    from minibert.tokens.tokenizer import Tokens

__all__ = ["DEFAULT_MODEL", "DOT_PRODUCT_MODELS", "SentenceTransformer"]

DEFAULT_MODEL = "sentence-transformers/msmarco-bert-base-dot-v5"


class SentenceTransformer(SentenceNames):
    """A model that turns texts into vectors.

    Threads may share one. Copies and pickles hold the path of its folder, not the weights.
    `folder`, `checkpoint` and `similarity_reason` describe the files that were loaded. model[0] is
    the BERT, and model[1] and so on are the settings of the modules after it.
    """

    folder: Folder  # settings of the model's folder
    transformer: Transformer  # the BERT and its tokenizer
    on_long: OnLong  # what happens to long texts: see encode
    similarity_reason: str  # where the metric was found
    model_type = "SentenceTransformer"  # as folders name the class
    default_huggingface_organization = "sentence-transformers"  # of names without an owner
    SUPPORTED_SIMILARITY_FN_NAMES = tuple(METRICS)  # metrics, as similarity_fn_name has them
    card: str | None = None  # README.md of folders it is saved to; None is that of its own folder
    # Tensors in place of the folder's, by key: see use_tensors.
    trained: Mapping[str, Array] = MappingProxyType({})

    @older_names(tokenizer_kwargs="processor_kwargs")
    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = DEFAULT_MODEL,
        modules: Sequence[Transformer | ModuleSettings] | None = None,
        device: str | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        *,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        use_auth_token: str | bool | None = None,
        model_kwargs: Mapping[str, object] | None = None,
        processor_kwargs: Mapping[str, object] | None = None,
        config_kwargs: Mapping[str, object] | None = None,
        model_card_data: object = None,
        backend: str = "torch",
        similarity_fn_name: str | None = None,
        truncate_dim: int | None = None,
        threads: int | None = None,
        on_long: OnLong = "warn",
        reproducible: bool = False,
        short_inputs: bool = True,
        dtype: object = None,
    ) -> None:
        """Load a folder, or a model of the hub by its name.

        Args:
            model_name_or_path: Name of a model on the hub, or path of its folder; None only
                beside `modules`.
            modules: A Transformer, a Pooling and others of minibert.models, in place of a folder.
            device: "cpu", "cuda" or "cuda:1"; None is "cpu".
            prompts: Name -> prompt, a text before each text. They are added to the folder's.
            default_prompt_name: Name of the prompt where a call names none; None is the folder's.
            cache_folder: Folder of downloaded models; None is huggingface_hub's own.
            trust_remote_code: Changes nothing, as no code of a model is run.
            revision: Branch, tag or commit of the hub's repository; None is its main branch.
            local_files_only: True forbids downloads: the model must be in the cache.
            token: Token for the hub, or True for the stored one.
            use_auth_token: Older name of `token`.
            model_kwargs: Arguments for torch. "dtype" (or "torch_dtype") counts as `dtype`; others
                are taken if they change no vector here.
            processor_kwargs: Arguments for transformers' tokenizer. "model_max_length" becomes
                `max_seq_length`; others are taken if they change no vector. `tokenizer_kwargs` is
                their older name.
            config_kwargs: Settings in place of config.json's, taken if they change no vector.
            model_card_data: Must be None: minibert writes a card for trained models alone.
            backend: Must be "torch", the reference's default. minibert computes with NumPy.
            similarity_fn_name: "cosine", "dot", "euclidean" or "manhattan"; None is the model's
                own, see `similarity_reason`.
            truncate_dim: Number of dimensions that are kept; None is the folder's, else all.
            threads: Number of cores to use; None, or too large a number, is all that this process
                may use.
            on_long: "warn", "error", "ignore" or "window", for texts above the maximum length; see
                encode.
            reproducible: True gives a text the same bits whatever its neighbours, their order, the
                batch size and the number of threads, on one machine. It costs short texts more
                time than long ones.
            short_inputs: True lets the first short text make a second copy of the layers' weights,
                on processors with AVX-512, where it makes short texts three times as fast.
            dtype: Of the BERT's weights and activations: "float32", or on a GPU "float16"; None is
                "float32". Vectors are float32.

        Raises FileNotFoundError or ModelUnavailableError if there is no such model, CheckpointError
        if its folder cannot be used, DeviceError if the device cannot, ValueError or TypeError for
        an argument that cannot be followed.
        """
        # Late: see the top.
        from minibert.checkpoint.repository import HubOptions
        from minibert.models.foreign_arguments import meaning_of
        from minibert.models.parts import find_parts

        check_on_long(on_long)
        check_prompts(prompts)
        check_counts(truncate_dim=truncate_dim)
        meant = meaning_of(
            model_kwargs, processor_kwargs, config_kwargs,
            backend=backend, model_card_data=model_card_data,
        )  # fmt: skip
        if modules is not None and model_name_or_path not in (None, DEFAULT_MODEL):
            raise ValueError("Both model_name_or_path and modules are given; give one of them.")
        token = one_name(token=token, use_auth_token=use_auth_token)
        hub = HubOptions(revision, cache_folder, token, local_files_only)
        self.transformer, self.folder, name = find_parts(
            model_name_or_path,  # type: ignore[arg-type]  # without modules None is refused there
            modules, hub, device,
            threads=threads, reproducible=reproducible, short_inputs=short_inputs, dtype=dtype,
            meant=meant,
        )  # fmt: skip
        self._read_modules()
        if modules is not None:
            self._note_change()
        prompts = {"query": "", "document": "", **self.folder.prompts, **(prompts or {})}
        self._take_prompts(prompts, default_prompt_name)
        self.similarity_fn_name, self.similarity_reason = metric_of(
            similarity_fn_name, self.folder.similarity_fn_name, name
        )
        self.truncate_dim = truncate_dim or self.folder.truncate_dim
        self.on_long = on_long

    def _read_modules(self) -> None:
        """Read the modules after the BERT, and bring them to the device."""
        from minibert.checkpoint.save import loaded_files  # late: see the top
        from minibert.models.model_config import ModelConfig
        from minibert.pooling.pipeline import load_pipeline

        self.config = ModelConfig(self.transformer.config, self.checkpoint.settings)
        folder = self.folder
        modules = (*self.transformer.implied_modules, *folder.modules)
        self._pipeline = load_pipeline(folder.path, modules, self.config.hidden_size)
        self._loaded = loaded_files(folder)
        self._place_head()

    def use_tensors(
        self, parameters: Parameters, pipeline: Pipeline, trained: Mapping[str, Array]
    ) -> None:
        """Compute with other tensors from now on, of the same shapes, as training changes them.

        They are on the host, or on the model's device. `trained` has them by key, for
        save_pretrained, on the host. The key of a tensor of the BERT is its name in the file. For a
        module, the path of its folder in the model's and a slash come before the name:
        "2_Dense/linear.weight".
        """
        self.transformer.use_parameters(parameters)
        self._pipeline = pipeline._replace(pooling=self.pooling)
        self._place_head()
        self.trained = trained
        self._note_change()

    @with_overloads
    def encode(
        self,
        inputs: OneInput | Inputs | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: OutputValue = "sentence_embedding",
        precision: Precision | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | Sequence[str] | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Processes | None = None,
        chunk_size: int | None = None,
        *,
        pack_tokens: int | None = None,
        on_long: OnLong | None = None,
        task: str | None = None,
        sentences: OneInput | Inputs | None = None,
    ) -> Encoded:
        """Turn texts into vectors: n texts -> (n, D) float32, one str -> (D,), none -> (0, D).

        Args:
            inputs: A str, or a list whose items are str or pairs of them, (str, str).
            prompt_name: Name of one of `prompts`, before each text.
            prompt: Text before each text; with it, `prompt_name` is not used.
            batch_size: Maximum of the texts of one forward pass; None sets no limit. With
                output_value=None it is the number of texts that are padded together, by default 32.
            show_progress_bar: None shows a bar where INFO is logged and stderr is a terminal.
            output_value: "sentence_embedding" for vectors; "token_embeddings" for a list of (T, E),
                the states of each text's tokens; None for a list of dicts with both, and the
                tokens. In the dicts tokens are padded, and padding has states of 0.
            precision: "float32", or "int8", "uint8", "binary" or "ubinary" for codes of all vectors
                together. They are made last: see quantize_embeddings.
            convert_to_numpy: False gives a list of rows in place of an array.
            convert_to_tensor: True gives tensors of torch, on the CPU, in place of arrays. torch
                must be installed; nothing else imports it.
            device: Device that the model moves to first. A list of devices starts a process for
                each, for a part of the texts.
            normalize_embeddings: True divides each vector by its length, after `truncate_dim`.
            truncate_dim: Number of dimensions that are kept; None is the model's own.
            pool: Processes of start_multi_process_pool, each for a part of the texts.
            chunk_size: Texts that a process gets at a time; None is a tenth of its part, and at
                most 1,000.
            pack_tokens: Maximum of the tokens of one forward pass; None is 1,024 on a CPU and
                16,384 on a GPU, where it is halved if memory runs out.
            on_long: For texts above the maximum length; None is the model's own. "warn" truncates
                them and logs it once a call, "error" refuses them, "ignore" truncates them in
                silence.
                "window", for mean pooling, encodes a long text in windows of the maximum length,
                each with the prompt and a quarter of the window before. The mean of the windows'
                pooled vectors, weighted by their tokens, goes through the modules after the
                pooling. No model was trained for that, but nothing is lost.
            task: "query" or "document", for folders with a maximum length of their own for each.
            sentences: Older name of `inputs`.

        Raises TypeError or ValueError for the first item that is no text, and for an argument of a
        wrong type or value; MissingLibraryError for tensors without torch.
        """
        # Late: see the top.
        from minibert.models.encoding import check_windows_of, codes_of, joined, output_of
        from minibert.models.tensors import as_tensors, check_torch

        check_torch(convert_to_tensor)
        compute = output_of(output_value)
        given = one_name(inputs=inputs, sentences=sentences)
        texts = check_texts(list_of(given, "encode()"))
        check_counts(batch_size=batch_size, pack_tokens=pack_tokens)
        check_counts(truncate_dim=truncate_dim, chunk_size=chunk_size)
        check_precision(precision or "float32")
        on_long = on_long or self.on_long
        check_windows_of(on_long, output_value)
        job = job_of(
            self, len(texts), on_long, prompt, prompt_name, task,
            pack_tokens=pack_tokens, batch_size=batch_size,
            dimension=min(truncate_dim or self.get_embedding_dimension(), self.dimension),
            normalize=normalize_embeddings and output_value == "sentence_embedding",
        )  # fmt: skip
        with self._workers(len(texts), show_progress_bar, device, pool) as (processes, advance):
            if processes is None:
                parts = [compute(self, texts, job, advance)]
            else:
                parts = processes.map(
                    compute, texts,
                    arguments=(job.for_a_part(),), chunk_size=chunk_size, advance=advance,
                )  # fmt: skip
        found, truncation = joined(parts, output_value, job.dimension)
        truncation.report(len(texts), job.max_tokens, job.on_long)
        if precision not in (None, "float32"):
            found = codes_of(found, output_value, precision)
        if convert_to_tensor:
            found = as_tensors(found)
        is_whole = convert_to_numpy or convert_to_tensor
        rows: Encoded = found[0] if is_one(given) else found if is_whole else list(found)
        return rows

    @with_overloads
    def encode_query(
        self,
        inputs: OneInput | Inputs | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *positional: Any,  # encode's own, in its order
        **named: Any,  # encode's own
    ) -> Encoded:
        """Encode questions: encode() with the prompt "query", where no other is given.

        That prompt is "" unless the folder or `prompts` sets it. The default prompt is not used.
        """
        prompt_name = prompt_name_of(self, "query", prompt, prompt_name)
        named.setdefault("task", "query")
        return self.encode(inputs, prompt_name, prompt, *positional, **named)

    @with_overloads
    def encode_document(
        self,
        inputs: OneInput | Inputs | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *positional: Any,  # encode's own, in its order
        **named: Any,  # encode's own
    ) -> Encoded:
        """Encode documents: encode() with the prompt "document", else "passage", else "corpus".

        "document" is "" unless the folder or `prompts` sets it. The others count only
        where "document" was removed from `prompts`, as in sentence-transformers.
        """
        prompt_name = prompt_name_of(self, "document", prompt, prompt_name)
        named.setdefault("task", "document")
        return self.encode(inputs, prompt_name, prompt, *positional, **named)

    def explain(self, query: str, document: str, *, metric: str | None = None) -> Explanation:
        """Split the score of a query and a document into the contribution of each pair of tokens.

        The Explanation has `score`, `contributions` (query tokens, document tokens), whose sum is
        the score, `query_tokens` and `document_tokens`, and more: see
        minibert/explain/attribution.py. `metric` is "dot" or "cosine", by default the model's own.

        Raises ValueError where a score is no such sum, TypeError for an input that is no text.
        """
        from minibert.explain import explain  # late: see the top

        return explain(self, query, document, metric=metric)

    def trace(
        self,
        inputs: Text,
        keep: str = "*",
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Trace:
        """Show every array that the model computes from one text, by its name.

        Nothing is computed before the first access to an array. `keep` is a pattern of the names to
        keep, as "layer.*.attention". A `task`, "query" or "document", stands for its prompt and
        maximum length. A text is a str, or a pair of them as a tuple.
        """
        from minibert.models.encoding import text_of_trace  # late: see the top
        from minibert.models.trace import Trace

        text = text_of_trace(inputs, task)
        if task:
            prompt_name = prompt_name_of(self, task, prompt, prompt_name)
        dimension = self.get_embedding_dimension()
        job = job_of(self, 1, self.on_long, prompt, prompt_name, task, dimension=dimension)
        return Trace(self, job, text, keep=keep)

    @overload
    def tokens(self, inputs: OneInput) -> Tokens: ...  # type: ignore[overload-overlap]  # as encode
    @overload
    def tokens(self, inputs: Inputs) -> list[Tokens]: ...
    def tokens(self, inputs: OneInput | Inputs) -> Tokens | list[Tokens]:
        """Tokens of texts: of each Tokens(ids, tokens, offsets, truncated, word_ids).

        A text's own tokens are text[start:end] for their offsets; `truncated` is the number of
        tokens that are left out. No prompt is added. A str gives one Tokens, a list a list of them.
        """
        tokenizer, limit = self.transformer.text_tokenizer, self.transformer.limit()
        texts = check_texts(list_of(inputs, "tokens()"))
        found: list[Tokens] = [tokenizer.tokens(text, limit) for text in texts]
        return found[0] if is_one(inputs) else found

    @property
    def similarity_fn_name(self) -> str:
        """Metric of the model: "cosine", "dot", "euclidean" or "manhattan". Can be set."""
        return self._similarity_fn_name

    @similarity_fn_name.setter
    def similarity_fn_name(self, name: str | None) -> None:
        # None is the cosine, as with the reference.
        self._similarity_fn_name = "cosine" if name is None else check_metric(name)

    def similarity(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Array:
        """Score vectors by the model's own metric: (n, D), (m, D) -> (n, m)."""
        return METRICS[self.similarity_fn_name].all_pairs(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Array:
        """Score each row with the same row of the other: (n, D), (n, D) -> (n,)."""
        return METRICS[self.similarity_fn_name].pairwise(embeddings1, embeddings2)

    @property
    def truncate_dim(self) -> int | None:
        """Number of dimensions of a vector that are kept; None keeps all. Can be set."""
        return self._truncate_dim

    @truncate_dim.setter
    def truncate_dim(self, truncate_dim: int | None) -> None:
        check_counts(truncate_dim=truncate_dim)
        self._truncate_dim = None if truncate_dim is None else int(truncate_dim)

    @property
    def dimension(self) -> int:
        """Dimension of a vector before truncate_dim."""
        return self._pipeline.dimension

    @property
    def pooling(self) -> Pooling:
        """Settings of the pooling, as they stand now."""
        return self._pipeline.pooling

    def vector_parts(self, states: Array, prompt_length: int) -> Array:
        """Split the vector of one text into the part of each token: (T, E) -> (T, dimension).

        `states` are the "token_embeddings" of a Trace, as float64; `prompt_length` is the Trace's.

        Raises NotLinearError for a module after the pooling that is not linear, ValueError for a
        pooling that is no sum over the tokens, or that has none left.
        """
        return self._pipeline.to_host().parts(states, prompt_length)

    def get_embedding_dimension(self) -> int:
        """Return the dimension of a vector, D."""
        return min(self.truncate_dim or self.dimension, self.dimension)

    @contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Keep another number of dimensions within the block."""
        before = self.truncate_dim
        self.truncate_dim = truncate_dim
        try:
            yield
        finally:
            self.truncate_dim = before

    @property
    def include_prompt(self) -> bool:
        """True where [CLS] and the prompt count in the pooling. Can be set."""
        return self._pipeline.pooling.include_prompt

    @include_prompt.setter
    def include_prompt(self, include_prompt: bool) -> None:
        if self.transformer.implied_modules and not include_prompt:
            raise ValueError(
                "include_prompt is a setting of a Pooling, and this model has none: a "
                "StaticEmbedding takes the mean of all tokens, those of a prompt among them."
            )
        pooling = self._pipeline.pooling._replace(include_prompt=include_prompt)
        self._pipeline = self._pipeline._replace(pooling=pooling)
        self._place_head()

    def trainable(self, *, seed: int = 42, dropout: bool = True) -> Trainable:
        """Return this model as training sees it; its tensors are copied into its device's memory.

        Raises ValueError for a dtype or a family that cannot be trained, DeviceError for a GPU
        without room.
        """
        from minibert.models.trainable import Trainable  # late: see the top

        return Trainable(self, seed=seed, dropout=dropout)

    def _move(self, device: Any, dtype: str | None = None) -> None:
        self._pipeline = self._pipeline.to_host()  # training leaves them on a GPU
        super()._move(device, dtype)

    def _place_head(self) -> None:
        """Bring the modules' tensors to the transformer's device."""
        to_device = self.transformer.device.tensors_to_device
        self._pipeline_on_device = self._pipeline.to_device(to_device)
        self.transformer.mix_layers(self._pipeline.layer_mix)

    def _write(self, path: str | os.PathLike[str], *, has_card: bool) -> None:
        from minibert.checkpoint.save import save_model  # late: see the top

        check_prompts(self.prompts)
        prompt_of(self.prompts, None, self.default_prompt_name)  # refuses a name that is not there
        settings = {
            **self._settings(),
            "similarity_fn_name": self.similarity_fn_name,
            "truncate_dim": self.truncate_dim,
        }
        save_model(
            self.folder, self._loaded, path,
            hidden_size=self.config.hidden_size, include_prompt=self.pooling.include_prompt,
            max_seq_length=self._changed_max_seq_length, settings=settings,
            trained=self.trained, card=self.card, has_card=has_card,
        )  # fmt: skip

    def __getitem__(self, index: int) -> Transformer | ModuleSettings:
        return list(self)[index]

    def __len__(self) -> int:
        return 1 + len(self.folder.modules)

    def __iter__(self) -> Iterator[Transformer | ModuleSettings]:
        from minibert.pooling.pooling import Pooling  # late: see the top

        yield self.transformer
        for module in self.folder.modules:
            # The pooling's settings may have been changed since.
            yield self.pooling if isinstance(module, Pooling) else module

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments that load this model from its folder."""
        return {**super()._arguments(), "similarity_fn_name": self.similarity_fn_name}

    def _state(self) -> dict[str, Any]:
        """Return the attributes to set afterwards."""
        return {
            **super()._state(),
            "similarity_reason": self.similarity_reason,
            "truncate_dim": self.truncate_dim,
            "include_prompt": self.include_prompt,
        }

    def _computed_by(self) -> tuple[Any, ...]:
        """Return all that a process's vectors depend on, beside encode()'s arguments."""
        return *super()._computed_by(), self.include_prompt
