"""A model that was trained: it is copied and pickled from the folder where it was saved, or not."""

import copy
import pickle

import numpy as np
import pytest
from golden_files import copy_of
from trained import change_tensors_of

from minibert import SentenceTransformer, UnsavedError
from minibert.corpus.fingerprint import DigestCache, fingerprint_of
from minibert.losses import MultipleNegativesRankingLoss
from minibert.training import fit


@pytest.fixture
def trained(folder):
    """A model with other tensors than its folder's."""
    model = SentenceTransformer(folder, on_long="ignore")
    change_tensors_of(model)
    return model


NEED_A_FOLDER = [
    copy.copy,
    copy.deepcopy,
    pickle.dumps,
    lambda model: model.start_multi_process_pool(["cpu"]),
    lambda model: model.encode(["a", "b"], device=["cpu"]),
    lambda model: model.checkpoint.sha256(),
    lambda model: fingerprint_of(model, DigestCache(model.folder.path / "corpus")),
]


@pytest.mark.parametrize("use", NEED_A_FOLDER)
def test_a_trained_model_is_copied_only_when_it_is_saved(trained, use, tmp_path):
    """Its folder would give the model before training, without a word."""
    with pytest.raises(UnsavedError, match=r"is not saved.*Call save_pretrained\(\) first"):
        use(trained)


def test_a_saved_model_is_copied_from_where_it_was_saved(trained, folder, texts, tmp_path):
    expected = trained.encode(texts)
    trained.save_pretrained(tmp_path / "saved")
    for again in (copy.copy(trained), pickle.loads(pickle.dumps(trained))):
        assert again.folder.path == tmp_path / "saved"
        np.testing.assert_array_equal(again.encode(texts), expected)
    opened = SentenceTransformer(tmp_path / "saved")
    assert trained.checkpoint.sha256() == opened.checkpoint.sha256()
    cache = DigestCache(tmp_path / "corpus")
    assert fingerprint_of(trained, cache) == fingerprint_of(opened, cache)
    assert trained.folder.path == folder


def test_more_training_after_a_save_is_not_copied(trained, tmp_path):
    trained.save_pretrained(tmp_path / "saved")
    change_tensors_of(trained, 0.5)
    with pytest.raises(UnsavedError):
        copy.copy(trained)
    with pytest.raises(UnsavedError):
        trained.checkpoint.sha256()


def test_a_folder_that_another_wrote_can_be_taken(trained, texts, tmp_path):
    """As a run does, which writes a model elsewhere and then moves it."""
    trained.save_pretrained(tmp_path / "written")
    (tmp_path / "written").rename(tmp_path / "moved")
    trained.use_folder(tmp_path / "moved")
    np.testing.assert_array_equal(copy.copy(trained).encode(texts), trained.encode(texts))


def test_a_model_that_is_not_trained_keeps_its_folder(folder, tmp_path):
    model = SentenceTransformer(folder)
    model.save_pretrained(tmp_path / "saved")
    assert copy.copy(model).folder.path == model.saved_folder.path == folder


def test_trained_tensors_are_those_of_all_views_of_a_model(trained, folder, tmp_path):
    """Encoding, traces, transformers' names and pair scores use the same arrays."""
    before = SentenceTransformer(folder, on_long="ignore")
    text = "the cat sat"
    trained.save_pretrained(tmp_path / "saved")
    saved = SentenceTransformer(tmp_path / "saved", on_long="ignore")

    def views(model):
        ids = model.tokens(text).ids
        yield model.encode(text)
        yield model.trace(text)["layer.1.output"]
        yield model[0].auto_model([ids]).last_hidden_state
        yield model.explain(text, "a dog").contributions

    for found, same, other in zip(views(trained), views(saved), views(before), strict=True):
        np.testing.assert_array_equal(found, same)
        assert np.abs(found - other).max() > 1e-3


@pytest.mark.slow
def test_processes_of_an_earlier_training_are_refused(trained, tmp_path):
    """Even where the model is saved at the same place, as they hold the earlier tensors."""
    trained.save_pretrained(tmp_path / "saved")
    with trained.start_multi_process_pool(["cpu"]) as pool:
        expected = trained.encode(["the cat", "a dog"])
        np.testing.assert_array_equal(trained.encode(["the cat", "a dog"], pool=pool), expected)
        change_tensors_of(trained, 0.5)
        trained.save_pretrained(tmp_path / "saved")
        with pytest.raises(ValueError, match="pool"):
            trained.encode(["the cat", "a dog"], pool=pool)


def test_a_second_training_begins_where_the_first_ended(tmp_path):
    """Whether the first was saved or not; for modules with weights, too."""
    model = SentenceTransformer(copy_of("modules", tmp_path), on_long="ignore")
    first = change_tensors_of(model)
    expected = {key: tensor.copy() for key, tensor in first.items()}
    model.save_pretrained(tmp_path / "saved")
    second = model.trainable(dropout=False).values
    assert any("/" in key for key in second)
    assert second.keys() == expected.keys()
    for key, tensor in second.items():
        np.testing.assert_array_equal(tensor, expected[key], err_msg=key)
        assert tensor is not first[key]


@pytest.mark.parametrize("evaluator", [None, lambda model, **_: -float(model.encode("cat")[0])])
def test_a_model_of_a_run_is_copied_from_the_run_s_folder(folder, texts, tmp_path, evaluator):
    """The last model of a run, or the best; also when the finished run is called again."""
    (tmp_path / "data.jsonl").write_text('{"query": "the cat", "positive": "a dog"}\n' * 4)
    for _ in range(2):
        model = SentenceTransformer(folder, on_long="ignore")
        before = model.encode(texts)
        fit(
            model, tmp_path / "data.jsonl", MultipleNegativesRankingLoss(model),
            output=tmp_path / "run", lr=1e-2, batch_size=2, evaluator=evaluator, evaluation_steps=1,
        )  # fmt: skip
        again = copy.copy(model)
        assert again.folder.path == tmp_path / "run"
        np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
        assert np.abs(model.encode(texts) - before).max() > 1e-3


def test_a_checkpoint_of_a_stopped_run_is_no_folder_for_copies(folder, tmp_path):
    """It is written under another name, and removed once the run has gone on."""

    def interrupt(model, **_):
        raise KeyboardInterrupt

    model = SentenceTransformer(folder, on_long="ignore")
    pairs = [{"query": f"the cat {n}", "positive": f"a dog {n}"} for n in range(2)]
    loss = MultipleNegativesRankingLoss(model)
    with pytest.raises(KeyboardInterrupt):
        fit(model, pairs, loss, output=tmp_path / "run", lr=1e-2, evaluator=interrupt)
    assert (tmp_path / "run" / "checkpoints" / "stopped-1" / "modules.json").exists()
    with pytest.raises(UnsavedError):
        copy.copy(model)
