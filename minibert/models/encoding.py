"""Texts -> vectors, or token states, or both: what SentenceTransformer.encode returns, computed.

For one process, and in float32. Start at Encoding.vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from minibert.bert.finite import FirstNotFinite
from minibert.bert.hook import Watch
from minibert.bert.packs import Pack
from minibert.common.arrays import Array
from minibert.models.transformer import Transformer
from minibert.pooling.modes import Reads
from minibert.pooling.pipeline import Pipeline
from minibert.tokens.padding import pad_rows
from minibert.tokens.texts import Text, characters_of, with_prompt
from minibert.tokens.truncation import Cut, OnLong

__all__ = ["OUTPUTS", "Encoding", "joined"]

# The texts that `features` pads to one length, where the caller does not say.
BATCH_SIZE = 32
# One part in so many of a long text's window comes again in the next.
OVERLAP = 4

Advance: TypeAlias = Callable[[int], object]
Vectors: TypeAlias = tuple[Array]


@dataclass(frozen=True)
class Encoding:
    """A model, and how it is to encode some texts."""

    transformer: Transformer
    pipeline: Pipeline
    width: int  # how many dimensions of a vector are kept
    prompt: str = ""
    task: str | None = None
    normalize: bool = False
    on_long: OnLong = "warn"
    pack_tokens: int | None = None
    batch_size: int | None = None
    many: bool = False  # whether these texts are some of a corpus, of which others come later
    cuts: list[Cut] = field(default_factory=list)  # gets what texts lost

    @cached_property
    def limit(self) -> int | None:
        """The most tokens of a text."""
        return self.transformer.limit(self.task)

    @cached_property
    def prompt_length(self) -> int:
        """How many tokens the prompt takes at the beginning of a text, [CLS] among them.

        They are counted on the prompt alone, like the reference's, even if it grows together with
        a text; a special token at its end is not of the prompt.
        """
        if not self.prompt:
            return 0
        words = self.transformer.words
        ids = words.rows([self.prompt], self.transformer.limit()).ids[0]
        return len(ids) - (len(ids) > 0 and int(ids[-1]) in words.special_ids)

    def vectors(self, texts: Sequence[Text], advance: Advance) -> Array:
        """One vector a text: n texts -> (n, width) float32."""
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        long: list[int] | None = None
        if self.on_long == "window":
            long = []
            if self.pipeline.pooling.pooling_mode != ("mean",):
                modes = ", ".join(self.pipeline.pooling.pooling_mode)
                raise ValueError(
                    f'on_long="window" is for mean pooling; this model pools by {modes}.'
                )
        reads = self.pipeline.reads(self.prompt_length)
        for pack, (rows,) in self._run(texts, self._vectors_of_pack, long, reads):
            vectors[pack.order] = rows
            advance(len(pack.order))
        for number in long or ():
            vectors[number] = self._vector_of_windows(texts[number], len(texts) > 1)
            advance(1)
        return vectors

    def states(self, texts: Sequence[Text], advance: Advance) -> list[Array]:
        """The states of each text's tokens, special ones among them: n texts -> n of (T, E)."""
        states: list[Array] = [np.empty((0, 0), dtype=np.float32)] * len(texts)
        for pack, (found,) in self._run(texts, self._states_of_pack):
            for number, state in zip(pack.order, split_rows(found, pack), strict=True):
                states[number] = state
            advance(len(pack.order))
        return states

    def features(self, texts: Sequence[Text], advance: Advance) -> list[dict[str, Any]]:
        """All of each text in a dict: its tokens, their states and its vector, padded.

        The batches are the reference's: texts sorted by their characters, the longest first,
        `batch_size` at a time, each padded to the longest of its batch. States of padding are 0.
        """
        features: list[dict[str, Any]] = [{} for _ in texts]
        order = np.argsort([-characters_of(text) for text in texts])
        size = self.batch_size or BATCH_SIZE
        for batch in (order[start : start + size] for start in range(0, len(order), size)):
            rows = self.transformer.words.rows(
                with_prompt(self.prompt, [texts[number] for number in batch]), self.limit
            )
            if self.on_long == "error":
                rows.cut.report(len(texts), self.limit, self.on_long)
            self.cuts.append(rows.cut)
            arrays = pad_rows(rows, self.transformer.words)
            for pack, (states, vectors) in self.transformer.run_rows(
                rows.ids,
                rows.types,
                self.both_of_pack,
                self.pack_tokens,
                many=self.many or len(batch) < len(texts),
            ):
                of_texts = zip(pack.order, split_rows(states, pack), vectors, strict=True)
                for place, state, vector in of_texts:
                    row: dict[str, Any] = {name: array[place] for name, array in arrays.items()}
                    real = row["attention_mask"] == 1
                    row |= {"modality": "text"}
                    row |= {"prompt_length": self.prompt_length} if self.prompt else {}
                    row["token_embeddings"] = np.zeros((len(real), state.shape[1]), np.float32)
                    row["token_embeddings"][real] = state
                    row["sentence_embedding"] = vector
                    features[batch[place]] = row
                advance(len(pack.order))
        return features

    def _run(
        self,
        texts: Sequence[Text],
        head: Any,
        left_out: list[int] | None = None,
        reads: Reads | None = None,
    ) -> Iterator[tuple[Pack, tuple[Array, ...]]]:
        """Run the texts through the BERT, and a head on each pack."""
        return self.transformer.run(
            texts,
            head,
            prompt=self.prompt,
            limit=self.limit,
            pack_tokens=self.pack_tokens,
            batch_size=self.batch_size,
            on_long=self.on_long,
            cuts=self.cuts,
            left_out=left_out,
            reads=reads,
            many=self.many,
        )

    def _vector_of_windows(self, text: Text, has_company: bool) -> Array:
        """The vector of a text above the limit, from windows that overlap: -> (width,).

        `has_company` says that the call has other texts.

        The windows' means are averaged with the weight of their tokens, special tokens and prompt
        among them, so this is the mean over all tokens of all windows. The modules after the
        pooling, and `normalize`, follow.
        """
        if not isinstance(text, str):
            raise ValueError('on_long="window" is for single texts, not for pairs.')
        assert self.limit is not None  # without one, no text is above it
        skipped = self.pipeline.skipped(self.prompt_length)
        rows = self.transformer.words.stretches(
            text, self.prompt, self.limit, self.limit // OVERLAP
        )
        total: Array = np.zeros(1, dtype=np.float32)
        for pack, (means,) in self.transformer.run_rows(
            rows,
            None,
            self._pooled_of_pack,
            self.pack_tokens,
            self.batch_size,
            many=self.many or has_company,
        ):
            total = total + (pack.lengths - skipped).astype(np.float32) @ means  # (E,)
        device = self.transformer.device
        first = FirstNotFinite(device.take)
        with device.active(), np.errstate(over="ignore", invalid="ignore"):
            mean = device.put((total / np.float32(sum(len(row) - skipped for row in rows)))[None])
            vector: Array = device.take(self._finished(mean, first))[0]
        if first.step:
            raise first.error(self.transformer.settings.path)
        return vector

    # What is made of a pack's hidden states (N, D), on the device.

    def _vectors_of_pack(self, pack: Pack, hidden: Array, watch: Watch | None = None) -> Vectors:
        """-> (S, width)"""
        hidden, watch = self._tokens(hidden, watch), self._of_texts(pack, watch)
        return (self._finished(self._pooled(pack, hidden, watch), watch),)

    def _pooled_of_pack(self, pack: Pack, hidden: Array, watch: Watch | None = None) -> Vectors:
        """-> (S, E), what the modules after the pooling begin with"""
        return (self._pooled(pack, self._tokens(hidden, watch), self._of_texts(pack, watch)),)

    def _states_of_pack(self, pack: Pack, hidden: Array, watch: Watch | None = None) -> Vectors:
        """-> (N, E)"""
        return (self._tokens(hidden, watch),)

    def both_of_pack(
        self, pack: Pack, hidden: Array, watch: Watch | None = None
    ) -> tuple[Array, Array]:
        """-> (N, E), (S, width): the states as they are pooled, and the vectors"""
        hidden, watch = self._tokens(hidden, watch), self._of_texts(pack, watch)
        return hidden, self._finished(self._pooled(pack, hidden, watch), watch)

    def _of_texts(self, pack: Pack, watch: Watch | None) -> Watch | None:
        """The same observer, for vectors: it is shown none of a text that the pooling leaves out.

        Of nothing the largest is minus infinity, as in the reference.
        """
        if watch is None:
            return None
        left = np.flatnonzero(pack.lengths > self.pipeline.skipped(self.prompt_length))
        rows_at = self.transformer.device.kernels.rows_at
        return lambda name, rows: watch(name, rows_at(rows, left))

    def _tokens(self, hidden: Array, watch: Watch | None) -> Array:
        return self.pipeline.tokens(hidden, self.transformer.device.kernels, watch)

    def _pooled(self, pack: Pack, hidden: Array, watch: Watch | None) -> Array:
        kernels = self.transformer.device.kernels
        pooled = self.pipeline.pooled(hidden, pack.lengths, self.prompt_length, kernels)
        if watch:
            watch("the pooling", pooled)
        return pooled

    def _finished(self, pooled: Array, watch: Watch | None) -> Array:
        kernels = self.transformer.device.kernels
        vectors = self.pipeline.finished(pooled, kernels, watch)[:, : self.width]
        if self.normalize:
            kernels.normalize_(vectors)
            if watch:
                watch("normalize_embeddings", vectors)
        return vectors


def split_rows(states: Array, pack: Pack) -> list[Array]:
    """The rows of each text, (N, E) -> S of (T, E): copies, so that one keeps no whole pack."""
    return [part.copy() for part in np.split(states, np.cumsum(pack.lengths)[:-1])]


def joined(parts: list[tuple[Any, Cut]], output_value: str | None, width: int) -> tuple[Any, Cut]:
    """The results of all processes as one."""
    if len(parts) == 1:
        return parts[0]
    found, cuts = [part for part, _ in parts], sum((cut for _, cut in parts), Cut())
    if output_value != "sentence_embedding":
        return [text for part in found for text in part], cuts
    return np.concatenate([np.empty((0, width), dtype=np.float32), *found]), cuts


# output_value of encode() -> what computes it.
OUTPUTS: dict[str | None, Callable[[Encoding, Sequence[Text], Advance], Any]] = {
    "sentence_embedding": Encoding.vectors,
    "token_embeddings": Encoding.states,
    None: Encoding.features,
}
