"""Folders whose files disagree, or are few: the same ids as transformers' for each."""

import json
import shutil

import pytest
import transformers

import minibert

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


def change(name, **changes):
    """A change of keys of one file."""

    def edit(folder):
        path = folder / name
        content = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**content, **changes}))

    return edit


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def add_to_vocabulary(folder):
    content = json.loads((folder / VOCABULARY).read_text())
    change(VOCABULARY, added_tokens=[*content["added_tokens"], {"id": 2414, **ADDED}])(folder)


CASES = {
    "as it is": [],
    "vocab.txt alone": [without(CONFIG, VOCABULARY, MAP)],
    "tokenizer.json alone": [without(CONFIG, "vocab.txt", MAP)],
    "cased": [change(CONFIG, do_lower_case=False)],
    "accents kept": [change(CONFIG, strip_accents=False)],
    "no Chinese words": [change(CONFIG, tokenize_chinese_chars=False)],
    "another normalizer in tokenizer.json": [change(VOCABULARY, normalizer=None)],
    "no added tokens": [change(VOCABULARY, added_tokens=[])],
    "a token added in tokenizer.json": [add_to_vocabulary],
    "a token added in the config": [change(CONFIG, added_tokens_decoder={"2414": ADDED})],
    "a token added in both": [
        add_to_vocabulary,
        change(CONFIG, added_tokens_decoder={"2414": {**ADDED, "normalized": False}}),
    ],
    "added_tokens.json": [without(VOCABULARY), change("added_tokens.json", london=2414)],
    "additional special tokens": [change(CONFIG, additional_special_tokens=["[unused5]"])],
    "another cls_token in the map": [change(MAP, cls_token="[MASK]")],
    "another sep_token in the map alone": [without(CONFIG), change(MAP, sep_token="[MASK]")],
    "another unk_token": [change(CONFIG, unk_token="[unused1]")],
    "a shorter maximum": [change(CONFIG, model_max_length=99)],
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
