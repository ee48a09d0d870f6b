"""A BERT with its tokenizer on a device: texts -> rows of tokens -> packs.

Every kind of model begins with one: `encoding.py` pools the hidden states, `cross_encoder.py` and
`masked_lm.py` put a head on them. Packs are computed by `scheduler.py`. Start at
Transformer.batches.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minibert.bert.families import check_device, family_of, max_tokens, positions_of
from minibert.bert.forward import hidden_states
from minibert.bert.load import Checkpoint, load_checkpoint
from minibert.bert.packs import Pack, packs
from minibert.bert.parameters import Config, Parameters
from minibert.bert.placement import parameters_to_host
from minibert.checkpoint.transformer_settings import TransformerSettings
from minibert.common.arguments import check_counts, is_count
from minibert.common.arrays import IntArray
from minibert.common.safetensors_files import weight_files
from minibert.errors import CheckpointError
from minibert.kernels.cores import thread_count
from minibert.kernels.devices import Device, find_device
from minibert.models.job import EncodeJob
from minibert.models.scheduler import Scheduler
from minibert.tokens.load import load_tokenizer
from minibert.tokens.padding import pad_rows
from minibert.tokens.texts import MAX_TEXTS, Text, text_slices, with_prompt
from minibert.tokens.truncation import OnLong, Truncation

if TYPE_CHECKING:
    from minibert.models.bert_model import BertModel
    from minibert.models.hf_tokenizer import Tokenizer
    from minibert.pooling.pooling import Pooling
    from minibert.pooling.weighted_layers import LayerMix
    from minibert.tokens.tokenizer import TextTokenizer

__all__ = ["Batch", "Transformer"]

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Some texts of a list, ready to compute."""

    packs: list[Pack]  # their `order` is that of the whole list
    is_all: bool  # whether the call has no other packs
    left_out: list[int]  # the numbers of texts above the maximum length, for on_long="window"
    truncation: Truncation  # what the texts lost


