"""Tokenizers of families beside BERT: pieces, merges, and what frames a pair."""

import json

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of

from minibert import CheckpointError, SentenceTransformer, Tokenizer

NAMES = [
    *("albert", "camembert", "distilbert", "electra", "modernbert", "mpnet", "nomic_bert"),
    *("roberta", "xlm_roberta"),
]


@pytest.mark.parametrize("kind", ["XLMRobertaTokenizer", "CamembertTokenizer", "AlbertTokenizer"])
def test_sentencepiece_without_tokenizer_json_is_refused(kind, tmp_path, edit):
    folder = copy_of("xlm_roberta", tmp_path)
    edit(folder / "tokenizer_config.json", tokenizer_class=kind)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing.*save_pretrained"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"type": "WordPiece", "vocab": {"a": 0}}, "no list of"),
        ({"vocab": [["a", "b"]]}, "no list of"),
        ({"vocab": []}, "no Unigram with a vocabulary"),
        ({"vocab": [["a", 0.5]]}, "has 1 tokens, too few"),
    ],
)
def test_a_vocabulary_without_tokens_is_named(model, message, tmp_path):
    folder = copy_of("xlm_roberta", tmp_path)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "model": model}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    "normalizer",
    [
        "x",
        [{"type": "Lowercase"}],
        {"type": "Precompiled", "precompiled_charsmap": "!!!"},
        {"type": "Precompiled", "precompiled_charsmap": "QUJD"},
        {"type": "Precompiled", "precompiled_charsmap": None},
    ],
)
@pytest.mark.parametrize("kind", ["XLMRobertaTokenizer", "AlbertTokenizer", "TokenizersBackend"])
def test_a_table_of_characters_that_is_none_is_named(kind, normalizer, tmp_path, edit):
    """The library panics at some of these, which no caller could catch as an Exception."""
    folder = copy_of("xlm_roberta", tmp_path)
    edit(folder / "tokenizer_config.json", tokenizer_class=kind)
    edit(folder / "tokenizer.json", normalizer=normalizer)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("merges", [["zz yy"], ["a"], [1]])
def test_merges_that_cannot_be_are_named(merges, tmp_path, edit):
    folder = copy_of("roberta", tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    edit(folder / "tokenizer.json", model={**model, "merges": merges})
    with pytest.raises(CheckpointError, match="has no BPE that can be built"):
        SentenceTransformer(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("[1]")
    (folder / "merges.txt").write_text("")
    with pytest.raises(CheckpointError, match="has no BPE that can be built"):
        SentenceTransformer(folder)


def test_special_tokens_that_frame_no_text_are_named(tmp_path, edit):
    folder = copy_of("roberta", tmp_path)
    edit(folder / "tokenizer_config.json", cls_token="a:b")
    with pytest.raises(CheckpointError, match="the special tokens frame no text"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("kind", ["RobertaTokenizer", "MPNetTokenizer", "GPT2Tokenizer"])
def test_a_modernbert_takes_its_words_as_they_stand(kind, tmp_path, edit, texts):
    """The reference trusts none of the classes that its folders name."""
    folder = copy_of("modernbert", tmp_path)
    edit(folder / "tokenizer_config.json", tokenizer_class=kind)
    found = SentenceTransformer(folder, on_long="ignore").encode(texts)
    expected = SentenceTransformer(GOLDEN / "modernbert", on_long="ignore").encode(texts)
    np.testing.assert_array_equal(found, expected)
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer("the cat", "sat")["input_ids"] == [2, 5, 6, 3, 8, 3]


def test_an_albert_whose_file_says_nothing_is_framed_as_a_bert(tmp_path, edit):
    folder = copy_of("albert", tmp_path)
    edit(folder / "tokenizer.json", post_processor=None)
    found = Tokenizer.from_pretrained(folder)
    expected = Tokenizer.from_pretrained(GOLDEN / "albert")
    for pair in (("the cat", None), ("the cat", "sat")):
        assert found(*pair) == expected(*pair)


def test_an_empty_list_of_extra_tokens_is_not_a_missing_one(tmp_path, edit, removed):
    folder = copy_of("camembert", tmp_path)
    path = folder / "tokenizer_config.json"
    edit(path, extra_special_tokens=[], additional_special_tokens=removed)
    assert sorted(Tokenizer.from_pretrained(folder).all_special_ids) == [1, 3, 5, 6, 65]
    edit(path, extra_special_tokens=removed)
    assert {0, 2, 4} < set(Tokenizer.from_pretrained(folder).all_special_ids)


def test_a_byte_level_vocabulary_needs_its_merges(tmp_path):
    folder = copy_of("roberta", tmp_path)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["model"]["merges"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match="no BPE with a vocabulary and merges"):
        SentenceTransformer(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"neither in tokenizer\.json nor in vocab\.json"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("name", NAMES)
def test_two_ends_stand_between_the_texts_of_a_pair(name):
    tokenizer = SentenceTransformer(GOLDEN / name).transformer.text_tokenizer
    ids = tokenizer.rows([("a", "a")], None).ids[0].tolist()
    (between,) = (tokenizer.frame.pair[1:-1],)
    doubled = name in ("roberta", "xlm_roberta", "camembert", "mpnet")
    assert [len(part) for part in between] == [2 if doubled else 1]
    assert between[0] == [ids[-1]] * len(between[0])


def test_a_herbert_joins_the_characters_of_a_bert_s_words(folder, edit):
    (folder / "tokenizer.json").unlink()
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "t", "h", "e</w>", "th", "the</w>"]
    words += [",</w>", "a</w>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e</w>\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "HerbertTokenizerFast"}')
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.encode("The the,a") == [0, 3, 6, 7, 9, 10, 11, 2]
    assert tokenizer.encode("a", "the") == [0, 11, 2, 9, 2]
    assert list(tokenizer("a")) == ["input_ids", "attention_mask"]
    assert tokenizer.decode([9, 11], skip_special_tokens=True) == "the a"
