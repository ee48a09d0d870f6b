"""What other libraries hold texts in: refused with what makes a list of it, which then works."""

import re

import pytest

from minibert import SentenceTransformer

TEXTS = ["the cat", "a dog"]


def kept_in(library):
    """A column of texts, and a table of it."""
    made = pytest.importorskip(library)
    return made.Series(TEXTS), made.DataFrame({"text": TEXTS})


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_what_a_refusal_advises_for_series_and_frames_is_right(library, minilm_folder):
    model, (series, frame) = SentenceTransformer(minilm_folder), kept_in(library)
    for given, advice in ((series, "list(texts)"), (frame, 'list(table["text"])')):
        with pytest.raises(TypeError, match=re.escape(f" {advice}.") + "$"):
            model.encode(given)
        assert eval(advice, {"texts": given, "table": given}) == TEXTS
    with pytest.raises(TypeError, match=re.escape('list(table["text"])')):
        model.tokenizer(frame)


def test_a_missing_text_of_a_series_is_said_to_be_missing(minilm_folder):
    pandas = pytest.importorskip("pandas")
    model = SentenceTransformer(minilm_folder)
    for kind in ("str", "string", object):
        with pytest.raises(TypeError, match=r"Text 1 of 2 is a .* leave out what is missing"):
            model.encode(list(pandas.Series(["a", None], dtype=kind)))
