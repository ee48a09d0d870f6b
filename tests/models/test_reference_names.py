"""Names of sentence-transformers' two classes: small methods, saved cross-encoders, settings."""

import json

import numpy as np
import pytest

from minibert import CrossEncoder, DeviceError, SentenceTransformer
from minibert.models import Pooling

PAIRS = [("the cat", "a dog"), ("a dog", "a dog"), ("a", "the cat sat")]


@pytest.fixture(params=[SentenceTransformer, CrossEncoder])
def either(request, folder, three):
    """A model of each class."""
    return request.param(folder if request.param is SentenceTransformer else three)


def test_a_model_moves_and_changes_its_mode_as_torch_s_do(either):
    for method, arguments in (("cpu", ()), ("eval", ()), ("train", ()), ("train", (False,))):
        assert getattr(either, method)(*arguments) is either
    either.compile(dynamic=True)
    assert either.device == "cpu"


@pytest.mark.parametrize("device", [None, 1, "cuda:1"])
def test_a_model_without_a_gpu_says_so(either, device):
    with pytest.raises(DeviceError, match="'cuda:1'" if device else "'cuda'"):
        either.cuda(device)


@pytest.mark.parametrize("name", ["training", "requires_grad_", "parameters", "bfloat16"])
def test_members_of_torch_s_modules_are_missing_as_told(either, name):
    assert not hasattr(either, name)
    assert not callable(either)
    assert type(either.device) is str


def test_a_model_tells_what_it_is(either):
    assert either.model_type == type(either).__name__
    assert either.modalities == ["text"]
    assert (either.supports("text"), either.supports("image")) == (True, False)
    assert not either.supports(("text", "image"))
    assert either.get_backend() == "numpy"
    assert either.get_model_kwargs() == []
    assert either.get_max_seq_length() == either.max_seq_length
    assert either.processor("a cat") == either.tokenizer("a cat")


def test_the_first_and_the_last_module_are_found(folder, three):
    model, scorer = SentenceTransformer(folder), CrossEncoder(three)
    assert model._first_module() is model[0] is model.transformer
    assert isinstance(model._last_module(), Pooling)
    assert scorer._first_module() is scorer._last_module() is scorer.transformer


def test_an_evaluator_is_called_with_the_model_and_its_folder(either, tmp_path):
    calls = []

    def evaluator(*given):
        calls.append(given)
        return {"score": 1.0}

    assert either.evaluate(evaluator) == {"score": 1.0}
    either.evaluate(evaluator, str(tmp_path / "new" / "folder"))
    assert calls == [(either, None), (either, str(tmp_path / "new" / "folder"))]
    assert (tmp_path / "new" / "folder").is_dir()


