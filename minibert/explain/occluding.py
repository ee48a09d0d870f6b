"""Leave out each word, and see what the score loses. Start at occlusion."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from minibert.common.arguments import check_choice
from minibert.common.arrays import Array
from minibert.explain.words import Traces, Word, place_of, traced, trimmed, words_of
from minibert.scoring.metrics import METRICS

__all__ = ["Difference", "occlusion"]


class Encodes(Traces, Protocol):
    """A model that scores, as far as `occlusion` asks it."""

    @property
    def similarity_fn_name(self) -> str: ...

    def encode_query(self, inputs: Any) -> Any: ...

    def encode_document(self, inputs: Any) -> Any: ...


class Difference(NamedTuple):
    """What the score loses where a word is left out."""

    word: Word  # of the document
    difference: float  # of the score with the word and without it


def occlusion(
    model: Encodes, query: str, document: str, metric: str | None = None
) -> tuple[list[Difference], list[Difference]]:
    """What the score loses when one word of the query, or of the document, is left out.

    Unlike the split, this is causal: the model reads the text without the word, and every other
    token may change. The differences do not sum to the score. A pass of the model a word: those of
    `explain`, without special tokens, the prompt and what is cut off. Where a text is cut, what
    stood behind moves up. The score is by the model's own metric or by any `metric` of the
    library, and after any modules.
    """
    metric = model.similarity_fn_name if metric is None else metric
    check_choice("metric", metric, METRICS)
    of_query, queries = occluded(model, query, "query")
    of_document, documents = occluded(model, document, "document")
    questions, answers = model.encode_query(queries), model.encode_document(documents)
    similarity = METRICS[metric].all_pairs
    found = similarity(questions, answers[:1])[:, 0], similarity(questions[:1], answers)[0]
    return losses(of_query, found[0]), losses(of_document, found[1])


def occluded(model: Traces, text: str, task: str) -> tuple[list[Word], list[str]]:
    """The words that can be left out of a text, and the text: whole, then without each of them."""
    trace = traced(model, text, task)
    prompt = len(trace.text) - len(text)
    words, texts = [], [text]
    tokens = trimmed(str(trace.text), trace.tokens)
    for word in words_of(str(trace.text), tokens):
        start, end = place_of(word, tokens.offsets)
        if not word.is_special and end > prompt:
            words.append(word)
            # One blank in its place: its neighbours do not become one word, and there is no second,
            # which would be a token to a RoBERTa.
            sides = text[: max(start - prompt, 0)].rstrip(), text[end - prompt :].lstrip()
            texts.append(" ".join(filter(None, sides)))
    return words, texts


def losses(words: list[Word], scores: Array) -> list[Difference]:
    """What the score loses without each word, of the whole text's score and those without it."""
    return [
        Difference(word, float(scores[0] - score))
        for word, score in zip(words, scores[1:], strict=True)
    ]
