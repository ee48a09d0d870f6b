"""SentenceTransformer(modules=[...]): a plain BERT with a pooling of a program's choice."""

import copy
import json
import pickle

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, expected_of
from trained import change_tensors_of

from minibert import CheckpointError, SentenceTransformer, UnsavedError, models
from minibert.bert import load
from minibert.pooling.pooling import Pooling

PLAIN = GOLDEN / "plain"
WIDTH = 20


def built(*modules, **settings):
    """A model of the golden plain BERT and modules."""
    return SentenceTransformer(modules=[models.Transformer(PLAIN, **settings), *modules])


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_modules_of_a_program_make_the_same_model_as_a_folder(texts):
    """The mean, which a plain BERT has by itself; nothing is said of a missing modules.json."""
    model = built(models.Pooling(WIDTH))
    model.on_long = "ignore"
    np.testing.assert_array_equal(
        model.encode(texts), SentenceTransformer(PLAIN, on_long="ignore").encode(texts)
    )
    assert model.similarity_fn_name == "cosine"
    assert [type(module) for module in model] == [models.Transformer, models.Pooling]


def test_the_weights_are_read_once(monkeypatch):
    opened, load_checkpoint = [], load.load_checkpoint

    def counted(*arguments):
        opened.append(arguments)
        return load_checkpoint(*arguments)

    monkeypatch.setattr("minibert.models.transformer.load_checkpoint", counted)
    transformer = models.Transformer(PLAIN)
    model = SentenceTransformer(modules=[transformer, models.Pooling(WIDTH)])
    assert model[0] is transformer
    assert len(opened) == 1


