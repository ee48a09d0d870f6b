"""Scores of teachers beside the reference's: of both kinds, and of the script for margin-mse."""

import numpy as np
import pytest
import sentence_transformers
import torch
from golden_files import GOLDEN, copy_of, edit_json
from safetensors.numpy import load_file, save_file

from minibert import CrossEncoder, SentenceTransformer
from minibert.training import label

ROWS = [
    {"query": "the cat", "positive": "a dog barks in London", "negative": "the cat sat"},
    {"query": "the cat", "positive": "dogs and cats", "negative": "London"},
    {"query": "who barks", "positive": "the dog", "negative": "the cat sat"},
]
PROMPTS = {"query": "the cat ", "document": "London "}


def scores_of(teacher, **options):
    return np.array([row["scores"] for row in label(ROWS, teacher, **options)])


def texts_of(name):
    return [row[name] for row in ROWS]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean", "manhattan"])
@pytest.mark.parametrize("name", ["gelu", "mpnet", "modules"])
def test_scores_of_vectors_equal_the_reference_s(name, metric):
    options = {"prompts": PROMPTS, "similarity_fn_name": metric}
    reference = sentence_transformers.SentenceTransformer(
        str(GOLDEN / name), device="cpu", **options
    )
    queries = reference.encode_query(texts_of("query"))
    expected = [
        reference.similarity_pairwise(queries, reference.encode_document(texts_of(column)))
        for column in ("positive", "negative")
    ]
    found = scores_of(SentenceTransformer(GOLDEN / name, **options))
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "activation"), [(None, torch.nn.Identity()), ("sigmoid", torch.nn.Sigmoid())]
)
def test_scores_of_pairs_equal_the_reference_s(tmp_path, given, activation):
    folder = copy_of("cross_encoder", tmp_path)
    edit_json(folder / "config.json", id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})
    tensors = load_file(folder / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = tensors[name][:1].copy()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    reference = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    expected = [
        reference.predict(
            list(zip(texts_of("query"), texts_of(column), strict=True)), activation_fn=activation
        )
        for column in ("positive", "negative")
    ]
    found = scores_of(CrossEncoder(folder), activation_fn=given)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-5, atol=1e-5)
