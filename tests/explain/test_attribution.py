"""The split of a score into pairs of tokens."""

import json
import logging
import pickle
import re

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of
from prompted import DOCUMENT, PROMPTS, QUERY
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer
from minibert.evaluation import SAMPLE
from minibert.explain import ExplainedText, Explanation, Word, explain, occlusion
from minibert.pooling.modes import POOLINGS
from minibert.scoring.metrics import METRICS

LINEAR = "torch.nn.modules.linear.Identity"


@pytest.fixture
def linear_folder(tmp_path, edit):
    """The golden model with Dense before and after the pooling, these without activation."""
    folder = copy_of("modules", tmp_path)
    for dense in ("3_Dense", "5_Dense", "8_Dense"):
        edit(folder / dense / "config.json", activation_function=LINEAR)
    return folder


def check_sum(model, query, document, metric=None, vectors=None):
    """The contributions sum to the score, and that is the one of the vectors of encode()."""
    metric = metric or model.similarity_fn_name
    found = model.explain(query, document, metric=metric)
    q, d = vectors or (model.encode_query(query), model.encode_document(document))
    lengths = 1.0 if metric == "cosine" else float(np.linalg.norm(q) * np.linalg.norm(d))
    assert abs(found.contributions.sum() - found.score) <= 1e-9 * lengths
    # Worst seen 1.8e-7: the vectors of encode() are float32, and summed in another order.
    assert abs(found.score - float(METRICS[metric].all_pairs(q, d)[0, 0])) <= 1e-5 * lengths
    assert found.contributions.shape == (len(found.query_tokens), len(found.document_tokens))
    assert found.contributions.dtype == np.float64
    return found


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["dot", "cosine"])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize(
    "modes", [*([mode] for mode in POOLINGS), list(POOLINGS), ["mean", "cls"]], ids="-".join
)
def test_pairs_of_tokens_sum_to_the_score_for_every_pooling(pooled, modes, counts, metric, texts):
    model = pooled(modes, counts)
    for query in texts[:4]:
        for document in texts[1:]:
            found = check_sum(model, query, document, metric)
    # [CLS] and the prompt take no part where the folder leaves them out.
    assert counts or not found.contributions[: found.query_tokens.index("cat") + 1].any()


@pytest.mark.parametrize("metric", ["dot", "cosine"])
@pytest.mark.parametrize("dimension", [None, 4])
def test_pairs_of_tokens_sum_to_the_score_after_linear_modules(
    linear_folder, dimension, metric, texts
):
    model = SentenceTransformer(linear_folder, truncate_dim=dimension, on_long="ignore")
    assert len(model._pipeline.after) == 6
    for query in texts[:4]:
        for document in texts[1:]:
            check_sum(model, query, document, metric)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gelu", "relu", "large_epsilon", "cased", "old_layout", "plain"])
def test_pairs_of_tokens_sum_to_the_score_on_random_weights(name, texts):
    model = SentenceTransformer(GOLDEN / name, on_long="ignore")
    vectors = model.encode(texts)
    for query, q in zip(texts, vectors, strict=True):
        for document, d in zip(texts, vectors, strict=True):
            check_sum(model, query, document, "dot", (q, d))
            check_sum(model, query, document, "cosine", (q, d))


