"""Texts to ids: pinned ids, truncation that is counted, and texts too long to tokenise whole."""

import re
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.errors import CheckpointError
from minibert.modules import TransformerSettings
from minibert.tokens import PICTURE, Cut, TextTokenizer, check_texts, text_windows
from minibert.vocabulary import load_tokenizer

UNKNOWN, CLS, SEP, MASK = 100, 101, 102, 103


@pytest.fixture(scope="module")
def tokenizer(minilm_folder):
    return minilm_tokenizer(minilm_folder)


def minilm_tokenizer(folder):
    settings = TransformerSettings(folder)
    return load_tokenizer(settings, vocab_size=30522, max_position_embeddings=512)


def ids_of(tokenizer, text, limit=None):
    return tokenizer.rows([text], limit).ids[0].tolist()


def pieces_of(tokenizer, text):
    return [tokenizer.backend.id_to_token(id) for id in ids_of(tokenizer, text)[1:-1]]


def test_the_ids_of_the_card_query_are_the_reference_s(tokenizer):
    ids = ids_of(tokenizer, "How many people live in London?")
    assert ids == [CLS, 2129, 2116, 2111, 2444, 1999, 2414, 1029, SEP]


@pytest.mark.parametrize(
    ("text", "pieces"),
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
def test_texts_split_as_the_reference_splits_them(tokenizer, text, pieces):
    assert pieces_of(tokenizer, text) == pieces


def test_a_word_of_101_characters_is_unknown_and_one_of_100_is_not(tokenizer):
    assert len(ids_of(tokenizer, "я" * 100)) == 102
    assert ids_of(tokenizer, "я" * 101) == [CLS, UNKNOWN, SEP]


def test_empty_and_blank_texts_are_cls_and_sep(tokenizer):
    assert ids_of(tokenizer, "") == ids_of(tokenizer, " \t\n") == [CLS, SEP]


def test_the_limit_counts_cls_and_sep_and_keeps_both(tokenizer):
    ids = ids_of(tokenizer, "one two three four", limit=4)
    assert ids == [CLS, *ids_of(tokenizer, "one two")[1:-1], SEP]
    assert ids_of(tokenizer, "one two three", limit=2) == [CLS, SEP]


def test_a_limit_below_the_special_tokens_cuts_nothing(tokenizer):
    assert ids_of(tokenizer, "one two", limit=1) == ids_of(tokenizer, "one two")


def test_cut_texts_are_counted_with_the_longest(tokenizer):
    cut = tokenizer.rows(["one", "one two three four five", "one two three"], 4).cut
    assert cut == Cut(texts=2, longest=7, in_tokens=True)


def test_a_text_of_exactly_the_limit_is_not_cut(tokenizer):
    cut = tokenizer.rows(["one two"], 4).cut
    assert cut == Cut()


def test_cuts_add_up_and_characters_outweigh_tokens():
    assert Cut(1, 9) + Cut(2, 7) == Cut(3, 9)
    assert Cut(1, 9) + Cut(1, 10**6, in_tokens=False) == Cut(2, 10**6, in_tokens=False)
    assert Cut(1, 10**6, in_tokens=False) + Cut(1, 9) == Cut(2, 10**6, in_tokens=False)
    assert Cut() + Cut(1, 50, in_tokens=False) == Cut(1, 50, in_tokens=False)
    assert Cut(1, 50, in_tokens=False) + Cut() == Cut(1, 50, in_tokens=False)


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


@pytest.mark.parametrize("name", LONG)
def test_long_texts_have_the_ids_of_the_whole(tokenizer, name):
    limit = 64
    whole = tokenizer.backend.encode_batch_fast([LONG[name]])[0].ids
    expected = whole if len(whole) <= limit else [*whole[: limit - 1], SEP]
    (ids,), _, _, cut = tokenizer.rows([LONG[name]], limit)
    assert ids.tolist() == expected
    assert cut.texts == (len(whole) > limit)


# Pieces of text that meet at every kind of boundary; repeated, they make texts above any shortcut.
PIECES = st.sampled_from(
    ["word ", "a" * 99, "b" * 3, " " * 7, "\x00" * 5, "中", "...", "[SEP]", "[CL", "S]", "é", "-x-"]
)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES, min_size=1, max_size=12), limit=st.integers(2, 40))
def test_the_beginning_of_a_text_is_enough_for_its_ids(tokenizer, pieces, limit):
    text = "".join(pieces)
    text *= 60_000 // len(text) + 1
    whole = tokenizer.backend.encode_batch_fast([text])[0].ids
    expected = whole if len(whole) <= limit else [*whole[: limit - 1], SEP]
    assert ids_of(tokenizer, text, limit) == expected


