"""Tokens as text-embeddings-inference tells them: /tokenize and /decode. Nothing is truncated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minibert.common.arrays import IntArray
from minibert.models.model import prompt_of_call, prompt_of_task
from minibert.server import fields
from minibert.server.answers import json_answer, json_bytes, rows_answer
from minibert.server.refusals import RequestError
from minibert.server.served import KINDS

if TYPE_CHECKING:
    from starlette.responses import Response

    from minibert.server.call import Call
    from minibert.server.served import Found
    from minibert.tokens.tokenizer import TextTokenizer, Tokens

__all__ = ["decode", "tokenize"]

# More characters than these would take long, and be refused for their tokens afterwards.
CHARACTERS_PER_TOKEN = 8
NUMBERS = 5  # of a token in an answer, about


async def tokenize(call: Call) -> Response:
    """Answer POST /tokenize: the tokens of texts with their prompt, and their places in bytes."""
    body, settings = call.body, call.settings
    found = call.models.find(fields.model_name(body), *KINDS)
    texts = fields.texts(body, "inputs", settings, one=True)
    if not texts:
        raise fields.empty("inputs")
    is_framed = bool(fields.flag(body, "add_special_tokens", True))
    prompt = prompt_of(found, fields.optional_text(body, "prompt_name"))
    prompted = [prompt + text for text in texts]
    characters, largest = sum(map(len, prompted)), settings.request_tokens
    check_size(characters, CHARACTERS_PER_TOKEN * largest, "characters")
    call.facts.model, call.facts.texts = found.served.name, len(texts)
    tokenizer = found.served.model.transformer.text_tokenizer

    def tokens_of_all() -> list[Tokens]:
        return [tokenizer.tokens(text, None) for text in prompted]

    rows: list[Tokens] = await call.core.tokenize(call.facts, tokens_of_all, characters, largest)
    call.facts.tokens = sum(len(row.ids) for row in rows)
    check_size(call.facts.tokens, largest, "tokens")

    def written(number: int, tokens: Tokens) -> bytes:
        return json_bytes(as_objects(prompted[number], tokens, tokenizer, is_framed))

    return rows_answer(call, {}, None, rows, written, call.facts.tokens * NUMBERS)


def as_objects(
    text: str, tokens: Tokens, tokenizer: TextTokenizer, is_framed: bool
) -> list[dict[str, Any]]:
    """Return the tokens of a text as objects; special ones around it only if `is_framed`.

    A token that stands in the text has its bytes in UTF-8, from `start` to `stop`.
    """
    before, after = (len(special) for special in tokenizer.frame.around(1))
    end = len(tokens.ids) - after
    bytes_before = byte_places(text)
    found = []
    for place, (id, name, (start, stop)) in enumerate(
        zip(tokens.ids, tokens.tokens, tokens.offsets, strict=True)
    ):
        if before <= place < end:
            places = {"start": int(bytes_before[start]), "stop": int(bytes_before[stop])}
            found.append({"id": id, "text": text[start:stop], "special": False, **places})
        elif is_framed:
            found.append({"id": id, "text": name, "special": True, "start": None, "stop": None})
    return found


def byte_places(text: str) -> IntArray:
    """Count the bytes before each character, in UTF-8, and before the end: -> (characters + 1,)."""
    if text.isascii():
        return np.arange(len(text) + 1)
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    lengths = 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF)
    return np.concatenate([[0], np.cumsum(lengths)])


async def decode(call: Call) -> Response:
    """Answer POST /decode: the texts of token ids."""
    body, settings = call.body, call.settings
    found = call.models.find(fields.model_name(body), *KINDS)
    tokenizer = found.served.model.transformer.text_tokenizer
    rows = id_lists(body.get("ids"), tokenizer)
    fields.check_number(rows, "ids", settings)
    is_plain = bool(fields.flag(body, "skip_special_tokens", True))
    ids = sum(map(len, rows))
    check_size(ids, settings.request_tokens, "tokens")
    call.facts.model, call.facts.texts, call.facts.tokens = found.served.name, len(rows), ids

    def texts_of_all() -> list[str]:
        return [tokenizer.backend.decode(row, skip_special_tokens=is_plain) for row in rows]

    return json_answer(call, await call.core.tokenize(call.facts, texts_of_all, ids, ids))


def id_lists(value: object, tokenizer: TextTokenizer) -> list[list[int]]:
    """Return the lists of token ids of a body; one list stands for a list of one.

    Raises RequestError for an id that is no token of the model.
    """
    expected = "a list of token ids, or a list of such lists"
    if value is None:
        raise fields.missing("ids", expected)
    if not isinstance(value, list):
        raise fields.wrong("ids", value, expected)
    if not value:
        raise fields.empty("ids")
    rows = value if isinstance(value[0], list) else [value]
    size = tokenizer.backend.get_vocab_size()
    for number, row in enumerate(rows):
        key = f"ids[{number}]" if rows is value else "ids"
        if not isinstance(row, list) or not all(map(fields.is_integer, row)):
            raise fields.wrong(key, row, "a list of token ids")
        for id in (min(row, default=0), max(row, default=0)):
            if not 0 <= id < size:
                raise RequestError(
                    "validation", f"{key} has {id}; this model has tokens 0 to {size - 1}."
                )
    return rows


def prompt_of(found: Found, prompt_name: str | None) -> str:
    """Return the prompt before each text. Raises RequestError for a name that is not there."""
    model = found.served.model
    try:
        if found.task is None:
            return prompt_of_call(model, None, prompt_name)
        return prompt_of_task(model, found.task, None, prompt_name)
    except ValueError as error:
        raise RequestError("validation", str(error), field="prompt_name") from None


def check_size(count: int, largest: int, unit: str) -> None:
    """Raise RequestError for more characters or tokens than a request may have."""
    if count > largest:
        raise RequestError(
            "too_many_tokens",
            f"The request has {count} {unit}; it may have {largest}. Send less at a time.",
        )
