"""CrossEncoder: pairs in, scores out, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
from golden_files import GOLDEN, PAIRS

from minibert import CheckpointError, CrossEncoder, SentenceTransformer


def test_one_label_gives_a_number_a_pair_and_several_a_row(one):
    logits = CrossEncoder(GOLDEN / "cross_encoder").predict(PAIRS)
    assert (logits.shape, logits.dtype) == ((4, 3), np.float32)
    model = CrossEncoder(one)
    scores = model.predict(PAIRS)
    assert (scores.shape, scores.dtype) == ((4,), np.float32)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits[:, 0])), rtol=0, atol=1e-6)
    assert model.num_labels == 1


def test_one_pair_gives_one_result(one):
    model, several = CrossEncoder(one), CrossEncoder(GOLDEN / "cross_encoder")
    for pair in (("the cat", "a dog"), ["the cat", "a dog"], np.array(["the cat", "a dog"])):
        assert np.shape(model.predict(pair)) == ()
        assert several.predict(pair).shape == (3,)
    assert model.predict([]).shape == (0,)
    assert several.predict([]).shape == (0, 3)
    rows = several.predict(PAIRS, convert_to_numpy=False)
    assert [type(rows), rows[0].shape] == [list, (3,)]


def test_the_second_text_has_a_token_type_of_its_own(one):
    model = CrossEncoder(one, activation_fn="identity")
    there, back = model.predict([("the cat", "a dog"), ("a dog", "the cat")])
    assert abs(there - back) > 1e-3
    pair = model.tokenizer("the cat", "a dog")
    assert pair["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]


def test_the_activation_is_the_caller_s_folder_s_or_by_labels(one, edit):
    logits = CrossEncoder(one, activation_fn="identity").predict(PAIRS)
    same = np.testing.assert_allclose
    same(CrossEncoder(one, activation_fn="tanh").predict(PAIRS), np.tanh(logits), atol=1e-6)
    same(
        CrossEncoder(one, activation_fn="torch.nn.Tanh").predict(PAIRS), np.tanh(logits), atol=1e-6
    )
    same(CrossEncoder(one).predict(PAIRS, activation_fn="relu"), np.maximum(logits, 0), atol=1e-6)
    same(CrossEncoder(one).predict(PAIRS, activation_fn=lambda x: 2 * x), 2 * logits, atol=1e-6)
    config = one / "config.json"
    identity, tanh = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Tanh"
    edit(config, sbert_ce_default_activation_function=identity)
    same(CrossEncoder(one).predict(PAIRS), logits, atol=1e-6)
    edit(config, sentence_transformers={"activation_fn": tanh})
    same(CrossEncoder(one).predict(PAIRS), np.tanh(logits), atol=1e-6)


def test_probabilities_of_several_labels_sum_to_1():
    model = CrossEncoder(GOLDEN / "cross_encoder")
    shares = model.predict(PAIRS, apply_softmax=True)
    logits = model.predict(PAIRS).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-6)


def test_documents_are_ranked_best_first_and_ties_stay(one):
    model = CrossEncoder(one)
    documents = ["a dog", "the cat", "London", "the cat", "a dog barks"]
    hits = model.rank("the cat", documents, return_documents=True)
    scores = model.predict([("the cat", document) for document in documents])
    assert [hit["corpus_id"] for hit in hits] == np.argsort(-scores, kind="stable").tolist()
    tied = model.rank("the cat", documents, activation_fn=lambda logits: 0 * logits)
    assert [hit["corpus_id"] for hit in tied] == [0, 1, 2, 3, 4]
    for hit in hits:
        assert hit["text"] == documents[hit["corpus_id"]]
        assert hit["score"] == pytest.approx(float(scores[hit["corpus_id"]]), abs=1e-6)
    assert model.rank("the cat", documents, top_k=2) == [
        {"corpus_id": hit["corpus_id"], "score": hit["score"]} for hit in hits[:2]
    ]
    assert model.rank("the cat", []) == []
    with pytest.raises(ValueError, match="This model has 3 labels"):
        CrossEncoder(GOLDEN / "cross_encoder").rank("the cat", documents)


def test_prompts_go_before_the_first_text(one):
    model = CrossEncoder(one, prompts={"query": "a "}, default_prompt_name="query")
    plain = CrossEncoder(one)
    expected = plain.predict([("a dog", "barks")])
    np.testing.assert_allclose(model.predict([("dog", "barks")]), expected, atol=1e-6)
    np.testing.assert_allclose(plain.predict([("dog", "barks")], prompt="a "), expected, atol=1e-6)
    np.testing.assert_allclose(
        model.predict([("dog", "barks")], prompt=""), plain.predict([("dog", "barks")]), atol=1e-6
    )
    with pytest.raises(ValueError, match="no prompt 'x'; this model has none"):
        plain.predict(PAIRS, prompt_name="x")
    with pytest.raises(ValueError, match="no prompt 'x'; this model has none"):
        CrossEncoder(one, default_prompt_name="x")


def test_long_pairs_are_truncated_and_reported(one, caplog):
    model = CrossEncoder(one, max_length=9)
    assert model.max_length == model.max_seq_length == 9
    long = [("the cat", "dog " * 50), ("the cat", "a")]
    scores = model.predict(long)
    assert caplog.messages == [
        "1 of 2 texts were longer than 9 tokens and lost their ends; the longest had 55 tokens."
    ]
    np.testing.assert_allclose(scores[0], model.predict(("the cat", "dog dog dog dog")), atol=1e-6)
    with pytest.raises(ValueError, match="1 texts at least are longer than 9 tokens"):
        model.predict(long, on_long="error")
    with pytest.raises(ValueError, match="a pair is scored as a whole"):
        model.predict(long, on_long="window")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_hold_the_path_and_what_was_changed(one, copied):
    model = CrossEncoder(one, activation_fn="tanh", prompts={"query": "a "}, threads=1)
    model.max_seq_length = 8
    again = copied(model)
    np.testing.assert_array_equal(again.predict(PAIRS), model.predict(PAIRS))
    assert (again.max_seq_length, again.prompts) == (8, {"query": "a "})
    assert again.transformer.threads == 1


def test_a_model_is_a_list_of_one_module(one):
    model = CrossEncoder(one)
    assert len(model) == len(list(model)) == 1
    assert model[0].max_seq_length == 41
    assert model.to("cpu") is model
    assert model.device == "cpu"
    assert model.config.hidden_size == 20


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("the cat", "got a str"),
        (None, "got a NoneType"),
        (b"the cat", "got a bytes"),
        ([("a", "b"), "c"], r"predict\(\) takes pairs of texts; item 1 of 2 is one text"),
        (["a", "b", "c"], r"predict\(\) takes pairs of texts; item 0 of 3 is one text"),
        ([("a", "b", "c")], "Text 0 of 1 is a tuple"),
        ([("a", 3)], "Text 0 of 1 is a tuple"),
        (["a"], r"predict\(\) takes pairs of texts; item 0 of 1 is one text"),
    ],
)
def test_what_is_no_pair_is_refused(one, inputs, message):
    with pytest.raises(TypeError, match=message):
        CrossEncoder(one).predict(inputs)


@pytest.mark.parametrize("documents", ["the cat", b"the cat", None, {"the cat": 1}, {"a", "b"}])
def test_what_are_no_documents_is_refused(one, documents):
    with pytest.raises(
        TypeError, match=f"rank\\(\\) got an? {type(documents).__name__} .* a list of"
    ):
        CrossEncoder(one).rank("the cat", documents)


def test_arguments_that_cannot_be_meant_are_refused(one):
    with pytest.raises(ValueError, match="num_labels is 2; this model has 1"):
        CrossEncoder(one, num_labels=2)
    with pytest.raises(
        ValueError, match="activation_fn is 'swoosh'; expected a function or one of"
    ):
        CrossEncoder(one, activation_fn="swoosh")


def test_folders_that_are_no_cross_encoder_are_refused(three, edit):
    for name in ("gelu", "plain"):
        with pytest.raises(CheckpointError, match="has no classifier"):
            CrossEncoder(GOLDEN / name)
    edit(three / "config.json", sbert_ce_default_activation_function="mine.Swoosh")
    with pytest.raises(CheckpointError, match=r"activation_fn is 'mine\.Swoosh', which minibert"):
        CrossEncoder(three)
    edit(three / "config.json", sbert_ce_default_activation_function=None)
    edit(three / "config.json", architectures=["BertModel"])  # then the reference expects one label
    with pytest.raises(CheckpointError, match=r"classifier\.weight has the shape \(3, 20\)"):
        CrossEncoder(three)
    for key, kind in (("id2label", "dict"), ("architectures", "list")):
        edit(three / "config.json", **{key: 5})
        with pytest.raises(CheckpointError, match=f"{key} is 5; expected a {kind}"):
            CrossEncoder(three)
        edit(three / "config.json", **{key: None})


def test_modules_after_a_cross_encoder_s_transformer_are_refused(three, edit):
    import json

    types = ["Transformer", "Dropout"]
    entries = [{"path": "", "type": f"sentence_transformers.models.{kind}"} for kind in types]
    (three / "modules.json").write_text(json.dumps(entries))
    edit(three / "config_sentence_transformers.json", model_type="CrossEncoder")
    edit(three / "sentence_bert_config.json", transformer_task="sequence-classification")
    with pytest.raises(CheckpointError, match="there is Dropout after the Transformer"):
        CrossEncoder(three)
    (three / "modules.json").write_text(json.dumps(entries[:1]))
    assert CrossEncoder(three).num_labels == 3
    edit(three / "sentence_bert_config.json", transformer_task="feature-extraction")
    with pytest.raises(CheckpointError, match="a CrossEncoder has 'sequence-classification'"):
        CrossEncoder(three)


def test_a_folder_of_the_other_class_is_opened_with_a_warning(three, folder, caplog, tmp_path):
    scorer = CrossEncoder(three, prompts={"query": "a "})
    scorer.save_pretrained(tmp_path / "scorer")
    model = SentenceTransformer(tmp_path / "scorer")
    (said,) = caplog.messages
    assert said.endswith("has a CrossEncoder, and is opened as a SentenceTransformer: its weights "
                         "count, its other settings do not.")  # fmt: skip
    assert model.prompts == {"query": "", "document": ""}
    plain = SentenceTransformer(three)  # without modules.json, so with the mean of its tokens
    np.testing.assert_array_equal(model.encode("the cat"), plain.encode("the cat"))
    model.save_pretrained(tmp_path / "model")
    caplog.clear()
    again = SentenceTransformer(tmp_path / "model")
    np.testing.assert_array_equal(again.encode("the cat"), model.encode("the cat"))
    assert caplog.messages == []
    # The weights of a SentenceTransformer may hold a classifier, too.
    weights = (three / "model.safetensors").read_bytes()
    (tmp_path / "model" / "model.safetensors").write_bytes(weights)
    back = CrossEncoder(tmp_path / "model")
    assert " has a SentenceTransformer, and is opened as a CrossEncoder: " in caplog.messages[0]
    np.testing.assert_array_equal(back.predict(PAIRS), scorer.predict(PAIRS))


def test_a_name_without_owner_is_one_of_cross_encoder_s(cache, three):
    cache("cross-encoder/tiny", three)
    assert CrossEncoder("tiny").num_labels == 3
