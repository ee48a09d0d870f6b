"""Hard negatives: the rows by a textbook, data of every form, kept vectors, and what is refused."""

import json
import logging
import math
import random
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from chosen_scores import DOCUMENTS, QUERIES, ChosenScores, ChosenVectors, pairs
from golden_files import GOLDEN, copy_of

import minibert.util
from minibert import SentenceTransformer
from minibert.errors import TrainingError, UnsavedError
from minibert.losses import MarginMSELoss, MultipleNegativesRankingLoss
from minibert.training import fit, mine_hard_negatives
from minibert.training.candidates import scores_of
from minibert.training.examples import read_examples
from minibert.training.mined import FORMATS
from minibert.training.pairs import Pairs, unique_texts

NONE = -math.inf


class Table(ChosenVectors):
    """A model whose scores of queries and documents are those of a table."""

    def __init__(self, scores):
        super().__init__("dot")
        self.scores = scores  # query -> document -> score
        self.queries = list(scores)

    def vectors_of(self, texts):
        identity = np.eye(len(self.queries), dtype=np.float32)
        rows = [
            identity[self.queries.index(text)] if text in self.scores
            else [row[text] for row in self.scores.values()] for text in texts
        ]  # fmt: skip
        return np.array(rows, np.float32)


SCORES = {
    "who barks": {"dog": 0.9, "hound": 0.6, "cat": 0.5, "sun": 0.25, "moon": -0.5},
    "who shines": {"dog": 0.125, "hound": 0.0, "cat": 0.375, "sun": 0.75, "moon": 0.625},
}
PAIRS = [("who barks", "dog"), ("who shines", "sun"), ("who barks", "hound"), ("who barks", "dog")]
CORPUS = ["moon", "cat", "moon"]
NAMES = ("query", "positive")


def mined(data=PAIRS, model=None, corpus=CORPUS, **arguments):
    rows = [dict(zip(NAMES, row, strict=True)) for row in data] if data is PAIRS else data
    return mine_hard_negatives(rows, model or Table(SCORES), corpus=corpus, **arguments)


def values(rows):
    return [tuple(row.values()) for row in rows]


def test_triplets_repeat_a_query_for_each_positive():
    assert mined(num_negatives=2) == [
        {"query": "who barks", "positive": "dog", "negative": "cat"},
        {"query": "who barks", "positive": "dog", "negative": "sun"},
        {"query": "who barks", "positive": "hound", "negative": "cat"},
        {"query": "who barks", "positive": "hound", "negative": "sun"},
        {"query": "who shines", "positive": "sun", "negative": "moon"},
        {"query": "who shines", "positive": "sun", "negative": "cat"},
    ]


# The lowest positive has 0.6 and 0.75. Left: cat 0.5, sun 0.25, moon -0.5; moon, cat, dog, hound.
CASES = [
    ({}, [["cat"], ["moon"]]),
    ({"range_min": 1}, [["sun"], ["cat"]]),
    ({"max_score": 0.5}, [["cat"], ["cat"]]),
    ({"max_score": 0.499}, [["sun"], ["cat"]]),
    ({"max_score": 0.499, "range_min": 1}, [["moon"], ["dog"]]),  # ranks are counted after it
    ({"min_score": 0.5}, [["cat"], ["moon"]]),
    ({"min_score": 0.625}, [[], ["moon"]]),
    ({"absolute_margin": 0.125}, [["sun"], ["moon"]]),
    ({"absolute_margin": 0.1251}, [["sun"], ["cat"]]),
    ({"relative_margin": 0.25}, [["sun"], ["cat"]]),
    ({"relative_margin": 0.5}, [["sun"], ["cat"]]),
    ({"relative_margin": 0.51}, [["sun"], ["dog"]]),
    ({"max_score": -0.25}, [["moon"], []]),
    ({"max_score": 0.25, "min_score": -0.25}, [["sun"], ["dog"]]),
    ({"num_negatives": 4}, [["cat", "sun", "moon"], ["moon", "cat", "dog", "hound"]]),
    ({"num_negatives": 2, "range_min": 2}, [["moon"], ["dog", "hound"]]),
]


