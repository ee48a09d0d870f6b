"""Modules added to a model, and taken out of it, as from a list."""

import numpy as np
import pytest
from golden_files import copy_of

from minibert import CheckpointError, SentenceTransformer, UnsavedError
from minibert.models import Dropout, Normalize, Pooling

TEXTS = ["the cat", "a dog sat", "the"]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_module_added_at_the_end_changes_the_vectors(folder, tmp_path):
    model = SentenceTransformer(folder)
    before = model.encode(TEXTS)
    assert model.append(Normalize()) is model
    assert model[-1] == Normalize()
    np.testing.assert_allclose(model.encode(TEXTS), unit(before), rtol=1e-6)
    with pytest.raises(UnsavedError, match="is not saved"):
        model.saved_folder  # noqa: B018
    model.save_pretrained(tmp_path / "saved")
    saved = SentenceTransformer(tmp_path / "saved")
    assert list(map(type, saved)) == list(map(type, model))
    np.testing.assert_array_equal(saved.encode(TEXTS), model.encode(TEXTS))


def test_a_module_that_is_taken_out_computes_no_more(folder):
    model = SentenceTransformer(folder)
    before = model.encode(TEXTS)
    model.extend([Dropout(0.5), Normalize()])
    assert len(model) == 4
    assert model.pop(-1) == Normalize()
    assert model.pop(2) == Dropout(0.5)
    np.testing.assert_array_equal(model.encode(TEXTS), before)


def test_a_module_goes_before_the_one_of_its_index(folder):
    model = SentenceTransformer(folder)
    model.append(Normalize()).insert(-1, Dropout(0.5))
    assert [type(module).__name__ for module in model][1:] == ["Pooling", "Dropout", "Normalize"]
    assert model.insert(4, Dropout(0.25))[4] == Dropout(0.25)


def test_modules_with_weights_stay_where_they_are(tmp_path):
    model = SentenceTransformer(copy_of("modules", tmp_path))
    kinds = [type(module).__name__ for module in model][1:]
    assert kinds[-2:] == ["Normalize", "Dense"]
    model.pop(-1)
    vectors = model.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    model.insert(-1, Dropout(0.5))
    np.testing.assert_array_equal(model.encode(TEXTS), vectors)
    model.save_pretrained(tmp_path / "saved")
    saved = SentenceTransformer(tmp_path / "saved")
    assert [type(module).__name__ for module in saved][1:] == [*kinds[:-2], "Dropout", "Normalize"]
    np.testing.assert_array_equal(saved.encode(TEXTS), vectors)


def test_a_change_keeps_the_settings_of_the_pooling(folder):
    model = SentenceTransformer(folder)
    model.include_prompt = False
    model.append(Normalize())
    assert model.include_prompt is False


def test_modules_that_were_trained_are_saved_before_a_change(tmp_path):
    model = SentenceTransformer(copy_of("modules", tmp_path))
    model.trained = {"1_Dense/linear.weight": np.zeros((1, 1), np.float32)}
    with pytest.raises(UnsavedError, match="modules were trained and are not saved"):
        model.append(Normalize())


def test_impossible_places_and_modules_are_refused(folder):
    model = SentenceTransformer(folder)
    with pytest.raises(ValueError, match="The Transformer is the first module, and stays there"):
        model.insert(0, Normalize())
    with pytest.raises(ValueError, match="The Transformer is the first module"):
        model.pop(-2)
    for call in (lambda: model.pop(2), lambda: model.pop(-3), lambda: model.insert(3, Normalize())):
        with pytest.raises(IndexError, match="this model has 2 modules"):
            call()
    with pytest.raises(TypeError, match=r"modules\[2\] is a str; expected one of minibert.models"):
        model.append("Normalize")
    for change in (lambda: model.append(Pooling()), lambda: model.pop(1)):
        with pytest.raises(CheckpointError, match=r"modules\.json"):
            change()
    assert not model.is_changed
    assert len(model) == 2
