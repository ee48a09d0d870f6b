"""Training data -> examples on disk, every row checked, the same from every form."""

import gzip
import hashlib
import itertools
import json
import logging
import os
import tempfile
import tracemalloc

import numpy as np
import pytest
from document_files import lines, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minibert.errors import TrainingError
from minibert.training.examples import read_examples
from minibert.training.loader import DataLoader, InputExample

ROWS = [
    {
        "query": "Who barks?",
        "positive": "A dog, “loud”.",
        "negative": "A cat\nmeows.",
        "label": 2.5,
    },
    {"query": "¿Qué?", "positive": "中文", "negative": '"quoted", twice', "label": -1},
    {"query": " spaces ", "positive": "x", "negative": "y", "label": 1e-3},
]
TEXTS = [[row[name] for row in ROWS] for name in ("query", "positive", "negative")]
LABELS = [2.5, -1, 1e-3]


def all_of(data, form=None):
    """Columns of texts, and labels, of all examples."""
    with read_examples(data, form) as examples:
        batch = examples.batch(range(len(examples)))
        return batch.texts, None if batch.labels is None else batch.labels.tolist()


def refused(data, message, form=None):
    with pytest.raises(TrainingError, match=message):
        read_examples(data, form)


def as_csv(delimiter):
    rows = [list(ROWS[0]), *(row.values() for row in ROWS)]
    cells = [['"' + str(cell).replace('"', '""') + '"' for cell in row] for row in rows]
    return "".join(delimiter.join(row) + "\n" for row in cells)


def test_every_form_gives_the_same_examples(tmp_path):
    csv, jsonl = as_csv(","), lines(*ROWS)
    paths = [
        (written(tmp_path / "a.jsonl", jsonl), None),
        (written(tmp_path / "a.jsonl.gz", gzip.compress(jsonl.encode())), None),
        (tmp_path / "a.jsonl", "jsonl"),
        (written(tmp_path / "a.csv", csv), None),
        (written(tmp_path / "b.csv.gz", gzip.compress(csv.encode())), None),
        (written(tmp_path / "a.tsv", as_csv("\t")), "tsv-quoted"),
    ]
    for path, form in paths:
        assert all_of(path, form) == (TEXTS, LABELS), path


def test_parquet_gives_the_same_examples(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert all_of(tmp_path / "a.parquet") == (TEXTS, LABELS)
    with read_examples(tmp_path / "a.parquet") as examples:
        assert examples.batch([1]).origins == [f"{tmp_path / 'a.parquet'}, row 2"]


def test_rows_of_python_give_the_same_examples():
    texts = list(zip(*TEXTS, strict=True))
    for data in (
        ROWS,
        iter(ROWS),
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
        [(*row, label) for row, label in zip(texts, LABELS, strict=True)],
        [[*row, np.float64(label)] for row, label in zip(texts, LABELS, strict=True)],
        [InputExample("", list(row), label) for row, label in zip(texts, LABELS, strict=True)],
    ):
        assert all_of(data) == (TEXTS, LABELS)


def test_a_fingerprint_is_of_texts_and_labels_alone(tmp_path):
    path = written(tmp_path / "other.jsonl", "\n" + lines(*ROWS))
    with read_examples(ROWS) as first, read_examples(path) as second:
        assert first.fingerprint == second.fingerprint
        assert len(first.fingerprint) == len(hashlib.sha256().hexdigest())
    others = [
        ROWS[:2],
        ROWS[::-1],
        [{**row, "label": [row["label"]]} for row in ROWS],
        [{name: row[name] for name in TEXTS_ONLY} for row in ROWS],
        [{**row, "label": row["label"] + (row is ROWS[1]) * 1e-12} for row in ROWS],
        [{**ROWS[0], "query": "Who barks?A", "positive": " dog, “loud”."}, *ROWS[1:]],
    ]
    seen = {first.fingerprint}
    for data in others:
        with read_examples(data) as examples:
            seen.add(examples.fingerprint)
    assert len(seen) == len(others) + 1


TEXTS_ONLY = ("query", "positive", "negative")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("negative_10 negative_2 positive query", "query positive negative_2 negative_10"),
        ("negative_1 negative positive anchor", "anchor positive negative negative_1"),
        ("sentence2 sentence1", "sentence1 sentence2"),
        ("sentence_10 sentence_9 sentence_0", "sentence_0 sentence_9 sentence_10"),
        ("sentence2 title sentence1", "sentence1 sentence2 title"),
        ("title sentence2 sentence1", "sentence1 sentence2 title"),
        ("negative positive sentence1", "sentence1 positive negative"),
        ("sentence2 sentence1 query", "query sentence1 sentence2"),
        ("answer question", "answer question"),
        ("positive question", "positive question"),
        ("title positive query", "query positive title"),
        ("label_of negative", "label_of negative"),
    ],
)
def test_columns_are_in_the_order_of_a_loss(names, expected):
    with read_examples([{name: f"the {name}" for name in names.split()}]) as examples:
        assert examples.columns == expected.split()
        assert examples.batch([0]).texts == [[f"the {name}"] for name in expected.split()]


