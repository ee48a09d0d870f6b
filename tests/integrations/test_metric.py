"""A store that cannot rank as the model does is refused; one that can gets its own word."""

import logging
import re

import pytest
from golden_files import copy_of, edit_json

from minibert import SentenceTransformer
from minibert.integrations.metric import store_metric, warn_unless_cosine

WORDS = {"cosine": "angular", "dot": "ip", "euclidean": "l2", "manhattan": "l1"}


@pytest.fixture
def raw(tmp_path):
    """A function that opens a model without a Normalize module: raw(metric)."""
    folder = copy_of("gelu_new", tmp_path)

    def opened(metric):
        edit_json(folder / "config_sentence_transformers.json", similarity_fn_name=metric)
        return SentenceTransformer(folder)

    return opened


@pytest.mark.parametrize("metric", WORDS)
def test_a_store_that_knows_the_metric_gets_its_own_word(raw, metric):
    assert store_metric(raw(metric), WORDS, "a store") == WORDS[metric]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("known", ["cosine", "dot", "euclidean"])
def test_vectors_of_the_length_1_fit_any_of_three_metrics(minilm_folder, raw, metric, known):
    unit = SentenceTransformer(minilm_folder, similarity_fn_name=metric)
    words = {known: WORDS[known]}
    assert store_metric(unit, words, "a store") == WORDS[known]
    found = store_metric(raw(metric), words, "a store", {"normalize_embeddings": True})
    assert found == WORDS[known]


def test_a_metric_that_the_store_does_not_know_is_refused(raw):
    model = raw("dot")
    with pytest.raises(ValueError, match=re.escape(str(model.folder.path))) as refused:
        store_metric(model, {"cosine": "angular", "euclidean": "l2"}, "A small store")
    assert str(refused.value).endswith(
        " is 'dot', but A small store compares by 'cosine' or 'euclidean', which gives another "
        "ranking. Use a store that knows 'dot'; or accept the other ranking with "
        "similarity_fn_name='cosine'."
    )
    advised = SentenceTransformer(model.folder.path, similarity_fn_name="cosine")
    assert store_metric(advised, {"cosine": "angular"}, "A small store") == "angular"


@pytest.mark.parametrize(
    "arguments",
    [
        {"similarity_fn_name": "manhattan"},
        {"similarity_fn_name": "dot", "truncate_dim": 128},  # cut after they were normalised
    ],
)
def test_a_model_that_normalises_may_still_not_fit(minilm_folder, arguments):
    with pytest.raises(ValueError, match="compares by 'cosine', which gives another ranking"):
        store_metric(SentenceTransformer(minilm_folder, **arguments), {"cosine": 0}, "a store")


def test_a_store_of_the_cosine_is_told_only_where_it_matters(raw, minilm_folder, caplog):
    with caplog.at_level(logging.WARNING, "minibert"):
        warn_unless_cosine(raw("cosine"), "A small store")
        warn_unless_cosine(raw("dot"), "A small store", {"normalize_embeddings": True})
        warn_unless_cosine(SentenceTransformer(minilm_folder, similarity_fn_name="dot"), "A store")
        assert caplog.messages == []
        warn_unless_cosine(raw("dot"), "A small store")
    (message,) = caplog.messages
    assert " is 'dot', and A small store compares by the cosine, which gives an" in message
    assert "say so here with similarity_fn_name='dot'" in message
