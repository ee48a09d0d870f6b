"""Folders whose files disagree, or are few: the same ids as transformers' for each."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from folders import changed, without
from golden_files import GOLDEN
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

import minibert
from minibert.models.transformer import Transformer
from minibert.tokens.classes import CLASSES, NOT_BUILT

TEXTS = [
    "Hello World [MASK] [CLS] a[SEP]b",
    "Café É 中文",
    "",
    "xlondony London [unused5] a[unused5]b",
]
CONFIG, VOCABULARY, MAP = "tokenizer_config.json", "tokenizer.json", "special_tokens_map.json"
ADDED = {
    "content": "london", "single_word": False, "lstrip": False, "rstrip": False,
    "normalized": True, "special": False,
}  # fmt: skip


def add_to_vocabulary(folder):
    content = json.loads((folder / VOCABULARY).read_text())
    changed(VOCABULARY, added_tokens=[*content["added_tokens"], {"id": 2414, **ADDED}])(folder)


CASES = {
    "as it is": [],
    "vocab.txt alone": [without(CONFIG, VOCABULARY, MAP)],
    "tokenizer.json alone": [without(CONFIG, "vocab.txt", MAP)],
    "cased": [changed(CONFIG, do_lower_case=False)],
    "accents kept": [changed(CONFIG, strip_accents=False)],
    "no Chinese words": [changed(CONFIG, tokenize_chinese_chars=False)],
    "another normalizer in tokenizer.json": [changed(VOCABULARY, normalizer=None)],
    "no added tokens": [changed(VOCABULARY, added_tokens=[])],
    "a token added in tokenizer.json": [add_to_vocabulary],
    "a token added in the config": [changed(CONFIG, added_tokens_decoder={"2414": ADDED})],
    "a token added in both": [
        add_to_vocabulary,
        changed(CONFIG, added_tokens_decoder={"2414": {**ADDED, "normalized": False}}),
    ],
    "added_tokens.json": [without(VOCABULARY), changed("added_tokens.json", london=2414)],
    "additional special tokens": [changed(CONFIG, additional_special_tokens=["[unused5]"])],
    "another cls_token in the map": [changed(MAP, cls_token="[MASK]")],
    "another sep_token in the map alone": [without(CONFIG), changed(MAP, sep_token="[MASK]")],
    "another unk_token": [changed(CONFIG, unk_token="[unused1]")],
    "a shorter maximum": [changed(CONFIG, model_max_length=99)],
}


@pytest.mark.parametrize("name", CASES)
def test_ids_are_transformers_whatever_the_folder_holds(name, minilm_folder, tmp_path):
    for file in ("config.json", "vocab.txt", CONFIG, VOCABULARY, MAP):
        shutil.copy(minilm_folder / file, tmp_path)
    for edit in CASES[name]:
        edit(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = minibert.Tokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"], text
    assert ours.model_max_length == min(theirs.model_max_length, 512)


ARGUMENTS = {
    "nothing": {},
    "arrays": {"padding": True, "return_tensors": "np"},
    "tensors": {"padding": True, "return_tensors": "pt"},
    "a maximum alone": {"max_length": 5},
    "a maximum without truncation": {"max_length": 5, "truncation": False},
    "a maximum beside padding": {"max_length": 5, "padding": True},
    "padding to the maximum": {"padding": "max_length", "max_length": 9, "truncation": True},
    "padding on the left": {"padding": True, "padding_side": "left"},
    "a multiple": {"padding": True, "pad_to_multiple_of": 8},
    "everything": {
        "padding": True, "return_tensors": "np", "return_offsets_mapping": True,
        "return_special_tokens_mask": True, "return_length": True, "return_token_type_ids": True,
    },
    "no mask": {"return_attention_mask": False, "return_length": True},
    "no special tokens": {"add_special_tokens": False, "return_offsets_mapping": True},
    "further rows": {
        "truncation": True, "max_length": 8, "stride": 1, "return_overflowing_tokens": True,
        "return_offsets_mapping": True,
    },
    "further rows in arrays": {
        "truncation": True, "max_length": 7, "return_overflowing_tokens": True, "padding": True,
        "return_tensors": "np",
    },
}  # fmt: skip
NAMES = ["gelu", "cased", "roberta", "xlm_roberta", "albert", "mpnet", "camembert", "modernbert"]
FEW = ["a", "the dog  barks at the cat, and London", "é 中 zzzz [MASK] the", "the cat sat on a mat"]


def both(name, **settings):
    theirs = transformers.AutoTokenizer.from_pretrained(GOLDEN / name, **settings)
    return minibert.Tokenizer.from_pretrained(GOLDEN / name, **settings), theirs


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        if isinstance(values, np.ndarray | torch.Tensor):
            assert type(ours[name]) is type(values)
            assert (ours[name].dtype, ours[name].shape) == (values.dtype, values.shape)
            np.testing.assert_array_equal(ours[name], values)
        else:
            assert ours[name] == values, name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_call_gives_what_transformers_gives(name, arguments):
    ours, theirs = both(name)
    pairs = list(zip(FEW, FEW[::-1], strict=True))
    for given in ((FEW,), (FEW, FEW[::-1]), (pairs,), (FEW[1],), (FEW[2], FEW[1])):
        found, expected = (words(*given, **ARGUMENTS[arguments]) for words in (ours, theirs))
        assert_same(found, expected)
        for row in range(len(expected.encodings)):
            assert found.tokens(row) == expected.tokens(row)
            assert found.word_ids(row) == expected.word_ids(row)
            assert found.sequence_ids(row) == expected.sequence_ids(row)
        assert found.char_to_token(0, 0) == expected.char_to_token(0, 0)
        assert found.token_to_chars(0, 1) == expected.token_to_chars(0, 1)
        assert found.word_to_tokens(0, 0) == expected.word_to_tokens(0, 0)


def test_tensors_of_ids_are_padded_and_decoded_as_theirs():
    ours, theirs = both("gelu")
    rows = [words.convert_ids_to_tokens for words in (ours, theirs)]
    tensors = theirs(FEW, padding=True, return_tensors="pt")["input_ids"]
    assert ours.decode(tensors[1]) == theirs.decode(tensors[1])
    assert ours.batch_decode(tensors) == theirs.batch_decode(tensors)
    assert ours.batch_decode(list(tensors)) == theirs.batch_decode(list(tensors))
    assert rows[0](tensors[1]) == rows[1](tensors[1])
    given = {"input_ids": [theirs(text, return_tensors="pt")["input_ids"][0] for text in FEW]}
    assert_same(*(words.pad(dict(given), return_tensors="pt") for words in (ours, theirs)))


@pytest.mark.parametrize("name", ["gelu", "roberta", "xlm_roberta"])
@pytest.mark.parametrize("truncation", ["only_first", "only_second", "longest_first"])
def test_one_text_of_a_pair_is_truncated_as_in_transformers(name, truncation):
    ours, theirs = both(name)
    texts = FEW[1:3], FEW[:0:-2]
    arguments = {"truncation": truncation, "max_length": 36}
    assert_same(ours(*texts, **arguments), theirs(*texts, **arguments))


def test_a_text_that_is_too_short_to_truncate_is_refused_by_both():
    for words in both("gelu"):
        with pytest.raises(Exception, match="too short"):
            words("a", FEW[1], truncation="only_first", max_length=5)


@pytest.mark.parametrize("name", ["gelu", "xlm_roberta", "mpnet"])
def test_words_that_are_split_are_those_of_transformers(name):
    ours, theirs = both(name)
    words = [text.split() for text in FEW]
    for given in ((words,), (words[1],), (words, words[::-1]), (words[1], words[3])):
        found, expected = (
            tokenizer(*given, is_split_into_words=True) for tokenizer in (ours, theirs)
        )
        assert_same(found, expected)
        assert found.word_ids() == expected.word_ids()


@pytest.mark.parametrize("name", NAMES)
def test_the_rest_of_a_tokenizer_is_transformers(name):
    ours, theirs = both(name)
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.all_special_tokens == theirs.all_special_tokens
    for pair in (False, True):
        assert ours.num_special_tokens_to_add(pair) == theirs.num_special_tokens_to_add(pair)
    assert ours.model_input_names == list(theirs.model_input_names)
    assert ours.get_added_vocab() == theirs.get_added_vocab()
    assert (ours.truncation_side, ours.padding_side) == (
        theirs.truncation_side,
        theirs.padding_side,
    )
    rows = theirs(FEW)["input_ids"]
    for skips in (False, True):
        assert ours.batch_decode(rows, skips) == theirs.batch_decode(rows, skips)
        assert ours.convert_ids_to_tokens(rows[1], skips) == theirs.convert_ids_to_tokens(
            rows[1], skips
        )
        cleaned = [
            tokenizer.decode(rows[1], skips, clean_up_tokenization_spaces=True)
            for tokenizer in (ours, theirs)
        ]
        assert cleaned[0] == cleaned[1]
    tokens = theirs.tokenize(FEW[1])
    assert ours.tokenize(FEW[1]) == tokens
    assert ours.tokenize(*FEW[1:3], add_special_tokens=True) == theirs.tokenize(
        *FEW[1:3], add_special_tokens=True
    )
    assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)
    for arguments in ({}, {"padding": "max_length", "max_length": 30}, {"pad_to_multiple_of": 4}):
        for given in (ours(FEW), [{"input_ids": row, "x": 1} for row in rows], ours(FEW[1])):
            copied = dict(given) if isinstance(given, dict) else [dict(row) for row in given]
            assert_same(ours.pad(given, **arguments), theirs.pad(copied, **arguments))


@pytest.mark.parametrize(
    "settings",
    [
        {"model_max_length": 7},
        {"do_lower_case": False},
        {"padding_side": "left"},
        {"truncation_side": "left"},
        {"pad_token": "[MASK]"},
        {"use_fast": True, "trust_remote_code": False},
    ],
)
def test_settings_of_a_program_are_followed_as_by_transformers(settings):
    ours, theirs = both("gelu", **settings)
    for arguments in ({}, {"truncation": True, "padding": True}):
        assert_same(
            ours(["The Cat", FEW[1]], **arguments), theirs(["The Cat", FEW[1]], **arguments)
        )


SENTENCE = "the dog barks at the cat, and London sat in the end. "
LONG = ["a", SENTENCE, SENTENCE * 9, "zzzz" * 40 + SENTENCE * 3, SENTENCE * 3 + "[MASK]" * 60]


@pytest.mark.parametrize("name", ["gelu", "cased", "roberta", "xlm_roberta", "mpnet", "modernbert"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("limit", [6, 41])
def test_texts_lose_tokens_at_a_side_as_in_transformers(name, side, limit):
    theirs = transformers.AutoTokenizer.from_pretrained(GOLDEN / name, truncation_side=side)
    ours = Transformer(GOLDEN / name).text_tokenizer
    pairs = [(first, second) for first in LONG for second in LONG[1:3]]
    for texts in (LONG, pairs):
        given = zip(*texts, strict=True) if texts is pairs else [texts]
        expected = theirs(*map(list, given), truncation="longest_first", max_length=limit)
        found = ours.rows(texts, limit, side=side)
        for text, ids, wanted in zip(texts, found.ids, expected["input_ids"], strict=True):
            assert ids.tolist() == wanted, text


def test_every_class_of_transformers_is_built_or_refused():
    """A class of a later release would silently be taken for an unknown one."""
    named = {name for name in dir(transformers) if name.endswith(("Tokenizer", "TokenizerFast"))}
    named |= {name for name in TOKENIZER_MAPPING_NAMES.values() if name}
    known = {name.removesuffix("Fast") for name in named} - CLASSES.keys()
    assert known == {f"{name}Tokenizer" for name in NOT_BUILT}
