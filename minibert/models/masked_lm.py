"""BertForMaskedLM: a text with [MASK] in it -> the words that the model expects there."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypedDict

import numpy as np

from minibert.bert.hook import Hook
from minibert.bert.load import Checkpoint
from minibert.bert.packs import Pack
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions
from minibert.checkpoint.transformer_settings import TransformerSettings
from minibert.common.arguments import check_given_counts
from minibert.common.arrays import Array
from minibert.errors import CheckpointError
from minibert.kernels import cpu as numpy_kernels
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.segments import firsts, split_rows
from minibert.models.job import EncodeJob
from minibert.models.transformer import Transformer
from minibert.scoring.top_k import top_k
from minibert.tokens.special_tokens import encodings_of
from minibert.tokens.texts import check_texts, list_of, single_texts

__all__ = ["BertForMaskedLM", "Guess", "fill_mask"]

logger = logging.getLogger(__name__)


class Guess(TypedDict):
    """One word that may stand behind a mask."""

    score: float  # its probability
    token: int  # its id
    token_str: str  # the token
    sequence: str  # the text with it


# Of a text with one mask its guesses, of several masks a list for each.
Guesses: TypeAlias = list[Guess] | list[list[Guess]]


class WordHead(NamedTuple):
    """Head of Devlin et al. (2019), section 3.1, with a transform before the vocabulary."""

    transform_weight: Array  # (D, D)
    transform_bias: Array  # (D,)
    norm_weight: Array  # (D,)
    norm_bias: Array  # (D,)
    decoder_weight: Array  # (D, V)
    decoder_bias: Array  # (V,)


class BertForMaskedLM:
    """A BERT with the head that it was trained with: it guesses masked words."""

    transformer: Transformer  # the BERT and its tokenizer

    def __init__(
        self,
        folder: str | os.PathLike[str],
        device: str | None = None,
        *,
        threads: int | None = None,
        dtype: object = None,
    ) -> None:
        """Load a folder; see from_pretrained for names of models."""
        self.transformer = Transformer(
            TransformerSettings(Path(folder)), device=device, threads=threads, dtype=dtype
        )
        self._head = self.transformer.device.tensors_to_device(
            read_head(self.transformer.checkpoint)
        )

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str | os.PathLike[str],
        *,
        device: str | None = None,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        threads: int | None = None,
        dtype: object = None,
    ) -> BertForMaskedLM:
        """Load the weights and the tokenizer of a folder or of a model of the hub.

        Raises as SentenceTransformer's constructor does; CheckpointError without the head.
        """
        hub = HubOptions(revision, cache_dir, token, local_files_only)
        folder = find_model(model_name_or_path, hub)
        return cls(folder, device, threads=threads, dtype=dtype)

    def fill_mask(
        self,
        inputs: str | Sequence[str],
        *,
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
    ) -> Guesses | list[Guesses]:
        """Guess the word behind each [MASK]: a text -> its `top_k` guesses, the likeliest first.

        A guess is {"score": probability, "token": id, "token_str": token, "sequence": the text with
        it}. A text with several masks gives a list of guesses for each, in whose sequences the
        others stay; a list of several texts gives a list, one of one what its text gives, like
        transformers' pipeline. `targets` are the only words to consider; of one that is not in the
        vocabulary the first token counts.

        Raises TypeError for an input that is no text, ValueError for a text without a mask.
        """
        check_given_counts(top_k=top_k)
        texts = check_texts(list_of(inputs, "fill_mask()"))
        tokenizer = self.transformer.text_tokenizer
        mask = tokenizer.backend.token_to_id(tokenizer.special_tokens.get("mask_token", ""))
        limit = self.transformer.limit()
        rows = tokenizer.rows(texts, limit)
        rows.truncation.report(len(texts), limit, "warn")
        for number, ids in enumerate(rows.ids):
            if mask is None or mask not in ids:
                token = tokenizer.special_tokens.get("mask_token")
                raise ValueError(
                    f"Text {number} of {len(texts)} has no {token} within {limit} tokens."
                )
        allowed = None if targets is None else self._ids_of(targets)

        places = [np.flatnonzero(ids == mask) for ids in rows.ids]

        def head(pack: Pack, hidden: Array, hook: Hook | None) -> tuple[Array]:
            logits = self._logits(pack, hidden, [places[text] for text in pack.order])
            if hook:
                hook("the head for masked words", logits)
            return (logits,)

        guesses: list[Any] = [None] * len(texts)
        packs = self.transformer.packs(rows.ids, rows.types, EncodeJob(len(texts), limit))
        for pack, (logits,) in self.transformer.scheduler.run(packs, head, is_all=True):
            masks = np.array([len(places[text]) for text in pack.order])
            for text, found in zip(pack.order, split_rows(logits, masks), strict=True):
                guesses[text] = self._guesses(found, rows.ids[text], places[text], top_k, allowed)
        return guesses[0] if len(guesses) == 1 else guesses

    def _logits(self, pack: Pack, hidden: Array, places: list[Any]) -> Array:
        """Compute the logits at all masks of a pack's texts: (N, D) -> (masks, V)."""
        head, config = self._head, self.transformer.config
        kernels = self.transformer.device.kernels
        starts = firsts(pack.lengths)
        at = np.concatenate([start + place for start, place in zip(starts, places, strict=True)])
        rows = kernels.linear(
            kernels.rows_at(hidden, at), head.transform_weight, head.transform_bias
        )  # (masks, D)
        ACTIVATIONS[config.hidden_act](kernels, rows)
        kernels.layer_norm_(rows, head.norm_weight, head.norm_bias, config.layer_norm_eps)
        return kernels.linear(rows, head.decoder_weight, head.decoder_bias)

    def _guesses(self, logits: Array, ids: Any, places: Any, k: int, allowed: Any) -> list[Any]:
        """List the guesses for one text's masks: (masks, V) -> a list, or one for each mask."""
        numpy_kernels.softmax_(logits)
        probabilities = logits if allowed is None else logits[:, allowed]
        columns, scores = top_k(probabilities, k)
        found = columns if allowed is None else allowed[columns]
        decode = self.transformer.tokenizer.decode
        guesses: list[Any] = []
        for place, tokens, row in zip(places, found, scores, strict=True):
            guesses.append([])
            for token, score in zip(tokens.tolist(), row.tolist(), strict=True):
                filled = np.where(np.arange(len(ids)) == place, token, ids)
                filled = filled[filled != self.transformer.text_tokenizer.pad_id]
                guesses[-1].append(
                    {
                        "score": score,
                        "token": token,
                        "token_str": decode([token]),
                        # With special tokens where there are other masks, which are such tokens.
                        "sequence": decode(filled, skip_special_tokens=len(places) == 1),
                    }
                )
        return guesses[0] if len(places) == 1 else guesses

    def _ids_of(self, targets: str | Sequence[str]) -> Any:
        """Return the ids of the only words to consider, each once."""
        backend, ids = self.transformer.text_tokenizer.backend, set()
        # Their order does not matter, so a set is accepted.
        given = list(targets) if isinstance(targets, set | frozenset) else targets
        for target in single_texts(given, "targets"):
            id = backend.token_to_id(target)
            if id is None:
                (encoding,) = encodings_of(backend.encode_batch_fast, [target])
                if not encoding.ids:
                    raise ValueError(f"The target {target!r} has no token.")
                id = encoding.ids[0]
                logger.warning(
                    "%r is not in the vocabulary; %r counts.", target, backend.id_to_token(id)
                )
            ids.add(id)
        if not ids:
            raise ValueError("targets is empty; give at least one word, or leave it out.")
        return np.array(sorted(ids))