def test_a_text_of_10_mb_takes_no_longer_than_its_beginning(tokenizer):
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
        assert time.process_time() - start < 2  # 0.1 to 0.6 seen; whole, 4 to 20


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


def test_pictures_stay_within_a_word(tokenizer):
    pictures = [c for c in map(chr, range(0x2000, 0x20000)) if re.match(PICTURE, c)]
    assert len(pictures) > 1500
    split = tokenizer.backend.pre_tokenizer.pre_tokenize_str
    for picture in pictures:
        text = tokenizer.backend.normalizer.normalize_str(f"a{picture}b")
        assert len(split(text)) == 1, hex(ord(picture))
        assert len(text) >= 3, hex(ord(picture))


def test_squeezing_shortens_endless_words_blanks_and_control_characters(tokenizer):
    text = "a" * 500 + "   -" + "\x00\x01b" + "中" * 200
    assert tokenizer.squeeze(text) == "a" * 101 + " -" + "\x00b" + "中" * 200


@pytest.mark.parametrize(
    ("texts", "index", "kind"),
    [
        (["a", None], 1, "NoneType"),
        ([b"a"], 0, "bytes"),
        (["a", "b", 3], 2, "int"),
        ([float("nan")], 0, "float"),
        (["a", ["b"]], 1, "list"),
        ([("a", "b", "c")], 0, "tuple"),
        (["a", ("a", 1)], 1, "tuple"),
    ],
)
def test_what_is_no_text_is_refused_with_its_index(texts, index, kind):
    with pytest.raises(
        TypeError, match=rf"Text {index} of {len(texts)} is a {kind}.*must be a str"
    ):
        check_texts(texts)


def test_a_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(
        ValueError, match=r"Text 1 of 2 has a lone surrogate, '\\udc80', at char.* 2"
    ):
        check_texts(["fine", "a \udc80"])


def test_windows_bound_texts_and_characters(monkeypatch):
    monkeypatch.setattr("minibert.tokens.WINDOW_TEXTS", 3)
    monkeypatch.setattr("minibert.tokens.WINDOW_CHARACTERS", 10)
    lengths = [1, 1, 1, 1, 9, 2, 50, 1]
    windows = list(text_windows(["x" * length for length in lengths]))
    assert [lengths[window] for window in windows] == [[1, 1, 1], [1, 9], [2], [50], [1]]


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


def load(folder, **arguments):
    settings = TransformerSettings(folder, **arguments)
    return load_tokenizer(settings, vocab_size=83, max_position_embeddings=41)


def test_lower_casing_follows_tokenizer_config_and_not_tokenizer_json(folder, edit):
    assert pieces_of(load(folder), "Cat") == ["cat"]
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert pieces_of(load(folder), "Cat") == ["Cat"]


def test_without_tokenizer_config_a_text_is_lower_cased(folder):
    (folder / "tokenizer_config.json").unlink()
    assert pieces_of(load(folder), "CAT") == ["cat"]


def test_accents_stay_where_the_folder_says_so(folder, edit):
    assert pieces_of(load(folder), "é") == ["e"]
    edit(folder / "tokenizer_config.json", strip_accents=False)
    assert pieces_of(load(folder), "é") == ["é"]


def test_chinese_characters_are_words_unless_the_folder_says_no(folder, edit):
    assert pieces_of(load(folder), "a中") == ["a", "中"]
    edit(folder / "tokenizer_config.json", tokenize_chinese_chars=False)
    assert pieces_of(load(folder), "a中") == ["[UNK]"]


def test_do_lower_case_of_sentence_transformers_comes_before_all_else(folder, edit):
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert pieces_of(load(folder, do_lower_case=True), "Cat É") == ["cat", "é"]


def test_vocab_txt_alone_gives_the_same_ids(old_folder, folder):
    text = "The cat sat; [MASK] café 中?"
    assert ids_of(load(old_folder), text) == ids_of(load(folder), text)


def test_the_truncation_and_padding_of_tokenizer_json_are_reset(folder, edit):
    before = ids_of(load(folder), "the cat sat on the dog")
    edit(
        folder / "tokenizer.json",
        truncation={
            "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0
        },
        padding={
            "strategy": {"Fixed": 30}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        },
    )  # fmt: skip
    assert ids_of(load(folder), "the cat sat on the dog") == before


def test_an_added_token_is_cut_out_before_the_text_is_split(folder, edit):
    token = {
        "content": "thecat", "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": False,
    }  # fmt: skip
    edit(folder / "tokenizer_config.json", added_tokens_decoder={"12": token})
    assert "thecat" in [
        token.content for token in load(folder).backend.get_added_tokens_decoder().values()
    ]
    assert pieces_of(load(folder), "xthecaty")[1] == "thecat"


