"""From a model to measures: rankings of all documents, ties, blocks."""

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.evaluation import MEASURES, Collection, Ranking, means, measured, rankings, retrieval
from minibert.scoring.metrics import METRICS

GELU = str(GOLDEN / "gelu")
PER_QUERY = {"b": {"d": 1}, "a": {"d": 1, "c": 0}, "unjudged": {"d": 0}}


class Numbers:
    """A model that reads a text's numbers as its vector."""

    def __init__(self, metric="dot"):
        self.similarity_fn_name = metric

    def encode(self, texts, **arguments):
        return np.array([[float(part) for part in text.split()] for text in texts], np.float32)

    encode_query = encode_document = encode


def numbers(rows, dimension=3, seed=0):
    """Texts of small whole numbers, so that there are many ties and no rounding."""
    made = np.random.default_rng(seed).integers(-2, 3, size=(rows, dimension))
    return [" ".join(map(str, row)) for row in made.tolist()]


def collection(documents, queries):
    return Collection(
        {f"d{number}": text for number, text in enumerate(documents)},
        {f"q{number}": text for number, text in enumerate(queries)},
        {},
    )


@pytest.mark.parametrize("metric", ["dot", "manhattan"])
def test_all_documents_are_ranked_with_ties_by_id(metric):
    data = collection(numbers(120), numbers(7, seed=1))
    model = Numbers(metric)
    found = dict(rankings(model, data))
    assert list(found) == list(data.queries)
    for query, text in data.queries.items():
        scores = METRICS[metric].all_pairs(
            model.encode([text]), model.encode(data.documents.values())
        )
        of = dict(zip(data.documents, scores[0].tolist(), strict=True))
        assert found[query].ids == sorted(of, key=lambda id: (-of[id], id))  # d10 before d2
        assert found[query].scores.tolist() == sorted(of.values(), reverse=True)


@pytest.mark.parametrize("k", [1, 10, 119, 120, 1000])
def test_k_keeps_the_first_of_the_whole_ranking(k):
    data = collection(numbers(120), numbers(7, seed=1))
    whole, some = dict(rankings(Numbers(), data)), dict(rankings(Numbers(), data, k=k))
    for query, ranking in whole.items():
        assert some[query].ids == ranking.ids[:k]


def test_candidates_are_all_that_is_ranked():
    data = collection(numbers(120), numbers(3, seed=1))
    candidates = {"q0": ["d7", "d11", "unknown", "d0", "zzz", "d11"], "q2": []}
    found = dict(rankings(Numbers(), data, candidates=candidates))
    whole = dict(rankings(Numbers(), data))["q0"]
    assert found["q0"].ids == [id for id in whole.ids if id in candidates["q0"]]
    assert found["q0"].scores.tolist() == [
        score for id, score in zip(*whole, strict=True) if id in candidates["q0"]
    ]
    assert found["q1"].ids == found["q2"].ids == []


def test_where_there_is_no_document_none_is_ranked():
    found = dict(rankings(Nothing(), collection([], ["1 2 3"])))
    assert found["q0"].ids == []
    assert found["q0"].scores.tolist() == []


class Nothing(Numbers):
    """A model that was given no document."""

    def encode_document(self, texts, **arguments):
        assert list(texts) == []
        return np.empty((0, 3), np.float32)


def test_the_order_of_the_corpus_and_blocks_change_no_ranking():
    data = collection(numbers(120), numbers(7, seed=1))
    whole = {query: ranking.ids for query, ranking in rankings(Numbers(), data)}
    turned = data._replace(documents=dict(reversed(data.documents.items())))
    in_blocks = rankings(Numbers(), turned, block_floats=250)  # 2 queries, 83 documents at a time
    assert {query: ranking.ids for query, ranking in in_blocks} == whole


def test_no_more_scores_are_held_than_fit(monkeypatch):
    held = []
    inner = retrieval.scores_of_all
    monkeypatch.setattr(
        retrieval, "scores_of_all", lambda *given: held.append(inner(*given)) or held[-1]
    )
    for _ in rankings(Numbers(), collection(numbers(120), numbers(7)), block_floats=250):
        pass
    assert [len(scores) for scores in held] == [2, 2, 2, 1]


def test_evaluation_uses_the_model_s_prompts_and_metric(folder, edit):
    prompts = {"query": "the cat ", "document": "the dog barks "}
    edit(
        folder / "config_sentence_transformers.json",
        prompts=prompts,
        similarity_fn_name="euclidean",
    )
    model = SentenceTransformer(folder)
    data = collection(["a cat", "a dog"], ["who"])
    ((_, ranking),) = rankings(model, data)
    plain = SentenceTransformer(GELU)
    query = plain.encode("the cat who")
    scores = [
        -np.linalg.norm(query - plain.encode(f"the dog barks {text}"))
        for text in data.documents.values()
    ]
    np.testing.assert_allclose(ranking.scores, sorted(scores, reverse=True), atol=1e-4)


def test_judged_queries_alone_count_and_an_unranked_one_counts_0(caplog):
    ranking = Ranking(["c", "d"], np.array([2.0, 1.0]))
    found = measured([("a", ranking), ("unjudged", ranking), ("unknown", ranking)], PER_QUERY)
    assert list(found) == ["b", "a"]
    assert found["a"]["mrr@10"] == 1 / 2
    assert found["b"] == dict.fromkeys(MEASURES, 0)
    assert means(found)["mrr@10"] == 1 / 4
    assert caplog.messages == ["1 judged queries have no ranking: counted as 0 ('b', for one)."]


def test_rankings_of_other_queries_are_refused():
    with pytest.raises(ValueError, match="None of the 2 queries"):
        measured([("unknown", Ranking(["d"], np.ones(1)))], PER_QUERY)