def fill_mask(
    model_name_or_path: str | os.PathLike[str],
    inputs: str | Sequence[str],
    *,
    top_k: int = 5,
    targets: str | Sequence[str] | None = None,
) -> Guesses | list[Guesses]:
    """Guess masked words with a model's folder or name: see BertForMaskedLM.fill_mask."""
    return BertForMaskedLM.from_pretrained(model_name_or_path).fill_mask(
        inputs, top_k=top_k, targets=targets
    )


def read_head(checkpoint: Checkpoint) -> WordHead:
    """Read the head's tensors; the decoder is the word embeddings, unless the file has another."""
    tensors, config = checkpoint.tensors, checkpoint.config
    name, dimension, vocabulary = "cls.predictions", config.hidden_size, config.vocab_size
    folder = checkpoint.files[0].parent
    if f"{name}.transform.dense.weight" not in tensors:
        raise CheckpointError(
            f"{folder} has no head for masked words ({name}.transform.dense.weight)."
        )
    if f"{name}.decoder.weight" in tensors:
        decoder = tensors.take(f"{name}.decoder.weight", vocabulary, dimension)
    elif checkpoint.settings.get("tie_word_embeddings", True):
        decoder = checkpoint.parameters.word_embeddings
    else:
        raise CheckpointError(
            f"{folder}: tie_word_embeddings is false and there is no {name}.decoder.weight."
        )
    biases = (f"{name}.decoder.bias", f"{name}.bias")
    bias = next((tensors.take(bias, vocabulary) for bias in biases if bias in tensors), None)
    # A NomicBERT's has the other name, in transformers as in its own repository.
    norms = (f"{name}.transform.LayerNorm", f"{name}.transform.layer_norm")
    norm = next((norm for norm in norms if f"{norm}.weight" in tensors), norms[0])
    return WordHead(
        transform_weight=tensors.take(f"{name}.transform.dense.weight", dimension, dimension).T,
        transform_bias=tensors.take(f"{name}.transform.dense.bias", dimension),
        norm_weight=tensors.take(f"{norm}.weight", dimension),
        norm_bias=tensors.take(f"{norm}.bias", dimension),
        decoder_weight=decoder.T,
        decoder_bias=np.zeros(vocabulary, dtype=np.float32) if bias is None else bias,
    )