@pytest.mark.parametrize(("filters", "expected"), CASES, ids=str)
def test_filters_choose_these_negatives(filters, expected):
    rows = mined(**{"num_negatives": 1, **filters}, output_format="labeled-pair")
    found = [[row["positive"] for row in rows if (row["query"], row["label"]) == (query, 0)]
             for query in SCORES]  # fmt: skip
    assert found == expected


def test_a_margin_is_of_the_lowest_positive_without_its_sign():
    """-0.5 - 0.25 * 0.5 is -0.625: lower than the positive, whose score is negative."""
    table = {"q": {"p": 0.0, "low": -0.5, "a": -0.5625, "b": -0.625, "c": -0.75}}
    rows = [{"query": "q", "positive": "p"}, {"query": "q", "positive": "low"}]
    arguments = {"corpus": ["a", "b", "c"], "relative_margin": 0.25, "num_negatives": 1}
    found = mine_hard_negatives(rows, Table(table), output_format="labeled-pair", **arguments)
    assert [row["positive"] for row in found if row["label"] == 0] == ["b"]


FORMATS_BY_HAND = {
    ("n-tuple", False): [
        {"query": "who shines", "positive": "sun",
         "negative_1": "moon", "negative_2": "cat", "negative_3": "dog", "negative_4": "hound"},
    ],
    ("n-tuple", True): [
        {"query": "who shines", "positive": "sun",
         "negative_1": "moon", "negative_2": "cat", "negative_3": "dog", "negative_4": "hound",
         "scores": [0.75, 0.625, 0.375, 0.125, 0.0]},
    ],
    ("labeled-list", False): [
        {"query": "who barks", "positive": ["dog", "cat", "sun", "moon"], "labels": [1, 0, 0, 0]},
        {"query": "who barks", "positive": ["hound", "cat", "sun", "moon"], "labels": [1, 0, 0, 0]},
        {"query": "who shines", "positive": ["sun", "moon", "cat", "dog", "hound"],
         "labels": [1, 0, 0, 0, 0]},
    ],
    ("labeled-list", True): [
        {"query": "who barks", "positive": ["dog", "cat", "sun", "moon"],
         "scores": [np.float32(0.9), 0.5, 0.25, -0.5]},
        {"query": "who barks", "positive": ["hound", "cat", "sun", "moon"],
         "scores": [np.float32(0.6), 0.5, 0.25, -0.5]},
        {"query": "who shines", "positive": ["sun", "moon", "cat", "dog", "hound"],
         "scores": [0.75, 0.625, 0.375, 0.125, 0.0]},
    ],
}  # fmt: skip


@pytest.mark.parametrize(("output_format", "has_scores"), FORMATS_BY_HAND, ids=str)
def test_rows_of_a_format_are_those_by_hand(output_format, has_scores):
    rows = mined(num_negatives=4, output_format=output_format, output_scores=has_scores)
    assert rows == FORMATS_BY_HAND[output_format, has_scores]
    json.dumps(rows)  # numbers of Python


def test_a_labeled_pair_may_have_its_score_in_place_of_a_label():
    rows = mined(num_negatives=1, output_format="labeled-pair", output_scores=True)
    assert values(rows) == [
        ("who barks", "dog", np.float32(0.9)), ("who barks", "hound", np.float32(0.6)),
        ("who barks", "cat", 0.5), ("who shines", "sun", 0.75), ("who shines", "moon", 0.625),
    ]  # fmt: skip
    assert {*rows[0]} == {"query", "positive", "score"}


