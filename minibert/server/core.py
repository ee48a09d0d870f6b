"""Core: texts of a request -> vectors, states or scores, by way of the queue and the worker.

All dialects are written on these few methods. Texts are tokenised here, counted and admitted; a
request that would make the queue too long is refused at once. Start at Core.embed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.errors import CheckpointError
from minibert.models.job import EncodeJob
from minibert.models.model import job_of, prompt_name_of
from minibert.models.score_activations import as_activation
from minibert.server.computing import Group
from minibert.server.facts import Facts
from minibert.server.long_texts import rows_of
from minibert.server.metrics import Metrics
from minibert.server.queue import Queue, Ticket
from minibert.server.refusals import RequestError
from minibert.server.served import Found, Served
from minibert.server.settings import Settings
from minibert.server.worker import Worker
from minibert.tokens.texts import Text, characters_of, with_prompt
from minibert.tokens.tokenizer import Rows
from minibert.tokens.truncation import Truncation

__all__ = ["Core", "Embedded", "Input", "Scored", "Side", "States"]

logger = logging.getLogger(__name__)

Side: TypeAlias = Literal["left", "right"]
# A text, a pair of texts, or token ids in place of a text.
Input: TypeAlias = Text | list[int]

# Shorter texts are tokenised on the loop: handing them to a thread would take longer.
SHORT = 4096  # characters of a request
CHARACTERS_PER_TOKEN = 4  # about, of English text; to guess before texts are tokenised

LONGEST_RETRY = 60  # seconds that a client is told to wait at most

NOT_FINITE = "A result holds NaN or infinity: the model is damaged. The server's log says where."


class Embedded(NamedTuple):
    """Vectors of a request's texts."""

    vectors: Array  # (n, D) float32
    tokens: int  # of all texts, special ones among them, after truncation


class States(NamedTuple):
    """States of the tokens of a request's texts."""

    states: list[Array]  # n of (T, E) float32
    tokens: int


class Scored(NamedTuple):
    """Scores of a request's pairs."""

    scores: Array  # (n,) float32, or (n, labels) where there are several
    tokens: int


@dataclass(frozen=True)
class Reading:
    """The way in which the texts of a request become tokens."""

    truncate: bool = True  # False refuses a text that is too long
    side: Side | None = None  # where a long text loses its tokens; None is the folder's own
    max_second: int | None = None  # tokens of a pair's second text that are taken at most


