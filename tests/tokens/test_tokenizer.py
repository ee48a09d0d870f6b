"""Texts to ids: pinned ids, truncation that is counted, and texts too long to tokenise whole."""

import json
import re
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from golden_files import LFS_POINTER, copy_of
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert import SentenceTransformer
from minibert.checkpoint.transformer_settings import TransformerSettings
from minibert.errors import CheckpointError
from minibert.tokens.load import load_tokenizer
from minibert.tokens.tokenizer import PICTURE, Cut, TextTokenizer, check_texts, text_windows

UNKNOWN, CLS, SEP, MASK = 100, 101, 102, 103


@pytest.fixture(scope="module")
def tokenizer(minilm_folder):
    return minilm_tokenizer(minilm_folder)


def minilm_tokenizer(folder):
    settings = TransformerSettings(folder)
    return load_tokenizer(settings, vocab_size=30522, most_tokens=512)


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
    monkeypatch.setattr("minibert.tokens.tokenizer.WINDOW_TEXTS", 3)
    monkeypatch.setattr("minibert.tokens.tokenizer.WINDOW_CHARACTERS", 10)
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
    return load_tokenizer(settings, vocab_size=83, most_tokens=41)


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


def test_max_len_is_an_older_name_of_model_max_length(folder, edit, removed):
    edit(folder / "tokenizer_config.json", model_max_length=removed, max_len=7)
    assert load(folder).max_length == 7
    edit(folder / "tokenizer_config.json", model_max_length=9)
    assert load(folder).max_length == 9


def test_a_special_token_given_as_an_object_keeps_its_flags(old_folder, edit):
    mask = {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "rstrip": True}
    edit(old_folder / "tokenizer_config.json", mask_token=mask)
    tokens = load(old_folder).tokens("cat [MASK] dog", None)
    assert tokens.offsets[1:-1] == [(0, 3), (3, 11), (11, 14)]


def test_only_tokens_with_a_name_count_as_special_by_their_ids(folder, edit, removed):
    """Those that are only marked so do not: transformers' all_special_ids."""
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    for name in ("cls", "sep", "unk", "mask"):
        edit(folder / "tokenizer_config.json", **{f"{name}_token": removed})
    assert load(folder).special_ids == [0]
    edit(folder / "tokenizer_config.json", extra_special_tokens=["cat"], image_token="dog")
    assert load(folder).special_ids == [0, 7, 6]


@pytest.mark.parametrize("name", ["ElectraTokenizerFast", "DPRContextEncoderTokenizer"])
def test_other_names_of_a_bert_s_tokenizer_are_built(folder, edit, name):
    expected = load(folder).rows(["The cat [MASK]"], None).ids[0]
    edit(folder / "tokenizer_config.json", tokenizer_class=name)
    assert list(load(folder).rows(["The cat [MASK]"], None).ids[0]) == list(expected)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "cat"}}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": "cat"}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": {"content": 5}}}),
        ("tokenizer_config.json", {"extra_special_tokens": 3}),
        ("added_tokens.json", {"cat": "x"}),
        ("added_tokens.json", {"cat": None}),
        ("added_tokens.json", {"cat": {}}),
        ("added_tokens.json", {"cat": "5"}),
        ("added_tokens.json", {"cat": 5.0}),
        ("added_tokens.json", {"cat": True}),
        ("added_tokens.json", {"cat": -1}),
        ("tokenizer.json", {"added_tokens": [{"content": "cat", "id": float("inf")}]}),
        ("tokenizer.json", {"added_tokens": [{"content": "cat", "id": []}]}),
        ("tokenizer.json", {"added_tokens": [{"content": "cat"}]}),
        ("tokenizer.json", {"added_tokens": ["cat"]}),
    ],
)
def test_added_tokens_that_are_none_are_refused(folder, edit, removed, file, content):
    edit(folder / "tokenizer_config.json", added_tokens_decoder=removed)
    edit(folder / file, **content)
    with pytest.raises(
        CheckpointError, match=r"an added token is|extra_special_tokens is 3; expected"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask_token": 5}, "mask_token is 5; expected a text"),
        ({"mask_token": []}, r"mask_token is \[\]; expected a text"),
        ({"sep_token": {"content": None}}, "sep_token is {'content': None}; expected a text"),
        ({"sep_token": {"content": "a", "lstrip": 1}}, "'a' has lstrip 1; expected true or false"),
        ({"extra_special_tokens": False}, "extra_special_tokens is False; expected a list"),
        ({"extra_special_tokens": ["a", 5]}, "extra_special_tokens holds 5; expected texts"),
        ({"additional_special_tokens": "a"}, "additional_special_tokens is 'a'; expected a list"),
        (
            {"added_tokens_decoder": {"5": {"content": "a", "special": None}}},
            "'a' has special None",
        ),
    ],
)
def test_tokens_that_are_none_are_refused_by_name(folder, edit, settings, message):
    edit(folder / "tokenizer_config.json", **settings)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("name", ["x", 1, None, []])
