"""Vectors, token states and features: neighbours that do not matter, long texts, windows, codes."""

import logging
import threading

import numpy as np
import pytest
from golden_files import copy_of
from hypothesis import given, settings
from hypothesis import strategies as st
from minilm_texts import DOCS, MINILM_TEXTS

from minibert import (
    SentenceTransformer,
    quantize_embeddings,
)
from minibert.kernels.cores import available_threads


@pytest.fixture(scope="module")
def vectors_alone(minilm):
    """Every text encoded by itself."""
    return np.stack([minilm.encode(text) for text in MINILM_TEXTS])


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    chosen=st.lists(st.integers(0, len(MINILM_TEXTS) - 1), min_size=1, max_size=30),
    pack_tokens=st.integers(1, 3000),
    batch_size=st.none() | st.integers(1, 40),
)
def test_order_neighbours_and_batch_size_change_rounding_only(
    minilm, vectors_alone, chosen, pack_tokens, batch_size
):
    vectors = minilm.encode(
        [MINILM_TEXTS[index] for index in chosen], batch_size=batch_size, pack_tokens=pack_tokens
    )
    np.testing.assert_allclose(vectors, vectors_alone[chosen], rtol=0, atol=2e-6)  # worst seen 3e-7


def test_raw_vectors_change_by_rounding_only(folder, texts):
    model = SentenceTransformer(folder, on_long="ignore")
    alone = np.stack([model.encode(text) for text in texts])
    for pack_tokens in (1, 20, 50, 1000):
        together = model.encode(texts[::-1], pack_tokens=pack_tokens)[::-1]
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)  # worst seen 2e-6


@pytest.mark.slow
def test_rows_keep_the_order_of_their_texts_across_slices(minilm_folder, vectors_alone):
    model = SentenceTransformer(minilm_folder, on_long="ignore")
    model.transformer.slice_texts = 7
    model.to("cpu")  # which leaves such a setting as it is
    assert model.transformer.slice_texts == 7
    np.testing.assert_allclose(model.encode(MINILM_TEXTS), vectors_alone, rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("threads", range(1, available_threads() + 1))
def test_the_number_of_threads_changes_rounding_only(minilm_folder, vectors_alone, threads):
    model = SentenceTransformer(minilm_folder, threads=threads, on_long="ignore")
    np.testing.assert_allclose(model.encode(MINILM_TEXTS), vectors_alone, rtol=0, atol=2e-6)


@pytest.mark.slow
def test_threads_may_share_a_model_and_leave_blas_as_it_was(minilm, vectors_alone):
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
        np.testing.assert_allclose(vectors, vectors_alone, rtol=0, atol=2e-6)
    assert [pool["num_threads"] for pool in threadpool_info()] == before


@pytest.mark.slow
def test_an_error_in_a_pack_is_raised_and_blas_is_restored(minilm, monkeypatch):
    from threadpoolctl import threadpool_info

    def fail(*_):
        raise MemoryError("no room")

    before = [pool["num_threads"] for pool in threadpool_info()]
    monkeypatch.setattr("minibert.pooling.pipeline.pool", fail)
    with pytest.raises(MemoryError, match="no room"):
        minilm.encode(MINILM_TEXTS, pack_tokens=100)
    assert [pool["num_threads"] for pool in threadpool_info()] == before


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


@pytest.mark.slow
def test_truncated_texts_are_reported_once_a_call(minilm_folder, caplog):
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


def test_full_outputs_are_padded_within_batches_sorted_by_length(minilm):
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_codes_of_shortened_vectors_and_of_token_states(minilm):
    assert minilm.encode(DOCS, precision="ubinary", truncate_dim=12).shape == (2, 2)
    codes = minilm.encode(DOCS, precision="binary", output_value="token_embeddings")
    assert [c.shape for c in codes] == [(9, 48), (9, 48)]
    with pytest.raises(ValueError, match="One vector has no ranges for int8"):
        minilm.encode("a", precision="int8")


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


def test_windows_of_a_long_text_give_the_mean_of_all_tokens(folder):
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
