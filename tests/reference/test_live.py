"""The same texts through minibert, transformers and sentence-transformers, now."""

import shutil

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers
from codes import assert_same_bits
from minilm_texts import MINILM_TEXTS

import minibert

# 5 to 512 tokens: at two of them the positions end.
LENGTHS = [0, 3, 9, 31, 64, 127, 128, 200, 333, 509, 510]
WORDS = [
    "london",
    "people",
    "live",
    "around",
    "nine",
    "million",
    "financial",
    "district",
    "known",
    "how",
    "many",
]


def text_of(tokens):
    return " ".join(WORDS[(tokens * 7 + index * index) % len(WORDS)] for index in range(tokens))


TEXTS = [text_of(tokens) for tokens in LENGTHS]


@pytest.fixture(scope="session")
def bert_base(minilm_folder, tmp_path_factory):
    """A BERT-base of 12 layers in which no bias is 0 and no gain is 1."""
    folder = tmp_path_factory.mktemp("bert-base")
    torch.manual_seed(20261123)
    model = transformers.BertModel(transformers.BertConfig())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            gain = name.endswith("LayerNorm.weight")
            parameter.copy_(torch.randn_like(parameter) * 0.05 + float(gain))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(minilm_folder / name, folder)
    return folder


@pytest.fixture(scope="session")
def reference_minilm(minilm_folder):
    return sentence_transformers.SentenceTransformer(str(minilm_folder), device="cpu")


def test_vectors_of_the_real_minilm_are_sentence_transformers(minilm_folder, reference_minilm):
    ours = minibert.SentenceTransformer(minilm_folder, on_long="ignore").encode(MINILM_TEXTS)
    theirs = reference_minilm.encode(MINILM_TEXTS)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)  # worst seen 3e-7


def test_prompt_dimension_and_norm_are_sentence_transformers(minilm_folder, reference_minilm):
    model = minibert.SentenceTransformer(minilm_folder)
    for arguments in (
        {"prompt": "query: "},
        {"truncate_dim": 64},
        {"truncate_dim": 64, "normalize_embeddings": True},
        {"normalize_embeddings": True},
    ):
        ours = model.encode(MINILM_TEXTS[:9], **arguments)
        theirs = reference_minilm.encode(MINILM_TEXTS[:9], **arguments)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6, err_msg=str(arguments))


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_minilm_codes_of_every_precision_are_the_reference_s(
    minilm_folder, reference_minilm, precision
):
    model = minibert.SentenceTransformer(minilm_folder, on_long="ignore")
    for prompt in (None, "represent this: "):
        arguments = {"precision": precision, "prompt": prompt}
        ours = model.encode(MINILM_TEXTS, **arguments)
        theirs = reference_minilm.encode(MINILM_TEXTS, **arguments)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        if precision == "float32":
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
        elif "binary" in precision:
            assert_same_bits(ours, theirs, model.encode(MINILM_TEXTS, prompt=prompt), 2e-6)
        else:
            # Rounding moves a number by 3e-7 of a step's 1e-3; the largest lies on an edge.
            assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1
            largest = np.abs(model.encode(MINILM_TEXTS, prompt=prompt)).argmax(axis=0)
            rest = np.ones_like(ours, dtype=bool)
            rest[largest, np.arange(ours.shape[1])] = False
            assert (ours != theirs)[rest].mean() <= 0.01


def test_hits_with_the_real_minilm_are_sentence_transformers(minilm_folder, reference_minilm):
    model = minibert.SentenceTransformer(minilm_folder, on_long="ignore")
    queries = ["where is the financial district?", "a very long day", "how many people?"]
    # Texts that differ in case or blanks only have one vector, and tie in any order.
    scores = np.tril(reference_minilm.encode(MINILM_TEXTS) @ model.encode(MINILM_TEXTS).T, -1)
    texts = [MINILM_TEXTS[n] for n in np.flatnonzero(scores.max(axis=1) < 0.999)]
    assert len(texts) > 40
    for prompts in ({}, {"prompt": "query: "}):
        ours = minibert.semantic_search(
            model.encode_query(queries, **prompts), model.encode_document(texts), model=model
        )
        theirs = sentence_transformers.util.semantic_search(
            reference_minilm.encode_query(queries, **prompts),
            reference_minilm.encode_document(texts),
        )
        for found, expected in zip(ours, theirs, strict=True):
            assert [hit["corpus_id"] for hit in found] == [hit["corpus_id"] for hit in expected]
            np.testing.assert_allclose(
                [hit["score"] for hit in found],
                [hit["score"] for hit in expected],
                rtol=0,
                atol=2e-6,
            )


