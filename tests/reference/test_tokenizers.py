"""Folders whose files disagree, or are few: the same ids as transformers' for each."""

import json
import shutil

import pytest
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
