"""Leave out each word in turn, and compute the change of the score. Start at occlusion."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from minibert.common.arguments import check_choice
from minibert.common.arrays import Array
from minibert.explain.words import Traces, Word, place_of, traced, trimmed, words_of
from minibert.scoring.metrics import METRICS

__all__ = ["Difference", "losses_as_dict", "occlusion", "unsplit_as_dict"]


class Encodes(Traces, Protocol):
    """A model with all that `occlusion` uses of it."""

    @property
    def similarity_fn_name(self) -> str: ...

    # Any, as the result of a model depends on its arguments.
    def encode_query(self, inputs: Any) -> Any: ...

    def encode_document(self, inputs: Any) -> Any: ...


class Difference(NamedTuple):
    """A word, and the loss of the score without it."""

    word: Word  # the word that is left out
    difference: float  # the score of the whole text, less the score without the word


def occlusion(
    model: Encodes, query: str, document: str, *, metric: str | None = None
) -> tuple[list[Difference], list[Difference]]:
    """Compute the loss of the score without each word of the query, then of the document.

    Unlike the split of `explain`, this is causal: the model reads the text without the word, and
    every other token may change. The differences do not sum to the score. The model reads one text
    for each word. The words are those of `explain`; special tokens, words of the prompt and tokens
    beyond the truncation are not left out. Without a word, a truncated text has room for the tokens
    after its end. The score is by the metric of `model` or by any `metric` of the library, after
    any modules.
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
    """Return the words that can be left out of a text, and the text: whole, then without each."""
    trace = traced(model, text, task)
    prompt = len(trace.text) - len(text)
    words, texts = [], [text]
    tokens = trimmed(str(trace.text), trace.tokens)
    for word in words_of(str(trace.text), tokens):
        start, end = place_of(word, tokens.offsets)
        if not word.is_special and end > prompt:
            words.append(word)
            # One blank in its place: without it the neighbours would become one word, and a second
            # blank would be a token for a RoBERTa.
            sides = text[: max(start - prompt, 0)].rstrip(), text[end - prompt :].lstrip()
            texts.append(" ".join(filter(None, sides)))
    return words, texts


def losses(words: list[Word], scores: Array) -> list[Difference]:
    """Return the losses, from the score of the whole text and the scores without each word."""
    return [
        Difference(word, float(scores[0] - score))
        for word, score in zip(words, scores[1:], strict=True)
    ]


def losses_as_dict(query: list[Difference], document: list[Difference]) -> dict[str, Any]:
    """Return the losses of both texts, as `occlusion` gives them, as plain lists for JSON."""
    return {
        name: [
            {"text": word.text, "tokens": [word.tokens.start, word.tokens.stop],
             "difference": difference}
            for word, difference in differences
        ]
        for name, differences in (("query", query), ("document", document))
    }  # fmt: skip


def unsplit_as_dict(model: Encodes, query: str, document: str, metric: str) -> dict[str, Any]:
    """Return a score and its texts as plain lists, for a score that `explain` cannot split."""
    seen = {
        task: model.trace(text, keep="sentence_embedding", task=task)
        for task, text in (("query", query), ("document", document))
    }
    vectors = [trace["sentence_embedding"] for trace in seen.values()]
    texts = {
        name: {
            "text": str(trace.text),
            "tokens": trace.tokens.tokens,
            "truncated": trace.tokens.truncated,
        }
        for name, trace in seen.items()
    }
    return {"score": METRICS[metric].all_pairs(*vectors).item(), "metric": metric, **texts}