@pytest.mark.parametrize("evaluator", ["x", None])
def test_an_evaluator_that_cannot_be_called_is_refused(either, evaluator, tmp_path):
    with pytest.raises(TypeError, match=rf"evaluator is an? \w+, {evaluator!r}; expected one of"):
        either.evaluate(evaluator, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_one_input_is_told_from_several(model, three):
    assert model.is_singular_input("a cat")
    assert not model.is_singular_input(["a cat"])
    assert not model.is_singular_input(np.array(["a cat"]))
    scorer = CrossEncoder(three)
    assert scorer.is_singular_input(("a", "b"))
    assert scorer.is_singular_input(["a", "b"])
    assert not scorer.is_singular_input(PAIRS)
    assert not scorer.is_singular_input([])


def test_a_model_is_loaded_by_an_older_name(folder, texts):
    loaded = SentenceTransformer.load(folder)
    np.testing.assert_array_equal(loaded.encode(texts[:3]), loaded.encode(texts[:3]))
    assert type(loaded) is SentenceTransformer


def test_pairs_are_tokenised_and_padded_by_a_cross_encoder(three):
    scorer = CrossEncoder(three)
    found = scorer.preprocess(PAIRS)
    rows = scorer.tokenizer([a for a, _ in PAIRS], [b for _, b in PAIRS], padding=True)
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        np.testing.assert_array_equal(found[name], rows[name])
    with_prompt = scorer.tokenize(PAIRS, prompt="a ")
    assert with_prompt["prompt_length"] == 2
    assert with_prompt["input_ids"].shape[1] == found["input_ids"].shape[1] + 1


def test_rank_takes_and_ignores_what_older_releases_had(one):
    scorer, documents = CrossEncoder(one), ["a dog", "the cat", "a"]
    expected = scorer.rank("the cat", documents)
    assert expected == scorer.rank(
        "the cat", documents, num_workers=2, convert_to_tensor=True, convert_to_numpy=False,
        apply_softmax=True,
    )  # fmt: skip
    first = scorer.rank("the cat", documents, prompt="a ", batch_size=2)[0]
    with_text = {**first, "text": documents[first["corpus_id"]]}
    assert scorer.rank("the cat", documents, 1, True, None, "a ", 2) == [with_text]
    pairs = [("the cat", document) for document in documents]
    np.testing.assert_array_equal(scorer.predict(pairs, num_workers=1), scorer.predict(pairs))


@pytest.mark.parametrize("activation", ["sigmoid", "identity", "softmax", "tanh", "leaky_relu"])
def test_a_saved_cross_encoder_gives_the_same_scores(three, tmp_path, activation):
    scorer = CrossEncoder(three, activation_fn=activation, max_length=9, prompts={"q": "a "})
    scorer.default_prompt_name = "q"
    scorer.save_pretrained(tmp_path / "saved")
    saved = CrossEncoder(tmp_path / "saved")
    long = [*PAIRS, ("the cat sat on the mat", "a dog sat on the mat")]
    np.testing.assert_array_equal(
        saved.predict(long, on_long="ignore"), scorer.predict(long, on_long="ignore")
    )
    assert (saved.max_seq_length, saved.prompts, saved.default_prompt_name) == (9, {"q": "a "}, "q")
    assert saved.default_activation_function == activation.replace("identity", "linear")
    saved.save(str(tmp_path / "again"))  # a folder with modules.json
    again = CrossEncoder(tmp_path / "again")
    np.testing.assert_array_equal(again.predict(PAIRS), scorer.predict(PAIRS))


def test_an_activation_that_no_folder_names_is_not_saved(three, tmp_path):
    scorer = CrossEncoder(three, activation_fn=np.negative)
    with pytest.raises(ValueError, match=r"activation_fn is <ufunc 'negative'>, which no folder"):
        scorer.save_pretrained(tmp_path / "saved")
    scorer.activation_fn = "gelu_pytorch_tanh"
    with pytest.raises(ValueError, match=r"Set it to one of .*gelu, .*, identity, .*, tanh"):
        scorer.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_card_is_saved_unless_it_is_not_wanted(folder, three, tmp_path):
    for kind, path in ((SentenceTransformer, folder), (CrossEncoder, three)):
        (path / "README.md").write_text("A card.")
        model, name = kind(path), kind.__name__
        model.save(tmp_path / name, "my-model", train_datasets=["data"])
        assert (tmp_path / name / "README.md").read_text() == "A card."
        model.save_pretrained(tmp_path / f"{name}-bare", create_model_card=False)
        assert not (tmp_path / f"{name}-bare" / "README.md").exists()
        with pytest.raises(ValueError, match="safe_serialization is False; minibert writes safet"):
            model.save(tmp_path / "pickle", safe_serialization=False)


def test_a_trained_model_s_card_is_not_written_unasked(folder, tmp_path):
    model = SentenceTransformer(folder)
    model.card = "Of a training."
    model.save(tmp_path / "bare", create_model_card=False)
    assert not (tmp_path / "bare" / "README.md").exists()
    model.save(tmp_path / "whole")
    assert (tmp_path / "whole" / "README.md").read_text() == "Of a training."


def test_a_saved_cross_encoder_s_settings_are_the_reference_s(three, tmp_path):
    CrossEncoder(three).save_pretrained(tmp_path / "saved")
    settings = json.loads((tmp_path / "saved" / "sentence_bert_config.json").read_text())
    assert settings == {
        "transformer_task": "sequence-classification",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "scores",
    }