SAVED = {
    "mean": ([models.Pooling(WIDTH)], {"pooling_mode_mean_tokens": True}),
    "cls": (
        [models.Pooling(WIDTH, "cls"), models.Normalize()],
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    ),
    "two": (
        [models.Pooling(WIDTH, pooling_mode_max_tokens=True, pooling_mode_mean_tokens=True)],
        {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True},
    ),
    "another order": (
        [models.Pooling(WIDTH, ("mean", "cls"), include_prompt=False), models.Dropout(0.25)],
        {"pooling_mode": ["mean", "cls"]},
    ),
    "tokens first": (
        [models.Normalize("token_embeddings"), models.Pooling(), models.Normalize()],
        {"pooling_mode_mean_tokens": True},
    ),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_model_of_modules_is_saved_as_a_whole_folder(name, texts, tmp_path):
    modules, settings = SAVED[name]
    model = built(*modules, max_seq_length=9, do_lower_case=True)
    model.on_long = "ignore"
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert list(again)[1:] == [
        module._replace(embedding_dimension=WIDTH) if isinstance(module, Pooling) else module
        for module in modules
    ]
    assert again.max_seq_length == 9
    assert again[0].do_lower_case is True
    kinds = ["Transformer", *(type(module).__name__ for module in modules)]
    entries = read(tmp_path / "saved" / "modules.json")
    assert [entry["type"] for entry in entries] == [
        f"sentence_transformers.models.{kind}" for kind in kinds
    ]
    place = f"{kinds.index('Pooling')}_Pooling"
    width = {"word_embedding_dimension" if "pooling_mode" not in settings
             else "embedding_dimension": WIDTH}  # fmt: skip
    assert read(tmp_path / "saved" / place / "config.json") == {
        **width, **settings, "include_prompt": model.include_prompt
    }  # fmt: skip


def test_a_model_of_modules_is_copied_when_it_is_saved(texts, tmp_path):
    """No folder has its pooling before."""
    model = built(models.Pooling(WIDTH, "cls"))
    model.on_long = "ignore"
    for use in (copy.copy, pickle.dumps, lambda model: model.start_multi_process_pool(["cpu"])):
        with pytest.raises(UnsavedError, match="put together from modules, and is not saved"):
            use(model)
    model.save_pretrained(tmp_path / "saved")
    np.testing.assert_array_equal(copy.copy(model).encode(texts), model.encode(texts))


def test_a_trained_model_of_modules_is_saved_whole(texts, tmp_path):
    model = built(models.Pooling(WIDTH, "max"), models.Normalize())
    model.on_long = "ignore"
    trained = change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert trained.keys() == again.trainable().values.keys()


def test_only_the_settings_of_a_program_count(tmp_path, edit):
    """Not those that an earlier model has left in the folder, as in the reference."""
    folder = copy_of("plain", tmp_path)
    edit(folder / "sentence_bert_config.json", max_seq_length=5)
    model = SentenceTransformer(modules=[models.Transformer(folder), models.Pooling(WIDTH)])
    assert model.max_seq_length == 41
    model.max_seq_length = 7
    model.save_pretrained(tmp_path / "saved")
    assert read(tmp_path / "saved" / "sentence_bert_config.json") == {"max_seq_length": 7}


def test_arguments_of_a_model_place_its_transformer():
    transformer = models.Transformer(PLAIN, threads=1)
    model = SentenceTransformer(
        modules=[transformer, models.Pooling(WIDTH)], reproducible=True, short_inputs=False
    )
    assert transformer.reproducible
    assert not transformer.short_inputs
    assert (model.device, model.dtype) == ("cpu", "float32")
    again = SentenceTransformer(modules=list(model), threads=1, prompts={"query": "the "})
    assert again[0] is transformer
    assert (transformer.threads, transformer.reproducible) == (1, False)
    assert again.prompts["query"] == "the "


TRANSFORMER = models.Transformer(PLAIN)
DENSE = SentenceTransformer(GOLDEN / "modules")[3]


@pytest.mark.parametrize(
    ("modules", "error", "message"),
    [
        ([], TypeError, r"modules is \[\]; expected a list, as \[Transformer, Pooling\]"),
        ("plain", TypeError, r"modules is 'plain'; expected a list"),
        ([models.Pooling(WIDTH)], TypeError, r"modules\[0\] is a Pooling; expected a Transformer"),
        (["plain"], TypeError, r"modules\[0\] is a str; expected a Transformer"),
        ([TRANSFORMER, "mean"], TypeError, r"modules\[1\] is a str; expected one of minibert"),
        ([TRANSFORMER, TRANSFORMER], TypeError, r"modules\[1\] is a Transformer; expected one"),
        ([TRANSFORMER, models.Pooling(WIDTH), DENSE], ValueError,
         r"modules\[2\] is a Dense, whose weights are in a folder. Expected Pooling, Normalize"),
        ([TRANSFORMER], CheckpointError, "without a Pooling they make no vector"),
        ([TRANSFORMER, models.Pooling(7)], CheckpointError, "expects 7 dimensions.* gives 20"),
    ],
)  # fmt: skip
def test_modules_that_make_no_model_are_refused(modules, error, message):
    with pytest.raises(error, match=message):
        SentenceTransformer(modules=modules)


def test_a_name_beside_modules_is_refused():
    with pytest.raises(ValueError, match="Both model_name_or_path and modules are given"):
        SentenceTransformer(PLAIN, modules=[TRANSFORMER, models.Pooling(WIDTH)])


def test_the_second_argument_is_the_maximum_as_in_the_reference():
    assert models.Transformer(PLAIN, 16).max_seq_length == 16


@pytest.mark.parametrize("length", [0, "300", 1.5])
def test_a_maximum_that_is_no_count_is_refused(length):
    with pytest.raises((ValueError, TypeError), match="max_seq_length is"):
        models.Transformer(PLAIN, max_seq_length=length)


def test_a_golden_bert_pools_as_the_reference(texts):
    """Of a folder without modules.json: its expected vectors are the means."""
    model = built(models.Pooling(word_embedding_dimension=WIDTH, pooling_mode_mean_tokens=True))
    model.on_long = "ignore"
    expected = expected_of("plain")
    name = next(name for name in expected if expected[name].shape == (len(texts), WIDTH))
    np.testing.assert_allclose(model.encode(texts), expected[name], rtol=0, atol=1e-5)
