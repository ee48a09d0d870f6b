"""Against what transformers and sentence-transformers computed: tests/golden.

The models are tiny and awkward (tools/make_golden.py), so that a wrong activation, epsilon, scale
or mask shows at 1e-4 and more. Float32 rounding, torch's and ours, is below 6e-6 here.
"""

import json

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, expected_of, outputs_of
from minilm_texts import MINILM_TEXTS

from minibert import BertForMaskedLM, BertModel, CrossEncoder, SentenceTransformer, Tokenizer
from minibert.pooling.modes import POOLINGS

CASES = sorted(path.parent.name for path in GOLDEN.glob("*/expected.npz"))
SHOWN_INSIDE = ["gelu", "large_epsilon"]
WITH_POOLER = [name for name in CASES if "right_pooler_output" in expected_of(name)]
SIDES = ["right", "left"]


def inputs_of(expected, side):
    names = ("input_ids", "token_type_ids", "attention_mask")
    return {name: expected[f"{side}_{name}"] for name in names if f"{side}_{name}" in expected}


def assert_states_agree(ours, theirs):
    """Each token's numbers agree to 4e-6 of the token's length: two (N, D).

    A state ends in a norm over 20 numbers with awkward gains, and rounding goes with all of them:
    kernels without FMA are up to 1.1e-5 from transformers in one of 1,800, 2.4e-6 of the length;
    the others up to 5.8e-6.
    """
    lengths = np.linalg.norm(theirs.astype(np.float64), axis=1, keepdims=True)  # of 3 to 6
    np.testing.assert_allclose(ours / lengths, theirs / lengths, rtol=0, atol=4e-6)


def test_all_golden_models_are_here():
    assert len(CASES) == 21
    assert len(WITH_POOLER) == 15


@pytest.mark.parametrize("name", CASES)
def test_vectors_equal_sentence_transformers(name, texts):
    expected = expected_of(name)
    model = SentenceTransformer(GOLDEN / name, on_long="ignore")
    assert model.max_seq_length == expected["max_seq_length"]
    vectors = model.encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected["vectors"], rtol=0, atol=1e-5)  # worst seen 2.5e-6


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", CASES)
def test_the_tokenizer_equals_transformers(name, side, texts):
    expected = expected_of(name)
    tokenizer = Tokenizer.from_pretrained(GOLDEN / name)
    inputs = tokenizer(
        texts, padding=True, truncation=True, max_length=23, padding_side=side, return_tensors="np"
    )
    assert inputs.keys() == inputs_of(expected, side).keys()
    for key, array in inputs.items():
        np.testing.assert_array_equal(array, expected[f"{side}_{key}"], err_msg=key)
        assert array.dtype == np.int64


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", CASES)
def test_the_last_hidden_state_equals_transformers(name, side):
    expected = expected_of(name)
    inputs = inputs_of(expected, side)
    output = BertModel.from_pretrained(GOLDEN / name)(**inputs)
    real = inputs["attention_mask"] == 1
    assert 0 < real.sum() < real.size
    assert_states_agree(output.last_hidden_state[real], expected[f"{side}_last_hidden_state"][real])
    assert (output.last_hidden_state[~real] == 0).all()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", SHOWN_INSIDE)
def test_every_hidden_state_equals_transformers(name, side):
    expected = expected_of(name)
    inputs = inputs_of(expected, side)
    output = BertModel.from_pretrained(GOLDEN / name)(**inputs, output_hidden_states=True)
    real = inputs["attention_mask"] == 1
    theirs = expected[f"{side}_hidden_states"]
    assert len(output.hidden_states) == len(theirs) == 4
    for ours, hidden in zip(output.hidden_states, theirs, strict=True):
        np.testing.assert_allclose(ours[real], hidden[real], rtol=0, atol=1e-5)  # worst 5.5e-6


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", SHOWN_INSIDE)
def test_all_attentions_equal_transformers(name, side):
    expected = expected_of(name)
    inputs = inputs_of(expected, side)
    output = BertModel.from_pretrained(GOLDEN / name)(**inputs, output_attentions=True)
    real = inputs["attention_mask"] == 1
    pairs = real[:, None, :, None] & real[:, None, None, :]  # (B, 1, T, T)
    theirs = expected[f"{side}_attentions"]
    assert len(output.attentions) == len(theirs) == 3
    for ours, weights in zip(output.attentions, theirs, strict=True):
        assert ours.shape == weights.shape
        every_pair = np.broadcast_to(pairs, ours.shape)
        np.testing.assert_allclose(
            ours[every_pair],
            weights[every_pair],
            rtol=0,
            atol=1e-5,  # worst seen 3.6e-6
        )
        assert (ours[~every_pair] == 0).all()


