"""Rows and a teacher -> rows with scores: their numbers, their names, and what is refused."""

from functools import partial
from itertools import count, islice

import numpy as np
import pytest
from golden_files import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from minibert import CrossEncoder, InputExample, SentenceTransformer
from minibert.errors import TrainingError
from minibert.training import label
from minibert.training.examples import read_examples
from minibert.training.labels import shortest

PAIRS = [
    {"query": "Who barks?", "positive": "The dog, loud."},
    {"query": "the cat sat", "positive": "dogs and cats"},
    {"query": "Café", "positive": "中文 London"},
]
TRIPLES = [{**row, "negative": "a cat in London"} for row in PAIRS]
PROMPTS = {"query": "the cat ", "document": "London, "}


class Vectors:
    """A teacher with vectors: it notes the texts and the sizes of its calls."""

    similarity_fn_name = "dot"

    def __init__(self):
        self.queries, self.documents, self.batches = [], [], []

    def encode_query(self, texts, *, batch_size, show_progress_bar):
        self.queries += texts
        return self.vectors(texts, batch_size)

    def encode_document(self, texts, *, batch_size, show_progress_bar):
        self.documents += texts
        return self.vectors(texts, batch_size)

    def vectors(self, texts, batch_size):
        self.batches.append((len(texts), batch_size))
        return np.array([[len(text), 1] for text in texts], np.float32)


class Scores:
    """A teacher that scores pairs: by their lengths, or with the number that it is told."""

    def __init__(self, number=None):
        self.number, self.pairs = number, []

    def predict(self, pairs, *, activation_fn, batch_size, show_progress_bar):
        self.pairs += pairs
        scores = np.array([len(a) - len(b) / 8 for a, b in pairs], np.float32)
        if self.number is not None:
            scores[-1] = self.number
        return scores


def scores_of(data, teacher, **options):
    """The scores of all rows, a list for each."""
    return [row.get("scores") or [row["score"]] for row in label(data, teacher, **options)]


def refused(data, message, teacher=None, **options):
    with pytest.raises(TrainingError, match=message):
        list(label(data, teacher or Scores(), **options))


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean", "manhattan"])
@pytest.mark.parametrize("rows", [PAIRS, TRIPLES])
def test_an_embedder_scores_by_its_metric_and_its_prompts(metric, rows):
    teacher = SentenceTransformer(GOLDEN / "gelu", prompts=PROMPTS, similarity_fn_name=metric)
    found = scores_of(rows, teacher)
    encode = partial(teacher.encode, batch_size=1)
    for row, scores in zip(rows, found, strict=True):
        first, *others = row.values()
        q = encode(first, prompt_name="query").astype(np.float64)
        for score, other in zip(scores, others, strict=True):
            d = encode(other, prompt_name="document").astype(np.float64)
            expected = {
                "cosine": q @ d / np.linalg.norm(q) / np.linalg.norm(d),
                "dot": q @ d,
                "euclidean": -np.linalg.norm(q - d),
                "manhattan": -np.abs(q - d).sum(),
            }[metric]
            assert score == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "activation"), [(None, lambda x: x), ("sigmoid", lambda x: 1 / (1 + np.exp(-x)))]
)
def test_a_cross_encoder_gives_its_logits_or_their_activation(one_label, given, activation):
    teacher = CrossEncoder(one_label, activation_fn="tanh")
    found = scores_of(TRIPLES, teacher, activation_fn=given)
    for row, scores in zip(TRIPLES, found, strict=True):
        first, *others = row.values()
        pairs = [(first, other) for other in others]
        logits = teacher.predict(pairs, activation_fn="identity").astype(np.float64)
        np.testing.assert_allclose(scores, activation(logits), rtol=1e-5, atol=1e-5)


def test_rows_have_their_texts_in_order_and_the_scores():
    shuffled = [{"negative": "ccc", "label": 7, "positive": "bb", "query": "a", "query_id": "3"}]
    (row,) = label(shuffled, Scores())
    assert list(row.items()) == [
        *(("query", "a"), ("positive", "bb"), ("negative", "ccc"), ("scores", [0.75, 0.625]))
    ]
    (row,) = label([("a", "bb", 0.5)], Scores())
    assert row == {"text 1": "a", "text 2": "bb", "score": 0.75}
    (row,) = label([InputExample(texts=["a", "bb"])], Scores())
    assert row["score"] == 0.75


def test_a_loss_reads_the_rows_as_labels():
    with read_examples(label(TRIPLES, Scores())) as examples:
        assert examples.label_shape == (2,)
        assert examples.columns == ["query", "positive", "negative"]
    with read_examples(label(PAIRS, Scores())) as examples:
        assert examples.label_shape == ()


