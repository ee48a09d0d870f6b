"""mine_hard_negatives beside sentence-transformers': the same rows for the same arguments."""

import inspect
import itertools
import logging
import random
import types

import numpy as np
import pytest
import sentence_transformers
import torch
from chosen_scores import DOCUMENTS, QUERIES, ChosenScores, ChosenVectors, pairs
from datasets import Dataset
from golden_files import GOLDEN, MINILM
from sentence_transformers.util import mine_hard_negatives as theirs
from sentence_transformers.util import similarity

import minibert
from minibert.evaluation import SAMPLE, read_collection
from minibert.training import mine_hard_negatives as ours

CORPUS = [*DOCUMENTS[40:], DOCUMENTS[41], *QUERIES[:2], *(f"other {number}" for number in range(9))]
DATA = {"question": [row[0] for row in pairs()], "answer": [row[1] for row in pairs()]}
SCORES = ("score", "scores")


class Vectors(ChosenVectors):
    """The same vectors for both libraries, whose scores torch computes for the reference."""

    model_card_data = types.SimpleNamespace(base_model=None)

    def similarity(self, a, b):
        name = similarity.SimilarityFunction(self.similarity_fn_name)
        return similarity.SimilarityFunction.to_similarity_fn(name)(a, b)

    def similarity_pairwise(self, a, b):
        name = similarity.SimilarityFunction(self.similarity_fn_name)
        return similarity.SimilarityFunction.to_similarity_pairwise_fn(name)(a, b)


class Scores(ChosenScores):
    """The same scores for both, as a tensor for the reference."""

    def predict(self, pairs, batch_size=None, pool=None, convert_to_tensor=False):
        scores = super().predict(pairs)
        return torch.from_numpy(scores) if convert_to_tensor else scores


def assert_equal(columns, expected):
    """Texts and labels must be the same; scores may differ by float32's rounding."""
    assert list(columns) == list(expected)
    for name, column in expected.items():
        if name not in SCORES:
            assert columns[name] == column, name
            continue
        assert len(columns[name]) == len(column)
        for found, right in zip(columns[name], column, strict=True):
            np.testing.assert_allclose(found, right, rtol=0, atol=1e-5)


def assert_same_rows(model, reference, data=DATA, cross_encoder=False, **arguments):
    """Mine by both, with equal states of Python's random numbers; return the columns."""
    made = []
    for mine, given in ((ours, model), (theirs, reference)):
        if cross_encoder is True:
            arguments["cross_encoder"] = Scores()
        elif cross_encoder:
            arguments["cross_encoder"] = cross_encoder[mine is theirs]
        random.seed(5)
        result = mine(Dataset.from_dict(data), given, **{"verbose": False, **arguments})
        assert isinstance(result, Dataset)
        made.append((result.to_dict(), random.getstate()))
    (columns, state), (expected, their_state) = made
    assert_equal(columns, expected)
    assert state == their_state
    return columns


def test_the_signature_is_the_reference_s():
    taken = {
        name: (given.kind, given.default)
        for name, given in inspect.signature(theirs).parameters.items()
    }
    mine = inspect.signature(ours).parameters
    assert list(mine)[: len(taken)] == list(taken)
    assert {name: (mine[name].kind, mine[name].default) for name in taken} == taken
    assert all(mine[name].kind == mine[name].KEYWORD_ONLY for name in list(mine)[len(taken) :])


FORMATS = ["triplet", "n-tuple", "labeled-pair", "labeled-list"]
FILTERS = {
    "none": {},
    "ranks": {"range_min": 3, "range_max": 9},
    "one": {"num_negatives": 1, "range_min": 1},
    "wide": {"range_max": 500, "num_negatives": 7},  # more than there are documents
    "many": {"num_negatives": 90},  # never enough of them
    "last": {"range_min": 55, "range_max": 70, "num_negatives": 9},  # too few of them
    "max": {"max_score": 0.4, "range_min": 1},
    "min": {"min_score": 0.6, "num_negatives": 4},
    "both": {"min_score": 0.35, "max_score": 0.6},
    "absolute": {"absolute_margin": 0.1, "num_negatives": 4},
    "zero": {"absolute_margin": 0.0, "relative_margin": 0.0},
    "relative": {"relative_margin": 0.05, "num_negatives": 2, "range_max": 12},
    "all": {"relative_margin": 0.3, "absolute_margin": 0.2, "max_score": 0.7, "min_score": -0.2},
    "nothing": {"max_score": -30.0},
}
# Where no query has all of its negatives.
EMPTY = {("many", "n-tuple"), ("last", "n-tuple")}


