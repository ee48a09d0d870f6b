"""KeyBERT's and BERTopic's own sentence-transformers backends, unchanged, with the stand-in."""

import json

import numpy as np
import pytest
from hub_stand_in import python

INSTALLED = """
import json, sys, warnings
warnings.simplefilter("ignore")
from minibert.integrations.sentence_transformers import install
install()
folder = sys.argv[1]
texts = json.loads(sys.argv[2])
"""
KEYBERT = """
from keybert import KeyBERT
from keybert.backend import SentenceTransformerBackend
from sentence_transformers import SentenceTransformer
model = folder if sys.argv[3] == "name" else SentenceTransformer(folder)
words = KeyBERT(model)
assert type(words.model) is SentenceTransformerBackend
print(json.dumps([words.extract_keywords(text, top_n=3) for text in texts]))
"""
BERTOPIC = """
from bertopic import BERTopic
from bertopic.backend._sentencetransformers import SentenceTransformerBackend
from sentence_transformers import SentenceTransformer
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
def topics(**given):
    steps = PCA(5, random_state=0), KMeans(4, random_state=0, n_init=1)
    return BERTopic(umap_model=steps[0], hdbscan_model=steps[1], **given)
model = SentenceTransformer(folder)
by_model = topics(embedding_model=folder if sys.argv[3] == "name" else model)
found, _ = by_model.fit_transform(texts)
assert type(by_model.embedding_model) is SentenceTransformerBackend
given, _ = topics(embedding_model=model).fit_transform(texts, embeddings=model.encode(texts))
print(json.dumps([found, given, "torch" in sys.modules]))
"""


@pytest.fixture(scope="module")
def some_documents(cranfield):
    return list(cranfield.documents.values())[:40]


def printed(program, *arguments):
    done = python(INSTALLED + program, *arguments, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("given", ["name", "object"])
def test_keybert_s_own_backend_ranks_by_the_model(given, minilm, minilm_folder, some_documents):
    texts = some_documents[:2]
    found = printed(KEYBERT, minilm_folder, json.dumps(texts), given)
    for text, keywords in zip(texts, found, strict=True):
        words = [word for word, _ in keywords]
        scores = minilm.similarity(minilm.encode([text]), minilm.encode(words))[0]
        assert np.allclose([score for _, score in keywords], scores, atol=1e-4)


@pytest.mark.parametrize("given", ["name", "object"])
def test_bertopic_s_own_backend_computes_the_vectors(given, minilm_folder, some_documents):
    found, expected, has_torch = printed(BERTOPIC, minilm_folder, json.dumps(some_documents), given)
    assert found == expected
    assert not has_torch
