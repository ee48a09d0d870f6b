"""Texts to ids: pinned ids, pairs, windows, and texts too long to tokenise whole."""

import re
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizing import CLS, SEP, UNKNOWN, ids_of, minilm_tokenizer, tokens_of

from minibert.tokens.tokenizer import PICTURE, TextTokenizer


def test_the_ids_of_the_card_query_are_the_reference_s(tokenizer):
    ids = ids_of(tokenizer, "How many people live in London?")
    assert ids == [CLS, 2129, 2116, 2111, 2444, 1999, 2414, 1029, SEP]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("HELLO", ["hello"]),
        ("ΟΔΟΣ", ["ο", "##δ", "##ο", "##σ"]),  # no final sigma
        ("a\x85b a\x1cb", ["ab", "ab"]),  # control characters join
        ("a\u0378b", ["[UNK]"]),  # unassigned code points stay
        ("a\U0002b820b", ["[UNK]"]),  # a gap in the reference's table of ideographs
        ("“a” a€b", ["“", "a", "”", "a", "##€", "##b"]),
        ("x[CLS]y [mask]", ["x", "[CLS]", "y", "[", "mask", "]"]),
        ("##ing", ["#", "#", "ing"]),
        ("Łódź", ["łodz"]),
    ],
)
def test_texts_split_as_the_reference_splits_them(tokenizer, text, tokens):
    assert tokens_of(tokenizer, text) == tokens


def test_a_word_of_more_than_100_characters_is_unknown(tokenizer):
    assert len(ids_of(tokenizer, "я" * 100)) == 102
    assert ids_of(tokenizer, "я" * 101) == [CLS, UNKNOWN, SEP]


def test_empty_and_blank_texts_are_cls_and_sep(tokenizer):
    assert ids_of(tokenizer, "") == ids_of(tokenizer, " \t\n") == [CLS, SEP]


LONG = {
    "words": "word, and another " * 40_000,
    "an endless word": "a" * 700_000,
    "an endless word in Cyrillic, then words": "я" * 500_000 + " and some words" * 9000,
    "blanks, then words": " \n" * 300_000 + "and some words " * 9000,
    "control characters, then words": "\x00\x1f" * 300_000 + "and some words " * 9000,
    "ideographs": "中文" * 100_000,
    "punctuation": ".,;" * 100_000,
    "special tokens": "[SEP]a" * 60_000,
    "pictures": "😀→═" * 100_000 + " and some words" * 9000,
    "other blanks, then words": "\xa0\u3000" * 300_000 + "and some words " * 9000,
    "other controls, then words": "\u200b\xad" * 300_000 + "and some words " * 9000,
    "accents": "e\u0301" * 200_000 + " end",
    "words of 100 and 101 letters": ("x" * 100 + " " + "y" * 101 + " ") * 3000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_long_texts_have_the_ids_of_the_whole(tokenizer, name):
    limit = 64
    whole = tokenizer.backend.encode_batch_fast([LONG[name]])[0].ids
    expected = whole if len(whole) <= limit else [*whole[: limit - 1], SEP]
    (ids,), _, _, truncation = tokenizer.rows([LONG[name]], limit)
    assert ids.tolist() == expected
    assert truncation.texts == (len(whole) > limit)


# Pieces of text that meet at every kind of boundary; repeated, they make texts above any shortcut.
PIECES = st.sampled_from(
    ["word ", "a" * 99, "b" * 3, " " * 7, "\x00" * 5, "中", "...", "[SEP]", "[CL", "S]", "é", "-x-"]
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES, min_size=1, max_size=12), limit=st.integers(2, 40))
def test_the_beginning_of_a_text_is_enough_for_its_ids(tokenizer, pieces, limit):
    text = "".join(pieces)
    text *= 60_000 // len(text) + 1
    whole = tokenizer.backend.encode_batch_fast([text])[0].ids
    expected = whole if len(whole) <= limit else [*whole[: limit - 1], SEP]
    assert ids_of(tokenizer, text, limit) == expected


@pytest.mark.slow
def test_a_text_of_10_mb_takes_no_longer_than_its_beginning(tokenizer):
    start = time.process_time()
    tokenizer.backend.encode("word " * 100_000)
    yardstick = time.process_time() - start  # of this machine, as busy as it is
    for text in (
        "word " * 2_000_000,
        "a" * 10_000_000,
        " " * 10_000_000,
        "." * 10_000_000,
        "😀" * 2_500_000,
        "═" * 3_300_000,
        "\u0301" * 5_000_000,
        "\xa0" * 5_000_000,
    ):
        start = time.process_time()
        (ids,) = tokenizer.rows([text], 256).ids
        assert len(ids) <= 256
        # 0.1 to 0.6 s were seen where the yardstick took 0.2; whole texts take 4 to 20.
        assert time.process_time() - start < 10 * yardstick


@pytest.mark.parametrize("added", ["endless", "zz-", "-zz", "a b", "\x01"])
def test_nothing_is_squeezed_where_an_added_token_could_be_hit(minilm_folder, added):
    from tokenizers import AddedToken

    backend = minilm_tokenizer(minilm_folder).backend
    backend.add_tokens([AddedToken(added)])
    tokenizer = TextTokenizer(
        backend,
        special_tokens={},
        max_length=64,
        padding_side="right",
        truncation_side="right",
        input_names=("input_ids",),
        splits_as_bert=True,
    )
    text = "a" * 500 + added + "   " + "\x00\x00"
    assert tokenizer.squeeze(text) == text


