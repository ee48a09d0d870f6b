"""The tokenizer under transformers' names: arrays, lists, tokens and ids, and what is refused."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minibert import Tokenizer


@pytest.fixture
def hf_tokenizer(folder):
    return Tokenizer.from_pretrained(folder)


def test_one_text_gives_one_row_of_arrays_or_a_list(hf_tokenizer):
    assert hf_tokenizer("the cat", return_tensors="np")["input_ids"].shape == (1, 4)
    assert hf_tokenizer("the cat")["attention_mask"] == [1, 1, 1, 1]
    assert hf_tokenizer(["the cat"])["attention_mask"] == [[1, 1, 1, 1]]


def test_texts_of_different_lengths_are_lists_without_padding(hf_tokenizer):
    found = hf_tokenizer(["the", "the cat"])
    assert [len(row) for row in found["input_ids"]] == [3, 4]
    assert found["token_type_ids"] == [[0] * 3, [0] * 4]


def test_padding_to_a_maximum_length_fills_up(hf_tokenizer):
    found = hf_tokenizer(["the"], padding="max_length", max_length=7, return_tensors="np")
    assert found["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0]]
    assert found["input_ids"].tolist()[0][3:] == [0] * 4


def test_truncation_takes_max_length_or_the_model_s(hf_tokenizer):
    assert hf_tokenizer("a " * 100, truncation=True, return_tensors="np")["input_ids"].shape == (
        1,
        41,
    )
    assert len(hf_tokenizer("a " * 100, truncation=True, max_length=5)["input_ids"]) == 5
    assert len(hf_tokenizer("a " * 100)["input_ids"]) == 102


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"return_tensors": "tf"}, 'expected "np" for NumPy arrays, or "pt"'),
        ({"padding": "longer"}, "padding is 'longer'"),
        ({"padding_side": "top"}, "padding_side is 'top'"),
        ({"return_tensors": "np"}, "different lengths; pass padding=True"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(hf_tokenizer, arguments, message):
    with pytest.raises(ValueError, match=message):
        hf_tokenizer(["the", "the cat"], **arguments)


def test_what_is_no_text_is_refused(hf_tokenizer):
    with pytest.raises(TypeError, match="Text 1 of 2 is an int"):
        hf_tokenizer(["a", 1])


@pytest.mark.parametrize(
    "given", [None, 3, b"the cat", {"the cat": 1}, {"the cat", "a dog"}, np.array("a")]
)
def test_what_has_no_texts_in_an_order_is_refused(hf_tokenizer, given):
    for arguments in ((given,), (["a"], given)):
        if arguments != (["a"], None):
            with pytest.raises(TypeError, match=f" got an? {type(given).__name__} "):
                hf_tokenizer(*arguments)
    assert hf_tokenizer(text for text in ["the cat"]) == hf_tokenizer(["the cat"])


def test_pairs_have_token_types(hf_tokenizer):
    one = hf_tokenizer("the cat", "a dog")
    assert one["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    several = hf_tokenizer(["the cat", "a"], ["a dog", "b"], padding=True, return_tensors="np")
    assert several["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]
    assert hf_tokenizer([("the cat", "a dog")])["input_ids"] == [one["input_ids"]]
    ragged = hf_tokenizer([("the cat", "a dog"), "a"])
    assert [len(row) for row in ragged["token_type_ids"]] == [7, 3]
    assert ragged["token_type_ids"][0] == one["token_type_ids"]
    cut = hf_tokenizer("the cat sat", "a dog", truncation="longest_first", max_length=6)
    assert len(cut["input_ids"]) == 6


def test_texts_and_second_texts_that_do_not_match_are_refused(hf_tokenizer):
    for texts, seconds in ((["a"], ["b", "c"]), ([("a", "b")], ["c"])):
        with pytest.raises(ValueError, match=r"There are 1 texts and [12] second ones"):
            hf_tokenizer(texts, seconds)


def test_words_and_ids_turn_into_each_other(hf_tokenizer):
    assert hf_tokenizer.tokenize("The cats") == ["the", "cat", "##s"]
    ids = hf_tokenizer.encode("The cats")
    assert hf_tokenizer.encode("The cats", add_special_tokens=False) == ids[1:-1]
    assert hf_tokenizer.encode("The cats", truncation=True, max_length=3) == [*ids[:2], ids[-1]]
    assert hf_tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "the", "cat", "##s", "[SEP]"]
    assert hf_tokenizer.convert_ids_to_tokens(ids[1]) == "the"
    assert hf_tokenizer.convert_tokens_to_ids(["the", "nowhere"]) == [
        ids[1],
        hf_tokenizer.unk_token_id,
    ]
    assert hf_tokenizer.decode(ids) == "[CLS] the cats [SEP]"
    assert hf_tokenizer.decode(ids, skip_special_tokens=True) == "the cats"
    assert hf_tokenizer.decode(ids[1]) == "the"


def test_ids_of_numpy_are_ids_and_of_none_there_is_no_text(hf_tokenizer):
    assert hf_tokenizer.decode(np.array([5, 6])) == "the cat"
    assert hf_tokenizer.convert_ids_to_tokens(np.array([5, 6])) == ["the", "cat"]
    assert hf_tokenizer.convert_ids_to_tokens(np.int64(5)) == "the"
    assert hf_tokenizer.convert_ids_to_tokens(iter([5, 6])) == ["the", "cat"]
    assert (hf_tokenizer.decode([]), hf_tokenizer.convert_ids_to_tokens([])) == ("", [])
    assert hf_tokenizer.convert_tokens_to_ids(token for token in ["cat"]) == [6]


@pytest.mark.parametrize(
    "ids", [-1, 1 << 32, 10**30, 2.5, "5", None, [-1], [1.5], [[1.5]], [[1], 2], [None]]
)
def test_ids_that_are_no_whole_numbers_are_refused(hf_tokenizer, ids):
    for ask in (hf_tokenizer.decode, hf_tokenizer.convert_ids_to_tokens):
        with pytest.raises(ValueError, match=r"expected whole numbers from 0 up, an id or a list"):
            ask(ids)


@pytest.mark.parametrize("text", [None, 5, b"cat", ["cat"], ("a", "b"), {"text": "cat"}])
def test_what_is_no_text_has_no_tokens(hf_tokenizer, text):
    with pytest.raises(TypeError, match=rf"tokenize\(\) got an? {type(text).__name__} "):
        hf_tokenizer.tokenize(text)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (None, r"convert_tokens_to_ids\(\) got a NoneType"),
        (5, r"convert_tokens_to_ids\(\) got an int"),
        (b"cat", r"convert_tokens_to_ids\(\) got a bytes"),
        (["cat", 5], "Text 1 of 2 is an int"),
        ([("cat", "dog")], "Text 0 of 1 is a pair"),
    ],
)
def test_what_is_no_token_has_no_id(hf_tokenizer, tokens, message):
    with pytest.raises(TypeError, match=message):
        hf_tokenizer.convert_tokens_to_ids(tokens)


def test_half_of_a_surrogate_pair_is_no_text_for_tokens(hf_tokenizer):
    for ask in (hf_tokenizer.tokenize, hf_tokenizer.convert_tokens_to_ids):
        with pytest.raises(ValueError, match="Text 0 of 1 has a lone surrogate"):
            ask("\ud800")


@pytest.mark.parametrize(
    "model",
    [
        {"type": "WordPiece", "vocab": {"[CLS]": 2, "[SEP]": 3, "a": 6}, "unk_token": "[UNK]"},
        {"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": None},
    ],
)
def test_a_text_that_cannot_be_split_has_no_tokens(folder, edit, model):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    more = {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    edit(folder / "tokenizer.json", model=more | model)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("a") == ["a"]
    with pytest.raises(ValueError, match="tokenizer cannot split a text"):
        tokenizer.tokenize("the cat")


@pytest.mark.parametrize("length", [0, -1, 2.5, "5", True])
def test_a_length_that_is_none_is_refused(hf_tokenizer, length):
    for arguments in ({"truncation": True}, {"padding": "max_length"}, {}):
        with pytest.raises(ValueError, match=r"max_length is .*; expected a whole number from 1"):
            hf_tokenizer("the cat", max_length=length, **arguments)


def test_special_tokens_and_sizes_have_their_names(hf_tokenizer):
    assert (hf_tokenizer.cls_token, hf_tokenizer.cls_token_id) == ("[CLS]", 2)
    assert (hf_tokenizer.sep_token_id, hf_tokenizer.pad_token_id, hf_tokenizer.mask_token_id) == (
        3,
        0,
        4,
    )
    assert hf_tokenizer.bos_token is hf_tokenizer.bos_token_id is None
    assert hf_tokenizer.all_special_ids == [1, 3, 0, 2, 4]  # in transformers' order
    assert hf_tokenizer.vocab_size == len(hf_tokenizer) == len(hf_tokenizer.get_vocab()) == 82
    assert hf_tokenizer.padding_side == "right"
    for name in ("nothing", "odd_token", "odd_token_id"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
            getattr(hf_tokenizer, name)


def test_a_name_of_transformers_that_is_missing_has_advice(hf_tokenizer):
    assert not hasattr(hf_tokenizer, "save_pretrained")
    with pytest.raises(
        AttributeError, match=r"'save_pretrained'; minibert .* Copy the folder's to"
    ):
        hf_tokenizer.save_pretrained("folder")


@pytest.mark.parametrize("truncation", ["first", 1.5, ["only_first"]])
def test_a_truncation_of_another_kind_is_refused(hf_tokenizer, truncation):
    with pytest.raises(ValueError, match=r"truncation is .*; expected one of True, False"):
        hf_tokenizer("a", truncation=truncation)


@pytest.mark.parametrize("stride", [-1, 1.5, True, "2"])
def test_a_stride_that_is_none_is_refused(hf_tokenizer, stride):
    with pytest.raises(ValueError, match=r"stride is .*; expected a whole number from 0 up"):
        hf_tokenizer("a", stride=stride)


def test_a_truncation_that_cannot_be_is_refused(hf_tokenizer):
    text = "the cat sat on the cat"
    with pytest.raises(ValueError, match=r"cannot split a text, or truncate it so: .* See trunc"):
        hf_tokenizer(text, "a dog", truncation="only_second", max_length=4)
    with pytest.raises(ValueError, match=r"stride is 3; it must be below 3, the tokens of a text"):
        hf_tokenizer(text, truncation=True, max_length=5, stride=3)
    with pytest.raises(ValueError, match=r"truncate it so: .*stride.* less than"):  # a panic
        hf_tokenizer(text, "a dog barks a b c", truncation=True, max_length=8, stride=3)
    assert hf_tokenizer("the cat")["input_ids"] == [2, 5, 6, 3]  # as before


def test_max_length_alone_truncates_but_not_beside_padding(hf_tokenizer):
    assert len(hf_tokenizer("a " * 9, max_length=5).input_ids) == 5
    assert len(hf_tokenizer("a " * 9, max_length=5, truncation=False).input_ids) == 11
    assert len(hf_tokenizer("a " * 9, max_length=5, padding=True).input_ids) == 11


def test_a_result_is_a_dict_with_attributes_and_encodings(hf_tokenizer):
    found = hf_tokenizer("the cats", "a dog")
    assert found.input_ids == found["input_ids"] == found.data["input_ids"]
    assert dict(found) == dict(**found) == found
    assert found.tokens() == ["[CLS]", "the", "cat", "##s", "[SEP]", "a", "dog", "[SEP]"]
    assert found.word_ids() == [None, 0, 1, 1, None, 0, 1, None]
    assert found.sequence_ids() == [None, 0, 0, 0, None, 1, 1, None]
    assert (found.char_to_token(6), found.char_to_token(0, 3)) == (2, None)
    assert found.char_to_token(0, 2, sequence_index=1) == found.char_to_token(0, 3, 1) == 6
    assert (found.token_to_chars(3), found.token_to_chars(0, 3)) == ((7, 8), (7, 8))
    assert (found.token_to_chars(0), found.token_to_word(-2), found.token_to_word(0, 3)) == (
        None, 1, 1,
    )  # fmt: skip
    assert (found.token_to_sequence(-2), found.char_to_word(0, 4)) == (1, 1)
    assert found.word_to_tokens(1) == (2, 4)
    assert found.word_to_tokens(0, 1, 1).start == 6
    assert found.word_to_chars(0, 1) == (4, 8)
    assert found[0].ids == found.input_ids
    assert (found.n_sequences, found.is_fast, found.to("cpu") is found) == (2, True, True)
    assert (hf_tokenizer([]).n_sequences, hf_tokenizer([]).input_ids) == (None, [])
    assert hf_tokenizer([], return_tensors="np").input_ids.shape == (0, 0)
    with pytest.raises(AttributeError, match=r"There is no 'offset_mapping'; there are input_ids"):
        found.offset_mapping  # noqa: B018
    copied = copy.copy(found)
    assert (copied, type(copied)) == (found, type(found))


def test_offsets_lengths_and_special_tokens_are_given_on_demand(hf_tokenizer):
    found = hf_tokenizer(
        ["The cats", "a"],
        padding=True, return_tensors="np", return_offsets_mapping=True, return_length=True,
        return_special_tokens_mask=True, return_attention_mask=False,
    )  # fmt: skip
    assert list(found) == [
        "input_ids", "token_type_ids", "special_tokens_mask", "offset_mapping", "length",
    ]  # fmt: skip
    assert found.offset_mapping.shape == (2, 5, 2)
    assert found.offset_mapping[0].tolist() == [[0, 0], [0, 3], [4, 7], [7, 8], [0, 0]]
    assert found.special_tokens_mask.tolist() == [[1, 0, 0, 0, 1], [1, 0, 1, 1, 1]]
    assert found.length.tolist() == [5, 5]
    assert all(array.dtype == np.int64 for array in found.values())
    assert hf_tokenizer("the cat", return_length=True).length == [4]


def test_words_that_are_split_already_stay_words(hf_tokenizer):
    words = ["the cats", "sat"]
    one = hf_tokenizer(words, is_split_into_words=True)
    assert one.word_ids() == [None, 0, 0, 0, 1, None]
    both = hf_tokenizer([words, ["a"]], [["b"], words], is_split_into_words=True)
    assert both.input_ids[0][:6] == one.input_ids
    assert both.sequence_ids(1) == [None, 0, None, 1, 1, 1, 1, None]
    for texts, pairs in (([["a"]], [["a"], ["b"]]), (["a", 3], None), ([["a"], "b"], None)):
        with pytest.raises((TypeError, ValueError)):
            hf_tokenizer(texts, pairs, is_split_into_words=True)


def test_what_is_cut_off_comes_as_further_rows(hf_tokenizer):
    found = hf_tokenizer(
        ["a b c d e", "a"], truncation=True, max_length=5, stride=1, return_overflowing_tokens=True
    )
    assert found.overflow_to_sample_mapping == [0, 0, 1]
    words = [hf_tokenizer.convert_ids_to_tokens(row, True) for row in found.input_ids]
    assert words == [["a", "b", "c"], ["c", "d", "e"], ["a"]]
    assert found.tokens(1) == ["[CLS]", "c", "d", "e", "[SEP]"]


def test_results_are_padded_later(hf_tokenizer):
    ragged = hf_tokenizer(["the cat", "a"])
    padded = hf_tokenizer.pad(ragged, return_tensors="np")
    expected = hf_tokenizer(["the cat", "a"], padding=True, return_tensors="np")
    assert list(padded) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(padded[name], array)
    assert list(map(len, ragged.input_ids)) == [4, 3]  # as before
    one = hf_tokenizer.pad({"input_ids": [2, 5]}, "max_length", 3, padding_side="left")
    assert one == {"input_ids": [0, 2, 5], "attention_mask": [0, 1, 1]}
    dicts = [{"input_ids": np.array([1]), "label": 7}, {"input_ids": np.array([1, 2]), "label": 8}]
    several = hf_tokenizer.pad(dicts, pad_to_multiple_of=4, return_attention_mask=False)
    assert several == {"input_ids": [[1, 0, 0, 0], [1, 2, 0, 0]], "label": [7, 8]}
    with pytest.raises(ValueError, match="There are no input_ids to pad; there are a"):
        hf_tokenizer.pad({"a": [1]})


def test_rows_of_ids_are_decoded_together(hf_tokenizer):
    found = hf_tokenizer(["the cats", "a dog ."], padding=True, return_tensors="np")
    texts = hf_tokenizer.batch_decode(found.input_ids, skip_special_tokens=True)
    assert texts == ["the cats", "a dog."]
    assert hf_tokenizer.decode(found.input_ids.tolist(), True) == texts
    assert hf_tokenizer.batch_decode([5, 6]) == ["the cat"]
    assert hf_tokenizer.convert_tokens_to_string(["the", "cat", "##s"]) == "the cats"


def test_settings_of_a_program_beat_the_folder_s(folder):
    tokenizer = Tokenizer.from_pretrained(
        folder, model_max_length=4, do_lower_case=False, padding_side="left", pad_token="[MASK]",
        use_fast=True, trust_remote_code=False, strip_accents=None,
    )  # fmt: skip
    assert tokenizer.name_or_path == str(folder)
    assert tokenizer.tokenize("Cat the") == ["Cat", "the"]
    found = tokenizer(["the cat sat", "a"], truncation=True, padding=True)
    assert found.input_ids == [[2, 5, 6, 3], [4, *tokenizer.encode("a")]]
    with pytest.raises(TypeError, match="got 'vocab_file'; the settings of a tokenizer are add_"):
        Tokenizer.from_pretrained(folder, vocab_file="vocab.txt")


def test_padding_without_a_token_for_it_is_refused(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend", pad_token=None)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer(["the", "the cat"]).input_ids == [[2, 5, 3], [2, 5, 6, 3]]
    for pad in (lambda: tokenizer(["the"], padding=True), lambda: tokenizer.pad({"input_ids": []})):
        with pytest.raises(ValueError, match="This tokenizer has no pad_token"):
            pad()


def test_threads_that_call_in_different_ways_do_not_mix(hf_tokenizer):
    def call(number):
        length = 4 + number % 5
        found = hf_tokenizer("a " * 30, truncation=True, max_length=length)
        return len(found.input_ids) == length and len(hf_tokenizer("a " * 30).input_ids) == 32

    with ThreadPoolExecutor(4) as workers:
        assert all(workers.map(call, range(200)))
