"""StaticEmbedding: a table of word embeddings with its tokenizer, in the place of a Transformer.

A text's vector is the mean of its tokens' rows; modules may follow. Texts are never truncated,
unless the folder's tokenizer.json says so. The computation is that of every model: see
`transformer.py`. Start at StaticEmbedding.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from minibert.bert.packs import Pack
from minibert.bert.static import EMPTY
from minibert.bert.table import NO_LIMIT, load_table
from minibert.checkpoint.transformer_settings import STATIC_TASK, TransformerSettings
from minibert.common.arguments import type_of
from minibert.common.arrays import IntArray
from minibert.models.job import EncodeJob
from minibert.models.transformer import Transformer
from minibert.pooling.pooling import Pooling
from minibert.tokens.load import load_plain_tokenizer
from minibert.tokens.texts import Text, with_prompt
from minibert.tokens.truncation import OnLong

__all__ = ["StaticEmbedding"]


class StaticEmbedding(Transformer):
    """A table of word embeddings and its tokenizer, as a folder has them. Threads may share one.

    `config` has the sizes of the table.
    """

    implied_modules = (Pooling(),)  # the mean, which no folder names

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | TransformerSettings,
        *,
        device: str | None = None,
        threads: int | None = None,
        reproducible: bool = False,
        short_inputs: bool = True,
        dtype: object = None,
    ) -> None:
        """Load tokenizer.json and the table of a folder, or of a model of the hub.

        The arguments are those of Transformer. Raises TypeError for a tokenizer and weights in
        memory, as the reference's class takes them, and CheckpointError or DeviceError, as
        SentenceTransformer does.
        """
        if not isinstance(model_name_or_path, str | os.PathLike | TransformerSettings):
            raise TypeError(
                f"StaticEmbedding() got {type_of(model_name_or_path)}; expected the folder of a "
                "StaticEmbedding, with tokenizer.json and model.safetensors in it, or its name on "
                "the hub."
            )
        super().__init__(
            model_name_or_path,
            device=device,
            threads=threads,
            reproducible=reproducible,
            short_inputs=short_inputs,
            dtype=dtype,
        )
        self.settings = self.settings._replace(task=STATIC_TASK)  # of the folder

    def _load(self, folder: Path) -> None:
        """Read the table and the tokenizer."""
        self.checkpoint = load_table(folder)
        self.config = self.checkpoint.config
        self.max_tokens = NO_LIMIT
        self.text_tokenizer = load_plain_tokenizer(folder, NO_LIMIT)

    @property
    def max_seq_length(self) -> int:
        """Maximum number of tokens of a text, which cannot be set; 2^31 - 1 without any."""
        return self.text_tokenizer.max_length

    @max_seq_length.setter
    def max_seq_length(self, length: int) -> None:
        if length != self.max_seq_length:
            raise ValueError(
                f"max_seq_length is {length!r}; a StaticEmbedding reads whole texts, and has no "
                "maximum but that of its tokenizer.json."
            )

    def limit(self, task: str | None = None) -> int | None:
        """Return the maximum number of tokens of a text; None truncates no text."""
        return None if self.max_seq_length == NO_LIMIT else self.max_seq_length

    def packs(
        self, ids: list[IntArray], types: list[IntArray] | None, job: EncodeJob
    ) -> list[Pack]:
        """Rows of tokens in packs; a text without a token has one whose state is 0.

        Raises ValueError for a token that the table lacks.
        """
        return super().packs(filled(ids), None, job)

    def _check_rows(self, ids: list[IntArray], types: list[IntArray] | None) -> None:
        """Raise ValueError for a token that the table lacks."""
        super()._check_rows(filled(ids), None)

    def padded(
        self, texts: Sequence[Text], prompt: str, task: str | None, on_long: OnLong
    ) -> dict[str, object]:
        """Tokenise texts end to end: -> input_ids (N,), offsets (S,), where each text begins."""
        rows = self.text_tokenizer.rows(with_prompt(prompt, texts), self.limit())
        lengths = [0, *map(len, rows.ids[:-1])][: len(rows.ids)]
        ids = np.concatenate([np.zeros(0, np.int64), *rows.ids])
        return {"input_ids": ids, "offsets": np.cumsum(lengths, dtype=np.int64)}

    @property
    def auto_model(self) -> NoReturn:
        """Raise AttributeError: there is no BERT."""
        raise AttributeError(
            "A StaticEmbedding has no BERT, so there is no auto_model. Its table is "
            "model[0].parameters.word_embeddings."
        )

    def __repr__(self) -> str:
        return f"StaticEmbedding({self.settings.path})"


def filled(ids: list[IntArray]) -> list[IntArray]:
    """Return rows of tokens, with the token EMPTY in those without any."""
    empty = np.array([EMPTY])
    return [row if len(row) else empty for row in ids]
