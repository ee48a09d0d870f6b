"""Classes of tokenizers: what each builds of a folder's files, and which files it refuses."""

import json

import pytest
from golden_files import LFS_POINTER, copy_of
from tokenizing import as_it_stands, ids_of, load, tokens_of

from minibert import SentenceTransformer
from minibert.errors import CheckpointError


def test_lower_casing_follows_tokenizer_config_alone(folder, edit):
    assert tokens_of(load(folder), "Cat") == ["cat"]
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert tokens_of(load(folder), "Cat") == ["Cat"]


def test_without_tokenizer_config_a_text_is_lower_cased(folder):
    (folder / "tokenizer_config.json").unlink()
    assert tokens_of(load(folder), "CAT") == ["cat"]


def test_accents_stay_where_the_folder_says_so(folder, edit):
    assert tokens_of(load(folder), "é") == ["e"]
    edit(folder / "tokenizer_config.json", strip_accents=False)
    assert tokens_of(load(folder), "é") == ["é"]


def test_chinese_characters_are_words_unless_the_folder_says_no(folder, edit):
    assert tokens_of(load(folder), "a中") == ["a", "中"]
    edit(folder / "tokenizer_config.json", tokenize_chinese_chars=False)
    assert tokens_of(load(folder), "a中") == ["[UNK]"]


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


@pytest.mark.parametrize("name", ["ElectraTokenizerFast", "DPRContextEncoderTokenizer"])
def test_other_names_of_a_bert_s_tokenizer_are_built(folder, edit, name):
    expected = load(folder).rows(["The cat [MASK]"], None).ids[0]
    edit(folder / "tokenizer_config.json", tokenizer_class=name)
    assert list(load(folder).rows(["The cat [MASK]"], None).ids[0]) == list(expected)


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
        return SentenceTransformer(folder).tokens(text).tokens

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


@pytest.mark.parametrize("token", [[None, 0.0], ["a", float("nan")], ["a", None], ["a"], 5])
def test_a_scored_token_that_is_none_is_refused(tmp_path, edit, token):
    folder = copy_of("xlm_roberta", tmp_path)
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    model["vocab"][7] = token
    edit(folder / "tokenizer.json", model=model)
    with pytest.raises(CheckpointError, match=r"no list of \[token, score\]"):
        SentenceTransformer(folder)


def test_a_tokenizer_json_of_another_model_is_refused(folder, edit):
    edit(folder / "tokenizer.json", model={"type": "BPE", "vocab": {"a": 0}, "merges": []})
    with pytest.raises(CheckpointError, match="no WordPiece"):
        load(folder)


def test_a_folder_without_vocabulary_is_refused(folder):
    for change in ((folder / "tokenizer.json").unlink, lambda: write(folder, "{}")):
        change()
        with pytest.raises(CheckpointError, match=r"neither in tokenizer\.json nor in vocab\.txt"):
            load(folder)


def write(folder, text):
    (folder / "tokenizer.json").write_text(text)


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


def test_ids_that_are_no_whole_numbers_are_refused(folder, edit):
    model = {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": "1"}, "unk_token": "[UNK]"}
    edit(folder / "tokenizer.json", model=model)
    with pytest.raises(CheckpointError, match="ids that are no whole numbers"):
        load(folder)


def test_a_distilbert_tokenizer_makes_no_types(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="DistilBertTokenizerFast")
    assert load(folder).rows([("a", "b")], None).types is None
