"""SentenceTransformer: shapes and kinds, neighbours that do not matter, bad input, the metric."""

import copy
import io
import logging
import pickle
import sys
import threading
from enum import Enum

import numpy as np
import pytest
from golden_files import copy_of
from hypothesis import given, settings
from hypothesis import strategies as st
from minilm_texts import MINILM_TEXTS
from safetensors.numpy import load_file, save_file

from minibert import (
    SentenceTransformer,
    SimilarityFunction,
    cos_sim,
    dot_score,
    quantize_embeddings,
)
from minibert.kernels.cores import available_threads
from minibert.models.sentence_transformer import DEFAULT_MODEL, DOT_PRODUCT_MODELS

QUERY = "How many people live in London?"
DOCS = ["Around 9 Million people live in London", "London is known for its financial district"]


@pytest.fixture(scope="module")
def alone(minilm):
    """Every text encoded by itself."""
    return np.stack([minilm.encode(text) for text in MINILM_TEXTS])


def test_the_card_s_scores_are_the_reference_s(minilm):
    query, docs = minilm.encode(QUERY), minilm.encode(DOCS)
    expected = [[0.8823518, 0.4582719]]
    np.testing.assert_allclose(dot_score(query, docs), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(cos_sim(query, docs), expected, rtol=0, atol=1e-6)


def test_a_str_gives_a_row_and_a_list_a_matrix(minilm):
    assert minilm.encode("a").shape == (384,)
    assert minilm.encode(["a"]).shape == (1, 384)
    assert minilm.encode(("a", "b")).shape == (2, 384)
    assert minilm.encode(np.array(["a", "b"])).shape == (2, 384)
    assert minilm.encode(sentences=["a"]).shape == (1, 384)


def test_no_texts_give_no_rows(minilm):
    vectors = minilm.encode([])
    assert vectors.shape == (0, 384)
    assert vectors.dtype == np.float32


@settings(max_examples=15, deadline=None)
@given(
    chosen=st.lists(st.integers(0, len(MINILM_TEXTS) - 1), min_size=1, max_size=30),
    pack_tokens=st.integers(1, 3000),
    batch_size=st.none() | st.integers(1, 40),
)
def test_order_neighbours_and_batch_size_change_rounding_only(
    minilm, alone, chosen, pack_tokens, batch_size
):
    vectors = minilm.encode(
        [MINILM_TEXTS[index] for index in chosen], batch_size=batch_size, pack_tokens=pack_tokens
    )
    np.testing.assert_allclose(vectors, alone[chosen], rtol=0, atol=2e-6)  # worst seen 3e-7


def test_raw_vectors_change_by_rounding_only(folder, texts):
    model = SentenceTransformer(folder, on_long="ignore")
    alone = np.stack([model.encode(text) for text in texts])
    for pack_tokens in (1, 20, 50, 1000):
        together = model.encode(texts[::-1], pack_tokens=pack_tokens)[::-1]
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)  # worst seen 2e-6


def test_rows_keep_the_order_of_their_texts_across_windows(minilm, alone, monkeypatch):
    monkeypatch.setattr("minibert.tokens.texts.WINDOW_TEXTS", 7)
    np.testing.assert_allclose(minilm.encode(MINILM_TEXTS), alone, rtol=0, atol=2e-6)


@pytest.mark.parametrize("threads", range(1, available_threads() + 1))
def test_the_number_of_threads_changes_rounding_only(minilm_folder, alone, threads):
    model = SentenceTransformer(minilm_folder, threads=threads, on_long="ignore")
    np.testing.assert_allclose(model.encode(MINILM_TEXTS), alone, rtol=0, atol=2e-6)