@pytest.fixture(scope="module")
def sentences():
    """The sentences of the sample that comes with minibert."""
    lines = (SAMPLE / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return [part for text in texts for part in re.split(r"(?<=[.?!])\s", text)]


@pytest.mark.slow
def test_token_pairs_sum_to_200_scores_of_the_real_minilm(minilm, sentences):
    random = np.random.default_rng(20261127)
    vectors = minilm.encode(sentences)
    for pair in random.choice(len(sentences), (200, 2)):
        check_sum(minilm, *(sentences[n] for n in pair), vectors=[vectors[n] for n in pair])


@pytest.mark.slow
def test_after_a_mean_a_pair_is_a_product_over_token_counts(minilm, sentences):
    for query, document in zip(sentences[:10], sentences[10:20], strict=True):
        states = [
            minilm.encode(text, output_value="token_embeddings").astype(np.float64)
            for text in (query, document)
        ]
        means = [state.mean(axis=0) for state in states]
        lengths = np.prod([np.sqrt(mean @ mean) for mean in means])  # there is a Normalize
        expected = states[0] @ states[1].T / states[0].shape[0] / states[1].shape[0] / lengths
        for metric in ("dot", "cosine"):
            found = minilm.explain(query, document, metric=metric)
            np.testing.assert_allclose(found.contributions, expected, rtol=0, atol=1e-6)
        for text, state in ((found.query, states[0]), (found.document, states[1])):
            np.testing.assert_allclose(text.norms, np.linalg.norm(state, axis=1), rtol=1e-5)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("mode", ["mean", "weightedmean"])
def test_each_token_passes_a_linear_dense_with_part_of_the_bias(linear_folder, edit, mode, counts):
    # Normalize and LayerNorm would need the whole vector: only the first Dense is left.
    entries = json.loads((linear_folder / "modules.json").read_text())[:4]
    (linear_folder / "modules.json").write_text(json.dumps(entries))
    edit(linear_folder / "2_Pooling" / "config.json", pooling_mode=mode, include_prompt=counts)
    dense = load_file(linear_folder / "3_Dense" / "model.safetensors")
    weight = (dense["linear.weight"] + dense["residual.weight"]).astype(float)
    model = SentenceTransformer(linear_folder, similarity_fn_name="dot", prompts=PROMPTS)
    parts = []
    for text, skipped in (("the cat " + QUERY, 3), ("dog: " + DOCUMENT, 3)):
        states = model.encode(text, output_value="token_embeddings")
        shares = np.arange(1.0, len(states) + 1) if mode == "weightedmean" else np.ones(len(states))
        shares[: 0 if counts else skipped] = 0
        projected = states @ weight.T + dense["linear.bias"]
        parts.append(projected * (shares / shares.sum())[:, None])
    found = model.explain(QUERY, DOCUMENT).contributions
    np.testing.assert_allclose(found, parts[0] @ parts[1].T, rtol=0, atol=1e-5)


def test_max_gives_each_dimension_to_its_largest_token(pooled):
    model = pooled(["max"])
    states = [
        model.encode(prompt + text, output_value="token_embeddings")
        for prompt, text in (("the cat ", QUERY), ("dog: ", DOCUMENT))
    ]
    expected = np.zeros((len(states[0]), len(states[1])))
    for column in range(20):
        q, d = (state[:, column] for state in states)
        expected[q.argmax(), d.argmax()] += q.max() * d.max()
    found = model.explain(QUERY, DOCUMENT, metric="dot").contributions
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_vector_of_zeros_has_the_score_0_and_so_has_every_pair(linear_folder):
    path = linear_folder / "8_Dense" / "model.safetensors"
    save_file({name: np.zeros_like(x) for name, x in load_file(path).items()}, path)
    model = SentenceTransformer(linear_folder)
    found = check_sum(model, QUERY, DOCUMENT)
    assert (found.metric, found.score, found.contributions.any()) == ("cosine", 0, False)


def test_a_dense_with_an_activation_is_refused_by_name():
    model = SentenceTransformer(GOLDEN / "modules")
    with pytest.raises(ValueError, match=r"a module that is not linear \(gelu\)"):
        model.explain(QUERY, DOCUMENT)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_a_distance_is_refused_and_another_metric_is_taken(folder, metric):
    model = SentenceTransformer(folder, similarity_fn_name=metric)
    with pytest.raises(ValueError, match=f"The metric is '{metric}'.* expected 'dot' or 'cosine'"):
        model.explain(QUERY, DOCUMENT)
    assert check_sum(model, QUERY, DOCUMENT, "dot").metric == "dot"
    with pytest.raises(ValueError, match=f"The metric is '{metric}'"):
        SentenceTransformer(folder).explain(QUERY, DOCUMENT, metric=metric)
    with pytest.raises(ValueError, match="The metric is ''"):
        SentenceTransformer(folder).explain(QUERY, DOCUMENT, metric="")


@pytest.mark.parametrize(
    ("query", "document", "message"),
    [
        (("the cat", "a dog"), DOCUMENT, r"The query is a tuple .*; expected one text, a str"),
        (QUERY, [DOCUMENT], "The document is a list"),
        (QUERY, None, "The document is a NoneType"),
    ],
)
def test_what_is_no_text_is_refused(query, document, message):
    model = SentenceTransformer(GOLDEN / "gelu")
    with pytest.raises(TypeError, match=message):
        model.explain(query, document)
    with pytest.raises(TypeError, match=message):
        occlusion(model, query, document)


def test_a_prompt_that_leaves_nothing_is_refused(folder, edit):
    edit(folder / "sentence_bert_config.json", query_length=6)
    edit(folder / "1_Pooling" / "config.json", include_prompt=False)
    model = SentenceTransformer(folder, prompts={"query": "the cat " * 5}, on_long="ignore")
    with pytest.raises(ValueError, match="takes all 6 tokens that the model reads"):
        model.explain(QUERY, DOCUMENT)


def test_an_empty_text_is_its_special_tokens():
    found = check_sum(SentenceTransformer(GOLDEN / "gelu"), "", "the cat")
    assert [(word.text, word.is_special) for word in found.query.words] == [
        ("[CLS]", True), ("[SEP]", True),
    ]  # fmt: skip
    assert found.strongest() == []
    assert not found.between_words().any()


def test_a_truncated_text_is_explained_and_its_loss_reported(caplog):
    long = "the dog barks at the cat " * 10
    model = SentenceTransformer(GOLDEN / "gelu")
    with caplog.at_level(logging.WARNING):
        found = check_sum(model, "the cat", long)
    assert (found.query.truncated, found.document.truncated) == (0, 31)
    assert len(found.document_tokens) == 41
    assert "1 of 1 texts were longer than 41 tokens" in caplog.text
    model.on_long = "error"
    with pytest.raises(ValueError, match="longer than 41 tokens"):
        model.explain("the cat", long)
    model.on_long = "window"
    with pytest.raises(ValueError, match="The document has 31 tokens above the maximum length"):
        model.explain("the cat", long)
    check_sum(model, "the cat", "a dog")


def test_a_pickled_model_explains_alike(linear_folder):
    model = SentenceTransformer(linear_folder, truncate_dim=4, prompts=PROMPTS)
    again = pickle.loads(pickle.dumps(model))
    expected = explain(model, QUERY, DOCUMENT).contributions
    np.testing.assert_array_equal(again.explain(QUERY, DOCUMENT).contributions, expected)


def test_a_model_of_any_class_is_explained(model_of_another_class, folder):
    found = explain(model_of_another_class, QUERY, DOCUMENT)
    expected = SentenceTransformer(folder, prompts=PROMPTS).explain(QUERY, DOCUMENT)
    np.testing.assert_array_equal(found.contributions, expected.contributions)


def text_of(*words, special=(True, False, False, True)):
    """An explained text whose words have the given numbers of tokens."""
    ends = np.cumsum(words).tolist()
    starts = [0, *ends[:-1]]
    names = "abcd"
    made = [
        Word(name, slice(start, end), is_special)
        for name, start, end, is_special in zip(names, starts, ends, special, strict=True)
    ]
    return ExplainedText("", [""] * ends[-1], [(0, 0)] * ends[-1], made, np.ones(ends[-1]), 0)


def test_contributions_are_summed_to_words_strongest_first():
    contributions = np.zeros((5, 4))
    contributions[1, 1], contributions[2, 1] = 1.0, 0.5  # the word b of two tokens, with b
    contributions[3, 2] = -4.0  # c with c
    contributions[0, 0], contributions[1, 3] = 9.0, 0.25  # with special tokens
    found = Explanation(6.75, "dot", contributions, text_of(1, 2, 1, 1), text_of(1, 1, 1, 1))
    expected = [[9, 0, 0, 0], [0, 1.5, 0, 0.25], [0, 0, -4, 0], [0, 0, 0, 0]]
    assert found.by_word().tolist() == expected
    between = [[0, 0, 0, 0], [0, 1.5, 0, 0], [0, 0, -4, 0], [0, 0, 0, 0]]
    assert found.between_words().tolist() == between
    pairs = [(pair.query.text, pair.document.text, pair.contribution) for pair in found.strongest()]
    assert pairs == [("c", "c", -4.0), ("b", "b", 1.5), ("b", "c", 0.0), ("c", "b", 0.0)]
    assert found.strongest(2) == found.strongest()[:2]
    assert found != Explanation(6.75, "dot", contributions.copy(), found.query, found.document)


def test_an_explanation_can_be_written_as_json():
    model = SentenceTransformer(GOLDEN / "gelu")
    found = model.explain("the cats", "a dog")
    content = json.loads(json.dumps(found.as_dict()))
    assert content["score"] == found.score
    assert content["contributions"] == found.contributions.tolist()
    assert content["word_contributions"] == found.by_word().tolist()
    assert content["query"]["tokens"] == ["[CLS]", "the", "cat", "##s", "[SEP]"]
    assert content["query"]["offsets"] == [[0, 0], [0, 3], [4, 7], [7, 8], [0, 0]]
    assert content["query"]["words"][2] == {"text": "cats", "tokens": [2, 4], "is_special": False}
    assert content["document"]["norms"] == found.document.norms.tolist()
    assert (content["metric"], content["document"]["truncated"]) == ("cosine", 0)


def test_one_shared_word_is_the_largest_pair_of_the_real_minilm(minilm):
    # Each pair of sentences has one content word in common, and no other word.
    for query, document, shared in [
        ("Where do penguins sleep?", "The zoo bought six penguins.", "penguins"),
        ("who invented the telephone", "My telephone is broken.", "telephone"),
        ("is honey good against a cough", "Bees make honey.", "honey"),
        ("repairing an old violin", "A violin has four strings.", "violin"),
    ]:
        best = minilm.explain(query, document).strongest(1)[0]
        assert (best.query.text, best.document.text) == (shared, shared)
        assert best.contribution > 0


def test_in_identical_texts_a_word_s_best_partner_is_itself(minilm):
    for text, content in [
        ("Penguins sleep on the ice.", ["Penguins", "sleep", "ice"]),
        ("The violin has four strings.", ["violin", "four", "strings"]),
    ]:
        found = minilm.explain(text, text)
        amounts = found.between_words()
        for place, word in enumerate(found.query.words):
            if word.text in content:
                assert amounts[place].argmax() == place, word.text


@pytest.mark.slow
def test_another_partner_in_an_identical_text_has_a_longer_state(minilm, sentences):
    others = 0
    for text in sentences[:40]:
        found = minilm.explain(text, text)
        contributions, norms = found.contributions, found.query.norms
        best = contributions.argmax(axis=1)
        is_other = best != np.arange(len(best))
        assert (norms[best] > norms)[is_other].all()  # as Cauchy and Schwarz have it
        assert contributions.max() == pytest.approx(contributions.diagonal().max(), rel=1e-9)
        others += is_other.sum()
    assert others  # there are such