def textbook(model, rows, corpus, n, low=0, high=None, minimum=NONE, maximum=math.inf, margin=NONE):
    """Triplets with their scores, one query after another, in float64."""
    documents = list(dict.fromkeys([*(corpus or []), *(positive for _, positive in rows)]))
    unit = {text: model.vectors_of([text])[0].astype(float) for row in rows for text in row}
    unit |= {text: model.vectors_of([text])[0].astype(float) for text in documents}
    triplets = []
    for query in dict.fromkeys(query for query, _ in rows):
        score = {text: math.fsum(unit[query] * unit[text]) for text in documents}
        positives = list(dict.fromkeys(positive for anchor, positive in rows if anchor == query))
        lowest = min(score[text] for text in positives)
        left = [text for text in documents if text not in positives
                and minimum <= score[text] <= maximum
                and score[text] + margin <= lowest]  # fmt: skip
        chosen = sorted(left, key=score.__getitem__, reverse=True)[low:high][:n]
        triplets += [(query, positive, text, [score[positive], score[text]])
                     for positive in positives for text in chosen]  # fmt: skip
    return triplets


@pytest.mark.parametrize("corpus", [None, [*DOCUMENTS, *QUERIES, DOCUMENTS[1]]], ids=["no", "one"])
@pytest.mark.parametrize(
    ("arguments", "by_hand"),
    [
        ({}, {}),
        ({"range_min": 5, "num_negatives": 4}, {"low": 5, "n": 4}),
        ({"min_score": 0.3, "max_score": 0.7, "range_max": 50}, {"minimum": 0.3, "maximum": 0.7}),
        ({"absolute_margin": 0.15, "range_max": 90}, {"margin": 0.15}),
        ({"range_min": 2, "range_max": 4, "num_negatives": 2}, {"low": 2, "high": 4, "n": 2}),
    ],
    ids=str,
)
def test_triplets_are_those_of_the_textbook(corpus, arguments, by_hand):
    model = ChosenVectors()
    rows = mine_hard_negatives(pairs(), model, corpus=corpus, output_scores=True, **arguments)
    expected = textbook(model, pairs(), corpus, **{"n": 3, **by_hand})
    assert [row[:3] for row in values(rows)] == [row[:3] for row in expected]
    scores = [row["scores"] for row in rows]
    np.testing.assert_allclose(scores, [row[3] for row in expected], rtol=0, atol=1e-7)


def test_equal_scores_come_in_the_order_of_the_documents():
    table = {"q": {"p": 0.5, "b": 0.25, "a": 0.25, "c": 0.25}}
    rows = mine_hard_negatives([("q", "p")], Table(table), corpus=["b", "a", "c"], num_negatives=2)
    assert [row["negative"] for row in rows] == ["b", "a"]


class FakeDataset:
    """A Dataset as Hugging Face's, with the few methods that are read."""

    def __init__(self, columns):
        self.columns = columns

    @classmethod
    def from_dict(cls, columns):
        return cls(columns)

    @property
    def column_names(self):
        return list(self.columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name):
        return iter(self.columns[name])


def test_every_form_of_data_gives_the_same_rows(tmp_path):
    expected = mined()
    columns = {name: [row[at] for row in PAIRS] for at, name in enumerate(NAMES)}
    files = {
        "pairs.jsonl": "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n"
                               for row in PAIRS),
        "pairs.csv": "query,positive\n" + "".join(f"{a},{b}\n" for a, b in PAIRS),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        assert mined(tmp_path / name) == expected
    (tmp_path / "pairs").write_text(files["pairs.csv"])
    assert mined(tmp_path / "pairs", form="csv") == expected
    assert mined(columns) == expected
    assert values(mined([*PAIRS])) == values(expected)
    rows = mined(FakeDataset(columns))
    assert type(rows) is FakeDataset
    assert rows.columns == {name: [row[name] for row in expected] for name in expected[0]}


