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
def first_queries():
    whole = read_collection(SAMPLE)
    queries = dict(list(whole.queries.items())[:5])
    return Collection(whole.documents, queries, {id: whole.qrels[id] for id in queries})


@pytest.fixture(scope="module")
def expected(first_queries, model):
    return means(measured(rankings(model, first_queries), first_queries.qrels))


@pytest.mark.parametrize("name", MEASURES)
def test_a_call_returns_the_means_of_all_measures(first_queries, model, expected, name):
    evaluator = RetrievalEvaluator(first_queries, name)
    assert evaluator.primary_metric == name
    assert evaluator(model) == expected


def test_ndcg_at_10_is_the_default(first_queries):
    assert RetrievalEvaluator(first_queries).primary_metric == "ndcg@10"


def test_a_call_has_the_reference_s_form_and_writes_no_file(
    first_queries, model, expected, tmp_path
):
    assert RetrievalEvaluator(first_queries)(model, str(tmp_path), epoch=1, steps=20) == expected
    assert list(tmp_path.iterdir()) == []


def test_the_digest_is_that_of_texts_and_judgements(first_queries):
    def digest(of, measure="map"):
        return RetrievalEvaluator(of, measure).get_config_dict()

    told = digest(first_queries)
    assert told["measure"] == "map"
    assert digest(Collection(*first_queries)) == told
    assert digest(first_queries, "mrr@10") != told
    for field in Collection._fields:
        changed = dict(list(getattr(first_queries, field).items())[1:])
        assert digest(first_queries._replace(**{field: changed})) != told


def test_an_unknown_measure_is_refused(first_queries):
    with pytest.raises(ValueError, match="measure is 'ndcg@7'; expected one of 'mrr@10', "):
        RetrievalEvaluator(first_queries, "ndcg@7")


def test_judgements_alone_are_refused(first_queries):
    with pytest.raises(ValueError, match="no documents"):
        RetrievalEvaluator(Collection({}, {}, first_queries.qrels))