def test_pictographs_stay_within_a_word(tokenizer):
    pictures = [c for c in map(chr, range(0x2000, 0x20000)) if re.match(PICTURE, c)]
    assert len(pictures) > 1500
    split = tokenizer.backend.pre_tokenizer.pre_tokenize_str
    for picture in pictures:
        text = tokenizer.backend.normalizer.normalize_str(f"a{picture}b")
        assert len(split(text)) == 1, hex(ord(picture))
        assert len(text) >= 3, hex(ord(picture))


def test_squeeze_shortens_long_words_blanks_and_controls(tokenizer):
    text = "a" * 500 + "   -" + "\x00\x01b" + "中" * 200
    assert tokenizer.squeeze(text) == "a" * 101 + " -" + "\x00b" + "中" * 200


def test_threads_may_share_a_tokenizer(tokenizer):
    texts = [f"text number {number} " * (number % 40) for number in range(200)]
    expected = [ids_of(tokenizer, text, 30) for text in texts]
    failures = []

    def work(shift):
        for index in range(len(texts)):
            at = (index + shift) % len(texts)
            if ids_of(tokenizer, texts[at], 30) != expected[at]:
                failures.append(at)

    threads = [threading.Thread(target=work, args=(9 * number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_ids_are_int64(tokenizer):
    (ids,) = tokenizer.rows(["a"], None).ids
    assert ids.dtype == np.int64


def test_a_pair_has_one_row_with_two_token_types(tokenizer):
    rows = tokenizer.rows([("a b", "c"), "a", ("a", "")], None)
    ids = [row.tolist() for row in rows.ids]
    a, b, c = 1037, 1038, 1039
    assert ids == [[CLS, a, b, SEP, c, SEP], [CLS, a, SEP], [CLS, a, SEP, SEP]]
    assert [row.tolist() for row in rows.types] == [[0, 0, 0, 0, 1, 1], [0, 0, 0], [0, 0, 0, 1]]
    assert all(types.dtype == np.int64 for types in rows.types)


def test_rows_without_special_tokens_have_only_the_text_s(tokenizer):
    rows = tokenizer.rows(["a b c", ("a", "b")], 2, special=False)
    assert [row.tolist() for row in rows.ids] == [[1037, 1038], [1037, 1038]]
    assert [row.tolist() for row in rows.types] == [[0, 0], [0, 1]]
    assert rows.is_truncated == [True, False]


def test_of_a_second_text_the_first_tokens_are_taken(tokenizer):
    texts = [("a b c", "c b a"), "a b c", ("a", "b")]
    rows = tokenizer.rows(texts, None, max_second=2)
    a, b, c = 1037, 1038, 1039
    ids = [[CLS, a, b, c, SEP, c, b, SEP], [CLS, a, b, c, SEP], [CLS, a, SEP, b, SEP]]
    assert [row.tolist() for row in rows.ids] == ids
    assert [types.sum() for types in rows.types] == [3, 0, 2]
    assert (rows.is_truncated, rows.truncation.texts) == ([False] * 3, 0)
    short = tokenizer.rows(texts, 6, max_second=2)
    assert short.ids[0].tolist() == [CLS, a, b, SEP, c, SEP]
    assert (short.is_truncated, short.truncation.longest) == ([True, False, False], 8)


def test_tokens_show_what_the_model_sees_and_what_falls_off(tokenizer):
    text = "Café, unbelievably long"
    tokens = tokenizer.tokens(text, 6)
    assert tokens.tokens == ["[CLS]", "cafe", ",", "un", "##bel", "[SEP]"]
    assert tokens.ids == ids_of(tokenizer, text, 6)
    assert [text[start:end] for start, end in tokens.offsets] == ["", "Café", ",", "un", "bel", ""]
    assert tokens.truncated == len(ids_of(tokenizer, text)) - 6
    whole = tokenizer.tokens(text, None)
    assert (len(whole.ids), whole.truncated) == (len(ids_of(tokenizer, text)), 0)


def test_tokens_of_a_pair_have_offsets_into_each_text(tokenizer):
    tokens = tokenizer.tokens(("a bc", "dd"), None)
    assert tokens.tokens == ["[CLS]", "a", "bc", "[SEP]", "dd", "[SEP]"]
    assert tokens.offsets == [(0, 0), (0, 1), (2, 4), (0, 0), (0, 2), (0, 0)]


@given(words=st.integers(1, 60), prompt=st.integers(0, 4), limit=st.integers(10, 20))
def test_windows_hold_every_token_and_overlap(tokenizer, words, prompt, limit):
    text = " ".join(chr(ord("a") + n % 26) for n in range(words))
    rows = tokenizer.windows(text, "x " * prompt, limit, 2)
    around = slice(1 + prompt, -1)
    content = [row[around].tolist() for row in rows]
    assert all(row[0] == CLS and row[-1] == SEP and len(row) <= limit for row in rows)
    assert all(len(row) == limit for row in rows[:-1])
    assert all(row[1 : 1 + prompt].tolist() == [1060] * prompt for row in rows)
    assert all(a[-2:] == b[:2] for a, b in pairwise(content))
    whole = [*content[0], *(id for part in content[1:] for id in part[2:])]
    assert whole == ids_of(tokenizer, text)[1:-1]


def test_a_prompt_that_leaves_no_room_for_windows_is_refused(tokenizer):
    with pytest.raises(ValueError, match="The prompt has 6 tokens, which leaves 2 of 10"):
        tokenizer.windows("a b c", "x " * 6, 10, 2)