def test_columns_are_those_of_training_or_those_named():
    row = {"id": "7", "label": 1, "negative": "no", "positive": "dog", "query": "who barks"}
    found = mined([row], num_negatives=1)
    assert found == [{"query": "who barks", "positive": "dog", "negative": "cat"}]
    odd = {"year": 1999, "text": "dog", "question": "who barks"}
    names = {"anchor_column_name": "question", "positive_column_name": "text"}
    assert values(mined([odd], num_negatives=1, **names)) == [("who barks", "dog", "cat")]


def test_a_dataset_s_columns_are_the_first_two(caplog):
    data = FakeDataset({"positive": ["who barks"], "query": ["dog"]})
    (row,) = mined(data, num_negatives=1).columns["negative"]
    assert (row, caplog.messages) == ("cat", [])
    mined(data, positive_column_name="answer")
    assert "positive_column_name is 'answer', and the dataset has no such" in caplog.messages[0]
    assert "'query' is taken. It has positive, query." in caplog.messages[0]


def test_mined_rows_are_trained_on_as_they_are():
    """Texts in the order of a loss, and scores as MarginMSELoss takes them."""
    for output_format, columns in (("triplet", 3), ("n-tuple", 4)):
        arguments = {"output_format": output_format, "output_scores": True, "num_negatives": 2}
        with read_examples(mined(**arguments)) as examples:
            assert examples.columns[:2] == ["query", "positive"]
            assert (len(examples.columns), examples.label_shape) == (columns, (columns - 1,))
    rows = mined(num_negatives=2, output_scores=True)
    model = SentenceTransformer(GOLDEN / "gelu")
    assert fit(model, rows, MarginMSELoss(), lr=1e-3, batch_size=3).steps == 2


def draw(seed=None, **arguments):
    return mine_hard_negatives(
        pairs(), ChosenVectors(), sampling_strategy="random", range_max=9, seed=seed, **arguments
    )


def test_random_negatives_are_of_the_seed_alone():
    state = random.getstate()
    first = draw(7)
    assert random.getstate() == state
    random.random()
    assert draw(7) == first
    assert draw(8) != first


def test_without_a_seed_python_s_random_numbers_are_used():
    random.seed(3)
    first = draw()
    assert draw() != first
    random.seed(3)
    assert draw() == first
    assert draw(3) == first


def by_pair(rows):
    """(query, positive) -> (score, negative) of each row."""
    found = {}
    for row in rows:
        found.setdefault((row["text 1"], row["text 2"]), []).append(
            (row["scores"][1], row["negative"])
        )
    return found


@pytest.mark.parametrize("limits", [{}, {"max_score": 0.5}], ids=["ranks", "scores"])
def test_random_negatives_are_drawn_from_the_window(limits):
    """All of it is drawn at times, and no other; sorted by score; as many as there are, up to 3."""
    arguments = {"output_scores": True, "max_score": 1.0, **limits}
    window = by_pair(
        mine_hard_negatives(pairs(), ChosenVectors(), range_max=9, num_negatives=9, **arguments)
    )
    drawn = [by_pair(draw(seed, **arguments)) for seed in range(40)]
    for pair, allowed in window.items():
        assert {one for found in drawn for one in found[pair]} == set(allowed)
        for found in drawn:
            assert found[pair] == sorted(found[pair], reverse=True)
            assert len(found[pair]) == min(3, len(allowed))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 3 + 2),
        ({"min_score": 0.0, "range_min": 4}, 4 + 3 + 2),
        ({"max_score": 0.9}, 30 + 2),
        ({"relative_margin": 0.0, "num_negatives": 2}, 20 + 2),
        ({"absolute_margin": 0.0}, 30 + 2),
        ({"min_score": 0.0, "cross_encoder": ChosenScores()}, 30 + 2),
    ],
    ids=str,
)
def test_range_max_depends_on_filters_and_positives(caplog, arguments, expected):
    """A pair that comes twice counts twice: PAIRS has three rows of a query."""
    with caplog.at_level(logging.INFO, "minibert"):
        mined(**arguments)
    assert f"range_max is {expected + 1}, by the other arguments." in caplog.messages


