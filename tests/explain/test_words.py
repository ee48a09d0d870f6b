"""The words of a text as a model sees it, and where each stands."""

from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.explain.words import words_of


def test_words_are_the_tokenizer_s_and_each_special_token_is_one():
    model = SentenceTransformer(GOLDEN / "gelu")
    text = "Cats, sats![MASK] [SEP]"
    words = words_of(text, model.tokens(text))
    assert [(word.text, word.is_special) for word in words] == [
        ("[CLS]", True), ("Cats", False), (",", False), ("sats", False), ("!", False),
        ("[MASK]", False), ("[SEP]", False), ("[SEP]", True),
    ]  # fmt: skip
    assert words[3].tokens == slice(4, 6)
    assert words_of("", model.tokens("")._replace(ids=[], tokens=[], offsets=[], word_ids=[])) == []


def test_a_word_that_is_truncated_is_what_was_read_of_it(folder, edit):
    edit(folder / "sentence_bert_config.json", max_seq_length=4)
    model = SentenceTransformer(folder, on_long="ignore")
    words = words_of("the cats", model.tokens("the cats"))
    assert [word.text for word in words] == ["[CLS]", "the", "cat", "[SEP]"]
