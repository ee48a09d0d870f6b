"""A weighted mean of the states after several layers: computed, read, saved, and refused."""

import json
import logging
import shutil

import numpy as np
import pytest
from golden_files import copy_of
from safetensors.numpy import save_file

from minibert import CheckpointError, SentenceTransformer

TEXTS = ["the cat sat", "a", "", "the dog barks at the cat " * 4]
WEIGHTS = np.array([0.5, -1.25, 3.0], np.float32)  # after layers 1, 2 and 3


def with_layers(folder, weights=WEIGHTS, start=1, at=1, **settings):
    """Put a WeightedLayerPooling into a golden folder of three layers; return the folder."""
    path = folder / "modules.json"
    entries = json.loads(path.read_text())
    kind = "WeightedLayerPooling"
    entry = {"name": kind, "path": kind, "type": f"sentence_transformers.models.{kind}"}
    entries.insert(at, entry)
    path.write_text(json.dumps(entries))
    (folder / kind).mkdir()
    given = {"embedding_dimension": 20, "num_hidden_layers": 3, "layer_start": start, **settings}
    (folder / kind / "config.json").write_text(json.dumps(given))
    save_file({"layer_weights": weights}, folder / kind / "model.safetensors")
    return folder


@pytest.fixture
def layered(folder, edit):
    edit(folder / "config.json", output_hidden_states=True)
    return with_layers(folder)


def mixed(model, text):
    """The mean of the layers' outputs by the trace of a model, in float64."""
    trace = model.trace(text)
    states = [trace[f"layer.{number}.output"].astype(np.float64) for number in range(3)]
    return sum(w * s for w, s in zip(WEIGHTS.astype(float), states, strict=True)) / WEIGHTS.sum()


def test_states_are_the_weighted_mean_of_the_layers(layered, tmp_path):
    model = SentenceTransformer(layered, on_long="ignore")
    plain = SentenceTransformer(copy_of("gelu", tmp_path / "plain"), on_long="ignore")
    for text, states in zip(
        TEXTS, model.encode(TEXTS, output_value="token_embeddings"), strict=True
    ):
        np.testing.assert_allclose(states, mixed(plain, text), rtol=0, atol=1e-5)
        traced = model.trace(text)["token_embeddings"]
        np.testing.assert_allclose(traced, states, rtol=0, atol=1e-5)
    vectors = model.encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, mixed(plain, text).mean(axis=0), rtol=0, atol=1e-5)
    assert type(model[1]).__name__ == "WeightedLayerPooling"


def test_the_embeddings_are_layer_0(folder, edit):
    edit(folder / "config.json", output_hidden_states=True)
    with_layers(folder, np.array([1, 0, 0, 0], np.float32), start=0)
    model = SentenceTransformer(folder)
    trace = model.trace("the cat")
    np.testing.assert_array_equal(trace["token_embeddings"], trace["embeddings.output"])


def test_a_pooled_token_alone_is_taken_of_the_mix(layered, edit, tmp_path):
    plain = SentenceTransformer(copy_of("gelu", tmp_path / "plain"), on_long="ignore")
    edit(layered / "1_Pooling" / "config.json", pooling_mode="cls")
    vectors = SentenceTransformer(layered, on_long="ignore").encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, mixed(plain, text)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("arguments", [{"threads": 1}, {"reproducible": True}])
def test_threads_and_packs_change_no_more_than_rounding(layered, arguments):
    texts = TEXTS * 40
    expected = SentenceTransformer(layered, on_long="ignore").encode(texts)
    found = SentenceTransformer(layered, on_long="ignore", **arguments).encode(texts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_another_device_gives_the_same_mix(cuda, layered):
    expected = SentenceTransformer(layered, on_long="ignore").encode(TEXTS)
    model = SentenceTransformer(layered, on_long="ignore", device="cuda")
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.to("cpu").encode(TEXTS), expected, rtol=0, atol=1e-5)


def test_without_all_states_in_config_json_it_has_no_effect(folder, caplog):
    expected = SentenceTransformer(folder).encode(TEXTS[:3])
    with_layers(folder)
    with caplog.at_level(logging.WARNING):
        model = SentenceTransformer(folder)
    assert "output_hidden_states is not true, so the WeightedLayerPooling has no" in caplog.text
    np.testing.assert_array_equal(model.encode(TEXTS[:3]), expected)


def test_a_saved_folder_has_it(layered, tmp_path):
    model = SentenceTransformer(layered)
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved")
    np.testing.assert_array_equal(again.encode(TEXTS[:3]), model.encode(TEXTS[:3]))


def test_a_score_splits_through_it(layered):
    model = SentenceTransformer(layered)
    explanation = model.explain("the cat sat", "a dog")
    score = float(model.similarity(*model.encode(["the cat sat", "a dog"])[:, None])[0, 0])
    assert explanation.contributions.sum() == pytest.approx(score, abs=1e-5)


def test_it_is_not_trained(layered):
    with pytest.raises(ValueError, match="minibert trains no WeightedLayerPooling"):
        SentenceTransformer(layered).trainable()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": 4}, "layer_start 4; expected a number of layers"),
        ({"start": -1}, "layer_start -1; expected a number of layers"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"embedding_dimension": 21}, "embedding_dimension expects 21 dimensions"),
        ({"start": 0}, "layer_weights has the shape"),
        ({"weights": np.array([1, -1, 0], np.float32)}, "layer_weights sum to 0"),
        ({"num_hidden_layers": 4, "start": 2}, "is for 4 layers; the model has 3"),
        ({"at": 2}, "a WeightedLayerPooling directly after the Transformer alone"),
        ({"weight": 3}, "weight"),
    ],
)
def test_settings_that_fit_no_model_are_refused(folder, edit, arguments, message):
    edit(folder / "config.json", output_hidden_states=True)
    with pytest.raises(CheckpointError, match=message):
        SentenceTransformer(with_layers(folder, **arguments))


def test_a_family_with_other_states_is_refused(tmp_path, edit):
    folder = copy_of("modernbert", tmp_path)
    edit(folder / "config.json", output_hidden_states=True)
    layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
    with_layers(folder, np.ones(layers, np.float32), num_hidden_layers=layers)
    with pytest.raises(CheckpointError, match="not of a modernbert"):
        SentenceTransformer(folder)
    shutil.rmtree(folder)