def test_a_cross_encoder_scores_for_the_filters(caplog):
    reranker = ChosenScores()
    rows = mined(
        cross_encoder=reranker, max_score=1.0, output_format="labeled-pair", output_scores=True
    )
    found = [(row["query"], row["positive"]) for row in rows]
    expected = ChosenScores().scores_of(found).tolist()
    assert [row["score"] for row in rows] == expected
    documents = {"dog", "hound", "cat", "sun", "moon"}
    assert set(reranker.pairs) == {(query, text) for query in SCORES for text in documents}
    negatives = set(found) - set(PAIRS)
    assert negatives
    assert all(reranker.scores_of([pair])[0] <= 1 for pair in negatives)
    assert caplog.messages == []
    assert mined(cross_encoder=ChosenScores()) == mined()
    assert "cross_encoder has no effect" in caplog.messages[0]


@pytest.mark.parametrize(
    ("scores", "message"),
    [(np.zeros((12, 3)), "one label"), (np.full(12, np.nan), "NaN or infinite")],
)
def test_scores_that_are_not_one_number_each_are_refused(scores, message):
    class Odd(ChosenScores):
        def predict(self, pairs, batch_size=None, pool=None):
            return scores[: len(pairs)]

    with pytest.raises(ValueError, match=message):
        mined([PAIRS[0], PAIRS[1]], cross_encoder=Odd(), max_score=1.0)


def test_included_positives_are_ranked_with_the_others(caplog):
    rows = mined(include_positives=True, num_negatives=5, output_scores=True)
    assert [row[2:7] for row in values(rows)] == [
        ("dog", "hound", "cat", "sun", "moon"), ("dog", "hound", "cat", "sun", "moon"),
        ("sun", "moon", "cat", "dog", "hound"),
    ]  # fmt: skip
    assert len(caplog.messages) == 1
    assert "was 'triplet'" in caplog.messages[0]
    mined(include_positives=True, output_format="n-tuple", range_min=1)
    assert "may still drop them" in caplog.messages[1]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"as_triplets": False}, {"output_format": "n-tuple"}),
        ({"as_triplets": True, "output_format": "n-tuple"}, {}),
        ({"output_format": "n-tuple-scores"}, {"output_format": "n-tuple", "output_scores": True}),
        ({"margin": 0.25, "absolute_margin": 9.0}, {"absolute_margin": 0.25}),
    ],
    ids=str,
)
def test_older_arguments_are_told_of(caplog, older, newer):
    rows = mined(**older)
    assert ["older" in message for message in caplog.messages] == [True]
    assert rows == mined(**newer)


def test_prompts_and_sizes_reach_the_model():
    model = Table(SCORES)
    mined(model=model, query_prompt="q: ", query_prompt_name="a", corpus_prompt_name="b",
          corpus_prompt="d: ", batch_size=5)  # fmt: skip
    told = {"batch_size": 5, "pool": None}
    documents = ["moon", "cat", "dog", "sun", "hound"]  # each once
    assert model.calls == [
        ("document", documents, {"prompt": "d: ", "prompt_name": "b", **told}),
        ("query", ["who barks", "who shines"], {"prompt": "q: ", "prompt_name": "a", **told}),
    ]


@pytest.mark.parametrize(("asked", "devices"), [(True, None), (["cpu"], ["cpu"])])
def test_processes_share_the_work_and_end_after_an_error(asked, devices):
    class Broken(ChosenScores):
        def predict(self, pairs, batch_size=None, pool=None):
            assert pool == ["started", devices]
            raise RuntimeError("broken")

    model, reranker = Table(SCORES), Broken()
    with pytest.raises(RuntimeError, match="broken"):
        mined(model=model, cross_encoder=reranker, max_score=1.0, use_multi_process=asked)
    assert model.pools == reranker.pools == [["stopped", devices]]
    assert all(options["pool"] is model.pools[0] for *_, options in model.calls)


