"""The tokenizer under transformers' names: arrays, lists, tokens and ids, and what is refused."""

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
        ({"return_tensors": "pt"}, 'pass "np"'),
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
    "ids", [-1, 1 << 32, 10**30, 2.5, "5", None, [-1], [1.5], [[1, 2]], [[1], [1, 2]], [None]]
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


def test_a_truncation_of_another_kind_is_refused(hf_tokenizer):
    with pytest.raises(ValueError, match="truncation is 'only_first'; expected True or False"):
        hf_tokenizer("a", truncation="only_first")
