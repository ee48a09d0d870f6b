"""What other libraries hold texts in: columns are lists of texts, tables are refused."""

import re

import numpy as np
import pytest

from minibert import SentenceTransformer

TEXTS = ["the cat", "a dog"]


def kept_in(library):
    """A column of texts, and a table of it."""
    made = pytest.importorskip(library)
    return made.Series(TEXTS), made.DataFrame({"text": TEXTS})


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_column_of_a_frame_is_a_list_of_texts(library, minilm_folder):
    model, (series, frame) = SentenceTransformer(minilm_folder), kept_in(library)
    expected = model.encode(TEXTS)
    for given in (series, frame["text"], datasets_column()):
        np.testing.assert_array_equal(model.encode(given), expected)
        assert model.tokenizer(given) == model.tokenizer(TEXTS)


def datasets_column():
    """A column of a table of the library that the reference trains with."""
    return pytest.importorskip("datasets").Dataset.from_dict({"text": TEXTS})["text"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_whole_frame_is_refused_with_its_column(library, minilm_folder):
    model, (_, frame) = SentenceTransformer(minilm_folder), kept_in(library)
    for method in (model.encode, model.tokenizer):
        with pytest.raises(TypeError, match=re.escape(' list(table["text"]).') + "$"):
            method(frame)
    assert eval('list(table["text"])', {"table": frame}) == TEXTS


def test_a_missing_text_of_a_series_is_said_to_be_missing(minilm_folder):
    pandas = pytest.importorskip("pandas")
    model = SentenceTransformer(minilm_folder)
    for kind in ("str", "string", object):
        with pytest.raises(TypeError, match=r"Text 1 of 2 is a .* leave out what is missing"):
            model.encode(pandas.Series(["a", None], dtype=kind))
