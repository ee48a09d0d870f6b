"""A module and a pooling mode from outside: a row each, and nothing else in the package changes."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from golden_files import GOLDEN
from module_folders import refused
from safetensors.numpy import save_file

from minibert import ModelUnavailableError, SentenceTransformer
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions
from minibert.common.json_files import required_count
from minibert.explain.attribution import NoSumError
from minibert.pooling.modes import POOLINGS, PoolingMode, linear_factors
from minibert.pooling.module import Module, NotLinearError, check_dimension
from minibert.pooling.registry import MODULES

# Powers of two: products with them are exact.
FACTORS = (2.0 ** np.arange(20)).astype(np.float32)


class Scale(NamedTuple):
    """The settings of a module that is not minibert's."""

    path: Path
    dimension: int
    bends: bool
    module_input_name: str = "sentence_embedding"


def read_scale(folder, settings):
    path = folder / "config.json"
    return Scale(folder, required_count(path, settings, "dimension"), settings.get("bends", False))


class Scaling(NamedTuple):
    """Each dimension times a factor of its own."""

    factors: Any
    bends: bool

    def __call__(self, rows, kernels):
        rows *= self.factors
        return rows

    def split(self, parts, portion):
        if self.bends:
            raise NotLinearError("a scale that bends")
        return parts * self.factors


def load_scale(module, tensors, dimension):
    check_dimension(module.path, "dimension", module.dimension, dimension)
    return Scaling(tensors.take("factors", dimension), module.bends), dimension


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.setitem(MODULES, "Scale", Module(Scale, read_scale, load_scale, has_weights=True))


def add_scale(folder, factors=FACTORS, **settings):
    """Put a Scale behind a model's pooling."""
    path = folder / "modules.json"
    entries = json.loads(path.read_text())
    entries.append({"path": "9_Scale", "type": "sentence_transformers.models.Scale"})
    path.write_text(json.dumps(entries))
    (folder / "9_Scale").mkdir()
    (folder / "9_Scale" / "config.json").write_text(json.dumps({"dimension": 20, **settings}))
    save_file({"factors": factors}, folder / "9_Scale" / "model.safetensors")
    return folder


def test_without_a_row_a_module_is_refused(folder):
    refused(add_scale(folder), "there is a Scale after the Transformer; minibert runs Pooling")


def test_a_row_is_enough_to_load_and_encode(folder, scale, texts):
    plain = SentenceTransformer(GOLDEN / "gelu", on_long="ignore").encode(texts)
    model = SentenceTransformer(add_scale(folder), on_long="ignore")
    assert model[2] == Scale(folder / "9_Scale", 20, False)
    np.testing.assert_array_equal(model.encode(texts), plain * FACTORS)


def test_a_row_is_enough_to_save_with_its_weights(folder, scale, texts, tmp_path):
    model = SentenceTransformer(add_scale(folder), on_long="ignore")
    model.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved" / "9_Scale").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))


def test_a_row_is_enough_to_explain_or_refuse(folder, scale, edit):
    model = SentenceTransformer(add_scale(folder), similarity_fn_name="dot")
    found = model.explain("the cat", "a dog")
    q, d = model.encode(["the cat", "a dog"])
    assert found.contributions.sum() == pytest.approx(float(q @ d), rel=1e-6)
    edit(folder / "9_Scale" / "config.json", bends=True)
    with pytest.raises(NoSumError, match=r"not linear \(a scale that bends\)"):
        SentenceTransformer(folder).explain("the cat", "a dog")


def test_no_other_module_is_taken_for_the_pooling(folder, monkeypatch):
    named_alike = type("Pooling", (Scale,), {})
    row = Module(named_alike, lambda *given: named_alike(*read_scale(*given)), load_scale,
                 has_weights=True)  # fmt: skip
    monkeypatch.setitem(MODULES, "Scale", row)
    model = SentenceTransformer(add_scale(folder))
    model.include_prompt = False
    assert model[1].include_prompt is False
    assert model[2] == named_alike(folder / "9_Scale", 20, False)


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_row_tells_what_a_cached_copy_lacks(cache, folder, scale, no_network, lost):
    snapshot = cache("someone/scaled", add_scale(folder))
    assert find_model("someone/scaled", HubOptions(local_files_only=True)) == snapshot
    (snapshot / "9_Scale" / lost).unlink()
    with pytest.raises(ModelUnavailableError, match=f"9_Scale/{lost} is missing"):
        find_model("someone/scaled", HubOptions(local_files_only=True))


def test_the_weights_of_a_row_are_all_used_or_refused(folder, scale):
    add_scale(folder)
    save_file({"factors": FACTORS, "x": FACTORS}, folder / "9_Scale" / "model.safetensors")
    refused(folder, "9_Scale: config.json does not mention the tensor 'x'")


def test_the_dimension_of_a_row_is_checked(folder, scale):
    refused(add_scale(folder, dimension=3), "dimension expects 3 dimensions; .* gives 20")


def shortest(hidden, lengths, skipped, kernels):
    return kernels.rows_at(hidden, np.cumsum(lengths) - 1) * 0 + lengths.min()


def test_a_new_pooling_needs_no_more_than_its_row(folder, edit, monkeypatch):
    monkeypatch.setitem(POOLINGS, "shortest", PoolingMode(shortest))
    edit(folder / "1_Pooling" / "config.json", pooling_mode=["mean", "shortest"])
    vectors = SentenceTransformer(folder).encode(["the cat", "a"])
    assert vectors.shape == (2, 40)
    assert (vectors[:, 20:] == 3).all()


def test_a_pooling_without_factors_is_not_explained(folder, edit, monkeypatch):
    monkeypatch.setitem(POOLINGS, "shortest", PoolingMode(shortest))
    edit(folder / "1_Pooling" / "config.json", pooling_mode="shortest")
    with pytest.raises(ValueError, match="pooled by 'shortest' is no sum"):
        SentenceTransformer(folder).explain("the cat", "a dog")


def second(lengths):
    """The number of each text's second token, or of its only one."""
    return np.cumsum(lengths) - lengths + np.minimum(lengths - 1, 1)


def test_a_new_pooling_of_one_token_is_explained(folder, edit, monkeypatch):
    def seconds(hidden, lengths, skipped, kernels):
        return kernels.rows_at(hidden, second(lengths))

    row = PoolingMode(seconds, linear_factors, pooled_tokens=second, old_key="pooling_mode_second")
    monkeypatch.setitem(POOLINGS, "second", row)
    settings = {"word_embedding_dimension": 20, "pooling_mode_second": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    model = SentenceTransformer(folder, similarity_fn_name="dot")
    assert model[1].pooling_mode == ("second",)
    states = model.encode(["the cat", "a"], output_value="token_embeddings")
    # Worst seen 1.2e-7: the last layer is computed for the one token alone.
    expected = [state[1] for state in states]
    np.testing.assert_allclose(model.encode(["the cat", "a"]), expected, rtol=0, atol=1e-6)
    found = model.explain("the cat", "a")
    assert np.argwhere(found.contributions).tolist() == [[1, 1]]