@pytest.mark.parametrize("name", WITH_POOLER)
def test_the_pooler_output_equals_transformers(name):
    expected = expected_of(name)
    output = BertModel.from_pretrained(GOLDEN / name)(**inputs_of(expected, "right"))
    theirs = expected["right_pooler_output"]
    np.testing.assert_allclose(output.pooler_output, theirs, rtol=0, atol=1e-5)  # worst seen 2.6e-6
    np.testing.assert_array_equal(output[1], output.pooler_output)
    np.testing.assert_array_equal(output[0], output.last_hidden_state)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("name", [*POOLINGS, "all", "backwards"])
def test_every_pooling_equals_sentence_transformers(name, counts, texts, tmp_path):
    expected = outputs_of("poolings")
    modes = {"all": list(POOLINGS), "backwards": list(POOLINGS)[::-1]}.get(name, [name])
    folder = copy_of("poolings", tmp_path)
    settings = {"embedding_dimension": 20, "pooling_mode": modes, "include_prompt": counts}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    model = SentenceTransformer(folder, on_long="ignore")
    vectors = model.encode(texts, prompt=str(expected["prompt"]))
    # Worst seen 4e-6: a sum over the root of its length is six times as large as a mean.
    np.testing.assert_allclose(vectors, expected[f"{name}/{counts}"], rtol=0, atol=1e-5)


def test_the_golden_poolings_are_all_there_are():
    names = {name.partition("/")[0] for name in outputs_of("poolings") if "/" in name}
    assert names == {*POOLINGS, "all", "backwards"}


def test_modules_around_the_pooling_equal_sentence_transformers(texts):
    expected = outputs_of("modules")
    model = SentenceTransformer(GOLDEN / "modules", on_long="ignore")
    assert [type(module).__name__ for module in model] == [
        "Transformer", "Dense", "Pooling", "Dense", "LayerNorm", "Dense", "Dropout", "Normalize",
        "Dense",
    ]  # fmt: skip
    np.testing.assert_allclose(model.encode(texts), expected["vectors"], rtol=0, atol=1e-5)
    states = model.encode(texts, output_value="token_embeddings")
    assert [len(state) for state in states] == expected["lengths"].tolist()
    np.testing.assert_allclose(np.concatenate(states), expected["states"], rtol=0, atol=1e-5)


def test_a_cross_encoder_s_logits_equal_the_reference_s(texts):
    model = CrossEncoder(GOLDEN / "cross_encoder", on_long="ignore")
    logits = model.predict([(a, b) for a in texts for b in texts[:5]])
    expected = outputs_of("cross_encoder")["logits"]
    assert logits.shape == expected.shape == (40, 3)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)  # worst seen 2e-6


def test_probabilities_of_masked_words_equal_the_reference_s():
    expected = outputs_of("masked")
    guesses = BertForMaskedLM.from_pretrained(GOLDEN / "masked").fill_mask(
        str(expected["text"]), top_k=1000
    )
    found = np.zeros_like(expected["probabilities"])
    for row, of_mask in zip(found, guesses, strict=True):
        row[[guess["token"] for guess in of_mask]] = [guess["score"] for guess in of_mask]
    assert found.shape == (2, 83)
    np.testing.assert_allclose(found, expected["probabilities"], rtol=0, atol=1e-5)


def test_the_real_minilm_equals_sentence_transformers(minilm):
    with np.load(GOLDEN / "minilm.npz") as arrays:
        theirs = arrays["vectors"]
    assert len(theirs) == len(MINILM_TEXTS) >= 60
    np.testing.assert_allclose(minilm.encode(MINILM_TEXTS), theirs, rtol=0, atol=2e-6)  # 3.2e-7
