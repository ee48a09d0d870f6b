"""Counters of a server, and their text for Prometheus. Start at Metrics.

The names are those of text-embeddings-inference, so that its dashboards show them. Those of ours
begin with minibert_. All numbers stand in one array of float64, a row for each process: any process
can tell the sums of all.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from minibert.server.log import Outcome
    from minibert.server.refusals import Kind

__all__ = ["COLUMNS", "CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Upper bounds of the buckets of histograms.
SECONDS = tuple(1.5e-5 * 1.5**power for power in range(35))
LENGTHS = tuple(float(2**power) for power in range(14))  # tokens of a text, up to 8,192
BATCH_TEXTS = tuple(float(2**power) for power in range(13))
BATCH_TOKENS = tuple(float(2**power) for power in range(21))

METHODS = ("single", "batch")  # requests with one text, or with several
# Labels of failed requests, by the kinds of problems; other kinds are "validation".
FAILURES: dict[Kind, str] = {
    "empty": "empty",
    "fault": "inference",
    "key": "key",
    "loading": "unhealthy",
    "not_finite": "inference",
    "no_corpus": "not_found",
    "overloaded": "overloaded",
    "stopping": "unhealthy",
    "timeout": "dropped",
    "too_large": "body_size",
    "too_long": "tokenization",
    "too_many_inputs": "batch_size",
    "unknown_model": "not_found",
    "unknown_path": "not_found",
    "wrong_model": "model_type",
}
DROPPED = "dropped"  # also of a client that has left
ERRORS = sorted({*FAILURES.values(), DROPPED, "validation"})


class Family(NamedTuple):
    """A metric: its name, and the labels or the bounds of its numbers."""

    name: str
    kind: str  # counter, gauge or histogram
    help: str
    labels: tuple[str, ...] = ("",)  # as Prometheus writes them, with braces
    bounds: tuple[float, ...] = ()  # of a histogram

    @property
    def columns(self) -> int:
        """Number of its numbers; a histogram has a bucket more than bounds, and the sum."""
        return len(self.bounds) + 2 if self.bounds else len(self.labels)


def timed(prefix: str, subject: str) -> list[Family]:
    """Return the four histograms of durations that requests and texts have."""
    parts = {
        "duration": "in all",
        "tokenization_duration": "for its tokens",
        "queue_duration": "in the queue",
        "inference_duration": "of computation",
    }
    return [
        Family(f"{prefix}_{part}", "histogram", f"Seconds of {subject} {words}", bounds=SECONDS)
        for part, words in parts.items()
    ]


def labelled(key: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return the labels of a metric with one key."""
    return tuple(f'{{{key}="{value}"}}' for value in values)


FAMILIES = [
    Family("te_request_count", "counter", "Requests", labelled("method", METHODS)),
    Family("te_request_success", "counter", "Requests answered", labelled("method", METHODS)),
    Family("te_request_failure", "counter", "Requests that failed", labelled("err", ERRORS)),
    Family("te_embed_count", "counter", "Texts to embed"),
    Family("te_embed_success", "counter", "Texts embedded"),
    Family("te_predict_count", "counter", "Texts or pairs to score"),
    Family("te_predict_success", "counter", "Texts or pairs scored"),
    Family("minibert_truncated_texts", "counter", "Texts that lost tokens"),
    Family("te_queue_size", "gauge", "Texts that wait"),
    *timed("te_request", "a request"),
    *timed("te_embed", "a text that is embedded"),
    *timed("te_predict", "a text or pair that is scored"),
    Family("te_request_input_length", "histogram", "Tokens of a text", bounds=LENGTHS),
    Family("te_batch_next_size", "histogram", "Texts computed together", bounds=BATCH_TEXTS),
    Family("te_batch_next_tokens", "histogram", "Tokens computed together", bounds=BATCH_TOKENS),
]
# The first column of each number, by name and label; of a histogram, its first bucket.
PLACES: dict[str, int] = {}
COLUMNS = 0
for family in FAMILIES:
    for number, label in enumerate(family.labels):
        PLACES[family.name + label] = COLUMNS + number
    COLUMNS += family.columns