class Core:
    """A queue and its worker. All methods run on the loop."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self._metrics = metrics
        self.queue = Queue(settings.batch_tokens)
        self.worker = Worker(self.queue, asyncio.get_running_loop(), metrics)
        self.worker.start()
        self._expected = 0  # tokens of texts that are being tokenised, about
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="minibert-tokens")

    def stop(self) -> None:
        """End the threads, after what is in the queue."""
        self.worker.stop()
        self._tokenizing.shutdown(wait=False)

    async def embed(
        self,
        facts: Facts,
        found: Found,
        texts: Sequence[Input],
        *,
        prompt_name: str | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        truncate: bool = True,
        side: Side | None = None,
    ) -> Embedded:
        """Compute vectors of texts as `encode` does, or as the task of `found` says.

        `normalize` None is the server's rule for the model. Raises RequestError.
        """
        served = found.served
        assert served.encoder is not None
        check_dimensions(dimensions, served.encoder.dimension)
        dimension = dimensions or served.encoder.get_embedding_dimension()
        normalizes = served.normalizes(normalize, self.settings.normalize)
        if normalize is None and served.ends_normalized and dimension == served.encoder.dimension:
            normalizes = False  # a second time would change last bits, which encode leaves
        job = self._job(found, prompt_name, dimension, normalizes)
        rows, tokens = await self._computed(
            facts, Group(served, "vectors", job), texts, Reading(truncate, side)
        )
        vectors = np.array(rows, np.float32).reshape(len(rows), job.dimension)
        return Embedded(vectors, tokens)

    async def token_states(
        self,
        facts: Facts,
        found: Found,
        texts: Sequence[Input],
        *,
        prompt_name: str | None = None,
        truncate: bool = True,
        side: Side | None = None,
    ) -> States:
        """Compute the states of all tokens of texts, special ones too. Raises RequestError."""
        served = found.served
        assert served.encoder is not None
        job = self._job(found, prompt_name, served.encoder.get_embedding_dimension(), False)
        rows, tokens = await self._computed(
            facts, Group(served, "states", job), texts, Reading(truncate, side)
        )
        return States(rows, tokens)

    async def score(
        self,
        facts: Facts,
        found: Found,
        pairs: Sequence[Text],
        *,
        raw: bool = False,
        truncate: bool = True,
        side: Side | None = None,
        max_second: int | None = None,
    ) -> Scored:
        """Score pairs of texts, or single texts, with a cross-encoder: logits if `raw`.

        Other scores are from 0 to 1: of one label its sigmoid, of several their softmax. Of a
        pair's second text at most the first `max_second` tokens are taken, if it is given. Raises
        RequestError.
        """
        served = found.served
        scorer = served.cross_encoder
        assert scorer is not None
        job = cached_job(served, None, None, 0, False)
        rows, tokens = await self._computed(
            facts, Group(served, "logits", job), pairs, Reading(truncate, side, max_second)
        )
        logits = np.array(rows, np.float32).reshape(len(rows), scorer.num_labels)
        name = "softmax" if scorer.num_labels > 1 else "sigmoid"
        scores = logits if raw else as_activation(name)(logits)
        return Scored(scores[:, 0] if scorer.num_labels == 1 else scores, tokens)

    async def run(self, facts: Facts, function: Callable[[], Any], tokens: int) -> Any:
        """Call a function in the worker, as work of so many tokens. Raises RequestError.

        A ValueError or a TypeError of the function becomes one, too.
        """
        self._admit(tokens)
        try:
            return await self._done(
                facts, Ticket(None, [], None, tokens, ignore, function=function)
            )
        except (ValueError, TypeError) as error:
            raise RequestError("validation", str(error)) from None

    def _job(
        self, found: Found, prompt_name: str | None, dimension: int, normalize: bool
    ) -> EncodeJob:
        """Return the job of a request's texts. Raises RequestError for an unknown prompt."""
        served = found.served
        try:
            return cached_job(served, found.task, prompt_name, dimension, normalize)
        except ValueError as error:
            raise RequestError("validation", str(error), field="prompt_name") from None

    async def _computed(
        self, facts: Facts, group: Group, texts: Sequence[Input], reading: Reading
    ) -> tuple[list[Array], int]:
        """Tokenise, wait and compute: n texts -> n results, and the number of tokens."""
        facts.model, facts.kind = group.served.name, group.served.kind
        facts.texts += len(texts)
        if not texts:
            return [], 0
        rows = await self._tokenized(facts, group, texts, reading)
        lengths = [len(row) for row in rows.ids]
        if self._metrics is not None:
            self._metrics.note_lengths(lengths)
        tokens = sum(lengths)
        facts.tokens += tokens
        facts.truncated += rows.truncation.texts
        self._check_size(group.served, facts.tokens)
        self._admit(tokens)
        ticket = Ticket(group, rows.ids, rows.types, tokens, ignore)
        return await self._done(facts, ticket), tokens

    async def _tokenized(
        self, facts: Facts, group: Group, texts: Sequence[Input], reading: Reading
    ) -> Rows:
        """Tokenise texts. Raises RequestError for what cannot be computed."""
        characters = sum(
            len(text) if isinstance(text, list) else characters_of(text) for text in texts
        )
        largest = len(texts) * (group.job.max_tokens or characters)
        rows: Rows = await self.tokenize(
            facts, lambda: tokenized(group, texts, reading), characters, largest
        )
        return rows

    async def tokenize(
        self, facts: Facts, function: Callable[[], Any], characters: int, largest: int
    ) -> Any:
        """Call a function that tokenises so many characters, in a thread if they are many.

        It makes at most `largest` tokens. Raises RequestError for its ValueError, and where the
        queue has no room for the tokens.
        """
        began = time.perf_counter()
        expected = min(characters // CHARACTERS_PER_TOKEN, largest)
        self._admit(expected)
        try:
            if characters <= SHORT:
                return function()
            self._expected += expected
            try:
                return await asyncio.get_running_loop().run_in_executor(self._tokenizing, function)
            finally:
                self._expected -= expected
        except ValueError as error:
            raise RequestError("validation", str(error), field="input") from None
        finally:
            facts.tokenize_s += time.perf_counter() - began

    def _check_size(self, served: Served, tokens: int) -> None:
        """Raise RequestError for more tokens than a request may have, or has time for."""
        limit, timeout = self.settings.request_tokens, self.settings.request_timeout
        if tokens > limit:
            raise RequestError(
                "too_many_tokens",
                f"The texts have {tokens} tokens; a request may have {limit} "
                "(--max-request-tokens of the server). Send fewer texts at a time.",
            )
        seconds = self.worker.rates[served].seconds_of(tokens)
        if seconds > timeout:
            raise RequestError(
                "too_many_tokens",
                f"The texts have {tokens} tokens, which would take about {seconds:.0f} seconds; a "
                f"request has {timeout:g}. Send fewer texts at a time, or start the server with a "
                "longer --request-timeout.",
            )

    def _admit(self, tokens: int) -> None:
        """Raise RequestError if the queue has no room, or no time, for so many tokens.

        An empty one has both.
        """
        waiting, limit = self.queue.tokens + self._expected, self.settings.queue_tokens
        if not waiting:
            return
        seconds_of, timeout = self.worker.rate.seconds_of, self.settings.request_timeout
        if waiting + tokens > limit:
            reason = f"The queue is full: {waiting} tokens wait, of at most {limit}"
            retry_after = seconds_of(waiting + tokens - limit)
        elif (seconds := seconds_of(waiting + tokens)) > timeout:
            reason = (
                f"The queue is long: {waiting} tokens wait, and yours would be computed after more "
                f"than {timeout:g} seconds, which is the limit (--request-timeout of the server)"
            )
            retry_after = seconds - timeout
        else:
            return
        retry_after = clip(retry_after, 1, LONGEST_RETRY)
        message = f"{reason}; try again in {retry_after:.0f} s."
        raise RequestError("overloaded", message, retry_after=retry_after)

    async def _done(self, facts: Facts, ticket: Ticket) -> Any:
        """Put a ticket in the queue and wait for its results; drop it if the request ends before.

        Raises RequestError for NaN in a result, and any other error of the work as it is.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(results: Any, error: Exception | None) -> None:
            if future.done():
                return  # its client has left
            if error is None:
                future.set_result(results)
            else:
                future.set_exception(error)

        ticket.done = done
        self.queue.add(ticket)
        try:
            return await future
        except CheckpointError as error:
            logger.error("%s", error)  # it names a folder, and holds nothing of a text
            raise RequestError("not_finite", NOT_FINITE) from None
        finally:
            self.queue.drop(ticket)  # what is left of it, after an error in a part
            facts.queue_s += (ticket.began or time.perf_counter()) - ticket.added
            facts.compute_s += ticket.compute_s


@lru_cache(maxsize=1024)
def cached_job(
    served: Served, task: str | None, prompt_name: str | None, dimension: int, normalize: bool
) -> EncodeJob:
    """Make the job of texts: to count the tokens of its prompt takes as long as a text."""
    model = served.model
    if task is not None:
        prompt_name = prompt_name_of(model, task, None, prompt_name)
    return job_of(
        model, 0, "ignore", None, prompt_name, task, dimension=dimension, normalize=normalize
    )


def tokenized(group: Group, texts: Sequence[Input], reading: Reading) -> Rows:
    """Tokenise texts of a group's job. Raises RequestError for a long text where none is truncated.

    Raises ValueError for a text without a token, or with one that the model does not have.
    """
    transformer, job = group.served.model.transformer, group.job
    tokenizer, limit = transformer.text_tokenizer, job.max_tokens
    if job.prompt:  # it stands before a text, and special tokens around both
        texts = [tokenizer.backend.decode(t) if isinstance(t, list) else t for t in texts]
    spelled = [text for text in texts if not isinstance(text, list)]
    prompted = with_prompt(job.prompt, spelled)
    rows = rows_of(tokenizer, prompted, limit, side=reading.side, max_second=reading.max_second)
    if len(spelled) < len(texts):
        rows = with_token_ids(rows, texts, group, reading)
    if rows.truncation.texts and not reading.truncate:
        number = rows.is_truncated.index(True)
        raise RequestError(
            "too_long",
            f"Text {number} of {len(texts)} is longer than {limit} tokens, and may not be "
            f"truncated; the longest has {rows.truncation.longest} "
            f"{'tokens' if rows.truncation.in_tokens else 'characters'}.",
            limit=limit,
            given=rows.truncation.longest if rows.truncation.in_tokens else None,
        )
    return rows._replace(types=transformer.checked_types(rows.ids, rows.types))


def with_token_ids(rows: Rows, texts: Sequence[Input], group: Group, reading: Reading) -> Rows:
    """Put rows of given token ids between those of the texts.

    The ids are the model's own. As text-embeddings-inference does where there is no prompt, they
    are decoded, special ones too, and tokenised again without adding any.
    """
    tokenizer, limit = group.served.model.transformer.text_tokenizer, group.job.max_tokens
    decoded = [
        tokenizer.backend.decode(text, skip_special_tokens=False)
        for text in texts
        if isinstance(text, list)
    ]
    given = tokenizer.rows(decoded, limit, special=False, side=reading.side)
    of_ids = iter(zip(given.ids, given.is_truncated, strict=True))
    of_texts = iter(zip(rows.ids, rows.is_truncated, strict=True))
    merged: list[tuple[IntArray, bool]] = [
        next(of_ids) if isinstance(text, list) else next(of_texts) for text in texts
    ]
    total: Truncation = rows.truncation + given.truncation
    return Rows([row for row, _ in merged], None, [lost for _, lost in merged], total)


def clip(value: float, least: float, largest: float) -> float:
    """Return the value, or the bound that it is beyond."""
    return max(least, min(value, largest))


def check_dimensions(dimensions: int | None, largest: int) -> None:
    """Raise RequestError for more dimensions than the model has."""
    if dimensions is not None and not 0 < dimensions <= largest:
        raise RequestError(
            "validation",
            f"dimensions is {dimensions}; this model has 1 to {largest}.",
            field="dimensions",
        )


def ignore(results: Any, error: Exception | None) -> None:
    """Do nothing, before a ticket has its future."""