def test_threads_may_share_a_model_and_leave_blas_as_it_was(minilm, alone):
    from threadpoolctl import threadpool_info

    before = [pool["num_threads"] for pool in threadpool_info()]
    found = {}

    def work(number):
        found[number] = minilm.encode(MINILM_TEXTS, pack_tokens=256)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for vectors in found.values():
        np.testing.assert_allclose(vectors, alone, rtol=0, atol=2e-6)
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_an_error_in_a_pack_reaches_the_caller_and_leaves_blas_as_it_was(minilm, monkeypatch):
    from threadpoolctl import threadpool_info

    def fail(*_):
        raise MemoryError("no room")

    before = [pool["num_threads"] for pool in threadpool_info()]
    monkeypatch.setattr("minibert.pooling.pipeline.pool", fail)
    with pytest.raises(MemoryError, match="no room"):
        minilm.encode(MINILM_TEXTS, pack_tokens=100)
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_prompts_go_before_the_text(minilm_folder):
    prompts = {"query": "query: ", "short": "q "}
    model = SentenceTransformer(minilm_folder, prompts=prompts, default_prompt_name="short")
    prompted = {"default": model.encode("cats"), "named": model.encode("cats", "query")}
    prompted["given"] = model.encode("cats", "query", prompt="a text of ")
    prompted["none"] = model.encode("cats", prompt="")
    plain = SentenceTransformer(minilm_folder)
    for name, text in {
        "default": "q cats", "named": "query: cats", "given": "a text of cats", "none": "cats"
    }.items():  # fmt: skip
        np.testing.assert_array_equal(prompted[name], plain.encode(text), err_msg=name)


def test_the_folder_s_prompts_and_default_are_used(folder, edit):
    plain = SentenceTransformer(folder)
    edit(
        folder / "config_sentence_transformers.json",
        prompts={"query": "the "},
        default_prompt_name="query",
    )
    model = SentenceTransformer(folder)
    np.testing.assert_array_equal(model.encode("cat"), plain.encode("the cat"))


def test_an_unknown_prompt_is_refused_with_those_there_are(minilm, minilm_folder):
    with pytest.raises(ValueError, match="no prompt 'passage'; this model has 'query', 'document'"):
        minilm.encode([], prompt_name="passage")
    with pytest.raises(ValueError, match="no prompt 'passage'"):
        SentenceTransformer(minilm_folder, default_prompt_name="passage")


def test_truncate_dim_comes_before_normalize_embeddings(minilm, minilm_folder):
    whole = minilm.encode(DOCS)
    cut = minilm.encode(DOCS, truncate_dim=16)
    np.testing.assert_array_equal(cut, whole[:, :16])
    unit = minilm.encode(DOCS, truncate_dim=16, normalize_embeddings=True)
    np.testing.assert_allclose(
        unit, cut / np.linalg.norm(cut, axis=1, keepdims=True), rtol=0, atol=1e-6
    )
    model = SentenceTransformer(minilm_folder, truncate_dim=16)
    assert model.get_sentence_embedding_dimension() == 16
    np.testing.assert_array_equal(model.encode(DOCS), cut)
    assert model.encode(DOCS, truncate_dim=1000).shape == (2, 384)


def test_cut_texts_are_reported_once_a_call(minilm_folder, caplog):
    model = SentenceTransformer(minilm_folder)
    texts = ["short", "word " * 300, "word " * 400]
    with caplog.at_level(logging.WARNING, logger="minibert"):
        model.encode(texts, pack_tokens=300)
        assert caplog.messages == [
            "2 of 3 texts were longer than 256 tokens and lost their ends; "
            "the longest had 402 tokens."
        ]
        caplog.clear()
        model.encode(["short"])
        model.encode(texts, on_long="ignore")
        assert caplog.messages == []


def test_a_text_of_10_mb_is_reported_in_characters(minilm_folder, caplog):
    SentenceTransformer(minilm_folder).encode("word " * 2_000_000)
    assert caplog.messages == [
        "1 of 1 texts were longer than 256 tokens and lost their ends; "
        "the longest had 10000000 characters."
    ]


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
        (3, "got a int"),
        ({"a": 1}, "Text 0 of 1 is a dict"),
        ({"text": 1}, "Text 0 of 1 is a dict"),
        ([("a", "b", "c")], "Text 0 of 1 is a tuple"),
        ([("a", None)], "Text 0 of 1 is a tuple"),
        (np.array("a"), "got a ndarray"),
        (["a", None], "Text 1 of 2 is a NoneType"),
        (["a", float("nan")], "Text 1 of 2 is a float"),
        ([["a"]], "Text 0 of 1 is a list"),
        ([b"a"], "Text 0 of 1 is a bytes"),
        (np.array([1, 2]), "Text 0 of 2 is a int"),
    ],
)
def test_what_is_no_text_is_refused(minilm, inputs, message):
    with pytest.raises(TypeError, match=message):
        minilm.encode(inputs)