def test_a_label_of_the_data_is_replaced_with_a_word(caplog):
    rows = [{**row, "label": "no number"} for row in PAIRS]
    assert scores_of(rows, Scores()) == scores_of(PAIRS, Scores())
    (record,) = caplog.records
    assert record.getMessage() == (
        "data[0]: the label in the column label is left out; the teacher's scores take its place."
    )


def test_each_text_of_a_chunk_is_embedded_once():
    teacher = Vectors()
    rows = [("same", f"{n % 3}", "other") for n in range(10)]
    list(label(rows, teacher, chunk_size=5))
    assert teacher.queries == ["same"] * 2 * 2  # a lone text is given twice
    assert teacher.documents == ["0", "other", "1", "2", "2", "other", "0", "1"]


def test_each_pair_of_a_chunk_is_scored_once():
    teacher = Scores()
    list(label([("q", "p", "a"), ("q", "p", "b"), ("q", "p", "a")], teacher))
    assert teacher.pairs == [("q", "p"), ("q", "a"), ("q", "b")]


@pytest.mark.parametrize("batch_size", [None, 2, 100])
def test_no_forward_pass_comes_alone(batch_size):
    """So threads compute passes side by side, and their number rounds no score."""
    teacher = Vectors()
    list(label([(f"q{n}", f"p{n}") for n in range(5)], teacher, batch_size=batch_size))
    list(label([("q", "p")], teacher, batch_size=batch_size))
    assert all(size < texts for texts, size in teacher.batches)
    assert all(size <= (batch_size or size) for _, size in teacher.batches)


def test_rows_are_read_a_chunk_at_a_time():
    read = []

    def endless():
        for n in count():
            read.append(n)
            yield f"q{n}", f"p{n}"

    rows = label(endless(), Scores(), chunk_size=3)
    assert [row["text 1"] for row in islice(rows, 4)] == ["q0", "q1", "q2", "q3"]
    assert len(read) == 6


def test_chunks_change_no_score_beyond_rounding():
    teacher = SentenceTransformer(GOLDEN / "gelu")
    together, alone = (scores_of(TRIPLES, teacher, chunk_size=size) for size in (100, 1))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_texts_that_are_truncated_are_told_once(caplog):
    teacher = SentenceTransformer(GOLDEN / "gelu")
    rows = [(f"the dog {n} " * 50, "the cat") for n in range(6)]
    list(label(rows, teacher, chunk_size=2))
    assert [record.name for record in caplog.records] == ["minibert.tokens.truncation"]
    teacher.encode(rows[0][0])
    assert len(caplog.records) == 2  # whoever calls it otherwise is told as ever


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_score_has_the_fewest_digits_of_its_float32(number):
    found = shortest(np.float32(number))
    assert np.float32(found) == np.float32(number)
    assert found == float(str(np.float32(number)))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_names_its_row(number):
    refused(TRIPLES, rf"data\[2\]: the teacher's score of query and negative is {number}",
            Scores(number))  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"query": "a"}], r"data\[0\] has one column of texts, 'query'"),
        ([{"query": "a", "label": 1, "id": "3"}], "one column of texts"),
        ([{"query": "a", "score": "b", "label": 1}], "the column 'score' holds texts"),
        ([("a", "b"), ("a", "")], r"data\[1\]: text 2 is empty"),
        ([("a", "b"), ("a", "b", "c")], r"data\[1\] has a column 'text 3'"),
        ([("a", 3, "b")], r"data\[0\]: text 2 is 3; expected a text"),
        ([], "The data has no rows"),
    ],
)
def test_rows_that_cannot_be_scored_are_refused(rows, message):
    refused(rows, message)


def test_a_row_of_a_file_is_named_by_its_line(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "a", "positive": "b"}\n\n{"query": "a", "positive": null}\n')
    refused(path, r"pairs\.jsonl, line 3: positive is None")


def test_a_teacher_that_is_neither_kind_is_refused():
    with pytest.raises(TypeError, match="expected a SentenceTransformer or a CrossEncoder"):
        label(PAIRS, "all-MiniLM-L6-v2")


def test_a_teacher_of_several_labels_is_refused():
    with pytest.raises(ValueError, match="has 3 labels; expected a CrossEncoder with one"):
        label(PAIRS, CrossEncoder(GOLDEN / "cross_encoder"))


def test_an_activation_of_vectors_is_refused():
    with pytest.raises(ValueError, match="'sigmoid', and the teacher is a SentenceTransformer"):
        label(PAIRS, Vectors(), activation_fn="sigmoid")


@pytest.mark.parametrize("option", ["batch_size", "chunk_size"])
def test_sizes_that_are_none_are_refused(option):
    with pytest.raises(ValueError, match=f"{option} is 0"):
        label(PAIRS, Scores(), **{option: 0})


def test_a_bar_counts_rows(capsys):
    list(label(PAIRS, Scores(), show_progress_bar=True))
    assert "3/3" in capsys.readouterr().err