def told(caplog, row):
    """The only line of the log about two rows: its level and its message."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "minibert"), read_examples([row, row]):
        (record,) = caplog.records
    return record.levelname, record.getMessage()


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("title positive query", "query (first), positive (second), title (third)"),
        ("sentence2 title sentence1", "sentence1 (first), sentence2 (second), title (third)"),
        ("title positive", "title (first), positive (second)"),
        ("title body", "title (first), body (second)"),
    ],
)
def test_a_column_without_a_known_place_is_told(caplog, names, order):
    level, message = told(caplog, dict.fromkeys(names.split(), "a"))
    assert level == "WARNING"
    expected = f"data[0]: texts: {order}; label: none. These have no known place: title"
    assert message.startswith(expected)


@pytest.mark.parametrize(
    ("row", "use"),
    [
        ({"b": "x", "score": 1}, "b (first); label: score."),
        (
            {"sentence2": "x", "sentence1": "y"},
            "sentence1 (first), sentence2 (second); label: none.",
        ),
        (
            ("x", "y", "z", "u", 1),
            "text 1 (first), text 2 (second), text 3 (third), text 4 (number 4); label: label.",
        ),
    ],
)
def test_the_use_of_columns_is_told_once(caplog, row, use):
    assert told(caplog, row) == ("INFO", f"data[0]: texts: {use}")


@pytest.mark.parametrize("row", [{"answer": "a"}, {"positive": "a", "query": "b"}, ("a", "b")])
def test_one_column_or_only_known_ones_are_no_warning(row, caplog):
    with read_examples([row]):
        assert caplog.messages == []


def test_a_column_of_ids_is_left_out_and_told_once(caplog):
    row = {"": 7, "id": 1, "query_id": "q", "doc_ids": [3], "query": "a", "valid": "b", "score": 1}
    with read_examples([row, row]) as examples:
        assert examples.columns == ["query", "valid"]
    assert "the columns , id, query_id, doc_ids look like ids" in caplog.messages[0]
    assert sum("look like ids" in message for message in caplog.messages) == 1


@pytest.mark.parametrize("label", ["label", "labels", "score", "scores"])
def test_the_label_is_the_first_of_four_names(label):
    with read_examples([{label: 3, "text": "a"}, {"text": "b", label: 4}]) as examples:
        assert examples.columns == ["text"]
        assert examples.batch([1, 0]).labels.tolist() == [4, 3]


def test_of_two_labels_the_second_is_no_text():
    names = ["label", "labels", "score", "scores"]
    for first, second in itertools.pairwise(names):
        row = {second: 1, first: 2, "text": "a"}
        message = rf"^data\[0\]: column '{second}' holds numbers, .*; leave it out, as the label is"
        refused([row], message)


@pytest.mark.parametrize("label", ["entailment", "", None, {}, 1])
def test_a_label_that_is_not_asked_for_may_be_anything(label):
    rows = [{"query": "a", "label": 1}, {"query": "b", "label": label}]
    with read_examples(rows, labels=False) as examples:
        assert examples.label_shape is None
        assert examples.batch([1, 0])[:2] == ([["b", "a"]], None)


@pytest.mark.parametrize("number", ["0.5", " 7", "-1e-3", 7, 0.5, np.float32(0.5), True])
def test_a_column_of_numbers_is_no_column_of_texts(number):
    row = {"sentence1": "a", "sentence2": "b", "similarity": number}
    refused([row], r"^data\[0\]: column 'similarity' holds numbers.*; name it label or score if")


def test_a_column_of_numbers_is_told_by_its_file(tmp_path):
    path = written(tmp_path / "a.csv", "sentence1,sentence2,similarity\na,b,0.5\n")
    refused(path, "a.csv, line 2: column 'similarity' holds numbers, not texts, as '0.5'; name it")


@pytest.mark.parametrize(
    "row",
    [
        {"query": "1945", "positive": "2", "negative_1": "3", "label": 1},
        {"sentence1": "1945", "sentence_2": "3"},
        ("1945", "3"),
        {"question": "nan", "answer": "infinity"},
        {"question": "1945?", "answer": "[3]"},
    ],
)
def test_a_numeral_may_be_a_text_where_its_column_tells(row):
    with read_examples([row]) as examples:
        assert len(examples.columns) == len(row) - ("label" in row)


def test_data_without_labels_has_none():
    with read_examples([("a", "b"), ("c", "d")]) as examples:
        assert examples.label_shape is None
        batch = examples.batch([1])
    assert (batch.texts, batch.labels) == ([["c"], ["d"]], None)


@pytest.mark.parametrize("label", [[1.5, 2, -3], np.array([1.5, 2, -3]), (1.5, 2, -3)])
def test_a_label_may_be_a_list_of_numbers(label):
    with read_examples([("a", label), ("b", [0, 0, 1])]) as examples:
        batch = examples.batch([0, 1])
    assert batch.labels.dtype == np.float64
    assert batch.labels.tolist() == [[1.5, 2, -3], [0, 0, 1]]


def test_a_list_of_one_number_stays_a_list():
    assert all_of([("a", [1.0])]) == ([["a"]], [[1.0]])


def test_a_table_s_label_is_a_number_or_a_list(tmp_path):
    path = written(tmp_path / "a.csv", 'text,labels\na,"[1, 2.5]"\nb,"[.5e1, 0]"\n')
    refused(path, r"a\.csv, line 3: labels is '\[.5e1, 0\]'; expected a number, or a list")
    path = written(tmp_path / "a.csv", 'text,labels\na,"[1, 2.5]"\nb," [5e1, 0]"\n')
    assert all_of(path) == ([["a", "b"]], [[1, 2.5], [50, 0]])
    path = written(tmp_path / "a.csv", "text,labels\na,.5\nb, 1e-3\n")
    assert all_of(path) == ([["a", "b"]], [0.5, 0.001])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "a"}, r"has no column 'positive', which the first row has; it has query\."),
        ({"query": "a", "positive": "b"}, "has no column 'label', which the first row has; it"),
        ({}, "has no column 'query', which the first row has; it has none"),
        (
            {"query": "a", "positive": "b", "label": 1, "negative": "c"},
            "has a column 'negative', which the first row does not have",
        ),
        ({"query": "a", "positive": "", "label": 1}, r"positive is empty\. Fill it in"),
        ({"query": " \n", "positive": "b", "label": 1}, "query is empty"),
        ({"query": None, "positive": "b", "label": 1}, "query is None; expected a text"),
        ({"query": 7, "positive": "b", "label": 1}, "query is 7; expected a text"),
        ({"query": "a", "positive": ["b"], "label": 1}, r"positive is \['b'\]; .* Give one row"),
        ({"query": "a", "positive": "\ud800b", "label": 1}, r"positive holds '\\ud800', half of"),
        ({"query": "a", "positive": "b", "label": "x"}, "label is 'x'; expected a number"),
        ({"query": "a", "positive": "b", "label": ""}, "label is ''; expected a number"),
        ({"query": "a", "positive": "b", "label": None}, "label is None; expected a number"),
        ({"query": "a", "positive": "b", "label": {}}, "label is {}; expected a number"),
        ({"query": "a", "positive": "b", "label": []}, r"label is \[\]; expected a number"),
        ({"query": "a", "positive": "b", "label": [[1]]}, r"label is \[\[1\]\]; expected a num"),
        ({"query": "a", "positive": "b", "label": [None]}, r"label is \[None\]; expected a nu"),
        ({"query": "a", "positive": "b", "label": float("nan")}, "label holds nan, which is no"),
        ({"query": "a", "positive": "b", "label": "nan"}, "label holds nan, which is no finite"),
        ({"query": "a", "positive": "b", "label": [0, float("inf")]}, "label holds inf, which"),
        ({"query": "a", "positive": "b", "label": -1e39}, r"label holds -1e\+39, which is no fin"),
        ({"query": "a", "positive": "b", "label": 10**400}, "label holds 1000.*, which is no fi"),
        ({"query": "a", "positive": "b", "label": [1]}, "label is a list of 1, in the first row"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_told_by_its_line(tmp_path, row, message):
    good = {"query": "a", "positive": "b", "label": 1}
    path = written(tmp_path / "a.jsonl", lines(good) + "\n" + lines(row))
    refused(path, rf"a\.jsonl, line 3:? {message}")
    refused([good, row], rf"^data\[1\]:? {message}")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 2], [1], "label is a list of 1, in the first row it is a list of 2"),
        ([1, 2], 1, "label is one number, in the first row it is a list of 2"),
    ],
)
def test_labels_of_different_lengths_are_refused(first, second, message):
    refused([("a", first), ("b", second)], rf"^data\[1\]: {message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "^The data has no rows"),
        ({}, "^The data has no rows"),
        ({"a": [], "b": []}, "^The data has no rows"),
        ({"a": ["x", "y"], "b": ["z"]}, "^The columns a, b differ in length: .* after row 0"),
        ({"a": "xyz"}, r"^data\['a'\] is 'xyz'; expected a list"),
        ({"a": ["x"], "b": 1}, r"^data\['b'\] is 1; expected a list"),
        (["abc"], r"^data\[0\] is a str, 'abc'; expected a dict"),
        ([3], r"^data\[0\] is an int, 3; expected a dict"),
        ([InputExample()], r"^data\[0\]: texts is None; expected a list of texts"),
        ([InputExample(texts="abc")], r"^data\[0\]: texts is 'abc'; expected a list of texts"),
        ([{"label": 1, "id": "x"}], r"^data\[0\] has no column of texts; it has label, id"),
        ([()], r"^data\[0\] has no column of texts"),
        (DataLoader([InputExample()], 2), r"^data\[0\] is a batch .*; expected one example\. Give"),
        (
            [[{"a": "b"}]],
            r"^data\[0\] is a batch .*\. Give the list of examples itself, and batch_s",
        ),
        ([("a", InputExample())], r"^data\[0\] is a batch of examples"),
        ([{"query": "a", "anchor": "b"}], "^data.* query, anchor, which are two names of one"),
    ],
)
def test_data_that_holds_no_examples_is_refused(data, message):
    refused(data, message)


def test_a_number_is_no_data():
    with pytest.raises(TypeError, match="data is an int; expected a file, an iterable of rows"):
        read_examples(3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "query,positive\n", "^The data has no rows"),
        ("a.csv", "query,positive\na\n", "line 2 has 1 field; the header has 2"),
        ("a.csv", "query,query\na,b\n", "names 'query' twice"),
        ("a.jsonl", "{\n", r'line 1 is not JSON: .*, as {"query": ".*", "positive": ".*"}\.'),
        ("a.jsonl", '{"query": "a"}\n[1]\n', "line 2 holds a list; expected an object"),
        ("a.jsonl", '{"query": "a", "query": "b"}\n', "line 1 has two fields 'query'"),
        (
            "a.txt",
            "a\n",
            "no suffix of a form with named fields. Give form= .*, one of jsonl, csv,",
        ),
        (
            "a.doc",
            "a\n",
            "no suffix of a form with named fields. Give form= .*, one of jsonl, csv,",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, name, content, message):
    refused(written(tmp_path / name, content), message)


def test_a_folder_is_refused_although_documents_take_it(tmp_path):
    written(tmp_path / "corpus.jsonl", lines({"_id": "1", "text": "a"}))
    refused(tmp_path, "is a folder; expected a file of examples")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_examples(str(tmp_path / "none.jsonl"))


def test_an_origin_names_the_line_of_an_example(tmp_path):
    path = written(tmp_path / "a.csv", 'a,b\n"one\ntwo",x\nthree,y\n')
    with read_examples(path) as examples:
        assert examples.batch([1, 0]).origins == [f"{path}, line 4", f"{path}, line 2"]


FILLED = st.text(min_size=1).filter(str.strip)
THREE = st.lists(st.floats(allow_nan=False, width=32, allow_infinity=False), min_size=3, max_size=3)


@pytest.mark.slow
# Texts take long to draw, and files to write, on a busy machine.
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(FILLED, FILLED, THREE), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_any_texts_and_labels_come_back_as_they_were(rows, random):
    numbers = [random.randrange(len(rows)) for _ in range(5)]
    with read_examples(rows) as examples:
        batch = examples.batch(numbers)
    assert batch.texts == [[rows[n][0] for n in numbers], [rows[n][1] for n in numbers]]
    assert batch.labels.tolist() == [rows[n][2] for n in numbers]


def test_the_file_has_no_name_and_lies_in_the_folder_given(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_examples(ROWS, folder=tmp_path / "none")
    folder = tmp_path / "spool"
    folder.mkdir()
    with read_examples(ROWS, folder=folder) as examples:
        assert os.name == "nt" or list(folder.iterdir()) == []
        assert examples.batch([0]).texts[0] == [ROWS[0]["query"]]
    with pytest.raises(ValueError, match="closed file"):
        examples.batch([0])


def test_a_refused_row_leaves_no_open_file(monkeypatch):
    files = []

    def opened(**arguments):
        files.append(original(**arguments))
        return files[-1]

    original = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    refused([("a",), (3,)], "expected a text|no column")
    assert [file.closed for file in files] == [True]


def growth(rows):
    """The most memory that reading takes, in bytes: (most while it is read, left after)."""
    tracemalloc.start()
    examples = read_examples({"query": f"query {n} " * 9, "score": n} for n in range(rows))
    left, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    examples.close()
    return most, left


@pytest.mark.slow
def test_memory_grows_by_the_offsets_alone():
    growth(10)  # loads what the first call loads
    few, many = growth(5_000), growth(50_000)
    eight = 8 * 45_000  # bytes; an array that grows takes an eighth more
    assert many[0] - few[0] < 1.2 * eight + 2_000
    assert many[1] - few[1] < 1.2 * eight + 2_000


def test_json_numbers_keep_all_their_digits(tmp_path):
    path = written(tmp_path / "a.jsonl", json.dumps({"text": "a", "label": 0.1 + 0.2}) + "\n")
    assert all_of(path)[1] == [0.1 + 0.2]