class Transformer:
    """A BERT and its tokenizer, as a folder has them. Threads may share one."""

    # Modules that follow by themselves, before those that the folder names.
    implied_modules: tuple[Pooling, ...] = ()
    settings: TransformerSettings  # of the model's folder
    dtype: str  # "float32" or "float16", which moving to a device goes by
    checkpoint: Checkpoint  # the files and tensors that were loaded
    config: Config  # sizes and other settings of config.json
    max_tokens: int  # how many positions there are
    text_tokenizer: TextTokenizer  # texts -> rows of token ids
    has_token_types: bool  # True where the texts of a pair have types of their own
    loaded_max_seq_length: int  # before a program changes it
    slice_texts: int  # texts that are tokenised and packed at a time
    scheduler: Scheduler  # packs -> results, on the device

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | TransformerSettings,
        max_seq_length: int | None = None,
        *,
        do_lower_case: bool = False,
        device: str | None = None,
        threads: int | None = None,
        reproducible: bool = False,
        short_inputs: bool = True,
        dtype: object = None,
    ) -> None:
        """Load the weights and the tokenizer of a plain BERT: of a folder, or a model of the hub.

        `max_seq_length` is the maximum length of a text in tokens; None is the tokenizer's own.
        `do_lower_case` lower-cases texts before all else. TransformerSettings have both already.

        `reproducible` runs every text by itself, on one thread: a BLAS may round a row in other
        ways beside other rows, and so do sums over the shards of threads. `short_inputs` lets the
        first short text make a copy of the weights in tiles, see tensor_parallel.py. `dtype` is
        that of the layers, "float32" or on a GPU "float16".

        Raises CheckpointError, DeviceError or ValueError, as SentenceTransformer does.
        """
        if isinstance(model_name_or_path, TransformerSettings):
            settings = model_name_or_path
        else:
            settings = settings_of(model_name_or_path, max_seq_length, do_lower_case)
        self.settings = settings
        count = thread_count(threads)
        found = find_device(device, dtype)
        self.dtype = found.dtype
        self._load(settings.path)
        check_device(self.config, found.name)
        self.has_token_types = family_of(self.config).has_token_types
        self.loaded_max_seq_length = self.max_seq_length
        self.slice_texts = MAX_TEXTS
        self.scheduler = self._scheduler_on(found, count, reproducible, short_inputs)

    def _load(self, folder: Path) -> None:
        """Read the weights and the tokenizer of a folder."""
        settings = self.settings
        self.checkpoint = load_checkpoint(folder, settings.config_args)
        self.config = self.checkpoint.config
        self.max_tokens = max_tokens(self.config)
        family = family_of(self.config)
        self.text_tokenizer = load_tokenizer(
            folder,
            vocab_size=self.config.vocab_size,
            max_tokens=self.max_tokens,
            default_class=family.tokenizer,
            names_class=family.names_tokenizer,
            max_seq_length=settings.max_seq_length,
            do_lower_case=settings.do_lower_case,
            tokenizer_args=settings.tokenizer_args,
        )

    def _scheduler_on(
        self, device: Device, threads: int, reproducible: bool, short_inputs: bool
    ) -> Scheduler:
        """Put the weights on a device."""
        return Scheduler(
            self.checkpoint.parameters,
            self.config,
            device,
            threads=threads,
            reproducible=reproducible,
            short_inputs=short_inputs,
            model=self.settings.path,
        )

    @property
    def device(self) -> Device:
        """Device on which the model computes."""
        return self.scheduler.device

    @property
    def parameters(self) -> Parameters:
        """Weights, on the device."""
        return self.scheduler.parameters

    @property
    def reproducible(self) -> bool:
        """True where a text has the same bits whatever its neighbours."""
        return self.scheduler.reproducible

    @property
    def short_inputs(self) -> bool:
        """True where short texts may have a second copy of the weights."""
        return self.scheduler.short_inputs

    @property
    def threads(self) -> int:
        """Number of cores to use, from 1 to all that there are; None sets all."""
        return self.scheduler.threads

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self.scheduler.threads = thread_count(threads)

    @property
    def max_seq_length(self) -> int:
        """Maximum number of tokens of a text, with special ones; longer texts are truncated."""
        return self.text_tokenizer.max_length

    @max_seq_length.setter
    def max_seq_length(self, length: int) -> None:
        if not is_count(length):
            raise ValueError(f"max_seq_length is {length!r}; expected a whole number from 1 up.")
        if length > self.max_tokens:
            raise ValueError(
                f"max_seq_length is {length}; this model has {self.max_tokens} positions."
            )
        self.text_tokenizer.max_length = int(length)

    def limit(self, task: str | None = None) -> int | None:
        """Return the maximum number of tokens of a text; None truncates no text.

        `task` is "query", "document" or None; a folder may set a maximum for each.
        """
        if not self.settings.truncation:
            return None
        of_task = {"query": self.settings.query_length, "document": self.settings.document_length}
        return self.settings.max_length or of_task.get(task or "") or self.max_seq_length

    def to(self, device: str, dtype: str | None = None) -> None:
        """Move to a device: "cpu", "cuda", or "cuda:" and a number; in the same dtype, or another.

        Where that fails, all stays as it was.
        """
        self.place(
            device, dtype or self.dtype,
            threads=self.threads, reproducible=self.reproducible, short_inputs=self.short_inputs,
        )  # fmt: skip

    def place(
        self,
        device: str | None,
        dtype: object,
        *,
        threads: int | None,
        reproducible: bool,
        short_inputs: bool,
    ) -> None:
        """Move to a device, with these settings from now on; they are those of the constructor."""
        found = find_device(device, dtype)
        check_device(self.config, found.name)
        count = thread_count(threads)
        # Training leaves them on a GPU.
        on_host = parameters_to_host(self.checkpoint.parameters)
        self.checkpoint = replace(self.checkpoint, parameters=on_host)
        self.scheduler = self._scheduler_on(found, count, reproducible, short_inputs)
        self.dtype = found.dtype

    def mix_layers(self, mix: LayerMix | None) -> None:
        """Take the weighted mean of several layers for the states of tokens; None takes the last.

        As in the reference, config.json must ask for all states; else the last ones are taken, and
        a warning says so.

        Raises CheckpointError for weights of another number of layers, and for a family whose
        states are not those of BERT's forward pass.
        """
        if mix is not None and not self.checkpoint.settings.get("output_hidden_states"):
            logger.warning(
                "%s: output_hidden_states is not true, so the WeightedLayerPooling has no effect.",
                self.settings.path / "config.json",
            )
            mix = None
        if mix is not None and family_of(self.config).forward is not hidden_states:
            raise CheckpointError(
                f"{self.settings.path}: minibert mixes the layers of models with BERT's forward "
                f"pass, not of a {self.config.model_type}."
            )
        layers = self.config.num_hidden_layers
        if mix is not None and mix.start + len(mix.weights) != layers + 1:
            raise CheckpointError(
                f"{self.settings.path}: the WeightedLayerPooling is for "
                f"{mix.start + len(mix.weights) - 1} layers; the model has {layers}."
            )
        self.scheduler.layer_mix = mix

    def use_parameters(self, parameters: Parameters) -> None:
        """Compute with other parameters from now on, of the same shapes, which no file has."""
        self.checkpoint = replace(self.checkpoint, parameters=parameters, files=())
        self.scheduler = self._scheduler_on(
            self.device, self.threads, self.reproducible, self.short_inputs
        )

    def use_files(self, folder: Path) -> None:
        """Take the files of weights in a folder for those that have the parameters."""
        self.checkpoint = replace(self.checkpoint, files=weight_files(folder))

    def prompt_tokens(self, prompt: str) -> int:
        """Count the tokens that a prompt takes at the beginning of a text, with [CLS].

        They are counted on the prompt alone, like the reference's, even if it grows together with
        a text; a special token at its end is not of the prompt.
        """
        if not prompt:
            return 0
        ids = self.text_tokenizer.rows([prompt], self.limit()).ids[0]
        return len(ids) - (len(ids) > 0 and int(ids[-1]) in self.text_tokenizer.special_ids)

    def padded(
        self, texts: Sequence[Text], prompt: str, task: str | None, on_long: OnLong
    ) -> dict[str, object]:
        """Tokenise and pad texts, as SentenceTransformer.preprocess tells; no texts give {}."""
        if not texts:
            return {}
        limit = self.limit(task)
        rows = self.text_tokenizer.rows(with_prompt(prompt, texts), limit)
        rows.truncation.report(len(texts), limit, on_long)
        features = {**pad_rows(rows, self.text_tokenizer), "modality": "text"}
        return features | ({"prompt_length": self.prompt_tokens(prompt)} if prompt else {})

    def batches(self, texts: Sequence[Text], job: EncodeJob) -> Iterator[Batch]:
        """Tokenise texts and pack them, some thousand at a time.

        Raises ValueError for texts longer than the positions, and for on_long="error".
        """
        for part in text_slices(texts, len(job.prompt), self.slice_texts):
            rows = self.text_tokenizer.rows(with_prompt(job.prompt, texts[part]), job.max_tokens)
            if job.on_long == "error":
                rows.truncation.report(len(texts), job.max_tokens, job.on_long)
            is_left_out = np.array(rows.is_truncated, dtype=bool) & (job.on_long == "window")
            kept = np.flatnonzero(~is_left_out)
            types = None if rows.types is None else [rows.types[index] for index in kept]
            packs = self.packs([rows.ids[index] for index in kept], types, job)
            yield Batch(
                [pack._replace(order=part.start + kept[pack.order]) for pack in packs],
                job.is_all(len(kept)),
                (part.start + np.flatnonzero(is_left_out)).tolist(),
                rows.truncation,
            )

    def packs(
        self, ids: list[IntArray], types: list[IntArray] | None, job: EncodeJob
    ) -> list[Pack]:
        """Rows of tokens in packs, with the positions that the model's family gives them.

        Raises ValueError for a row with no token or too many, and for what has no embedding.
        """
        types = self.checked_types(ids, types)
        positions = [positions_of(row, self.config) for row in ids]
        pack_tokens = job.pack_tokens or self.device.pack_tokens
        max_texts = 1 if self.reproducible else job.batch_size
        return list(packs(ids, pack_tokens, max_texts, positions=positions, token_types=types))

    def checked_types(
        self, ids: list[IntArray], types: list[IntArray] | None
    ) -> list[IntArray] | None:
        """Return the token types that the model has vectors for, if any; raise as `packs` does."""
        types = types if self.has_token_types else None
        self._check_rows(ids, types)
        return types

    def _check_rows(self, ids: list[IntArray], types: list[IntArray] | None) -> None:
        """Raise ValueError for no token, too many tokens, and a token without an embedding."""
        longest = max(map(len, ids), default=0)
        if min(map(len, ids), default=1) == 0:
            raise ValueError(
                "A text has no token: it is blank, and this folder's tokenizer adds none."
            )
        if longest > self.max_tokens:
            raise ValueError(
                f"A text has {longest} tokens, and this model has {self.max_tokens} positions; "
                f"the maximum length ({self.limit()}) does not truncate it. Set max_seq_length."
            )
        largest = max((int(row.max()) for row in ids), default=0)
        if largest >= self.config.vocab_size:
            token = self.text_tokenizer.backend.id_to_token(largest)
            raise ValueError(
                f"A text holds {token!r}, the token {largest}; "
                f"this model has {self.config.vocab_size} word embeddings."
            )
        highest = max((int(row.max()) for row in types or ()), default=0)
        if types is not None and self.config.type_vocab_size <= max(highest, 1):
            raise ValueError(
                "This model has one token type, so it cannot tell a pair's texts apart."
                if self.config.type_vocab_size < 2
                else f"A token has the type {highest}, and this model has "
                f"{self.config.type_vocab_size} token types. Leave token_type_ids out of "
                "model_input_names in tokenizer_config.json, or choose another tokenizer_class."
            )

    # For programs written for sentence-transformers, which use these of the first module.
    # Imported late: few programs need them, and the others start sooner.

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer, under transformers' names."""
        from minibert.models.hf_tokenizer import Tokenizer

        return Tokenizer(self.text_tokenizer)

    @property
    def auto_model(self) -> BertModel:
        """BERT, under transformers' names."""
        from minibert.models.bert_model import BertModel

        return BertModel(
            self.config,
            self.checkpoint.parameters,
            device=self.device.name,
            dtype=self.device.dtype,
            settings=self.checkpoint.settings,
        )

    @property
    def do_lower_case(self) -> bool:
        """True where sentence-transformers' own setting lower-cases texts before all else."""
        return self.settings.do_lower_case

    def get_embedding_dimension(self) -> int:
        """Return the dimension of a token's state, D."""
        return self.config.hidden_size

    get_word_embedding_dimension = get_embedding_dimension

    def __repr__(self) -> str:
        return f"Transformer({self.settings.path}, max_seq_length={self.max_seq_length})"


def settings_of(
    model_name_or_path: str | os.PathLike[str], max_seq_length: int | None, do_lower_case: bool
) -> TransformerSettings:
    """Find a model's folder, and make settings for it; it is fetched if it is not there."""
    from minibert.checkpoint.hub import find_model  # late: a SentenceTransformer has found it

    check_counts(max_seq_length=max_seq_length)
    path = find_model(model_name_or_path).absolute()
    return TransformerSettings(path, max_seq_length=max_seq_length, do_lower_case=do_lower_case)