def test_names_of_inputs_that_no_bert_has_are_refused(folder, edit, name):
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", name])
    with pytest.raises(CheckpointError, match=r"model_input_names holds .*; expected some"):
        load(folder)


def test_a_mask_that_is_left_out_is_told_and_changes_no_vector(folder, edit, caplog):
    before = SentenceTransformer(folder).encode(["the cat sat", "a"])
    assert not caplog.records
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids"])
    model = SentenceTransformer(folder)
    assert "model_input_names has no attention_mask" in caplog.text
    np.testing.assert_array_equal(model.encode(["the cat sat", "a"]), before)


def test_keys_of_other_tokens_name_extra_ones_but_for_two_switches(folder, edit):
    edit(
        folder / "tokenizer_config.json", add_bos_token="barks", add_eos_token=" ", new_token="cat"
    )
    tokenizer = load(folder)
    assert tokenizer.special_ids[5:] == [6]
    assert list(tokenizer.rows(["the cat barks"], None).ids[0]) == [2, 5, 6, 9, 3]


def test_flags_that_no_token_has_are_left_out_unsaid(folder, edit, capfd):
    token = {"content": "cat", "lstrip": True, "unheard_of": 1}
    edit(folder / "tokenizer_config.json", added_tokens_decoder={"6": token})
    load(folder)
    assert capfd.readouterr().out == ""  # the library prints there


@pytest.mark.parametrize("limit", [0, -1, 1.5, 3.0, float("nan"), "5", True, [], -float("inf")])
@pytest.mark.parametrize("key", ["model_max_length", "max_len"])
def test_a_model_max_length_that_is_no_length_is_refused(folder, edit, removed, key, limit):
    edit(folder / "tokenizer_config.json", **{"model_max_length": removed, key: limit})
    with pytest.raises(CheckpointError, match=f"{key} is .*; expected a whole number from 1 up"):
        load(folder)


@pytest.mark.parametrize("limit", [None, 1e30, 10**30, float("inf")])
def test_a_model_max_length_of_no_limit_is_the_positions(folder, edit, limit):
    edit(folder / "tokenizer_config.json", model_max_length=limit)
    assert load(folder).max_length == 41


@pytest.mark.parametrize(
    ("name", "key", "text"),
    [
        ("xlm_roberta", "add_prefix_space", "cat"),
        ("camembert", "add_prefix_space", "cat"),
        ("albert", "do_lower_case", "Cat"),
    ],
)
def test_a_setting_of_null_is_false_as_in_the_reference(tmp_path, edit, name, key, text):
    def tokens(**settings):
        edit(folder / "tokenizer_config.json", **settings)
        return SentenceTransformer(folder).tokens(text).pieces

    folder = copy_of(name, tmp_path)
    assert tokens(**{key: None}) == tokens(**{key: False}) != tokens(**{key: True})


