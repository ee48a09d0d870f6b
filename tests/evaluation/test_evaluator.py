"""The evaluator for training: one measure, and all of them in a file."""

import json

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
def test_a_call_returns_the_mean_of_its_measure(collection, model, expected, name):
    evaluator = RetrievalEvaluator(collection, name)
    assert evaluator.primary_metric == name
    assert evaluator(model) == expected[name]


def test_ndcg_at_10_is_the_default(collection, model, expected):
    assert RetrievalEvaluator(collection)(model) == expected["ndcg@10"]


def test_each_call_adds_a_line_with_all_measures(collection, model, expected, tmp_path):
    evaluator = RetrievalEvaluator(collection)
    evaluator(model, output_path=str(tmp_path), epoch=1, steps=20)
    evaluator(model, tmp_path, 1)
    lines = (tmp_path / "retrieval.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"epoch": 1, "steps": 20, **expected},
        {"epoch": 1, "steps": -1, **expected},
    ]


def test_an_unknown_measure_is_refused(collection):
    with pytest.raises(ValueError, match="measure is 'ndcg@7'; expected one of 'mrr@10', "):
        RetrievalEvaluator(collection, "ndcg@7")


def test_judgements_alone_are_refused(collection):
    with pytest.raises(ValueError, match="no documents"):
        RetrievalEvaluator(Collection({}, {}, collection.qrels))
