"""A model with some of its layers beside the reference, whose layers are taken out by hand."""

import numpy as np
import pytest
import sentence_transformers
from golden_files import GOLDEN
from torch.nn import ModuleList

import minibert

TEXTS = ["the cat", "a dog barks in London", "the cat sat on the dog", ""]
NAMES = ["gelu", "sharded", "old_layout", "plain", "roberta", "xlm_roberta", "camembert", "mpnet",
         "electra", "distilbert"]  # fmt: skip


def without_layers(folder, layers):
    """The reference's model of a folder, with only some layers."""
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    bert = model[0].auto_model
    encoder = bert.transformer if hasattr(bert, "transformer") else bert.encoder
    encoder.layer = ModuleList([encoder.layer[layer] for layer in layers])
    return model


@pytest.mark.parametrize("name", NAMES)
def test_vectors_equal_those_of_the_reference_s_layers(name, tmp_path):
    expected = without_layers(GOLDEN / name, [0, 2]).encode(TEXTS)
    folder = minibert.keep_layers(GOLDEN / name, tmp_path / "out", [0, 2]).folder
    ours = minibert.SentenceTransformer(folder, on_long="ignore").encode(TEXTS)
    opened = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(opened, expected, rtol=0, atol=1e-6)
    whole = minibert.SentenceTransformer(GOLDEN / name, on_long="ignore").encode(TEXTS)
    assert np.abs(expected - whole).max() > 1e-3
