"""The evaluator for training: all measures, and the one that tells the better model."""

import pytest

from minibert.evaluation import (
    MEASURES,
    SAMPLE,
    Collection,
    RetrievalEvaluator,
    means,
    measured,
    rankings,
    read_collection,
)


@pytest.fixture(scope="module")
def collection():
    whole = read_collection(SAMPLE)
    queries = dict(list(whole.queries.items())[:5])
    return Collection(whole.documents, queries, {id: whole.qrels[id] for id in queries})


@pytest.fixture(scope="module")
def expected(collection, model):
    return means(measured(rankings(model, collection), collection.qrels))


@pytest.mark.parametrize("name", MEASURES)
def test_a_call_returns_the_means_of_all_measures(collection, model, expected, name):
    evaluator = RetrievalEvaluator(collection, name)
    assert evaluator.primary_metric == name
    assert evaluator(model) == expected


def test_ndcg_at_10_is_the_default(collection):
    assert RetrievalEvaluator(collection).primary_metric == "ndcg@10"


def test_a_call_takes_the_reference_s_arguments_and_writes_no_file(
    collection, model, expected, tmp_path
):
    assert RetrievalEvaluator(collection)(model, str(tmp_path), epoch=1, steps=20) == expected
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_that_of_texts_and_judgements(collection):
    def digest(of, measure="map"):
        return RetrievalEvaluator(of, measure).get_config_dict()

    told = digest(collection)
    assert told["measure"] == "map"
    assert digest(Collection(*collection)) == told
    assert digest(collection, "mrr@10") != told
    for field in Collection._fields:
        changed = dict(list(getattr(collection, field).items())[1:])
        assert digest(collection._replace(**{field: changed})) != told


def test_an_unknown_measure_is_refused(collection):
    with pytest.raises(ValueError, match="measure is 'ndcg@7'; expected one of 'mrr@10', "):
        RetrievalEvaluator(collection, "ndcg@7")


def test_judgements_alone_are_refused(collection):
    with pytest.raises(ValueError, match="no documents"):
        RetrievalEvaluator(Collection({}, {}, collection.qrels))
