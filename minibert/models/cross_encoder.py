"""CrossEncoder: pairs of texts -> a score, or one a label, through a head on the first token.

The names and defaults are those of sentence-transformers' class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

import numpy as np

from minibert.bert.hook import Hook
from minibert.bert.packs import Pack
from minibert.checkpoint.folder import Folder
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions
from minibert.checkpoint.save import loaded_files, save_model
from minibert.common.arguments import (
    check_counts,
    check_prompts,
    older_names,
    one_name,
)
from minibert.common.arrays import Array
from minibert.kernels import cpu as numpy_kernels
from minibert.kernels.activations import (
    ACTIVATIONS,
)
from minibert.kernels.segments import firsts
from minibert.models.classifier import folder_of, read_choices, read_classifier
from minibert.models.foreign_arguments import meaning_of
from minibert.models.job import EncodeJob
from minibert.models.model import Model, job_of
from minibert.models.model_config import ModelConfig
from minibert.models.reference_names import ReferenceNames
from minibert.models.score_activations import (
    ScoreActivation,
    activation_name,
    as_activation,
    named_activation,
    scores_of,
    torch_name,
)
from minibert.models.tensors import as_tensors, check_torch
from minibert.models.transformer import Transformer
from minibert.pooling.modes import PooledTokens, mean
from minibert.tokens.texts import Text, check_texts, is_one, list_of, listed, no_list
from minibert.tokens.truncation import OnLong, Truncation, check_on_long

if TYPE_CHECKING:
    from minibert.models.processes import Processes, Recipe
    from minibert.models.signatures import (
        OnePair,
        Pair,
        PredictOptions,
        RankedDocument,
        RankOptions,
        Score,
    )

__all__ = ["CrossEncoder"]


class CrossEncoder(ReferenceNames):
    """A model that reads two texts together and scores them. Threads may share one."""

    folder: Folder  # settings of the model's folder
    transformer: Transformer  # the BERT and its tokenizer
    on_long: OnLong  # what happens to long pairs: "warn", "error" or "ignore"
    model_type = "CrossEncoder"  # as folders name the class
    default_huggingface_organization = "cross-encoder"  # of names without an owner

    @older_names(
        model_name="model_name_or_path",
        default_activation_function="activation_fn",
        automodel_args="model_kwargs",
        tokenizer_args="processor_kwargs",
        tokenizer_kwargs="processor_kwargs",
        config_args="config_kwargs",
        cache_dir="cache_folder",
        classifier_dropout=None,  # of training alone
    )
    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: str | ScoreActivation | None = None,
        device: str | None = None,
        *,
        modules: None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        model_kwargs: Mapping[str, object] | None = None,
        processor_kwargs: Mapping[str, object] | None = None,
        config_kwargs: Mapping[str, object] | None = None,
        model_card_data: object = None,
        backend: str = "torch",
        keep_in_fp32_modules: Sequence[str] | None = None,
        threads: int | None = None,
        on_long: OnLong = "warn",
        reproducible: bool = False,
        short_inputs: bool = True,
        dtype: object = None,
    ) -> None:
        """Load a folder, or a model of the hub by its name.

        Args:
            model_name_or_path: Name of a model on the hub, or path of its folder.
            num_labels: Number of labels that the folder must have; None checks nothing.
            max_length: Maximum of the tokens of a pair; None is the folder's.
            activation_fn: Function on arrays from logits (n, labels) to scores, or its name, as
                "sigmoid" or "identity"; torch.nn.Sigmoid() and its like are known by their names.
                None is the folder's, else "sigmoid" for one label and "identity" for more.
            device: "cpu", "cuda" or "cuda:1"; None is "cpu".
            modules: Must be None: a cross-encoder's classifier is in a folder.
            prompts: Name -> prompt, a text before the first text of a pair. They are added to the
                folder's.
            default_prompt_name: Name of the prompt where a call names none; None is the folder's.
            cache_folder: Folder of downloaded models; None is huggingface_hub's own.
            trust_remote_code: Changes nothing, as no code of a model is run.
            revision: Branch, tag or commit of the hub's repository; None is its main branch.
            local_files_only: True forbids downloads: the model must be in the cache.
            token: Token for the hub, or True for the stored one.
            model_kwargs: As in SentenceTransformer.
            processor_kwargs: As in SentenceTransformer.
            config_kwargs: As in SentenceTransformer; "num_labels" counts as `num_labels`.
            model_card_data: As in SentenceTransformer.
            backend: As in SentenceTransformer.
            keep_in_fp32_modules: Must be None or empty: the head is always computed in float32.
            threads: Number of cores to use; None, or too large a number, is all that this process
                may use.
            on_long: "warn", "error" or "ignore", for pairs above the maximum length.
            reproducible: As in SentenceTransformer.
            short_inputs: As in SentenceTransformer.
            dtype: Of the BERT's weights and activations: "float32", or on a GPU "float16"; None is
                "float32".

        Older names of arguments are taken, too: `model_name`, `default_activation_function`,
        `automodel_args`, `tokenizer_args`, `tokenizer_kwargs`, `config_args`, `cache_dir`, and
        `classifier_dropout`, which changes no score.

        Raises the errors of SentenceTransformer, CheckpointError for a folder without a classifier,
        ValueError or TypeError for an activation that cannot be computed.
        """
        check_on_long(on_long)
        check_prompts(prompts)
        if activation_fn is not None:
            as_activation(activation_fn)
        meant = meaning_of(
            model_kwargs, processor_kwargs, config_kwargs, backend=backend, modules=modules,
            model_card_data=model_card_data, keep_in_fp32_modules=keep_in_fp32_modules,
        )  # fmt: skip
        hub = HubOptions(revision, cache_folder, token, local_files_only)
        path = find_model(model_name_or_path, hub, owner=self.default_huggingface_organization)
        self.folder = folder_of(path)
        self.transformer = Transformer(
            self.folder.transformer, device=device, threads=threads, reproducible=reproducible,
            short_inputs=short_inputs, dtype=meant.dtype if dtype is None else dtype,
        )  # fmt: skip
        self._read_head()
        num_labels = meant.num_labels if num_labels is None else num_labels
        if num_labels not in (None, self.num_labels):
            raise ValueError(f"num_labels is {num_labels}; this model has {self.num_labels}.")
        max_length = meant.max_seq_length if max_length is None else max_length
        check_counts(max_length=max_length)
        if max_length is not None:
            self.transformer.max_seq_length = max_length
        self._take_prompts({**self.folder.prompts, **(prompts or {})}, default_prompt_name)
        self.activation_fn = (
            self.get_default_activation_fn() if activation_fn is None else activation_fn
        )
        self.on_long = on_long

    def _read_head(self) -> None:
        """Read the classifier, and bring it to the device."""
        self._classifier = read_classifier(self.checkpoint)
        settings = self.checkpoint.settings
        self.config = ModelConfig(self.transformer.config, settings, self.num_labels)
        self._activation, self._takes_mean = read_choices(self.checkpoint)
        self._loaded = loaded_files(self.folder)
        self._place_head()

    def get_default_activation_fn(self) -> str:
        """Return the activation where the caller names none: the folder's, else by the labels."""
        default = "sigmoid" if self.num_labels == 1 else "identity"
        return named_activation(self.folder, self.checkpoint) or default

    # One pair gives one score. A list of two texts is a list of pairs to a checker, too.
    # fmt: off
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, inputs: OnePair, *, convert_to_numpy: bool = ..., **options: Unpack[PredictOptions]
    ) -> Score: ...
    @overload
    def predict(
        self, inputs: Sequence[Pair] | np.ndarray, *, convert_to_numpy: Literal[True] = ...,
        **options: Unpack[PredictOptions],
    ) -> Array: ...
    @overload
    def predict(
        self, inputs: Sequence[Pair] | np.ndarray, *, convert_to_numpy: Literal[False],
        **options: Unpack[PredictOptions],
    ) -> list[Score]: ...
    # fmt: on
    @overload
    def predict(
        self,
        inputs: OnePair | Sequence[Pair] | np.ndarray | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: str | ScoreActivation | None = None,
        apply_softmax: bool = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | Sequence[str] | None = None,
        pool: Processes | None = None,
        chunk_size: int | None = None,
        *,
        pack_tokens: int | None = None,
        on_long: OnLong | None = None,
        sentences: OnePair | Sequence[Pair] | np.ndarray | None = None,
        activation_fct: str | ScoreActivation | None = None,
        num_workers: int | None = None,
    ) -> Score | Array | list[Score]: ...
    def predict(
        self,
        inputs: OnePair | Sequence[Pair] | np.ndarray | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: str | ScoreActivation | None = None,
        apply_softmax: bool = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | Sequence[str] | None = None,
        pool: Processes | None = None,
        chunk_size: int | None = None,
        *,
        pack_tokens: int | None = None,
        on_long: OnLong | None = None,
        sentences: OnePair | Sequence[Pair] | np.ndarray | None = None,
        activation_fct: str | ScoreActivation | None = None,
        num_workers: int | None = None,
    ) -> Any:  # its kind follows from the arguments: see the overloads
        """Score pairs of texts: n pairs -> (n,) float32, or (n, labels) where there are several.

        One pair, ("a", "b") or ["a", "b"], gives one number, or (labels,). `apply_softmax` turns
        the scores of several labels into probabilities that sum to 1. `prompt` goes before the
        first text of each pair. The other arguments are as in SentenceTransformer.encode;
        `sentences` is the older name of `inputs`, and `activation_fct` of `activation_fn`.
        `num_workers`, of older releases, changes nothing.

        Raises TypeError or ValueError for the first input that is no pair.
        """
        check_torch(convert_to_tensor)
        given = one_name(inputs=inputs, sentences=sentences)
        activation_fn = one_name(activation_fn=activation_fn, activation_fct=activation_fct)
        check_counts(batch_size=batch_size, pack_tokens=pack_tokens, chunk_size=chunk_size)
        pairs, single = pairs_of(given)
        on_long = on_long or self.on_long
        check_no_window(on_long)
        activate = as_activation(self.activation_fn if activation_fn is None else activation_fn)
        job = job_of(
            self, len(pairs), on_long, prompt, prompt_name,
            pack_tokens=pack_tokens, batch_size=batch_size,
        )  # fmt: skip
        with self._workers(len(pairs), show_progress_bar, device, pool) as (processes, advance):
            if processes is None:
                parts = [logits_of(self, pairs, job, advance)]
            else:
                parts = processes.map(
                    logits_of, pairs,
                    arguments=(job.for_a_part(),), chunk_size=chunk_size, advance=advance,
                )  # fmt: skip
        logits = np.concatenate([self._no_logits(0), *(part for part, _ in parts)])
        truncation = sum((truncation for _, truncation in parts), Truncation())
        truncation.report(len(pairs), job.max_tokens, on_long)
        scores = self._scores(logits, activate, apply_softmax)
        if convert_to_tensor:
            scores = as_tensors(scores)
        found = scores if convert_to_numpy or convert_to_tensor else list(scores)
        return found[0] if single else found

    def _scores(self, logits: Array, activate: ScoreActivation, apply_softmax: bool) -> Array:
        """Turn logits into scores: (n, labels) -> (n,), or (n, labels) where there are several."""
        scores = scores_of(activate, logits)
        if self.num_labels == 1 and scores.ndim > 1:
            scores = scores[:, 0]
        if apply_softmax and scores.ndim > 1:
            numpy_kernels.softmax_(scores)
        return scores

    def _no_logits(self, pairs: int) -> Array:
        """Allocate the logits of some pairs: (pairs, labels)."""
        return np.empty((pairs, self.num_labels), dtype=np.float32)

    @property
    def _pooled_tokens(self) -> PooledTokens | None:
        """Function that finds the only token of each pair that the head needs; None for all."""
        return None if self._takes_mean else firsts

    def _head(self, pack: Pack, hidden: Array, hook: Hook | None) -> tuple[Array]:
        """Compute the logits of a pack's pairs from their first tokens: (S, D) -> (S, labels)."""
        hook = hook or (lambda name, array: None)
        kernels, head = self.transformer.device.kernels, self._on_device
        if self._takes_mean:
            hidden = mean(hidden, pack.lengths, 0, kernels)  # (N, D) -> (S, D)
        pooled = kernels.linear(hidden, head.dense_weight, head.dense_bias)  # (S, D)
        ACTIVATIONS[self._activation](kernels, pooled)
        if head.norm_weight is not None and head.norm_bias is not None:
            kernels.layer_norm_(
                pooled, head.norm_weight, head.norm_bias, self.config.layer_norm_eps
            )
        hook("the classifier's dense layer", pooled)
        logits = kernels.linear(pooled, head.weight, head.bias)
        hook("the classifier", logits)
        return (logits,)

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: str | ScoreActivation | None = None,
        device: str | Sequence[str] | None = None,
        pool: Processes | None = None,
        chunk_size: int | None = None,
        **options: Unpack[RankOptions],
    ) -> list[RankedDocument]:
        """Score documents against a query: -> {"corpus_id", "score"[, "text"]}, best first.

        Equal scores stay in the order of the documents. The other arguments are predict's.

        Raises ValueError for a model with several labels, TypeError for documents that are no list
        of texts.
        """
        given = listed(documents, "rank()")
        check_counts(top_k=top_k)
        if self.num_labels != 1:
            raise ValueError(
                f"This model has {self.num_labels} labels: its scores have no order. Use predict()."
            )
        pairs: list[Any] = [(query, document) for document in given]  # checked by predict
        for name in ("convert_to_tensor", "convert_to_numpy"):  # scores are numbers in any case
            options.pop(name, None)  # type: ignore[misc]  # both are keys
        scores: Any = self.predict(
            pairs, prompt_name, prompt, batch_size, show_progress_bar, activation_fn,
            device=device, pool=pool, chunk_size=chunk_size, **options,
        )  # fmt: skip
        order = np.argsort(-np.asarray(scores), kind="stable")[:top_k]
        ranked = [
            {"corpus_id": int(number), "score": float(scores[number])}
            | ({"text": given[number]} if return_documents else {})
            for number in order
        ]
        return cast("list[RankedDocument]", ranked)

    @property
    def activation_fn(self) -> str | ScoreActivation:
        """Activation that turns logits into scores: a name, or a function on arrays. Can be set."""
        return self._activation_fn

    @activation_fn.setter
    def activation_fn(self, activation_fn: str | ScoreActivation) -> None:
        as_activation(activation_fn)
        # By its name where it has one: so copies and processes need no torch.
        name = None if isinstance(activation_fn, str) else activation_name(activation_fn)
        self._activation_fn = activation_fn if name is None else name

    @property
    def num_labels(self) -> int:
        """Number of scores of a pair."""
        return len(self._classifier.bias)

    # Names that older programs use.
    max_length = Model.max_seq_length
    default_activation_function = activation_fn

    def is_singular_input(self, inputs: object) -> bool:
        """Return whether predict() takes an input for one pair; TypeError for what is no pair."""
        return pairs_of(inputs)[1]

    def _write(self, path: str | os.PathLike[str], *, has_card: bool) -> None:
        check_prompts(self.prompts)
        save_model(
            self.folder, self._loaded, path,
            hidden_size=self.config.hidden_size, include_prompt=True,
            max_seq_length=self._changed_max_seq_length,
            settings={**self._settings(), "activation_fn": torch_name(self.activation_fn)},
            trained={}, card=None, has_card=has_card,
        )  # fmt: skip

    def _place_head(self) -> None:
        """Bring the classifier's tensors to the transformer's device."""
        self._on_device = self.transformer.device.tensors_to_device(self._classifier)

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments that load this model from its folder."""
        return {**super()._arguments(), "activation_fn": self.activation_fn}

    def _recipe(self, **changes: Any) -> Recipe:
        """Return the recipe of a process's copy; it gives logits, which this process activates."""
        return super()._recipe(activation_fn="identity", **changes)

    def __getitem__(self, index: int) -> Transformer:
        return [self.transformer][index]

    def __len__(self) -> int:
        return 1