def test_kept_vectors_are_read_and_not_computed_again(tmp_path):
    folder = tmp_path / "new" / "folder"
    expected = mined(cache_folder=folder)
    names = sorted(path.name.partition("_embeddings_")[0] for path in folder.iterdir())
    assert names == ["corpus", "query"]
    again = Table(SCORES)
    assert mined(model=again, cache_folder=folder, use_multi_process=True) == expected
    assert (again.calls, again.pools) == ([], [])


def test_another_model_prompt_or_text_is_computed_anew(tmp_path):
    def calls(model=None, **arguments):
        model = model or Table(SCORES)
        mined(model=model, cache_folder=tmp_path, **arguments)
        return [name for name, *_ in model.calls]

    assert calls() == ["document", "query"]
    assert calls(query_prompt="q: ") == ["query"]
    assert calls(corpus_prompt_name="passage") == ["document"]
    assert calls(corpus=["moon"]) == ["document"]
    other = Table(SCORES)
    other.fingerprint = lambda: "another"
    assert calls(other) == ["document", "query"]
    assert calls() == []


class Opened:
    """It is made when a pickle is opened."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([Opened()], object), "holds no array of numbers"),
        (np.zeros((3, 2), np.float32), r"float32 of the shape \(3, 2\); expected 2 vectors"),
        (np.zeros((2, 2), np.int8), "int8 of the shape"),
        (b"", "holds no array of numbers"),
        (b"no array", "holds no array of numbers"),
    ],
    ids=["pickle", "rows", "dtype", "empty", "text"],
)
def test_a_file_of_other_content_is_refused_unopened(tmp_path, content, message):
    mined(cache_folder=tmp_path)
    (path,) = tmp_path.glob("query_*.npy")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        mined(cache_folder=tmp_path)


def test_vectors_of_a_model_that_is_not_saved_are_not_kept(tmp_path):
    model = SentenceTransformer(copy_of("gelu", tmp_path))
    rows = [{"query": "the cat", "positive": "a dog"}, {"query": "London", "positive": "a cat"}]
    fit(model, rows, MultipleNegativesRankingLoss(), lr=1e-3, batch_size=2)
    with pytest.raises(UnsavedError, match="save_pretrained"):
        mine_hard_negatives(rows, model, cache_folder=tmp_path / "kept")


def test_statistics_count_and_measure_the_rows(caplog):
    reported = []
    with caplog.at_level(logging.INFO, "minibert"):
        rows = mined(num_negatives=3, min_score=0.25, max_score=0.5, report=reported.append)
    (found,) = reported
    # Left of the first query, twice: cat 0.5 and sun 0.25; of the second: cat 0.375.
    assert found[:5] == (5, 2, 3, 5, 9 - 5)
    assert len(rows) == 5
    assert found.skipped == {"max_score": 1, "min_score": 1 + 2}
    negatives, positives = [0.5, 0.25, 0.5, 0.25, 0.375], np.array([0.9, 0.6, 0.75], np.float32)
    differences = np.repeat(positives, [2, 2, 1]) - negatives
    for kind, numbers in (
        ("positive", positives), ("negative", negatives), ("difference", differences),
    ):  # fmt: skip
        assert found.scores[kind] == pytest.approx(
            {
                "mean": np.mean(numbers), "std": np.std(numbers, ddof=1), "min": np.min(numbers),
                "25%": np.quantile(numbers, 0.25), "median": np.median(numbers),
                "75%": np.quantile(numbers, 0.75), "max": np.max(numbers),
            },
            abs=1e-6,
        )  # fmt: skip
    assert caplog.messages[-len(found.lines()) :] == found.lines()
    assert "5 rows of 2 queries with 3 positives" in caplog.messages
    assert "3 candidates dropped by min_score" in caplog.messages
    expected = (
        "4 rows are missing: queries have too few negatives; for more, give more texts (corpus)"
    )
    assert found.lines()[-1] == f"{expected} or a looser max_score or a looser min_score"


@pytest.mark.parametrize(
    ("arguments", "missing", "reason"),
    [
        ({}, "1 row is", "the texts to search are too few; give more texts (--corpus)"),
        ({"output_format": "triplet"}, "2 rows are", "the texts to search are too few"),
        ({"min_score": -9.0}, "1 row is", "the texts to search are too few"),
        (
            {"num_negatives": 3, "range_min": 1},
            "1 row is",
            "more texts (--corpus) or a smaller --range-min",
        ),
        (
            {"num_negatives": 1, "range_max": 1, "max_score": 0.0},
            "2 rows are",
            "more texts (--corpus) or a larger --range-max or a looser --max-score",
        ),
        ({"num_negatives": 1}, None, None),
    ],
)
def test_missing_rows_are_told_with_what_leaves_more(arguments, missing, reason):
    reported = []
    usual = {"num_negatives": 4, "output_format": "labeled-pair", "report": reported.append}
    mined(**usual | arguments)
    last = reported[0].lines(lambda name: f"--{name.replace('_', '-')}")[-1]
    if missing is None:
        assert reported[0].remedies == []
        assert last.startswith("max ")
    else:
        assert last.startswith(f"{missing} missing: ")
        assert reason in last


def test_statistics_of_tuples_leave_out_queries_without_a_row():
    reported = []
    rows = mined(num_negatives=4, output_format="n-tuple", report=reported.append)
    assert (len(rows), reported[0].rows, reported[0].negatives, reported[0].missing) == (1, 1, 4, 2)
    assert reported[0].scores["negative"]["min"] == 0.0  # and not the -0.5 of the other query


def test_without_verbose_no_statistics_are_logged(caplog):
    with caplog.at_level(logging.INFO, "minibert"):
        mined(verbose=False, range_max=4)
    assert caplog.messages == []


@pytest.mark.parametrize("output_format", FORMATS)
def test_where_nothing_is_found_columns_are_empty(output_format):
    reported = []
    rows = mined(max_score=-9.0, output_format=output_format, report=reported.append)
    assert [row for row in rows if row.get("label") != 1] == []
    (found,) = reported
    assert set(found.scores["negative"].values()) == {None}
    assert found.lines()[1:3] == [
        "score       positive    negative  difference",
        "mean          0.7500        none        none",
    ]
    json.dumps(found._asdict())


@pytest.mark.parametrize(
    ("output_format", "has_scores", "name"),
    [
        ("triplet", False, "negative"), ("triplet", True, "scores"),
        ("n-tuple", False, "negative_3"), ("n-tuple", True, "scores"),
        ("labeled-pair", False, "label"), ("labeled-pair", True, "score"),
        ("labeled-list", False, "labels"), ("labeled-list", True, "scores"),
    ],
)  # fmt: skip
def test_a_name_that_the_result_needs_is_refused(output_format, has_scores, name):
    """The positives would be replaced by what is added under their name."""
    data = FakeDataset({"query": ["who barks"], name: ["dog"]})
    arguments = {"output_format": output_format, "output_scores": has_scores}
    with pytest.raises(ValueError, match=f"The pairs have a column '{name}'"):
        mined(data, **arguments)
    other = FakeDataset({"query": ["who barks"], f"{name} ": ["dog"]})
    assert [*mined(other, **arguments).columns][1] == f"{name} "


REFUSED = [
    ({"num_negatives": 0}, "num_negatives is 0; expected a whole number from 1 up"),
    ({"num_negatives": 1.5}, "num_negatives is 1.5"),
    ({"faiss_batch_size": -1}, "faiss_batch_size is -1"),
    ({"range_min": -1}, "range_min is -1; expected a whole number from 0 up"),
    ({"range_min": 4, "range_max": 4}, "range_min is 4 and range_max 4; range_min must be smaller"),
    ({"range_min": 4, "range_max": 6}, "leaves 2 candidates. Lower num_negatives"),
    ({"max_score": math.nan}, "max_score is NaN; expected a number, or None"),
    ({"relative_margin": np.float32("nan")}, "relative_margin is NaN"),
    (
        {"cross_encoder": SimpleNamespace(num_labels=3), "min_score": 0.0},
        "cross_encoder has 3 labels; expected a",
    ),
    ({"sampling_strategy": "best"}, "sampling_strategy is 'best'; expected one of 'top', 'random'"),
    ({"output_format": "pairs"}, "output_format is 'pairs'; expected one of 'triplet', 'n-tuple'"),
    ({"corpus": ["a", None]}, r"corpus\[1\] is None; expected a text"),
    ({"anchor_column_name": "positive"}, "'positive' would be both anchor and positive"),
    ({"data": []}, "The dataset is empty"),
    ({"data": FakeDataset({"a": [], "b": []})}, "The dataset is empty"),
    ({"data": FakeDataset({"a": ["b"]})}, "has 1 columns of texts: a. Expected two"),
    ({"data": [{"query": "a", "id": "b"}]}, "has 1 columns of texts: query, id"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_cannot_be_mined_is_refused(arguments, message):
    model = Table(SCORES)
    with pytest.raises(ValueError, match=message):
        mined(**{"model": model, **arguments})
    assert model.calls == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([("a", "b"), ("a", "")], r"data\[1\]: text 2 is empty"),
        ([{"query": "a", "positive": ["b"]}], r"data\[0\]: positive is \['b'\]; expected a text"),
        ([{"query": "a", "positive": "b"}, {"query": "a"}], r"data\[1\] has no column 'positive'"),
        (FakeDataset({"a": ["x", None], "b": ["y", "z"]}), "row 1 of the dataset: a is None"),
        ([3], r"data\[0\] is an int"),
    ],
    ids=str,
)
def test_a_row_that_is_no_pair_is_told_by_its_place(data, message):
    with pytest.raises(TrainingError, match=message):
        mined(data)


def test_one_text_is_no_corpus():
    with pytest.raises(TypeError, match="corpus is one text"):
        mined(corpus="a text")


@pytest.mark.parametrize("made", [tuple, iter, np.array], ids=["tuple", "iterator", "array"])
def test_a_corpus_may_be_any_iterable_of_texts(made):
    assert mined(corpus=made(CORPUS)) == mined()


def test_use_faiss_changes_nothing_and_says_so(caplog):
    with caplog.at_level(logging.INFO, "minibert"):
        rows = mined(use_faiss=True, faiss_batch_size=1)
    assert rows == mined()
    assert "use_faiss changes nothing" in caplog.messages[0]


def test_the_name_of_util_is_the_function_of_training():
    assert minibert.util.mine_hard_negatives is mine_hard_negatives
    assert "mine_hard_negatives" in dir(minibert.util)
    with pytest.raises(AttributeError, match=r"minibert\.util.*'nothing'"):
        _ = minibert.util.nothing


@pytest.mark.slow
def test_memory_does_not_grow_with_queries_times_documents():
    """A matrix of all scores would take 480 MB, and candidates take 0.5 MB."""
    queries, documents = 4000, 30_000
    rng = np.random.default_rng(0)
    vectors = [rng.normal(0, 1, (n, 4)).astype(np.float32) for n in (queries, documents)]
    names = [list(map(str, range(n))) for n in (queries, documents)]
    texts = unique_texts(Pairs("a", "b", names[0], names[1][:queries]), names[1])
    tracemalloc.start()
    try:
        scored = scores_of(texts, tuple(vectors), 8, "dot", rows=1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert scored.candidates.scores.shape == (queries, 8)
    assert peak < 120e6