# How candidates are chosen, with a corpus or without, with scores or without, rescored or not.
WAYS = [
    ("top", None, False, False),
    ("top", CORPUS, True, False),
    ("top", CORPUS, False, True),
    ("random", None, True, True),
    ("random", CORPUS, False, True),
    ("random", CORPUS, True, False),
]


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("filters", FILTERS)
def test_rows_are_the_reference_s(filters, output_format):
    model, found = Vectors(), []
    for strategy, corpus, has_scores, cross_encoder in WAYS:
        columns = assert_same_rows(
            model, model, cross_encoder=cross_encoder, output_format=output_format,
            sampling_strategy=strategy, corpus=corpus, output_scores=has_scores,
            **FILTERS[filters],
        )  # fmt: skip
        found.append(columns)
    # A positive is labeled although no negative was found for it.
    nothing = filters == "nothing" and output_format != "labeled-pair"
    is_empty = nothing or (filters, output_format) in EMPTY
    assert any(columns["question"] for columns in found) != is_empty


@pytest.mark.parametrize("metric", ["dot", "euclidean", "manhattan"])
@pytest.mark.parametrize("filters", ["all", "relative", "absolute", "ranks"])
def test_rows_of_any_metric_are_the_reference_s(metric, filters):
    """Distances are negative scores, so relative margins are of their lengths."""
    model = Vectors(metric)
    for output_format in FORMATS:
        arguments = {**FILTERS[filters], "output_format": output_format, "output_scores": True}
        if "euc" in metric or "man" in metric:
            arguments.pop("min_score", None)
        assert_same_rows(model, model, **arguments)


@pytest.mark.parametrize("filters", ["none", "ranks", "max", "min", "relative", "many"])
@pytest.mark.parametrize("asked", ["n-tuple", "labeled-list", "n-tuple-scores", "unknown"])
def test_included_positives_are_the_reference_s(filters, asked):
    for strategy, has_scores in itertools.product(("top", "random"), (False, True)):
        assert_same_rows(
            Vectors(), Vectors(), include_positives=True, output_format=asked, corpus=CORPUS,
            sampling_strategy=strategy, output_scores=has_scores, **FILTERS[filters],
        )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        {"as_triplets": True, "output_format": "labeled-list"},
        {"as_triplets": False},
        {"output_format": "n-tuple-scores"},
        {"as_triplets": True, "output_format": "n-tuple-scores"},
        {"margin": 0.2},
        {"margin": 0.2, "absolute_margin": 0.4, "relative_margin": 0.1},
        {"faiss_batch_size": 5},
        {"anchor_column_name": "answer", "positive_column_name": "question"},
        {"anchor_column_name": "gone", "positive_column_name": "gone"},
    ],
    ids=str,
)
def test_older_and_other_arguments_are_the_reference_s(arguments):
    assert_same_rows(Vectors(), Vectors(), **arguments)


def test_columns_beside_the_pair_change_no_row():
    data = {**DATA, "year": list(range(len(DATA["answer"])))}
    assert list(assert_same_rows(Vectors(), Vectors(), data)) == ["question", "answer", "negative"]
    swapped = {name: data[name] for name in ("answer", "year", "question")}
    assert_same_rows(Vectors(), Vectors(), swapped, positive_column_name="question")


ODD_PAIRS = {
    "one": [("x", "y")],
    "one pair again and again": [("x", "y")] * 5,
    "queries that are positives": [("x", "x"), ("y", "x"), ("z", "y"), ("z", "x")],
    "empty texts": [("x", "y"), ("", ""), (" ", "z")],
    "few": [("x", "p"), ("y", "q"), ("z", "r")],
}


@pytest.mark.parametrize("name", ODD_PAIRS)
@pytest.mark.parametrize("output_format", FORMATS)
def test_rows_of_odd_pairs_are_the_reference_s(name, output_format):
    anchors, positives = map(list, zip(*ODD_PAIRS[name], strict=True))
    arguments = {"output_format": output_format, "num_negatives": 2, "output_scores": True}
    for strategy, corpus, low in itertools.product(("top", "random"), (None, ["", "x"]), (0, 2)):
        assert_same_rows(
            Vectors(), Vectors(), {"a": anchors, "b": positives}, corpus=corpus,
            sampling_strategy=strategy, range_min=low, **arguments,
        )  # fmt: skip


def test_the_model_is_called_as_by_the_reference():
    calls = []
    for mine in (ours, theirs):
        model, reranker = Vectors(), Scores()
        mine(
            Dataset.from_dict(DATA), model, query_prompt="q: ", query_prompt_name="query",
            corpus_prompt_name="passage", corpus=CORPUS, batch_size=7, verbose=False,
            use_multi_process=["cpu", "cpu"], cross_encoder=reranker, max_score=1.0,
        )  # fmt: skip
        calls.append((model.calls, model.pools, reranker.pools, set(reranker.pairs)))
    assert calls[0] == calls[1]
    assert calls[0][1] == [["stopped", ["cpu", "cpu"]]]


REFUSED = [
    {"num_negatives": 0},
    {"num_negatives": -1, "range_max": 9},
    {"faiss_batch_size": 0},
    {"range_min": -1},
    {"range_min": 9, "range_max": 9},
    {"range_min": 5, "range_max": 7},
    {"output_format": "pairs"},
]


