"""Merged models: the weighted means of tensors, and models that cannot be merged."""

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer, UnsavedError
from minibert.models import Normalize


@pytest.fixture
def three_models(tmp_path):
    """Folders of a model with a Dense, and of two that were trained from it."""
    folders = []
    for number in range(3):
        (tmp_path / f"model{number}").mkdir()
        folder = copy_of("modules", tmp_path / f"model{number}")
        random = np.random.default_rng(number)
        for file in folder.rglob("*.safetensors"):
            tensors = {
                name: tensor + random.normal(0, 0.02, tensor.shape).astype(np.float32)
                for name, tensor in load_file(file).items()
            }
            save_file(tensors, file)
        folders.append(folder)
    return folders


def tensors_of(folder):
    """All tensors of a folder, by file and name, in float64."""
    return {
        (file.relative_to(folder), name): tensor.astype(np.float64)
        for file in folder.rglob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


@pytest.mark.parametrize(
    ("parameters", "factors"),
    [
        (None, [1 / 3, 1 / 3, 1 / 3]),
        ({"weight": [1, 2, 5]}, [0.125, 0.25, 0.625]),
        ({"weight": (0.6, 0.4, -0.5), "normalize": False}, [0.6, 0.4, -0.5]),
        ({"weight": 0.5, "normalize": True}, [1 / 3, 1 / 3, 1 / 3]),
    ],
    ids=str,
)
def test_merged_tensors_are_the_weighted_means(three_models, tmp_path, parameters, factors):
    before = [SentenceTransformer(three_models[1])]
    vectors = before[0].encode("the cat")
    models = [str(three_models[0]), before[0], three_models[2]]
    found = SentenceTransformer.merge(models, parameters=parameters)
    np.testing.assert_array_equal(before[0].encode("the cat"), vectors)  # it is left alone
    with pytest.raises(UnsavedError):
        found.saved_folder  # noqa: B018
    found.save_pretrained(tmp_path / "merged")
    parts = [tensors_of(folder) for folder in three_models]
    merged = tensors_of(tmp_path / "merged")
    assert merged.keys() == parts[0].keys()
    unused = {name for _, name in merged if name.startswith("pooler.")}
    for key, tensor in merged.items():
        if key[1] not in unused:
            expected = sum(factor * part[key] for factor, part in zip(factors, parts, strict=True))
            np.testing.assert_allclose(tensor, expected, rtol=1e-6, atol=1e-7)
    again = SentenceTransformer(tmp_path / "merged")
    np.testing.assert_array_equal(again.encode("the cat"), found.encode("the cat"))


def test_a_merged_model_has_a_card_of_its_own(three_models, tmp_path):
    (three_models[0] / "README.md").write_text("Trained on this.")
    SentenceTransformer.merge(three_models[:2], parameters={"weight": [0.25, 3]}).save(
        tmp_path / "m"
    )
    card = (tmp_path / "m" / "README.md").read_text()
    assert "Trained on this" not in card
    assert "## Merge" in card
    assert "- modules: 0.25\n- modules: 3\n" in card


def test_prompts_and_settings_are_the_first_model_s(three_models):
    first = SentenceTransformer(three_models[0], prompts={"query": "a "}, truncate_dim=2)
    found = SentenceTransformer.merge([first, three_models[1]])
    assert (found.prompts, found.truncate_dim) == (first.prompts, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "slerp"}, "method is 'slerp'; expected one of 'linear'"),
        ({"base_model": "x"}, "base_model is 'x'. minibert has no use for it"),
        ({"out_dtype": "float16"}, "out_dtype is 'float16'"),
        ({"parameters": {"t": 0.5}}, "A name in parameters is 't'; expected one of 'weight'"),
        ({"parameters": {"weight": [1]}}, r"weight is \[1\]; expected a number for each of the 2"),
        ({"parameters": {"weight": [1, "b"]}}, "expected a number for each"),
        ({"parameters": {"weight": [1, -1]}}, "whose sum is not 0"),
        ({"parameters": {"weight": True}}, "weight is True"),
    ],
    ids=str,
)
def test_a_merge_that_cannot_be_meant_is_refused(three_models, arguments, message):
    with pytest.raises(ValueError, match=message):
        SentenceTransformer.merge(three_models[:2], **arguments)


def test_models_of_different_forms_are_not_merged(three_models):
    for other in ("gelu", "roberta"):
        with pytest.raises(ValueError, match=r"Model 1 has other sizes in config\.json"):
            SentenceTransformer.merge([three_models[0], GOLDEN / other])
    changed = SentenceTransformer(three_models[1]).append(Normalize())
    with pytest.raises(ValueError, match="Model 2 has other modules after the Transformer"):
        SentenceTransformer.merge([*three_models[:2], changed])
    for models in ("ab", three_models[:1]):
        with pytest.raises(ValueError, match="expected a list of two or more"):
            SentenceTransformer.merge(models)
    with pytest.raises(TypeError, match="models has an int; expected models, paths or names"):
        SentenceTransformer.merge([three_models[0], 5])


def test_models_with_other_words_are_not_merged(three_models):
    file = three_models[1] / "tokenizer.json"
    words = file.read_text()
    file.write_text(words.replace('"cat": 6', '"cat": 7').replace('"dog": 7', '"dog": 6'))
    assert file.read_text() != words
    with pytest.raises(ValueError, match="Model 1 has other tokens"):
        SentenceTransformer.merge(three_models[:2])
