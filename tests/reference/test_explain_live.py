"""The split of a score, recomputed from sentence-transformers' own token states, now."""

from itertools import pairwise

import numpy as np
import pytest
import sentence_transformers
from folders import dense, made, pooling
from minilm_texts import MINILM_TEXTS
from torch import nn

import minibert
from minibert.scoring.metrics import METRICS

LINEAR = {
    "dense": lambda: dense(activation=nn.Identity()),
    "dense without bias": lambda: dense(activation=nn.Identity(), bias=False),
    "dense with a residual": lambda: dense(activation=nn.Identity(), use_residual=True),
}
PAIRS = [
    ("the cats sat", "the dog barks at the cat"),
    ("", "a"),
    ("Café 中文", "the cat sat, the cat sat"),
    ("the cat", "the dog sat on a " * 30),
]


def both(folder):
    reference = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    return minibert.SentenceTransformer(folder, on_long="ignore"), reference


def parts_of(reference, text):
    """What each token gives to the mean, by the reference's states and its Dense, if any: (T, W)"""
    states = reference.encode(text, output_value="token_embeddings").numpy().astype(np.float64)
    parts = states / len(states)
    for module in reference:
        if type(module).__name__ == "Dense":
            weights = {name: x.detach().numpy() for name, x in module.named_parameters()}
            projected = parts @ weights["linear.weight"].T
            projected += weights.get("linear.bias", 0) / len(states)
            if "residual.weight" in weights:
                projected += parts @ weights["residual.weight"].T
            parts = projected
    return parts


def check(ours, reference, query, document, metric):
    """Compare with the products of parts, and the sum with the reference's own score."""
    q, d = (parts_of(reference, text) for text in (query, document))
    lengths = np.linalg.norm(q.sum(axis=0)) * np.linalg.norm(d.sum(axis=0))
    scale = lengths if metric == "cosine" else 1.0
    found = ours.explain(query, document, metric=metric)
    # Worst seen 7e-7.
    bound = 1e-5 * lengths / scale
    np.testing.assert_allclose(found.contributions, q @ d.T / scale, rtol=0, atol=bound)
    theirs = METRICS[metric].all_pairs(
        reference.encode_query(query), reference.encode_document(document)
    )
    assert abs(found.contributions.sum() - float(theirs[0, 0])) <= bound


@pytest.mark.parametrize("metric", ["dot", "cosine"])
@pytest.mark.parametrize("name", LINEAR)
def test_the_split_after_a_linear_dense_is_the_reference_s(name, metric, tmp_path):
    made(pooling, LINEAR[name])(tmp_path / "model")
    models = both(tmp_path / "model")
    for query, document in PAIRS:
        check(*models, query, document, metric)


@pytest.mark.parametrize("metric", ["dot", "cosine"])
def test_the_split_of_a_mean_is_the_reference_s(metric, tmp_path):
    made(pooling)(tmp_path / "model")
    models = both(tmp_path / "model")
    for query, document in PAIRS:
        check(*models, query, document, metric)


def test_the_split_of_the_real_minilm_is_the_reference_s(minilm_folder):
    models = both(minilm_folder)  # its Normalize makes both metrics the cosine
    for query, document in pairwise(MINILM_TEXTS[:13]):
        check(*models, query, document, "cosine")