@pytest.mark.parametrize("arguments", REFUSED, ids=str)
def test_what_the_reference_refuses_is_refused(arguments):
    for mine in (ours, theirs):
        with pytest.raises(ValueError, match=r"\w"):
            mine(Dataset.from_dict(DATA), Vectors(), **arguments)


@pytest.mark.parametrize("data", [{"a": [], "b": []}, {"a": ["one column"]}], ids=str)
def test_data_that_the_reference_refuses_is_refused(data):
    for mine in (ours, theirs):
        with pytest.raises(ValueError, match=r"\w"):
            mine(Dataset.from_dict(data), Vectors())


TOLD = ["Mean", "Std", "Min", "25%", "50%", "75%", "Max"]
MEASURES = ["mean", "std", "min", "25%", "median", "75%", "max"]


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("filters", ["none", "all", "absolute", "max", "many"])
def test_statistics_are_those_that_the_reference_prints(capsys, caplog, filters, output_format):
    """But for repeated pairs, which it counts as missing, and for min_score.

    It counts all candidates as dropped by min_score that were dropped before.
    """
    data = {name: column[:15] for name, column in DATA.items()}  # no pair twice
    arguments = {"output_format": output_format, **FILTERS[filters]}
    theirs(Dataset.from_dict(data), Vectors(), **arguments)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    printed = {words[0]: words for words in lines}
    skipped = [words for words in lines if words[0] == "Skipped"]
    found = []
    with caplog.at_level(logging.INFO, "minibert"):
        ours(Dataset.from_dict(data), Vectors(), **arguments, report=found.append)
    (statistics,) = found
    assert set(statistics.lines()) <= set(caplog.messages)
    counts = [int(number.replace(",", "")) for number in printed["Count"][1:]]
    assert [statistics.positives, statistics.negatives] == counts
    if counts[1]:
        for name, measure in zip(TOLD, MEASURES, strict=True):
            mine = [statistics.scores[kind][measure] for kind in statistics.scores]
            if None not in mine:
                assert mine == pytest.approx([*map(float, printed[name][1:])], abs=1e-4)
    for words in skipped:
        name, count = words[words.index("the") + 1], int(words[1].replace(",", ""))
        assert statistics.skipped[name] == count or name == "min_score"
    missing = int(printed["Could"][6]) if "Could" in printed else 0
    assert statistics.missing == missing


def sample_pairs():
    """Pairs of the sample that comes with minibert, and its documents."""
    collection = read_collection(SAMPLE)
    rows = [
        (text, collection.documents[id])
        for query, text in collection.queries.items()
        for id, grade in collection.qrels[query].items()
        if grade > 0
    ]
    data = {"query": [row[0] for row in rows], "positive": [row[1] for row in rows]}
    return data, list(collection.documents.values())


@pytest.mark.parametrize("filters", ["none", "relative", "all"])
def test_a_golden_model_with_a_cross_encoder_gives_the_rows(one_label, filters):
    """Real encode and predict of both libraries, prompts and processes of none."""
    folder = str(GOLDEN / "gelu")
    rerankers = minibert.CrossEncoder(one_label), sentence_transformers.CrossEncoder(str(one_label))
    data, _ = sample_pairs()
    data = {name: column[:20] for name, column in data.items()}
    limits = {"max_score": 0.9999} if filters == "none" else FILTERS[filters]
    assert_same_rows(
        minibert.SentenceTransformer(folder, on_long="ignore"),
        sentence_transformers.SentenceTransformer(folder, device="cpu"),
        data, cross_encoder=rerankers, output_scores=True, query_prompt="what is ", **limits,
    )  # fmt: skip


class Remembered:
    """A model that encodes the same texts once."""

    def __init__(self, model):
        self.model = model
        self.vectors = {}

    def __getattr__(self, name):
        return getattr(self.model, name)

    def encode_query(self, texts, **options):
        return self.remembered(self.model.encode_query, texts, options)

    def encode_document(self, texts, **options):
        return self.remembered(self.model.encode_document, texts, options)

    def remembered(self, encode, texts, options):
        key = encode.__name__, *texts
        if key not in self.vectors:
            self.vectors[key] = encode(texts, **options)
        return self.vectors[key]


@pytest.mark.slow
def test_minilm_gives_the_rows_of_the_sample():
    if not MINILM.exists():
        pytest.skip("all-MiniLM-L6-v2 is not there: python tools/fetch_minilm.py")
    data, corpus = sample_pairs()
    model = Remembered(minibert.SentenceTransformer(MINILM))
    reference = Remembered(sentence_transformers.SentenceTransformer(str(MINILM), device="cpu"))
    for output_format, strategy in itertools.product(FORMATS, ("top", "random")):
        assert_same_rows(
            model, reference, data, corpus=corpus, output_format=output_format, output_scores=True,
            relative_margin=0.05, num_negatives=5, sampling_strategy=strategy,
        )  # fmt: skip
