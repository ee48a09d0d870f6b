"""Texts -> vectors, token states, or both: the computation of SentenceTransformer.encode.

For one process, and in float32. Each function takes a model, texts and a job, and returns its
results and what was truncated. Start at vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from minibert.bert.hook import Hook
from minibert.bert.packs import Pack
from minibert.common.arguments import check_choice
from minibert.common.arrays import Array
from minibert.kernels.protocol import Kernels
from minibert.kernels.segments import split_rows
from minibert.models.job import EncodeJob, OutputValue
from minibert.models.scheduler import Results, Scheduler
from minibert.models.transformer import Transformer
from minibert.pooling.pipeline import Pipeline
from minibert.scoring.quantization import Precision, quantize_embeddings
from minibert.tokens.padding import pad_rows
from minibert.tokens.texts import Text, characters_of, check_texts, with_prompt
from minibert.tokens.truncation import OnLong, Truncation, check_on_long

__all__ = [
    "Encoder",
    "Output",
    "PoolingHead",
    "check_windows_of",
    "codes_of",
    "features",
    "head_of",
    "joined",
    "output_of",
    "text_of_trace",
    "token_states",
    "vectors",
]

# The number of texts that `features` pads to one length, by default.
BATCH_SIZE = 32
# A window of a long text has one token in so many in common with the next window.
OVERLAP = 4

Advance: TypeAlias = Callable[[int], object]


class Encoder(Protocol):
    """Attributes of a SentenceTransformer that this module uses."""

    @property
    def transformer(self) -> Transformer: ...

    @property
    def _pipeline_on_device(self) -> Pipeline: ...


# A model, texts, a job, a function that is told of progress -> results, and their truncation.
Output: TypeAlias = Callable[[Encoder, Sequence[Text], EncodeJob, Advance], tuple[Any, Truncation]]


def output_of(output_value: OutputValue) -> Output:
    """Return the function that computes an output_value of encode(); ValueError for others."""
    outputs: dict[OutputValue, Output] = {
        "sentence_embedding": vectors,
        "token_embeddings": token_states,
        None: features,
    }
    check_choice("output_value", output_value, outputs)
    return outputs[output_value]


def vectors(
    model: Encoder, texts: Sequence[Text], job: EncodeJob, advance: Advance
) -> tuple[Array, Truncation]:
    """Compute one vector for each text: n texts -> (n, D) float32."""
    head = head_of(model, job)
    found = np.empty((len(texts), job.dimension), dtype=np.float32)
    if job.on_long == "window":
        check_windows(head.pipeline)
    pooled_tokens = head.pipeline.pooled_tokens(job.prompt_tokens)
    truncation, long = Truncation(), list[int]()
    for batch in model.transformer.batches(texts, job):
        truncation, long = truncation + batch.truncation, long + batch.left_out
        for pack, (rows,) in model.transformer.scheduler.run(
            batch.packs, head.vectors, pooled_tokens, is_all=batch.is_all
        ):
            found[pack.order] = rows
            advance(len(pack.order))
    for number in long:
        packs = windows_of(texts[number], job, model.transformer)
        # They run here, not in vector_of_windows, to keep the path one frame shorter.
        computed = list(model.transformer.scheduler.run(packs, head.pooled, is_all=job.is_all(1)))
        found[number] = vector_of_windows(computed, head, model.transformer.scheduler)
        advance(1)
    return found, truncation


def token_states(
    model: Encoder, texts: Sequence[Text], job: EncodeJob, advance: Advance
) -> tuple[list[Array], Truncation]:
    """Compute the states of each text's tokens, also special ones: n texts -> n of (T, E)."""
    head = head_of(model, job)
    found: list[Array] = [np.empty((0, 0), dtype=np.float32)] * len(texts)
    truncation = Truncation()
    for batch in model.transformer.batches(texts, job):
        truncation += batch.truncation
        for pack, (states,) in model.transformer.scheduler.run(
            batch.packs, head.states, is_all=batch.is_all
        ):
            for number, state in zip(pack.order, copies_of(states, pack), strict=True):
                found[number] = state
            advance(len(pack.order))
    return found, truncation


