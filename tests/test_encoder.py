"""SentenceTransformer: shapes and kinds, neighbours that do not matter, bad input, the metric."""

import logging
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minilm_texts import MINILM_TEXTS

from minibert import SentenceTransformer, cos_sim, dot_score
from minibert.devices import available_threads
from minibert.encoder import DEFAULT_MODEL, DOT_PRODUCT_MODELS

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
    monkeypatch.setattr("minibert.tokens.WINDOW_TEXTS", 7)
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
    monkeypatch.setattr("minibert.pipeline.pool", fail)
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
    with pytest.raises(ValueError, match=r"1 of 2 texts .* had 302 tokens\. Split them, or pass"):
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


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_an_impossible_number_of_threads_is_refused(minilm_folder, threads):
    with pytest.raises(ValueError, match=f"threads is {threads}; expected 1 to"):
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


def test_a_metric_that_is_set_to_nonsense_is_refused_when_used(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    model.similarity_fn_name = "chebyshev"
    with pytest.raises(ValueError, match="'chebyshev'; expected one of"):
        model.similarity([1.0], [1.0])


def test_both_names_of_the_texts_at_once_are_refused(minilm):
    with pytest.raises(TypeError, match="both inputs and sentences"):
        minilm.encode("a", sentences="b")


def test_a_prompt_that_is_no_text_is_refused(minilm):
    with pytest.raises(TypeError, match="The prompt is a int"):
        minilm.encode("a", prompt=3)


def test_a_limit_that_cuts_nothing_refuses_what_is_too_long(minilm_folder):
    model = SentenceTransformer(minilm_folder)
    model.max_seq_length = 1
    assert model.encode("short enough").shape == (384,)
    with pytest.raises(ValueError, match="has 602 tokens, and this model has 512 positions"):
        model.encode("word " * 600)