class Metrics:
    """The counters of one process, beside those of the others."""

    def __init__(self, rows: NDArray[np.float64] | None = None, row: int = 0) -> None:
        """Count in a row of an array (processes, COLUMNS); without one, in an array of its own.

        What the row has already is kept: a new process counts on for one that has died.
        """
        self._rows = np.zeros((1, COLUMNS)) if rows is None else rows
        self._own: Any = self._rows[row].data  # a memoryview is twice as fast as an array
        self._lock = threading.Lock()  # the worker's thread counts, too
        self.set_queue_size(0)

    def note_request(self, outcome: Outcome) -> None:
        """Count a POST that has its answer, with the times of its parts."""
        facts = outcome.facts
        if outcome.method != "POST":
            return  # it asks about the server, as probes do every few seconds
        method = METHODS[facts.texts > 1]
        times = outcome.seconds, facts.tokenize_s, facts.queue_s, facts.compute_s
        own = {"embedding": "te_embed", "reranker": "te_predict", "classifier": "te_predict"}
        of_texts = own.get(facts.kind or "")
        is_answered = outcome.status < 400 and not outcome.has_left
        with self._lock:
            self._add(f'te_request_count{{method="{method}"}}')
            if of_texts:
                self._add(f"{of_texts}_count", facts.texts)
            self._add("minibert_truncated_texts", facts.truncated)
            if not is_answered:
                failure = DROPPED if outcome.has_left else "validation"
                if outcome.problem is not None:
                    failure = FAILURES.get(outcome.problem, failure)
                self._add(f'te_request_failure{{err="{failure}"}}')
                return
            self._add(f'te_request_success{{method="{method}"}}')
            if not of_texts:
                return
            self._add(f"{of_texts}_success", facts.texts)
            for family, seconds in zip(FAMILIES[TIMED : TIMED + 4], times, strict=True):
                bucket = bisect_left(SECONDS, seconds)
                self._observe(PLACES[family.name], bucket, SECONDS, seconds, 1)
                name = of_texts + family.name.removeprefix("te_request")
                self._observe(PLACES[name], bucket, SECONDS, seconds, facts.texts)

    def note_lengths(self, lengths: Sequence[int]) -> None:
        """Count the tokens of each text of a request."""
        place = PLACES["te_request_input_length"]
        with self._lock:
            if len(lengths) < 16:  # below it, NumPy is slower
                for length in lengths:
                    self._observe(place, bisect_left(LENGTHS, length), LENGTHS, length, 1)
                return
            buckets, counts = np.unique(np.searchsorted(LENGTHS, lengths), return_counts=True)
            for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
                self._own[place + bucket] += count
            self._own[place + len(LENGTHS) + 1] += sum(lengths)

    def note_batch(self, texts: int, tokens: int) -> None:
        """Count what the worker computes together."""
        with self._lock:
            for name, bounds, value in (
                ("te_batch_next_size", BATCH_TEXTS, texts),
                ("te_batch_next_tokens", BATCH_TOKENS, tokens),
            ):
                self._observe(PLACES[name], bisect_left(bounds, value), bounds, value, 1)

    def set_queue_size(self, texts: int) -> None:
        """Set the number of texts that wait in this process."""
        self._own[PLACES["te_queue_size"]] = texts

    def text(self) -> str:
        """Write the sums of all processes in Prometheus' text format, 0.0.4."""
        sums = self._rows.sum(axis=0)
        lines = []
        for family in FAMILIES:
            lines += [
                f"# HELP {family.name} {family.help}.",
                f"# TYPE {family.name} {family.kind}",
            ]
            place = PLACES[family.name + family.labels[0]]
            numbers = sums[place : place + family.columns].tolist()
            if family.bounds:
                lines += histogram_lines(family, numbers)
            else:
                pairs = zip(family.labels, numbers, strict=True)
                lines += [f"{family.name}{label} {number:.15g}" for label, number in pairs]
        return "\n".join(lines) + "\n"

    def _add(self, name: str, number: float = 1) -> None:
        self._own[PLACES[name]] += number

    def _observe(
        self, place: int, bucket: int, bounds: tuple[float, ...], value: float, times: int
    ) -> None:
        """Count a value so many times: its bucket, and the sum behind all buckets."""
        self._own[place + bucket] += times
        self._own[place + len(bounds) + 1] += value * times


TIMED = next(i for i, family in enumerate(FAMILIES) if family.name == "te_request_duration")


def histogram_lines(family: Family, numbers: list[float]) -> list[str]:
    """Write a histogram, whose buckets count all values up to their bounds."""
    *buckets, total = numbers
    bounds = [f"{bound:.6g}" for bound in family.bounds] + ["+Inf"]
    counts = np.cumsum(buckets).tolist()
    return [
        *(
            f'{family.name}_bucket{{le="{bound}"}} {count:.15g}'
            for bound, count in zip(bounds, counts, strict=True)
        ),
        f"{family.name}_sum {total:.15g}",
        f"{family.name}_count {counts[-1]:.15g}",
    ]