def features(
    model: Encoder, texts: Sequence[Text], job: EncodeJob, advance: Advance
) -> tuple[list[dict[str, Any]], Truncation]:
    """Compute a dict for each text: its tokens, their states and its vector, padded.

    The batches are the reference's: texts sorted by their characters, the longest first,
    `batch_size` at a time, each padded to the longest of its batch. States of padding are 0.
    """
    head, transformer, truncation = head_of(model, job), model.transformer, Truncation()
    found: list[dict[str, Any]] = [{} for _ in texts]
    order = np.argsort([-characters_of(text) for text in texts])
    size = job.batch_size or BATCH_SIZE
    for batch in (order[start : start + size] for start in range(0, len(order), size)):
        rows = transformer.text_tokenizer.rows(
            with_prompt(job.prompt, [texts[number] for number in batch]), job.max_tokens
        )
        if job.on_long == "error":
            rows.truncation.report(len(texts), job.max_tokens, job.on_long)
        truncation += rows.truncation
        arrays = pad_rows(rows, transformer.text_tokenizer)
        packs = transformer.packs(rows.ids, rows.types, job)
        for pack, (states, pooled) in transformer.scheduler.run(
            packs, head.states_and_vectors, is_all=job.is_all(len(batch))
        ):
            of_texts = zip(pack.order, copies_of(states, pack), pooled, strict=True)
            for place, state, vector in of_texts:
                row = {name: array[place] for name, array in arrays.items()}
                found[batch[place]] = features_of(row, state, vector, job)
            advance(len(pack.order))
    return found, truncation


def features_of(row: dict[str, Any], state: Array, vector: Array, job: EncodeJob) -> dict[str, Any]:
    """Add to a text's padded tokens their states, (T, E) at the real ones, and its vector."""
    real = row["attention_mask"] == 1
    row |= {"modality": "text"}
    row |= {"prompt_length": job.prompt_tokens} if job.prompt else {}
    row["token_embeddings"] = np.zeros((len(real), state.shape[1]), np.float32)
    row["token_embeddings"][real] = state
    row["sentence_embedding"] = vector
    return row


def check_windows(pipeline: Pipeline) -> None:
    """Raise ValueError for a pooling other than the mean, whose windows cannot be joined."""
    if pipeline.pooling.pooling_mode != ("mean",):
        modes = ", ".join(pipeline.pooling.pooling_mode)
        raise ValueError(f'on_long="window" is for mean pooling; this model pools by {modes}.')


def windows_of(text: Text, job: EncodeJob, transformer: Transformer) -> list[Pack]:
    """Cut a text above the limit into windows that overlap, each with the prompt, in packs."""
    if not isinstance(text, str):
        raise ValueError('on_long="window" is for single texts, not for pairs.')
    assert job.max_tokens is not None  # without one, no text is above it
    rows = transformer.text_tokenizer.windows(
        text, job.prompt, job.max_tokens, job.max_tokens // OVERLAP
    )
    return transformer.packs(rows, None, job)


def vector_of_windows(
    computed: list[tuple[Pack, Results]], head: PoolingHead, scheduler: Scheduler
) -> Array:
    """Join the pooled windows of one text, with their packs: -> (D,).

    The windows' means are averaged with the weight of their tokens, special tokens and prompt
    among them, so this is the mean over all tokens of all windows. The modules after the pooling,
    and `normalize`, follow.
    """
    skipped = head.pipeline.skipped(head.job.prompt_tokens)
    total: Array = np.zeros(1, dtype=np.float32)
    tokens = 0
    for pack, (means,) in computed:
        weights = pack.lengths - skipped
        total = total + weights.astype(np.float32) @ means  # (E,)
        tokens += int(weights.sum())
    vector: Array = scheduler.follow((total / np.float32(tokens))[None], head.finished)[0]
    return vector


