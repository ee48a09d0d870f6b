"""Stores open a model by its arguments, and know by a sample whether it is that model still."""

import json

import numpy as np
import pytest
from golden_files import copy_of, edit_json

from minibert import CorpusError, SentenceTransformer
from minibert.integrations.stored_model import check_sample, open_model


def test_a_model_is_opened_once_for_the_same_arguments(folder):
    first = open_model({"model_name_or_path": str(folder), "truncate_dim": 8})
    again = open_model({"truncate_dim": 8, "model_name_or_path": str(folder)})
    assert again is first
    assert open_model({"model_name_or_path": str(folder)}) is not first
    assert first.model.truncate_dim == 8


def test_a_sample_is_the_beginning_of_a_document_s_vector(folder):
    prompts = {"document": "the dog ", "query": "a cat "}
    stored = open_model({"model_name_or_path": str(folder), "prompts": prompts})
    expected = SentenceTransformer(folder).encode("the dog A dog barks at the cat.")[:8]
    assert stored.sample[0] == stored.model.get_embedding_dimension()
    np.testing.assert_allclose(stored.sample[1:], expected, rtol=1e-5)
    assert json.loads(json.dumps(stored.sample)) == stored.sample


def test_an_argument_that_is_no_json_is_refused_by_name(folder):
    with pytest.raises(TypeError, match=r"dtype is <class 'numpy.float16'>; expected a text, a nu"):
        open_model({"model_name_or_path": str(folder), "dtype": np.float16})


def test_rounding_is_the_same_model_and_more_is_another(folder):
    stored = open_model({"model_name_or_path": str(folder)})
    dimension, *numbers = stored.sample
    sample, largest = np.array(numbers), np.abs(numbers).max()
    check_sample(stored.sample, None, "it")
    check_sample(stored.sample, stored.sample, "it")
    for place in range(len(sample)):
        for sign in (1, -1):
            step = sign * largest * np.eye(len(sample))[place]
            check_sample(stored.sample, [dimension, *(sample + 0.005 * step)], "it")
            with pytest.raises(CorpusError, match="The store's vectors are not of it: it has"):
                check_sample(stored.sample, [dimension, *(sample + 0.05 * step)], "it")
    with pytest.raises(CorpusError, match="cannot be compared"):
        check_sample(stored.sample, stored.sample[:-1], "it")


def test_a_shortened_vector_is_another_model_s(folder):
    whole, shortened = (
        open_model({"model_name_or_path": str(folder), "truncate_dim": dimension})
        for dimension in (None, 16)
    )
    assert shortened.sample[1:] == whole.sample[1:]
    for ours, theirs in ((whole, shortened), (shortened, whole)):
        with pytest.raises(CorpusError, match="the dimension and the vector"):
            check_sample(ours.sample, theirs.sample, "it")


def test_a_model_with_another_activation_is_another(folder, tmp_path):
    stored = open_model({"model_name_or_path": str(folder)})
    other = copy_of("gelu", tmp_path / "other")
    check_sample(open_model({"model_name_or_path": str(other)}).sample, stored.sample, "it")
    changed = copy_of("gelu", tmp_path / "changed")
    edit_json(changed / "config.json", hidden_act="relu")
    with pytest.raises(CorpusError, match="cannot be compared"):
        check_sample(open_model({"model_name_or_path": str(changed)}).sample, stored.sample, "it")