def with_vocab_txt(folder, change=lambda words: words, end=b"\n"):
    """Replace tokenizer.json by the older vocab.txt, its lines changed."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = dict.fromkeys(range(83), "[unused]") | {id: word for word, id in vocabulary.items()}
    lines = change([words[id].encode() for id in range(83)])
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_bytes(b"".join(line + end for line in lines))
    return folder


@pytest.mark.parametrize(
    ("change", "end"),
    [
        (lambda words: [*words, b""], b"\n"),
        (lambda words: [*words, b"", b" ", b"\t"], b"\n"),
        (lambda words: words, b"\r\n"),
        (lambda words: [word + b"  " for word in words], b"\n"),
        (lambda words: [*words, b""], b" \r\n"),
    ],
)
def test_blanks_at_the_ends_of_vocab_txt_change_no_token(folder, change, end):
    texts = ["The cat barks zebra", "caf\u00e9 [MASK]"]
    expected = [list(ids) for ids in load(folder).rows(texts, None).ids]
    with_vocab_txt(folder, change, end)
    assert [list(ids) for ids in load(folder).rows(texts, None).ids] == expected


def test_a_blank_line_within_vocab_txt_counts_as_a_word(folder):
    before = list(load(folder).rows(["the cat"], None).ids[0])
    with_vocab_txt(folder, lambda words: [*words[:6], b"", *words[6:-1]])
    assert before == [2, 5, 6, 3]
    assert list(load(folder).rows(["the cat"], None).ids[0]) == [2, 5, 7, 3]


def test_the_last_of_two_equal_lines_of_vocab_txt_counts(folder):
    with_vocab_txt(folder, lambda words: [*words[:-1], b"cat"])
    assert list(load(folder).rows(["cat"], None).ids[0]) == [2, 82, 3]


def test_words_of_vocab_txt_beyond_the_embeddings_are_refused(folder):
    with_vocab_txt(folder, lambda words: [*words, b"zebra"])
    with pytest.raises(CheckpointError, match="up to the id 83; the model has 83"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[PAD]\n[UNK]\ncaf\xe9\n", r"vocab\.txt is not UTF-8: line 3 has the byte 0xe9"),
        ("[PAD]\n".encode("utf-16"), r"vocab\.txt is not UTF-8: line 1 has the byte 0xff"),
        (LFS_POINTER.encode(), r"vocab\.txt is a pointer of git-lfs.*`git lfs pull`"),
        (b"", r"no \[UNK\], the unknown word"),
    ],
)
def test_a_vocab_txt_that_is_no_text_is_refused(folder, content, message):
    with_vocab_txt(folder)
    (folder / "vocab.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xe9", "is not UTF-8: line 1"), (LFS_POINTER.encode(), "is a pointer of git-lfs")],
)
def test_an_older_file_of_pairs_that_is_no_text_is_refused(tmp_path, name, content, message):
    folder = copy_of("roberta", tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("".join(f"{a} {b}\n" for a, b in model["merges"]))
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} {message}"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("piece", [[None, 0.0], ["a", float("nan")], ["a", None], ["a"], 5])
def test_a_piece_that_is_none_is_refused(tmp_path, edit, piece):
    folder = copy_of("xlm_roberta", tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    model["vocab"][7] = piece
    edit(folder / "tokenizer.json", model=model)
    with pytest.raises(CheckpointError, match=r"no list of \[piece, score\]"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    "model",
    [
        {"type": "WordPiece", "vocab": {"[CLS]": 2, "[SEP]": 3, "cat": 6}},
        {"type": "WordLevel", "vocab": {"[CLS]": 2, "[SEP]": 3, "cat": 6}, "unk_token": "[UNK]"},
        {"type": "Unigram", "vocab": [["cat", -1.0]], "unk_id": None},
    ],
)
def test_a_tokenizer_without_an_unknown_word_is_refused(folder, edit, model):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    content = {"unk_token": "[UNK]", "continuing_subword_prefix": "##", **model}
    edit(folder / "tokenizer.json", model=content | {"max_input_chars_per_word": 100})
    with pytest.raises(CheckpointError, match=r"tokenizer cannot split a text: .*See the model"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("vocab", [{"[CLS]": 2, "[SEP]": 3, "b": 5, "c": 6}, {}])
def test_what_stands_around_a_text_is_seen_on_any_word(folder, edit, vocab):
    """A vocabulary of pairs without an unknown word leaves out what it lacks, as an "a" here."""
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    edit(folder / "tokenizer.json", model={"type": "BPE", "vocab": vocab, "merges": []})
    if not vocab:
        with pytest.raises(CheckpointError, match="makes no token of any word"):
            SentenceTransformer(folder)
        return
    words = SentenceTransformer(folder)[0].words
    assert words.rows(["cab"], None).ids[0].tolist() == [2, 6, 5, 3]
    assert words.rows(["a"], None).ids[0].tolist() == [2, 3]


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
    for change in ((folder / "tokenizer.json").unlink, lambda: write(folder, "{}")):
        change()
        with pytest.raises(CheckpointError, match=r"neither in tokenizer\.json nor in vocab\.txt"):
            load(folder)


def write(folder, text):
    (folder / "tokenizer.json").write_text(text)


def test_a_vocabulary_larger_than_the_embeddings_is_refused(folder):
    with pytest.raises(CheckpointError, match="goes up to the id 82; the model has 50"):
        load_tokenizer(TransformerSettings(folder), vocab_size=50, most_tokens=41)


def test_a_padding_side_on_the_left_is_kept(folder, edit):
    edit(folder / "tokenizer_config.json", padding_side="left")
    assert load(folder).padding_side == "left"


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


def longest_first(first, second, room):
    """The rule of the reference: measured for all lengths from 0 to 8 and limits from 3 to 13."""
    shorter, longer = sorted((first, second))
    if shorter + longer > room:
        longer = shorter if shorter > room else max(shorter, room - shorter)
        if shorter + longer > room:
            shorter, longer = room // 2, room // 2 + room % 2
    return (shorter, longer) if first <= second else (longer, shorter)


@given(first=st.integers(0, 30), second=st.integers(0, 30), limit=st.integers(1, 40))
def test_a_pair_is_cut_like_the_tokenizers_library_cuts_it(tokenizer, first, second, limit):
    pair = (" ".join("a" * first), " ".join("b" * second))
    rows = tokenizer.rows([pair], limit)
    ids = rows.ids[0].tolist()
    whole = first + second + 3
    if limit < 3:  # below the special tokens nothing is cut
        assert len(ids) == whole
        return
    kept = longest_first(first, second, limit - 3)
    assert (ids.count(1037), ids.count(1038)) == kept
    assert sum(kept) + 3 == len(ids) == min(whole, limit)
    assert rows.is_cut == [len(ids) < whole]
    backend = tokenizer.backend
    backend.enable_truncation(limit, strategy="longest_first")
    try:
        assert backend.encode(*pair).ids == ids
    finally:
        backend.no_truncation()


@pytest.mark.parametrize("long", [("w " * 90_000, "b"), ("b", "w " * 90_000)])
def test_a_pair_with_one_long_text_is_cut_as_the_whole(tokenizer, long):
    rows = tokenizer.rows([long], 50)
    backend = tokenizer.backend
    backend.enable_truncation(50, strategy="longest_first")
    try:
        assert rows.ids[0].tolist() == backend.encode(*long).ids
    finally:
        backend.no_truncation()
    assert (rows.cut.texts, rows.cut.in_tokens) == (1, False)


@pytest.mark.parametrize("more", [0, 9])
def test_of_two_long_texts_the_longer_keeps_the_odd_token(tokenizer, more):
    pair = ("w " * (60_000 + more), "x " * 60_000)
    ids = tokenizer.rows([pair], 50).ids[0].tolist()
    assert ids.count(1059) == (24 if more else 23)
    assert len(ids) == 50


def test_texts_without_special_tokens(tokenizer):
    rows = tokenizer.rows(["a b c", ("a", "b")], 2, special=False)
    assert [row.tolist() for row in rows.ids] == [[1037, 1038], [1037, 1038]]
    assert [row.tolist() for row in rows.types] == [[0, 0], [0, 1]]
    assert rows.is_cut == [True, False]


def test_a_folder_that_cuts_on_the_left_keeps_the_ends(folder, edit):
    edit(folder / "tokenizer_config.json", truncation_side="left")
    tokenizer = load(folder)
    whole = tokenizer.rows(["the cat sat", ("the cat", "a dog")], None).ids
    cut = tokenizer.rows(["the cat sat", ("the cat", "a dog"), "the " * 9000 + "dog"], 4).ids
    assert cut[0].tolist() == [whole[0][0], *whole[0][-3:]]
    assert cut[1].tolist() == [whole[1][0], whole[1][3], whole[1][-2], whole[1][-1]]
    assert cut[2].tolist()[-2] == whole[1][-2]


@pytest.mark.parametrize("what", ["truncation", "padding"])
def test_a_side_left_behind_in_tokenizer_json_counts_where_the_settings_are_silent(
    folder, edit, what
):
    edit(folder / "tokenizer.json", **{what: {"direction": "Left"}})
    assert getattr(load(folder), f"{what}_side") == "left"
    edit(folder / "tokenizer_config.json", **{f"{what}_side": "right"})
    assert getattr(load(folder), f"{what}_side") == "right"


def test_tokens_show_what_the_model_sees_and_what_falls_off(tokenizer):
    text = "Café, unbelievably long"
    tokens = tokenizer.tokens(text, 6)
    assert tokens.pieces == ["[CLS]", "cafe", ",", "un", "##bel", "[SEP]"]
    assert tokens.ids == ids_of(tokenizer, text, 6)
    assert [text[start:end] for start, end in tokens.offsets] == ["", "Café", ",", "un", "bel", ""]
    assert tokens.cut == len(ids_of(tokenizer, text)) - 6
    whole = tokenizer.tokens(text, None)
    assert (len(whole.ids), whole.cut) == (len(ids_of(tokenizer, text)), 0)


def test_tokens_of_a_pair_have_offsets_into_each_text(tokenizer):
    tokens = tokenizer.tokens(("a bc", "dd"), None)
    assert tokens.pieces == ["[CLS]", "a", "bc", "[SEP]", "dd", "[SEP]"]
    assert tokens.offsets == [(0, 0), (0, 1), (2, 4), (0, 0), (0, 2), (0, 0)]


@given(words=st.integers(1, 60), prompt=st.integers(0, 4), limit=st.integers(10, 20))
def test_windows_hold_every_token_and_overlap(tokenizer, words, prompt, limit):
    text = " ".join(chr(ord("a") + n % 26) for n in range(words))
    rows = tokenizer.stretches(text, "x " * prompt, limit, 2)
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
        tokenizer.stretches("a b c", "x " * 6, 10, 2)


def as_it_stands(folder, edit, **content):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    edit(folder / "tokenizer.json", **content)
    return load(folder)


def test_a_fast_tokenizer_is_taken_as_it_stands_and_has_no_types(folder, edit):
    edit(folder / "tokenizer_config.json", do_lower_case=False)  # not asked
    tokenizer = as_it_stands(folder, edit)
    assert ids_of(tokenizer, "CAT") == ids_of(tokenizer, "cat")
    assert tokenizer.rows([("a", "b")], None).types is None
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids"])
    assert load(folder).rows([("a", "b")], None).types[0].tolist() == [0, 0, 0, 1, 1]


def test_a_fast_tokenizer_without_normalizer_keeps_capitals(folder, edit):
    tokenizer = as_it_stands(folder, edit, normalizer=None)
    assert ids_of(tokenizer, "Cat") != ids_of(tokenizer, "cat")
    lowered = load(folder, do_lower_case=True)
    assert ids_of(lowered, "Cat") == ids_of(tokenizer, "cat")


SPECIAL = {"SEP": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
END = {"SpecialToken": {"id": "SEP", "type_id": 0}}


def template(single, pair):
    return {
        "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": SPECIAL
    }  # fmt: skip


def test_special_tokens_stand_where_the_folder_says(folder, edit):
    second = {"Sequence": {"id": "B", "type_id": 1}}
    tokenizer = as_it_stands(
        folder, edit, post_processor=template([TEXT, END, END], [TEXT, END, second])
    )
    frame = tokenizer.frame
    assert (frame.single, frame.pair) == (([], [3, 3]), ([], [3], []))
    assert frame.pair_types == (0, 0, 0, 1, 0)
    none = as_it_stands(folder, edit, post_processor=None)
    assert none.frame.single == ([], [])


def test_a_post_processor_that_says_a_text_twice_is_refused(folder, edit):
    with pytest.raises(CheckpointError, match="post_processor is not"):
        as_it_stands(folder, edit, post_processor=template([TEXT, END, TEXT], [TEXT, END]))


@pytest.mark.parametrize("around", ["nothing", "its end", "the first text"])
def test_a_post_processor_that_leaves_out_a_text_is_refused(folder, edit, around):
    pair = {"nothing": [], "its end": [END], "the first text": [TEXT, END]}[around]
    with pytest.raises(CheckpointError, match=r"post_processor is not|is no tokenizer"):
        as_it_stands(folder, edit, post_processor=template([TEXT, END], pair))


@pytest.mark.parametrize("content", ["{}", '{"model": 3}', '{"version": "1.0", "model": {}}'])
def test_a_tokenizer_json_that_is_none_is_refused(folder, edit, content):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is (no tokenizer|missing)"):
        load(folder)


def test_a_vocabulary_without_the_unknown_word_is_refused(folder, edit):
    edit(folder / "tokenizer_config.json", unk_token="<unk>")
    with pytest.raises(CheckpointError, match="the vocabulary has no <unk>"):
        load(folder)


def test_added_tokens_beyond_the_embeddings_are_warned_about_and_refused_in_a_text(
    folder, edit, caplog
):
    # The tiny vocabulary ends with the id 82, but holds one word twice: 82 is free once more.
    edit(folder / "tokenizer_config.json", extra_special_tokens=["<0>", "<1>", "<2>"])
    model = SentenceTransformer(folder)
    (message,) = caplog.messages
    assert message.endswith(
        "2 added tokens, as '<1>', have no word embedding; texts with them are refused."
    )
    assert model.encode("the cat").shape == (20,)
    with pytest.raises(ValueError, match="holds '<2>', the token 84; this model has 83 word"):
        model.encode(["the cat", "a <2> dog"])


def test_a_special_token_beyond_the_embeddings_is_refused(folder, edit):
    edit(folder / "tokenizer_config.json", sep_token="<0>", cls_token="<1>")
    with pytest.raises(CheckpointError, match=r"token '<.>' has the id 83; the model has 83 word"):
        load(folder)


def test_ids_that_are_no_whole_numbers_are_refused(folder, edit):
    model = {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": "1"}, "unk_token": "[UNK]"}
    edit(folder / "tokenizer.json", model=model)
    with pytest.raises(CheckpointError, match="ids that are no whole numbers"):
        load(folder)


def test_special_tokens_that_are_split_are_ordinary_text(folder, edit):
    whole = ids_of(load(folder), "a[SEP]b")
    edit(folder / "tokenizer_config.json", split_special_tokens=True)
    split = ids_of(load(folder), "a[SEP]b")
    assert 3 in whole[1:-1]
    assert 3 not in split[1:-1]


def test_tokenizer_args_beat_tokenizer_config(folder):
    settings = {"do_lower_case": False, "model_max_length": 7}
    tokenizer = load(folder, tokenizer_args=settings, max_seq_length=9)
    assert tokenizer.max_length == 7
    assert ids_of(tokenizer, "Cat") != ids_of(tokenizer, "cat")


def test_a_distilbert_tokenizer_makes_no_types(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="DistilBertTokenizerFast")
    assert load(folder).rows([("a", "b")], None).types is None


def test_extra_special_tokens_of_every_form_are_cut_out(folder, edit):
    # "Cat" is in the vocabulary, but an uncased text never shows it to the split.
    for extra in (
        {"extra_special_tokens": ["Cat"]},
        {"extra_special_tokens": {"animal_token": "Cat"}},
        {"additional_special_tokens": [{"content": "Cat"}]},
        {"animal_token": "Cat"},
    ):
        edit(folder / "tokenizer_config.json", **extra)
        assert pieces_of(load(folder), "a Cat") == ["a", "Cat"], extra
        edit(folder / "tokenizer_config.json", **dict.fromkeys(extra))
    assert pieces_of(load(folder), "a Cat") == ["a", "cat"]
