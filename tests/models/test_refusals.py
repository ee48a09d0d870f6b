"""Refusals of a SentenceTransformer: texts that are none, and arguments that cannot be meant."""

from collections import deque

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minibert import CrossEncoder, SentenceTransformer


def test_on_long_error_refuses_with_what_to_do(minilm_folder):
    model = SentenceTransformer(minilm_folder, on_long="error")
    with pytest.raises(
        ValueError, match=r"1 texts at least .* has 302 tokens\. Split them, or set"
    ):
        model.encode(["word " * 300, "short"])
    assert model.encode(["word " * 300], on_long="ignore").shape == (1, 384)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "got a NoneType"),
        (b"bytes", "got a bytes"),
        (3, "got an int"),
        ({"a": 1}, "Text 0 of 1 is a dict"),
        ({"text": 1}, "Text 0 of 1 is a dict"),
        ([("a", "b", "c")], "Text 0 of 1 is a tuple"),
        ([("a", None)], "Text 0 of 1 is a tuple"),
        (np.array("a"), "got an ndarray"),
        (["a", None], "Text 1 of 2 is a NoneType"),
        (["a", float("nan")], "Text 1 of 2 is a float"),
        ([["a"]], "Text 0 of 1 is a list"),
        ([b"a"], "Text 0 of 1 is a bytes"),
        (np.array([1, 2]), "Text 0 of 2 is an int"),
    ],
)
def test_what_is_no_text_is_refused(minilm, inputs, message):
    with pytest.raises(TypeError, match=message):
        minilm.encode(inputs)


TWO = ["the cat", "a dog"]


class Column:
    """As much of a data frame's column as is looked at, which is no Sequence."""

    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def __iter__(self):
        return iter(self.texts)


@pytest.mark.parametrize(
    ("given", "advice", "texts"),
    [
        ((text for text in TWO), "list(texts)", TWO),
        (map(str, TWO), "list(texts)", TWO),
        (set(TWO), "sorted(texts)", sorted(TWO)),
        (dict(enumerate(TWO)), "list(texts.values())", TWO),
        (b"the cat", "text.decode()", "the cat"),
        (np.array("the cat"), "text.item()", "the cat"),
    ],
)
def test_what_a_refusal_advises_is_right(minilm, given, advice, texts):
    with pytest.raises(TypeError) as refused:
        minilm.encode(given)
    assert str(refused.value).endswith(f" {advice}.")
    assert eval(advice, {"texts": given, "text": given}) == texts


def keys(texts):
    return dict.fromkeys(texts).keys()


@pytest.mark.parametrize("kind", [tuple, deque, keys, np.array, Column])
def test_whatever_holds_texts_and_has_a_length_is_a_list(minilm, one_label, kind):
    np.testing.assert_array_equal(minilm.encode(kind(TWO)), minilm.encode(TWO))
    pairs = [("a", "b"), ("c", "d"), ("e", "f")]
    reranker = CrossEncoder(one_label)
    np.testing.assert_array_equal(reranker.predict(kind(pairs)), reranker.predict(pairs))


class Frame:
    """As much of a data frame as is looked at: what it lists are the names of its columns."""

    columns = ("text",)

    def __getitem__(self, name):
        return {"text": tuple(TWO)}[name]

    def __iter__(self):
        return iter(self.columns)


class NAType:
    """pandas' word for a text that is missing."""


def test_a_data_frame_is_refused_with_its_column_as_a_list(minilm):
    frame = Frame()
    for method in (minilm.encode, minilm.tokens, minilm.tokenizer):
        with pytest.raises(TypeError) as refused:
            method(frame)
        assert str(refused.value).endswith('; a column of a table is list(table["text"]).')
    assert eval('list(table["text"])', {"table": frame}) == TWO


def test_what_is_missing_from_texts_is_said_to_be(minilm):
    for missing in (None, float("nan"), NAType()):
        with pytest.raises(TypeError, match="leave out what is missing, or give it a text"):
            minilm.encode(["a", missing])
    with pytest.raises(TypeError, match=r"Text 0 of 1 is a bytes .* of bytes, text\.decode"):
        minilm.encode(np.array([b"a"]))


