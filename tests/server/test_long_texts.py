"""A part of a very long text gives the tokens that the whole one gives."""

import numpy as np
import pytest
from golden_files import GOLDEN, MINILM

from minibert import SentenceTransformer
from minibert.server.long_texts import CHARACTERS_PER_TOKEN, rows_of

FAMILIES = ["plain", "roberta", "xlm_roberta", "modernbert", "camembert"]
LIMIT = 6
SIZE = LIMIT * CHARACTERS_PER_TOKEN  # of a part, in characters
WORDS = [
    "the",
    "cat",
    "dogs",
    "barks",
    "sat.",
    "Café",
    "中中",
    "unbelievably",
    "😀",
    "[SEP]",
    "x-y",
]


def text_of(characters, seed=0):
    """Words with a blank, several or a line's end between them."""
    random = np.random.default_rng(seed)
    found = []
    while sum(map(len, found)) < characters:
        found += [WORDS[random.integers(len(WORDS))], [" ", "   ", "\n"][random.integers(3)]]
    return "".join(found)


GIANT = text_of(3 * SIZE)
OTHER = text_of(2 * SIZE, seed=1)
BLANKS = "the cat" + " \n" * 3000 + "a dog"  # its tokens stand at its ends
SOLID = "the-cat!" * 300  # no blank at all
# A part that ended or began within the long word would have other tokens, and enough of them.
LONG_WORD = "abc" * 60
AT_END = "the cat" + " " * (SIZE - 60) + LONG_WORD + " dog" * LIMIT * 4
AT_START = "dog " * LIMIT * 4 + LONG_WORD + " " * (SIZE - 60) + "the cat"


@pytest.fixture(scope="module", params=["minilm", *FAMILIES])
def any_tokenizer(request):
    folder = MINILM if request.param == "minilm" else GOLDEN / request.param
    return SentenceTransformer(folder).transformer.text_tokenizer


@pytest.mark.parametrize("side", ["right", "left", None])
@pytest.mark.parametrize("limit", [LIMIT, 1, None])
def test_tokens_are_those_of_the_whole_text(any_tokenizer, side, limit):
    texts = [GIANT, "the cat", "", BLANKS, SOLID, OTHER, AT_END, AT_START]
    found = rows_of(any_tokenizer, texts, limit, side=side)
    expected = any_tokenizer.rows(texts, limit, side=side)
    assert [row.tolist() for row in found.ids] == [row.tolist() for row in expected.ids]
    assert found.is_truncated == expected.is_truncated
    assert found.truncation.texts == expected.truncation.texts


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("max_second", [None, 3, 40])
def test_tokens_of_pairs_are_those_of_the_whole_pair(any_tokenizer, side, max_second):
    pairs = [(GIANT, "a cat"), ("a cat", GIANT), (BLANKS, OTHER), ("a dog", SOLID)]
    limit = any_tokenizer.frame.size(2) + 8  # two very long texts keep as many tokens each
    pairs += [(GIANT, OTHER), (OTHER, GIANT)]
    found = rows_of(any_tokenizer, pairs, limit, side=side, max_second=max_second)
    expected = any_tokenizer.rows(pairs, limit, side=side, max_second=max_second)
    assert [row.tolist() for row in found.ids] == [row.tolist() for row in expected.ids]
    assert found.is_truncated == expected.is_truncated


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_part_of_a_very_long_text_is_tokenised(any_tokenizer, side):
    found = rows_of(any_tokenizer, ["the cat", GIANT, OTHER], LIMIT, side=side).truncation
    assert (found.texts, found.longest, found.in_tokens) == (2, len(GIANT), False)
    short = text_of(SIZE - 20)
    whole = rows_of(any_tokenizer, [short], LIMIT, side=side).truncation
    assert whole == any_tokenizer.rows([short], LIMIT, side=side).truncation
