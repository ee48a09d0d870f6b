"""BERTopic and KeyBERT with a minibert model, and not with one of their own in its place."""

import numpy as np
import pytest
from bertopic import BERTopic
from keybert import KeyBERT
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from minibert.integrations.topics import MinibertBackend


@pytest.fixture(scope="module")
def backend(minilm_folder):
    return MinibertBackend(minilm_folder, on_long="ignore")


@pytest.fixture(scope="module")
def some(cranfield):
    return list(cranfield.documents.values())


def topics_with(model):
    """A BERTopic whose every step is the same each time."""
    return BERTopic(
        embedding_model=model,
        umap_model=PCA(n_components=5, random_state=0),
        hdbscan_model=KMeans(n_clusters=6, random_state=0, n_init=1),
    )


def test_bertopic_computes_with_the_given_model(backend, minilm, some):
    found, _ = topics_with(backend).fit_transform(some)
    given, _ = topics_with(backend).fit_transform(some, embeddings=minilm.encode_document(some))
    assert found == given
    assert len(set(found)) == 6


def test_a_saved_topic_model_works_again_with_the_backend(backend, some, tmp_path):
    model = topics_with(backend)
    model.fit(some)
    model.save(tmp_path / "topics", serialization="safetensors", save_ctfidf=True)
    again = BERTopic.load(tmp_path / "topics", embedding_model=backend)
    assert again.embedding_model is backend
    topics, similarity = again.find_topics("flow of air around a wing", top_n=3)
    assert len(topics) == 3
    assert similarity == sorted(similarity, reverse=True)


def test_keybert_ranks_words_by_the_given_model(backend, minilm, some):
    text = some[0]
    keywords = KeyBERT(model=backend).extract_keywords(text, top_n=5)
    assert len(keywords) == 5
    words = [word for word, _ in keywords]
    scores = minilm.similarity(minilm.encode_document([text]), minilm.encode_document(words))[0]
    assert np.allclose([score for _, score in keywords], scores, atol=1e-4)  # it rounds to 4
    assert words == [words[place] for place in np.argsort(-scores, kind="stable")]


def test_documents_have_their_prompt(minilm_folder, minilm):
    prompted = MinibertBackend(minilm_folder, prompts={"document": "passage: "})
    expected = minilm.encode_document(["a wing"], prompt="passage: ")
    assert np.allclose(prompted.embed_documents(["a wing"]), expected, atol=1e-6)


def test_a_loaded_model_is_taken_and_arguments_beside_it_refused(minilm):
    assert MinibertBackend(minilm).embedding_model is minilm
    with pytest.raises(TypeError, match="device"):
        MinibertBackend(minilm, device="cpu")