def test_minilm_token_states_are_sentence_transformers(minilm_folder, reference_minilm):
    model = minibert.SentenceTransformer(minilm_folder, on_long="ignore")
    # But for 254 full stops in a row, where both are 6e-5 from float64.
    texts = [text for text in MINILM_TEXTS if not text.startswith("." * 200)]
    assert len(texts) == len(MINILM_TEXTS) - 1
    ours, theirs = (
        m.encode(texts, output_value="token_embeddings") for m in (model, reference_minilm)
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-5)  # of 6; worst seen 6e-6


def test_scores_are_sentence_transformers(reference_minilm):
    a, b = np.random.default_rng(0).normal(size=(2, 7, 33)).astype(np.float32)
    b[3] = 0
    for name in ("dot_score", "cos_sim"):
        ours = getattr(minibert.util, name)(a, b)
        theirs = getattr(sentence_transformers.util, name)(a, b).numpy()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
        one = getattr(sentence_transformers.util, name)(a[0], b[0]).numpy()
        assert getattr(minibert.util, name)(a[0], b[0]).shape == one.shape


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_bert_base_of_12_layers_is_transformers(bert_base, side):
    words = transformers.AutoTokenizer.from_pretrained(bert_base)
    given = words(
        TEXTS, padding=True, truncation=True, max_length=512, padding_side=side, return_tensors="pt"
    )
    assert given["input_ids"].shape[1] == 512
    reference = transformers.AutoModel.from_pretrained(bert_base, attn_implementation="eager")
    with torch.no_grad():
        theirs = reference(**given, output_hidden_states=True, output_attentions=True)

    inputs = minibert.Tokenizer.from_pretrained(bert_base)(
        TEXTS, padding=True, truncation=True, padding_side=side, return_tensors="np"
    )
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, given[name].numpy(), err_msg=name)
    ours = minibert.BertModel.from_pretrained(bert_base)(
        **inputs, output_hidden_states=True, output_attentions=True
    )
    real = inputs["attention_mask"] == 1
    assert len(ours.hidden_states) == len(theirs.hidden_states) == 13
    for mine, other in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        np.testing.assert_allclose(mine[real], other.numpy()[real], rtol=0, atol=1e-5)  # 5e-6
    assert len(ours.attentions) == len(theirs.attentions) == 12
    for mine, other in zip(ours.attentions, theirs.attentions, strict=True):
        for row, tokens in enumerate(real):
            square = np.ix_(range(12), tokens, tokens)
            np.testing.assert_allclose(
                mine[row][square], other[row].numpy()[square], rtol=0, atol=1e-5
            )
    if side == "right":
        # The pooler multiplies what the states differ by, so it is given the same states.
        with torch.no_grad():
            pooled = reference.pooler(torch.from_numpy(ours.last_hidden_state)).numpy()
        np.testing.assert_allclose(ours.pooler_output, pooled, rtol=0, atol=2e-6)


def test_bert_base_vectors_are_sentence_transformers(bert_base):
    theirs = sentence_transformers.SentenceTransformer(str(bert_base), device="cpu").encode(TEXTS)
    ours = minibert.SentenceTransformer(bert_base).encode(TEXTS)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)  # worst seen 2e-6


def test_ids_of_all_code_points_are_transformers(minilm_folder):
    words = transformers.AutoTokenizer.from_pretrained(minilm_folder)
    tokenizer = minibert.Tokenizer.from_pretrained(minilm_folder)
    points = [chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    # Between letters each shows whether it joins, splits or vanishes; some hundred a text.
    texts = [
        " ".join(f"a{point}b" for point in points[start : start + 100])
        for start in range(0, len(points), 100)
    ]
    for start in range(0, len(texts), 1000):
        chunk = texts[start : start + 1000]
        assert tokenizer(chunk)["input_ids"] == words(chunk)["input_ids"], f"from {start}"