TWO = ["the cat", "a dog"]


@pytest.mark.parametrize(
    ("given", "advice", "texts"),
    [
        ((text for text in TWO), "list(texts)", TWO),
        (dict.fromkeys(TWO).keys(), "list(texts)", TWO),
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
        ({"convert_to_tensor": True}, "NumPy arrays, no tensors"),
        (
            {"output_value": "vectors"},
            "output_value is 'vectors'; expected one of 'sentence_embedd",
        ),
        ({"precision": "int4"}, "precision is 'int4'; expected one of 'float32', 'int8'"),
        ({"precision": "int8", "output_value": None}, "output_value=None shows what was computed"),
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


def test_a_progress_bar_is_shown_on_stderr_when_asked_for(minilm, capsys):
    minilm.encode(DOCS, show_progress_bar=True)
    shown = capsys.readouterr()
    assert "2/2" in shown.err
    assert shown.out == ""
    minilm.encode(DOCS)
    assert capsys.readouterr().err == ""


def metric(folder, **arguments):
    model = SentenceTransformer(folder, **arguments)
    return model.similarity_fn_name, model.similarity_reason


def test_the_metric_is_cosine_where_nobody_says(minilm):
    assert minilm.similarity_fn_name == "cosine"
    assert "the folder does not say" in minilm.similarity_reason
    a, b = np.array([3.0, 4.0]), np.array([1.0, 0.0])
    np.testing.assert_allclose(minilm.similarity(a, b), [[0.6]])


@pytest.mark.parametrize(
    ("written", "expected"),
    [("dot", "dot"), ("cosine", "cosine"), ("dot_score", "dot"), ("cos_sim", "cosine")],
)
def test_the_metric_is_what_the_folder_says(folder, edit, caplog, written, expected):
    edit(folder / "config_sentence_transformers.json", similarity_fn_name=written)
    name, reason = metric(folder)
    assert name == expected
    assert written in reason
    # The reference would take these two for cosine without a word.
    assert (caplog.messages == []) == (written == expected)


def test_the_caller_s_metric_beats_the_folder_s(folder):
    assert metric(folder, similarity_fn_name="dot") == ("dot", "asked for")
    model = SentenceTransformer(folder, similarity_fn_name="dot")
    np.testing.assert_array_equal(model.similarity([3.0, 4.0], [1.0, 2.0]), [[11]])


def test_an_unknown_metric_is_refused(folder):
    with pytest.raises(ValueError, match="'chebyshev'; expected one of 'cosine', 'dot'"):
        SentenceTransformer(folder, similarity_fn_name="chebyshev")


def test_the_reference_s_member_of_an_enumeration_is_its_metric(folder):
    members = Enum("SimilarityFunction", {"DOT_PRODUCT": "dot", "MAXSIM": "maxsim"})
    model = SentenceTransformer(folder, similarity_fn_name=members.DOT_PRODUCT)
    assert model.similarity_fn_name == "dot"
    assert type(model.similarity_fn_name) is str
    for odd in (members.MAXSIM, 3, ["dot"], "DOT"):
        with pytest.raises(ValueError, match=r"similarity_fn_name is .*; expected one of"):
            SentenceTransformer(folder, similarity_fn_name=odd)
        with pytest.raises(ValueError, match=r"similarity_fn_name is .*; expected one of"):
            model.similarity_fn_name = odd
        assert model.similarity_fn_name == "dot"  # what is refused is not kept
    model.similarity_fn_name = members.DOT_PRODUCT
    assert model.similarity([1, 2], [3, 4]) == 11


def test_the_flagship_is_scored_by_the_dot_product(cache, old_folder):
    snapshot = cache(DEFAULT_MODEL, old_folder)  # old folders do not name a metric
    assert DEFAULT_MODEL in DOT_PRODUCT_MODELS
    name, reason = metric(DEFAULT_MODEL)
    assert name == "dot"
    assert DEFAULT_MODEL in reason
    assert metric("msmarco-bert-base-dot-v5")[0] == "dot"
    assert metric(snapshot)[0] == "dot"


def test_the_metric_table_knows_a_model_by_name_or_path_in_its_config(old_folder, edit):
    assert metric(old_folder)[0] == "cosine"
    edit(old_folder / "config.json", _name_or_path=DEFAULT_MODEL)
    assert metric(old_folder)[0] == "dot"


def test_a_model_without_arguments_is_the_flagship(cache, old_folder):
    cache(DEFAULT_MODEL, old_folder)
    assert SentenceTransformer().get_sentence_embedding_dimension() == 20


def test_max_seq_length_can_be_set_within_the_positions(minilm_folder):
    model = SentenceTransformer(minilm_folder, on_long="ignore")
    whole = model.encode("one two three four")
    model.max_seq_length = 4
    np.testing.assert_allclose(
        model.encode("one two three four"), model.encode("one two"), rtol=0, atol=2e-6
    )
    assert np.abs(model.encode("one two three four") - whole).max() > 1e-3
    for length in (0, 513, 2.0):
        with pytest.raises(ValueError, match=f"max_seq_length is {length}"):
            model.max_seq_length = length


@pytest.mark.parametrize("width", [0, -5, "a", 2.5, True])
def test_a_truncate_dim_that_is_set_to_nonsense_is_refused(minilm_folder, width):
    model = SentenceTransformer(minilm_folder)
    with pytest.raises(ValueError, match="truncate_dim is"):
        model.truncate_dim = width
    assert model.encode("a").shape == (384,)


@pytest.mark.parametrize("name", [None, 5, b"minilm"])
def test_what_is_no_name_of_a_model_is_refused(name):
    with pytest.raises(TypeError, match=r"model_name_or_path is .*; expected a folder or a name"):
        SentenceTransformer(name)


def test_a_prompt_that_was_set_to_no_text_is_refused(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    model.prompts["query"] = 5
    with pytest.raises(TypeError, match="The prompt is a int"):
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


def test_a_prompt_and_a_name_of_one_are_warned_of(minilm, caplog):
    both = minilm.encode("a", prompt="to be: ", prompt_name="query")
    assert caplog.messages == ["Both prompt and prompt_name are given; prompt counts."]
    np.testing.assert_array_equal(both, minilm.encode("a", prompt="to be: "))
    assert len(caplog.messages) == 1


def test_a_prompt_that_is_no_text_is_refused(minilm):
    with pytest.raises(TypeError, match="The prompt is a int"):
        minilm.encode("a", prompt=3)


def test_a_limit_that_cuts_nothing_refuses_what_is_too_long(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    model.max_seq_length = 1
    assert model.encode("short enough").shape == (384,)
    with pytest.raises(ValueError, match="has 602 tokens, and this model has 512 positions"):
        model.encode("word " * 600)


def test_every_kind_of_result_for_one_text_many_and_none(minilm):
    states = minilm.encode("a b", output_value="token_embeddings")
    assert (states.shape, states.dtype) == ((4, 384), np.float32)
    several = minilm.encode(["a b", "", "c"], output_value="token_embeddings")
    assert [state.shape for state in several] == [(4, 384), (2, 384), (3, 384)]
    assert minilm.encode([], output_value="token_embeddings") == []
    assert minilm.encode([], output_value=None) == []
    rows = minilm.encode(DOCS, convert_to_numpy=False)
    assert [type(rows), *(row.shape for row in rows)] == [list, (384,), (384,)]
    assert minilm.encode([], convert_to_numpy=False) == []
    assert minilm.encode("a", convert_to_numpy=False).shape == (384,)


def test_token_states_pool_to_the_vector(folder, texts):
    model = SentenceTransformer(folder, on_long="ignore")
    states = model.encode(texts, output_value="token_embeddings", pack_tokens=50)
    means = [state.astype(np.float64).mean(axis=0) for state in states]
    np.testing.assert_allclose(model.encode(texts), means, rtol=0, atol=1e-5)


def test_all_of_a_text_is_padded_to_its_batch_of_the_longest_first(minilm):
    texts = ["one two three four", "a", "one two", "b c d e f", "a b"]
    features = minilm.encode(texts, output_value=None, batch_size=2, normalize_embeddings=True)
    # By characters: the first and the fourth, the third and the last, the second alone.
    assert [len(row["input_ids"]) for row in features] == [7, 3, 4, 7, 4]
    assert features[0]["attention_mask"].tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert features[0]["token_embeddings"].shape == (7, 384)
    assert (features[0]["token_embeddings"][6] == 0).all()
    assert "prompt_length" not in features[0]
    np.testing.assert_allclose(
        [row["sentence_embedding"] for row in features], minilm.encode(texts), rtol=0, atol=2e-6
    )
    one = minilm.encode("a", output_value=None, prompt="to be: ")
    assert list(one) == [
        "input_ids", "token_type_ids", "attention_mask", "modality", "prompt_length",
        "token_embeddings", "sentence_embedding",
    ]  # fmt: skip
    assert (one["modality"], one["prompt_length"]) == ("text", 4)


def test_long_texts_are_reported_once_whatever_is_shown(minilm_folder, caplog):
    model = SentenceTransformer(minilm_folder)
    texts = ["word " * 300, "a", "word " * 400]
    for output in ("token_embeddings", None):
        caplog.clear()
        model.encode(texts, output_value=output, batch_size=1)
        assert caplog.messages == [
            "2 of 3 texts were longer than 256 tokens and lost their ends; "
            "the longest had 402 tokens."
        ]
        with pytest.raises(ValueError, match=r"\d texts at least are longer"):
            model.encode(texts, output_value=output, on_long="error")
    caplog.clear()
    model.preprocess(texts)
    assert len(caplog.messages) == 1


def test_a_model_with_one_token_type_takes_no_pairs(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.token_type_embeddings.weight"
    save_file({**tensors, name: tensors[name][:1].copy()}, folder / "model.safetensors")
    edit(folder / "config.json", type_vocab_size=1)
    model = SentenceTransformer(folder)
    assert model.encode(["a"]).shape == (1, 20)
    with pytest.raises(ValueError, match="one token type"):
        model.encode([("a", "b")])


def test_pairs_and_dicts_are_texts(minilm):
    pair = minilm.encode([("a dog", "barks")])
    assert pair.shape == (1, 384)
    assert np.abs(pair - minilm.encode(["a dog barks"])).max() > 1e-2
    np.testing.assert_array_equal(minilm.encode([["a dog", "barks"]]), pair)
    np.testing.assert_array_equal(minilm.encode(np.array([["a dog", "barks"]])), pair)
    np.testing.assert_array_equal(minilm.encode({"text": "cats"}), minilm.encode("cats"))
    np.testing.assert_array_equal(minilm.encode([{"text": "cats"}]), minilm.encode(["cats"]))
    prompted = minilm.encode([("dog", "barks")], prompt="a ")
    np.testing.assert_allclose(prompted, pair, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("precision", "dtype", "width"),
    [("int8", np.int8, 384), ("uint8", np.uint8, 384), ("binary", np.int8, 48),
     ("ubinary", np.uint8, 48), (None, np.float32, 384)],
)  # fmt: skip
def test_codes_are_those_of_all_rows_together(minilm, precision, dtype, width):
    texts = MINILM_TEXTS[:30]
    codes = minilm.encode(texts, precision=precision, batch_size=3)
    assert (codes.shape, codes.dtype) == ((30, width), dtype)
    expected = quantize_embeddings(minilm.encode(texts, batch_size=3), precision or "float32")
    np.testing.assert_array_equal(codes, expected)
    assert minilm.encode([], precision=precision).shape == (0, width)
    assert minilm.encode([], precision=precision).dtype == dtype


def test_codes_of_cut_vectors_and_of_token_states(minilm):
    assert minilm.encode(DOCS, precision="ubinary", truncate_dim=12).shape == (2, 2)
    codes = minilm.encode(DOCS, precision="binary", output_value="token_embeddings")
    assert [c.shape for c in codes] == [(9, 48), (9, 48)]
    with pytest.raises(ValueError, match="One vector has no ranges for int8"):
        minilm.encode("a", precision="int8")


def test_queries_and_documents_have_their_own_prompts(folder, edit):
    plain = SentenceTransformer(folder)
    model = SentenceTransformer(
        folder, prompts={"query": "the ", "passage": "dog "}, default_prompt_name="passage"
    )
    same = np.testing.assert_array_equal
    same(model.encode_query("cat"), plain.encode("the cat"))
    same(model.encode("cat"), plain.encode("dog cat"))
    # "document" is always there, and empty: it hides "passage", as in the reference.
    same(model.encode_document(["cat"]), plain.encode(["cat"]))
    del model.prompts["document"]
    same(model.encode_document("cat"), plain.encode("dog cat"))
    same(model.encode_query("cat", "passage"), plain.encode("dog cat"))
    same(model.encode_query("cat", prompt="a "), plain.encode("a cat"))
    same(model.encode_query("cat", None, None, 1, False, "token_embeddings")[0],
         plain.encode("the cat", output_value="token_embeddings")[0])  # fmt: skip
    del model.prompts["query"]
    same(model.encode_query("cat"), plain.encode("dog cat"))


def test_queries_and_documents_may_have_a_maximum_of_their_own(folder, edit):
    edit(folder / "sentence_bert_config.json", query_length=4, document_length=6)
    model, text = SentenceTransformer(folder, on_long="ignore"), "the cat sat the cat sat"
    lengths = [
        len(encode(text, output_value="token_embeddings"))
        for encode in (model.encode_query, model.encode_document, model.encode)
    ]
    assert lengths == [4, 6, 8]
    assert len(model.preprocess([text], task="query")["input_ids"][0]) == 4


def test_truncation_may_be_off_in_the_folder(folder, edit, texts):
    edit(
        folder / "sentence_bert_config.json",
        processing_kwargs={"text": {"truncation": False, "padding": True}},
        max_seq_length=4,
    )
    model = SentenceTransformer(folder)
    assert len(model.encode("a b c d e", output_value="token_embeddings")) == 7
    with pytest.raises(ValueError, match=r"has \d+ tokens, and this model has 41 positions"):
        model.encode(texts)


def test_a_prompt_that_does_not_count_is_left_out_of_the_mean(folder, edit):
    edit(folder / "1_Pooling" / "config.json", include_prompt=False)
    model = SentenceTransformer(folder)
    states = model.encode("sat", prompt="the cat ", output_value="token_embeddings")
    expected = states[3:].mean(axis=0)  # without [CLS], the, cat
    np.testing.assert_allclose(model.encode("sat", prompt="the cat "), expected, rtol=0, atol=1e-6)
    model.set_pooling_include_prompt(True)
    np.testing.assert_allclose(
        model.encode("sat", prompt="the cat "), states.mean(axis=0), rtol=0, atol=1e-6
    )
    assert model[1].include_prompt is True


def test_preprocess_gives_padded_tokens(minilm, caplog):
    features = minilm.preprocess(["one two", "a"], prompt="to be: ")
    assert list(features) == [
        "input_ids", "token_type_ids", "attention_mask", "modality", "prompt_length"
    ]  # fmt: skip
    assert features["input_ids"].shape == (2, 7)
    assert features["attention_mask"].sum(axis=1).tolist() == [7, 6]
    assert minilm.preprocess([]) == {}
    assert minilm.tokenize(["a"])["input_ids"].tolist() == [[101, 1037, 102]]


def test_tokens_tell_what_is_cut(minilm):
    one = minilm.tokens("word " * 300)
    assert (len(one.ids), one.cut) == (256, 46)
    assert one.pieces[:2] == ["[CLS]", "word"]
    assert [tokens.cut for tokens in minilm.tokens(["a", "word " * 255])] == [0, 1]
    assert minilm.tokens({"text": "word"}).pieces == ["[CLS]", "word", "[SEP]"]
    with pytest.raises(TypeError, match=r"tokens\(\) got a generator.*list\(texts\)"):
        minilm.tokens(text for text in ["a"])


def test_a_long_text_in_windows_is_the_mean_over_all_their_tokens(folder):
    model = SentenceTransformer(folder, on_long="window")
    text = "the cat sat and " * 20
    vector = model.encode(text)
    content = model.tokenizer.encode(text, add_special_tokens=False)
    cls, sep = model.tokenizer.cls_token_id, model.tokenizer.sep_token_id
    states = []
    for start in range(0, len(content) - 10, 39 - 10):  # 41 positions, a quarter shared
        window = [cls, *content[start : start + 39], sep]
        states += list(model[0].auto_model([window]).last_hidden_state[0])
    np.testing.assert_allclose(vector, np.mean(states, axis=0), rtol=0, atol=1e-5)
    assert np.abs(vector - model.encode(text, on_long="ignore")).max() > 1e-2


def test_windows_change_no_text_that_fits_and_keep_the_order(folder, caplog):
    model = SentenceTransformer(folder)
    texts = ["the dog " * 30, "a", "the cat " * 40, "the cat sat", "dog " * 99]
    vectors = model.encode(texts, on_long="window", prompt="the ", pack_tokens=60)
    assert caplog.messages == []
    for text, vector in zip(texts, vectors, strict=True):
        alone = model.encode(text, on_long="window", prompt="the ")
        np.testing.assert_allclose(vector, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        vectors[[1, 3]], model.encode([texts[1], texts[3]], prompt="the "), rtol=0, atol=1e-5
    )


def test_windows_are_normalised_after_their_mean(tmp_path):
    model = SentenceTransformer(copy_of("large_epsilon", tmp_path), on_long="window")
    vector = model.encode("the cat sat and " * 20)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    cut = model.encode("the cat sat and " * 20, truncate_dim=5, normalize_embeddings=True)
    np.testing.assert_allclose(cut, vector[:5] / np.linalg.norm(vector[:5]), rtol=0, atol=1e-6)


def test_windows_leave_out_a_prompt_that_does_not_count(folder):
    model = SentenceTransformer(folder, on_long="window")
    model.set_pooling_include_prompt(False)
    text, prompt = "the cat sat and " * 20, "dog "
    content = model.tokenizer.encode(text, add_special_tokens=False)
    cls, sep = model.tokenizer.cls_token_id, model.tokenizer.sep_token_id
    (dog,) = model.tokenizer.encode("dog", add_special_tokens=False)
    states = []
    for start in range(0, len(content) - 10, 38 - 10):
        window = [cls, dog, *content[start : start + 38], sep]
        states += list(model[0].auto_model([window]).last_hidden_state[0][2:])
    vector = model.encode(text, prompt=prompt)
    np.testing.assert_allclose(vector, np.mean(states, axis=0), rtol=0, atol=1e-5)


def test_windows_need_mean_pooling_and_single_texts(folder, edit):
    with pytest.raises(ValueError, match="for single texts, not for pairs"):
        SentenceTransformer(folder, on_long="window").encode([("the cat " * 30, "a")])
    edit(folder / "1_Pooling" / "config.json", pooling_mode=["mean", "cls"])
    with pytest.raises(ValueError, match="this model pools by mean, cls"):
        SentenceTransformer(folder, on_long="window").encode("the cat " * 30)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_and_pickles_hold_the_path_and_what_was_changed(minilm_folder, copied):
    model = SentenceTransformer(
        minilm_folder, prompts={"query": "q: "}, threads=1, on_long="ignore", truncate_dim=9
    )
    model.max_seq_length = 5
    model.similarity_fn_name = "dot"
    model.set_pooling_include_prompt(False)
    again = copied(model)
    assert again is not model
    assert len(pickle.dumps(model)) < 2000
    np.testing.assert_array_equal(
        again.encode_query(["one two three four"]), model.encode_query(["one two three four"])
    )
    for name in ("prompts", "default_prompt_name", "similarity_fn_name", "similarity_reason",
                 "truncate_dim", "max_seq_length", "on_long", "pooling", "device"):  # fmt: skip
        assert getattr(again, name) == getattr(model, name), name
    assert again.transformer.threads == 1
    again.prompts["query"] = "x"
    assert model.prompts["query"] == "q: "


def test_a_pickle_opens_where_there_are_fewer_cores(minilm_folder):
    make, (kind, path, arguments, state) = SentenceTransformer(minilm_folder).__reduce__()
    model = make(kind, path, {**arguments, "threads": 10_000}, state)
    assert model.transformer.threads == available_threads()


def test_a_model_is_a_list_of_its_modules(minilm):
    assert len(minilm) == 3
    assert [type(module).__name__ for module in minilm] == ["Transformer", "Pooling", "Normalize"]
    assert minilm[0].get_word_embedding_dimension() == 384
    assert minilm[0].tokenizer.model_max_length == minilm[0].max_seq_length == 256
    assert minilm[0].do_lower_case is False
    assert minilm[1].pooling_mode == ("mean",)
    assert minilm[-1] == minilm[2]
    assert "MiniLM" in repr(minilm[0])
    lines = repr(minilm).splitlines()
    assert [lines[0], lines[-1]] == ["SentenceTransformer(", ")"]
    assert lines[2] == f"  (1): {minilm[1]}"


def test_names_that_programs_use(minilm_folder):
    model = SentenceTransformer(minilm_folder, trust_remote_code=True)
    assert model.to("cpu") is model.eval() is model
    assert str(model.device) == "cpu"
    assert model.get_max_seq_length() == 256
    assert model.get_embedding_dimension() == model.get_sentence_embedding_dimension() == 384
    with model.truncate_sentence_embeddings(7):
        assert model.encode("a").shape == (7,)
    assert model.encode("a").shape == (384,)
    assert model.encode("a", device="cpu").shape == (384,)


def test_similarity_pairwise_is_the_diagonal(minilm):
    vectors = minilm.encode(MINILM_TEXTS[:4])
    for name in ("cosine", "dot", "euclidean", "manhattan"):
        model = copy.copy(minilm)
        model.similarity_fn_name = SimilarityFunction(name)
        np.testing.assert_allclose(
            model.similarity_pairwise(vectors, vectors[::-1]),
            np.diag(model.similarity(vectors, vectors[::-1])),
            rtol=0,
            atol=1e-6,
        )


def test_info_shows_a_bar_on_a_terminal_and_in_no_log(minilm, capsys, caplog, monkeypatch):
    with caplog.at_level(logging.INFO, logger="minibert"):
        minilm.encode(DOCS)
        assert capsys.readouterr().err == ""
        minilm.encode(DOCS, show_progress_bar=True)
        assert "2/2" in capsys.readouterr().err
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        minilm.encode(DOCS)
        assert "2/2" in capsys.readouterr().err


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_bar_without_a_stderr_is_left_out(minilm, monkeypatch, caplog, is_closed):
    expected = minilm.encode(DOCS)
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream if is_closed else None)
    with caplog.at_level(logging.INFO, logger="minibert"):
        for asked in (None, True):
            vectors = minilm.encode(DOCS, show_progress_bar=asked)
            np.testing.assert_array_equal(vectors, expected)


def test_a_tokenizer_that_adds_nothing_refuses_a_blank_text(folder, edit):
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    edit(folder / "tokenizer.json", post_processor=None)
    model = SentenceTransformer(folder)
    assert model.encode("cat").shape == (20,)
    with pytest.raises(ValueError, match="A text has no token: it is blank"):
        model.encode(["cat", " "])
