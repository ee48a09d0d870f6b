"""Special tokens around a text: seen on a tokenizer, refused where they are more than that."""

import pytest
from tokenizing import as_it_stands

from minibert import SentenceTransformer
from minibert.errors import CheckpointError


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
    tokenizer = SentenceTransformer(folder)[0].text_tokenizer
    assert tokenizer.rows(["cab"], None).ids[0].tolist() == [2, 6, 5, 3]
    assert tokenizer.rows(["a"], None).ids[0].tolist() == [2, 3]


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