@dataclass(frozen=True)
class PoolingHead:
    """Modules after a BERT, for one job: a pack's hidden states (N, D) -> results.

    Its first three methods are heads of a Scheduler, and work on the device.
    """

    pipeline: Pipeline  # with its tensors on the device
    kernels: Kernels  # of the device
    job: EncodeJob  # settings of the call

    def vectors(self, pack: Pack, hidden: Array, hook: Hook | None) -> tuple[Array]:
        """Vectors of the pack's texts, (S, dimension)."""
        return (self.states_and_vectors(pack, hidden, hook)[1],)

    def states(self, pack: Pack, hidden: Array, hook: Hook | None) -> tuple[Array]:
        """States of the pack's tokens before the pooling, (N, E)."""
        return (self.pipeline.tokens(hidden, self.kernels, hook),)

    def states_and_vectors(
        self, pack: Pack, hidden: Array, hook: Hook | None
    ) -> tuple[Array, Array]:
        """Both: token states (N, E) and vectors (S, dimension)."""
        states = self.pipeline.tokens(hidden, self.kernels, hook)
        hook = self._of_texts(pack, hook)
        return states, self.finished(self._pooled(pack, states, hook), hook)

    def pooled(self, pack: Pack, hidden: Array, hook: Hook | None) -> tuple[Array]:
        """Pooled states, (S, E), before the modules that follow the pooling."""
        states = self.pipeline.tokens(hidden, self.kernels, hook)
        return (self._pooled(pack, states, self._of_texts(pack, hook)),)

    def finished(self, pooled: Array, hook: Hook | None) -> Array:
        """Apply the modules after the pooling to its vectors: (S, E) -> (S, dimension)."""
        found = self.pipeline.finished(pooled, self.kernels, hook)[:, : self.job.dimension]
        if self.job.normalize:
            self.kernels.normalize_(found)
            if hook:
                hook("normalize_embeddings", found)
        return found

    def _pooled(self, pack: Pack, states: Array, hook: Hook | None) -> Array:
        pooled = self.pipeline.pooled(states, pack.lengths, self.job.prompt_tokens, self.kernels)
        if hook:
            hook("the pooling", pooled)
        return pooled

    def _of_texts(self, pack: Pack, hook: Hook | None) -> Hook | None:
        """Return the hook for vectors: it gets none of a text without any pooled token.

        The maximum over no token is minus infinity, as in the reference; this is no error.
        """
        if hook is None:
            return None
        left = np.flatnonzero(pack.lengths > self.pipeline.skipped(self.job.prompt_tokens))
        return lambda name, rows: hook(name, self.kernels.rows_at(rows, left))


def head_of(model: Encoder, job: EncodeJob) -> PoolingHead:
    """Return the modules of a model for one job, on the device where the model is now."""
    return PoolingHead(model._pipeline_on_device, model.transformer.device.kernels, job)


def copies_of(states: Array, pack: Pack) -> list[Array]:
    """Copy the rows of each text, (N, E) -> S of (T, E): a view would keep the whole pack."""
    return [rows.copy() for rows in split_rows(states, pack.lengths)]


def joined(
    parts: list[tuple[Any, Truncation]], output_value: OutputValue, dimension: int
) -> tuple[Any, Truncation]:
    """Join the results of all processes."""
    if len(parts) == 1:
        return parts[0]  # not copied
    found = [part for part, _ in parts]
    truncation = sum((lost for _, lost in parts), Truncation())
    if output_value != "sentence_embedding":
        return [text for part in found for text in part], truncation
    return np.concatenate([np.empty((0, dimension), dtype=np.float32), *found]), truncation


def codes_of(found: Any, output_value: OutputValue, precision: Precision) -> Any:
    """Turn vectors, or the states of tokens, into codes."""
    if output_value is None:
        raise ValueError("output_value=None gives float32 only; leave out precision.")
    return quantize_embeddings(found, precision)


def check_windows_of(on_long: OnLong, output_value: OutputValue) -> None:
    """Raise ValueError for an unknown `on_long`, and for windows where no vectors are returned."""
    check_on_long(on_long)
    if on_long == "window" and output_value != "sentence_embedding":
        raise ValueError('on_long="window" makes vectors of texts; it has no tokens to show.')


def text_of_trace(inputs: object, task: str | None) -> Text:
    """Check the text and the task of SentenceTransformer.trace. Returns the text."""
    if isinstance(inputs, list):
        raise TypeError("trace() got a list; it takes one text, a str or a tuple of two.")
    if task not in (None, "query", "document"):
        raise ValueError(f'task is {task!r}; expected "query" or "document".')
    (text,) = check_texts([inputs])
    return text
