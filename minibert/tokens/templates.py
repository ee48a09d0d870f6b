"""Special tokens around a text, and around and between the texts of a pair: a function each.

Each sets them in a tokenizer of the `tokenizers` library; `classes.py` says which class has which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tokenizers import Tokenizer, processors

__all__ = [
    "SetTemplate",
    "keep_template",
    "set_albert_template",
    "set_bert_template",
    "set_funnel_template",
    "set_herbert_template",
    "set_splinter_template",
    "template_of",
]

# A tokenizer and its special tokens by name -> None; sets which stand around and between texts.
SetTemplate: TypeAlias = Callable[[Tokenizer, dict[str, str]], None]


def set_bert_template(backend: Tokenizer, special: dict[str, str], *, type_of_cls: int = 0) -> None:
    """Put [CLS] before a text and [SEP] behind it; a pair's second text has the type 1."""
    cls, sep = special["cls_token"], special["sep_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:{type_of_cls} $A:0 {sep}:0",
        pair=f"{cls}:{type_of_cls} $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(text, backend.token_to_id(text)) for text in (cls, sep)],
    )


def set_funnel_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Put <cls> of the type 2 before a text, and else what a BERT has."""
    set_bert_template(backend, special, type_of_cls=2)


def set_herbert_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Put the token 0 before a text and the token 2 behind it, as transformers' class does."""
    backend.post_processor = processors.BertProcessing(
        (special["sep_token"], 2), (special["cls_token"], 0)
    )


def set_splinter_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Put what a BERT has around a text, and a question mark between the texts of a pair.

    The mark is [QUESTION] and a full stop.
    """
    cls, sep, question = (special[f"{name}_token"] for name in ("cls", "sep", "question"))
    unknown = backend.token_to_id(special["unk_token"])
    ids = [(text, backend.token_to_id(text)) for text in (cls, sep, question, ".")]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {question} . {sep}:0 $B:1 {sep}:1",
        special_tokens=[(text, unknown if id is None else id) for text, id in ids],
    )


def template_of(first: str, last: str) -> SetTemplate:
    """Make a function that puts <s> before a text, </s> behind it, two </s> between two texts.

    `first` and `last` are the names of the two special tokens, as "cls_token".
    """

    def set_template(backend: Tokenizer, special: dict[str, str]) -> None:
        begin, end = special[first], special[last]
        backend.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A {end}",
            pair=f"{begin} $A {end} {end} $B {end}",
            special_tokens=[(text, backend.token_to_id(text)) for text in (begin, end)],
        )

    return set_template


def set_albert_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Keep the special tokens of tokenizer.json, or else put those of a BERT."""
    if backend.post_processor is None:
        set_bert_template(backend, special)


def keep_template(backend: Tokenizer, special: dict[str, str]) -> None:
    """Keep the special tokens of tokenizer.json around a text."""
