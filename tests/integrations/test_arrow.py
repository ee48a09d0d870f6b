"""Vectors as a column of an Arrow table: what the engines call, without an engine."""

import numpy as np
import pyarrow
import pytest

from minibert import CrossEncoder, SentenceTransformer, quantize_embeddings
from minibert.integrations.arrow import Encoder


@pytest.fixture
def table(texts):
    return pyarrow.table({"id": range(len(texts)), "text": texts, "page": ["x"] * len(texts)})


def matrix(column, dimension):
    """The numbers of a column of lists."""
    return column.combine_chunks().flatten().to_numpy().reshape(-1, dimension)


def test_rows_keep_their_columns_and_get_their_vector(folder, table, texts):
    found = Encoder(folder)(table)
    assert found.drop_columns("vector") == table
    assert found.column("vector").type == pyarrow.list_(pyarrow.float32(), 20)
    expected = SentenceTransformer(folder).encode(texts)
    np.testing.assert_array_equal(matrix(found.column("vector"), 20), expected)


def test_a_record_batch_is_a_table_too(folder, table):
    (batch,) = table.to_batches()
    found = Encoder(folder)(batch)
    assert isinstance(found, pyarrow.RecordBatch)
    assert pyarrow.Table.from_batches([found]) == Encoder(folder)(table)


def test_columns_have_the_names_that_are_given(folder, texts):
    table = pyarrow.table({"body": texts, "vector": texts})
    found = Encoder(folder, column="body", into="meaning")(table)
    assert found.column_names == ["body", "vector", "meaning"]


def test_vectors_are_stored_in_the_precision_that_is_asked_for(folder, table, texts):
    vectors = SentenceTransformer(folder).encode(texts)
    half = Encoder(folder, precision="float16")(table).column("vector")
    assert half.type == pyarrow.list_(pyarrow.float16(), 20)
    np.testing.assert_array_equal(matrix(half, 20), vectors.astype(np.float16))
    bits = Encoder(folder, precision="binary")(table).column("vector")
    assert bits.type == pyarrow.list_(pyarrow.int8(), 3)
    np.testing.assert_array_equal(matrix(bits, 3), quantize_embeddings(vectors, "binary"))


@pytest.mark.parametrize("precision", ["float32", "float16", "binary"])
def test_a_table_without_rows_gets_the_column_of_any_other(folder, table, precision):
    encoder = Encoder(folder, precision=precision)
    assert encoder(table.slice(0, 0)).schema == encoder(table).schema


def test_the_prompt_is_the_one_for_documents_or_the_one_given(folder, edit):
    edit(folder / "config_sentence_transformers.json", prompts={"document": "the dog ", "x": "a "})
    table = pyarrow.table({"text": ["a cat"]})
    plain = SentenceTransformer(folder, prompts={"document": ""})
    for arguments, text in [
        ({}, "the dog a cat"),
        ({"prompt_name": "x"}, "a a cat"),
        ({"prompt": "who "}, "who a cat"),
    ]:
        found = matrix(Encoder(folder, **arguments)(table).column("vector"), 20)
        np.testing.assert_array_equal(found, plain.encode([text]))


def test_encode_s_arguments_and_the_model_s_are_heard(folder, table):
    encoder = Encoder(folder, normalize_embeddings=True, truncate_dim=8, threads=1)
    vectors = matrix(encoder(table).column("vector"), 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.model.transformer.threads == 1


@pytest.mark.parametrize("missing", [None, 5])
def test_a_row_without_a_text_is_refused_and_shown(folder, missing):
    kind = pyarrow.string() if missing is None else pyarrow.int64()
    texts = pyarrow.array([missing], kind)
    table = pyarrow.table({"id": ["d17"], "text": texts})
    message = rf"text is {missing} in the row \{{'id': 'd17', 'text': {missing}\}}\. Every row must"
    with pytest.raises(TypeError, match=message):
        Encoder(folder)(table)


def test_the_row_shown_is_the_first_without_a_text(folder):
    table = pyarrow.table({"id": [1, 2, 3], "text": ["a", None, None]})
    with pytest.raises(TypeError, match="'id': 2"):
        Encoder(folder)(table)


def test_columns_that_do_not_fit_are_refused(folder, table):
    with pytest.raises(ValueError, match="no column 'body' to encode, only 'id', 'text', 'page'"):
        Encoder(folder, column="body")(table)
    with pytest.raises(ValueError, match="a column 'page' already; name another with into="):
        Encoder(folder, into="page")(table)


def test_codes_that_need_ranges_of_a_whole_corpus_are_refused(folder):
    with pytest.raises(ValueError, match="'int8'; expected one of 'float32', 'float16', 'binary'"):
        Encoder(folder, precision="int8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, False),
        ({"reproducible": True}, True),  # or a lone text would have other bits than elsewhere
        ({"short_inputs": True}, True),
        ({"reproducible": True, "short_inputs": False}, False),
    ],
)
def test_a_table_is_a_part_of_a_corpus_and_lays_out_no_tiles(folder, arguments, expected):
    assert Encoder(folder, **arguments).model.transformer.short_inputs is expected


TEXTS = ["the cat", "a dog"]


@pytest.mark.parametrize("whole", [pyarrow.array(TEXTS), pyarrow.chunked_array([TEXTS, []])])
def test_arrays_of_arrow_are_lists_of_texts(folder, one_label, whole):
    model, reranker = SentenceTransformer(folder), CrossEncoder(one_label)
    np.testing.assert_array_equal(model.encode(whole), model.encode(TEXTS))
    assert model.tokenizer(whole) == model.tokenizer(TEXTS)
    assert reranker.rank("a", whole) == reranker.rank("a", TEXTS)
    assert reranker.predict(whole) == reranker.predict(TEXTS)  # one pair


def test_tables_and_values_of_arrow_are_refused_with_advice(folder, one_label):
    whole, table = pyarrow.array(TEXTS), pyarrow.table({"text": TEXTS})
    model, reranker = SentenceTransformer(folder), CrossEncoder(one_label)
    for given, advice in (
        (list(whole), "texts.to_pylist()"),
        (table, 'table["text"].to_pylist()'),
        (table.to_batches()[0], 'table["text"].to_pylist()'),
    ):
        for method in (model.encode, model.tokenizer, reranker.predict,
                       lambda texts: reranker.rank("a", texts)):  # fmt: skip
            with pytest.raises(TypeError) as refused:
                method(given)
            assert str(refused.value).endswith(f" {advice}.")
        if not isinstance(given, list):
            assert eval(advice, {"table": given}) == TEXTS
    with pytest.raises(TypeError, match=r" text\.as_py\(\)\.$"):
        model.encode(whole[0])