@pytest.mark.parametrize(
    ("max_seq_length", "model_max_length", "expected"),
    [
        (17, 30, 17),  # sentence_bert_config.json beats all
        (35, 30, 35),
        (None, 30, 30),
        (None, 512, 41),  # never beyond the positions
        (None, 1e30, 41),
        (1000, 30, 41),
    ],
)
def test_the_maximum_length_follows_the_reference(
    folder, edit, max_seq_length, model_max_length, expected
):
    edit(folder / "tokenizer_config.json", model_max_length=model_max_length)
    assert load(folder, max_seq_length=max_seq_length).max_length == expected


def test_without_any_limit_the_positions_are_the_limit(folder, edit, removed):
    edit(folder / "tokenizer_config.json", model_max_length=removed)
    assert load(folder).max_length == 41


def test_a_special_token_given_as_an_object_is_understood(folder, edit):
    edit(folder / "tokenizer_config.json", cls_token={"content": "[MASK]", "lstrip": False})
    assert load(folder).backend.encode("").tokens == ["[MASK]", "[SEP]"]


def test_special_tokens_map_counts_where_no_added_tokens_are_listed(folder, edit):
    edit(folder / "special_tokens_map.json", sep_token={"content": "[MASK]"})
    assert load(folder).backend.encode("").tokens == ["[CLS]", "[MASK]"]
    edit(folder / "tokenizer_config.json", added_tokens_decoder={})
    assert load(folder).backend.encode("").tokens == ["[CLS]", "[SEP]"]


def test_added_tokens_json_and_extra_special_tokens_are_cut_out(old_folder, edit):
    edit(old_folder / "added_tokens.json", cat=6)
    edit(old_folder / "tokenizer_config.json", additional_special_tokens=["dog"])
    assert pieces_of(load(old_folder), "xcaty xdogy") == ["x", "cat", "y", "x", "dog", "y"]


def test_a_tokenizer_class_in_config_json_counts_where_there_is_no_other(folder, edit):
    edit(folder / "config.json", tokenizer_class="BertJapaneseTokenizer")
    load(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match="'BertJapaneseTokenizer'; minibert builds"):
        load(folder)


@pytest.mark.parametrize(("key", "value"), [("truncation_side", "top"), ("padding_side", "top")])
def test_a_side_that_there_is_not_is_refused(folder, edit, key, value):
    edit(folder / "tokenizer_config.json", **{key: value})
    with pytest.raises(CheckpointError, match=key):
        load(folder)


def test_the_padding_id_is_that_of_the_folder_s_pad_token(folder, edit):
    assert load(folder).pad_id == 0
    edit(folder / "tokenizer_config.json", pad_token="[MASK]")
    assert load(folder).pad_id == 4


def test_other_tokenizer_classes_are_refused_by_name(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="T5Tokenizer")
    with pytest.raises(
        CheckpointError, match="'T5Tokenizer'; minibert builds BertTokenizer, DistilBert"
    ):
        load(folder)


def test_a_tokenizer_json_of_another_model_is_refused(folder, edit):
    edit(folder / "tokenizer.json", model={"type": "BPE", "vocab": {"a": 0}, "merges": []})
    with pytest.raises(CheckpointError, match="no WordPiece"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("tokenizer_config.json", "do_lower_case", "yes"),
        ("tokenizer_config.json", "strip_accents", 1),
        ("tokenizer_config.json", "tokenize_chinese_chars", []),
        ("tokenizer_config.json", "tokenizer_class", ["BertTokenizer"]),
        ("tokenizer_config.json", "added_tokens_decoder", [1]),
        ("tokenizer.json", "model", 7),
        ("tokenizer.json", "added_tokens", {"a": 1}),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(folder, edit, file, key, value):
    edit(folder / file, **{key: value})
    with pytest.raises(CheckpointError, match=rf"{file}: {key} is .*; expected a "):
        load(folder)


def test_a_folder_without_vocabulary_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"neither tokenizer\.json nor vocab\.txt"):
        load(folder)


def test_a_vocabulary_larger_than_the_embeddings_is_refused(folder):
    with pytest.raises(CheckpointError, match="goes up to the id 82; the model has 50"):
        load_tokenizer(TransformerSettings(folder), vocab_size=50, max_position_embeddings=41)


def test_a_padding_side_on_the_left_is_kept(folder, edit):
    edit(folder / "tokenizer_config.json", padding_side="left")
    assert load(folder).padding_side == "left"


def test_ids_are_int64(tokenizer):
    (ids,) = tokenizer.rows(["a"], None).ids
    assert ids.dtype == np.int64