def test_a_lone_surrogate_is_refused_with_its_text(minilm):
    with pytest.raises(ValueError, match="Text 1 of 2 has a lone surrogate"):
        minilm.encode(["fine", "\ud800"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"pack_tokens": 0}, "pack_tokens is 0"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5"),
        ({"truncate_dim": -1}, "truncate_dim is -1"),
        (
            {"output_value": "vectors"},
            "output_value is 'vectors'; expected one of 'sentence_embedd",
        ),
        ({"precision": "int4"}, "precision is 'int4'; expected one of 'float32', 'int8'"),
        ({"precision": "int8", "output_value": None}, "output_value=None gives float32 only"),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"on_long": "window", "output_value": None}, "it has no tokens to show"),
        ({"on_long": "shout"}, "on_long is 'shout'; expected one of 'warn', 'error', 'ignore', 'w"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(minilm, arguments, message):
    with pytest.raises(ValueError, match=message):
        minilm.encode([], **arguments)


@pytest.mark.parametrize("threads", [0, -1, True, 2.0, "2"])
def test_an_impossible_number_of_threads_is_refused(minilm_folder, threads):
    with pytest.raises(ValueError, match=f"threads is {threads!r}; expected a whole number"):
        SentenceTransformer(minilm_folder, threads=threads)


@pytest.mark.parametrize("dimension", [0, -5, "a", 2.5, True])
def test_a_truncate_dim_that_is_set_to_nonsense_is_refused(minilm_folder, dimension):
    model = SentenceTransformer(minilm_folder)
    with pytest.raises(ValueError, match="truncate_dim is"):
        model.truncate_dim = dimension
    assert model.encode("a").shape == (384,)


@pytest.mark.parametrize("name", [None, 5, b"minilm"])
def test_what_is_no_name_of_a_model_is_refused(name):
    with pytest.raises(TypeError, match=r"model_name_or_path is .*; expected a folder or a name"):
        SentenceTransformer(name)


def test_an_open_model_is_no_name_of_one(minilm):
    expected = (
        "model_name_or_path is a SentenceTransformer, a model that is open; expected a folder"
    )
    with pytest.raises(TypeError, match=expected):
        SentenceTransformer(minilm)


def test_a_prompt_that_was_set_to_no_text_is_refused(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    model.prompts["query"] = 5
    with pytest.raises(TypeError, match="The prompt is an int"):
        model.encode_query("a")


def test_a_metric_that_is_set_to_nonsense_is_refused(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    with pytest.raises(ValueError, match="'chebyshev'; expected one of"):
        model.similarity_fn_name = "chebyshev"
    model.similarity_fn_name = None
    assert model.similarity_fn_name == "cosine"


def test_both_names_of_the_texts_at_once_are_refused(minilm):
    with pytest.raises(TypeError, match="inputs and sentences are two names of one argument"):
        minilm.encode("a", sentences="b")


def test_a_prompt_that_is_no_text_is_refused(minilm):
    with pytest.raises(TypeError, match="The prompt is an int"):
        minilm.encode("a", prompt=3)


def test_a_limit_that_truncates_nothing_refuses_longer_texts(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    model.max_seq_length = 1
    assert model.encode("short enough").shape == (384,)
    with pytest.raises(ValueError, match="has 602 tokens, and this model has 512 positions"):
        model.encode("word " * 600)


def test_a_model_with_one_token_type_takes_no_pairs(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.token_type_embeddings.weight"
    save_file({**tensors, name: tensors[name][:1].copy()}, folder / "model.safetensors")
    edit(folder / "config.json", type_vocab_size=1)
    model = SentenceTransformer(folder)
    assert model.encode(["a"]).shape == (1, 20)
    with pytest.raises(ValueError, match="one token type"):
        model.encode([("a", "b")])


def test_a_tokenizer_that_adds_nothing_refuses_a_blank_text(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    edit(folder / "tokenizer.json", post_processor=None)
    model = SentenceTransformer(folder)
    assert model.encode("cat").shape == (20,)
    with pytest.raises(ValueError, match="A text has no token: it is blank"):
        model.encode(["cat", " "])