def logits_of(
    model: CrossEncoder, pairs: Sequence[Text], job: EncodeJob, advance: Callable[[int], object]
) -> tuple[Array, Truncation]:
    """Compute the logits of pairs, (n, labels), and count what was truncated."""
    logits, truncation = model._no_logits(len(pairs)), Truncation()
    for batch in model.transformer.batches(pairs, job):
        truncation += batch.truncation
        for pack, (rows,) in model.transformer.scheduler.run(
            batch.packs, model._head, model._pooled_tokens, is_all=batch.is_all
        ):
            logits[pack.order] = rows
            advance(len(pack.order))
    return logits, truncation


def check_no_window(on_long: OnLong) -> None:
    """Raise ValueError for an unknown `on_long`, and for "window", which no pair has."""
    check_on_long(on_long)
    if on_long == "window":
        raise ValueError('on_long="window" is for vectors; a pair is scored as a whole.')


def pairs_of(inputs: object) -> tuple[list[Text], bool]:
    """Return the input of predict() as a list of pairs, and whether it was one pair."""
    expected = "a list of pairs of texts"
    if is_one(inputs):
        raise no_list(inputs, "predict()", expected)
    inputs = list_of(inputs, "predict()", expected)
    single = len(inputs) == 2 and all(isinstance(text, str) for text in inputs)
    pairs = check_texts([inputs] if single else inputs)
    for number, pair in enumerate(pairs):
        if isinstance(pair, str):
            raise TypeError(
                f"predict() takes pairs of texts; item {number} of {len(pairs)} is one text "
                f"({pair!r:.40})."
            )
    return pairs, single
