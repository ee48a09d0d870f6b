"""SentenceTransformer: shapes and kinds, neighbours that do not matter, bad input, the metric."""

import copy
import io
import logging
import pickle
import sys
from enum import Enum

import numpy as np
import pytest
from minilm_texts import DOCS, MINILM_TEXTS, QUERY

from minibert import (
    SentenceTransformer,
    SimilarityFunction,
    cos_sim,
    dot_score,
)
from minibert.kernels.cores import available_threads
from minibert.models.sentence_transformer import DEFAULT_MODEL, DOT_PRODUCT_MODELS


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


def test_the_metric_table_knows_models_by_name_or_config_path(old_folder, edit):
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


def test_a_prompt_and_a_name_of_one_are_warned_of(minilm, caplog):
    both = minilm.encode("a", prompt="to be: ", prompt_name="query")
    assert caplog.messages == ["Both prompt and prompt_name are given; prompt counts."]
    np.testing.assert_array_equal(both, minilm.encode("a", prompt="to be: "))
    assert len(caplog.messages) == 1


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


def test_preprocess_gives_padded_tokens(minilm, caplog):
    features = minilm.preprocess(["one two", "a"], prompt="to be: ")
    assert list(features) == [
        "input_ids", "token_type_ids", "attention_mask", "modality", "prompt_length"
    ]  # fmt: skip
    assert features["input_ids"].shape == (2, 7)
    assert features["attention_mask"].sum(axis=1).tolist() == [7, 6]
    assert minilm.preprocess([]) == {}
    assert minilm.tokenize(["a"])["input_ids"].tolist() == [[101, 1037, 102]]


def test_tokens_tell_what_is_truncated(minilm):
    one = minilm.tokens("word " * 300)
    assert (len(one.ids), one.truncated) == (256, 46)
    assert one.tokens[:2] == ["[CLS]", "word"]
    assert [tokens.truncated for tokens in minilm.tokens(["a", "word " * 255])] == [0, 1]
    assert minilm.tokens({"text": "word"}).tokens == ["[CLS]", "word", "[SEP]"]
    with pytest.raises(TypeError, match=r"tokens\(\) got a generator.*list\(texts\)"):
        minilm.tokens(text for text in ["a"])


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


def test_the_reference_s_other_methods_are_there(minilm_folder):
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
