"""CrossEncoders and masked language models through minibert and the reference."""

import json

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers
from folders import CONFIG, WORDS, awkward, changed, fast_tokenizer, old_masked_lm
from golden_files import edit_json
from golden_models import FAMILIES, config, tokenizer
from make_golden import TEXTS

import minibert

PAIRS = [(a, b) for a in TEXTS for b in (TEXTS[0], TEXTS[4], "", "a dog")]
CLOSE = {"rtol": 0, "atol": 1e-5}


def classifier(labels=1, words=tokenizer, then=(), **arguments):
    """A cross-encoder with some labels, as sentence-transformers saves it, and edits of that."""

    def make(folder):
        torch.manual_seed(20261124)
        parts = folder.parent / "parts"
        bert = transformers.BertForSequenceClassification(config(num_labels=labels))
        awkward(bert).save_pretrained(parts)
        words().save_pretrained(parts)
        model = sentence_transformers.CrossEncoder(str(parts), device="cpu", **arguments)
        model.save_pretrained(str(folder), create_model_card=False)
        for change in then:
            change(folder)

    return make


def plain(labels, **settings):
    """A classifier that sentence-transformers never saw."""

    def make(folder):
        torch.manual_seed(20261124)
        bert = transformers.BertForSequenceClassification(config(num_labels=labels))
        awkward(bert).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        edit_json(folder / "config.json", **settings)

    return make


def of_family(name, labels=1):
    """A classifier of another family, as transformers saves it."""

    def make(folder):
        torch.manual_seed(20261124)
        family = FAMILIES[name]
        awkward(family.classifier(labels)).save_pretrained(folder)
        family.words().save_pretrained(folder)

    return make


GONE_LABELS = {"id2label": None, "label2id": None}
OF_TORCH = "torch.nn.modules.activation."
FOLDERS = {
    "one label": classifier(),
    "three labels": classifier(3),
    "two labels": classifier(2),
    "identity": classifier(activation_fn=torch.nn.Identity()),
    "tanh, three labels": classifier(3, activation_fn=torch.nn.Tanh()),
    "a prompt": classifier(
        prompts={"query": "the cat ", "other": "a"}, default_prompt_name="query"
    ),
    "max_length": classifier(max_length=9),
    "cased": classifier(words=lambda: tokenizer(do_lower_case=False)),
    "a fast tokenizer": classifier(words=fast_tokenizer()),
    "a fast tokenizer with types": classifier(
        words=fast_tokenizer(model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    ),
    "truncation on the left": classifier(then=[changed(WORDS, truncation_side="left")]),
    "activation in config.json": classifier(
        then=[
            changed(CONFIG, activation_fn=None),
            changed("config.json", sentence_transformers={"activation_fn": OF_TORCH + "Tanh"}),
        ]
    ),
    "plain, one label": plain(1),
    "plain, four labels": plain(4),
    "plain, two by default": plain(2, **GONE_LABELS),
    "plain, old activation": plain(
        1, sbert_ce_default_activation_function="torch.nn.modules.linear.Identity"
    ),
    "plain, activation of release 4": plain(
        1, sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"}
    ),
    **{name: of_family(name) for name in FAMILIES},
    **{f"{name}, three labels": of_family(name, 3) for name in FAMILIES},
}


@pytest.fixture(scope="module", params=FOLDERS)
def both_cross_encoders(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cross") / "model"
    FOLDERS[request.param](folder)
    return (
        minibert.CrossEncoder(folder, on_long="ignore"),
        sentence_transformers.CrossEncoder(str(folder), device="cpu", local_files_only=True),
    )


def test_scores_are_equal(both_cross_encoders):
    ours, theirs = (model.predict(PAIRS) for model in both_cross_encoders)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize(
    "pair", [("the cat", "a dog"), ["the cat", "a dog"], np.array(["the cat", "a dog"])]
)
def test_one_pair_gives_one_result(both_cross_encoders, pair):
    ours, theirs = (model.predict(pair) for model in both_cross_encoders)
    assert np.shape(ours) == np.shape(theirs)
    assert type(ours) is type(theirs)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"activation_fn": "identity"}, {"activation_fn": torch.nn.Identity()}),
        ({"activation_fn": "sigmoid"}, {"activation_fn": torch.nn.Sigmoid()}),
        ({"activation_fn": lambda x: x * 2 + 1}, {"activation_fn": lambda x: x * 2 + 1}),
        ({"apply_softmax": True}, {"apply_softmax": True}),
        ({"prompt": "dog "}, {"prompt": "dog "}),
        ({"prompt": ""}, {"prompt": ""}),
        ({"batch_size": 3}, {"batch_size": 3}),
    ],
)
def test_arguments_mean_the_same(both_cross_encoders, ours, theirs):
    model, reference = both_cross_encoders
    found, expected = model.predict(PAIRS, **ours), reference.predict(PAIRS, **theirs)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("labels", [1, 3])
def test_activations_of_torch_mean_the_same(labels, tmp_path):
    classifier(labels)(tmp_path / "model")
    ours = minibert.CrossEncoder(tmp_path / "model", on_long="ignore")
    theirs = sentence_transformers.CrossEncoder(str(tmp_path / "model"), device="cpu")
    for given in (
        *(torch.nn.Sigmoid(), torch.nn.Tanh(), torch.nn.Identity(), torch.nn.GELU()),
        *(torch.nn.Softmax(dim=-1), torch.nn.LeakyReLU(), torch.nn.Hardtanh(), torch.nn.SiLU()),
        *(torch.sigmoid, torch.tanh, torch.nn.functional.relu),
    ):
        found, expected = (model.predict(PAIRS, activation_fn=given) for model in (ours, theirs))
        np.testing.assert_allclose(found, expected, **CLOSE, err_msg=str(given))


def test_settings_are_equal(both_cross_encoders):
    ours, theirs = both_cross_encoders
    assert ours.num_labels == theirs.num_labels
    assert ours.max_seq_length == ours.max_length == theirs.max_seq_length
    assert ours.prompts == theirs.prompts
    assert ours.default_prompt_name == theirs.default_prompt_name


def test_rankings_are_equal(both_cross_encoders):
    ours, theirs = both_cross_encoders
    documents = TEXTS + ["the cat", "the cat"]
    if theirs.num_labels > 1:
        for model in both_cross_encoders:
            with pytest.raises(ValueError, match="predict"):
                model.rank("the cat", documents)
        return
    for arguments in ({}, {"top_k": 3}, {"return_documents": True}):
        found = ours.rank("the cat", documents, **arguments)
        expected = theirs.rank("the cat", documents, **arguments)
        assert [list(hit) for hit in found] == [list(hit) for hit in expected]
        for hit, other in zip(found, expected, strict=True):
            assert hit["score"] == pytest.approx(other["score"], abs=1e-5)
            assert type(hit["score"]) is float
            if hit.get("text", "").split() and other["corpus_id"] < len(TEXTS):  # others tie
                assert hit["text"] == other["text"]


def masked(**settings):
    def make(folder):
        torch.manual_seed(20261124)
        old_masked_lm().save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        edit_json(folder / "config.json", **settings)

    return make


def untied(folder):
    torch.manual_seed(20261124)
    model = awkward(transformers.BertForMaskedLM(config(tie_word_embeddings=False)))
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def nomic(folder):
    torch.manual_seed(20261124)
    family = FAMILIES["nomic_bert"]
    awkward(transformers.NomicBertForMaskedLM(family.config())).save_pretrained(folder)
    family.words().save_pretrained(folder)


MASKED = {
    "tied": masked(),
    "untied": untied,
    "relu": masked(hidden_act="relu"),
    "a large epsilon": masked(layer_norm_eps=1e-2),
    "nomic_bert": nomic,
}


@pytest.fixture(scope="module", params=MASKED)
def both_masked(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masked") / "model"
    MASKED[request.param](folder)
    reference = transformers.pipeline("fill-mask", model=str(folder), device="cpu")
    return minibert.BertForMaskedLM.from_pretrained(folder), reference


@pytest.mark.parametrize(
    "text",
    ["the [MASK] sat.", "[MASK]", "the [MASK] and the [MASK], Café.", "a[MASK]b dogs barking"],
)
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"top_k": 2},
        {"targets": ["dog", "cat", "sat", "cat"]},
        {"targets": "London"},
        {"targets": ["catss", "dog"], "top_k": 1},
    ],
)
def test_guesses_are_equal(both_masked, text, arguments):
    ours, theirs = both_masked
    found, expected = ours.fill_mask(text, **arguments), theirs(text, **arguments)
    assert json.dumps(shape_of(found)) == json.dumps(shape_of(expected))
    for guess, other in zip(flat(found), flat(expected), strict=True):
        assert guess["score"] == pytest.approx(other["score"], abs=1e-5)
        assert {**guess, "score": 0} == {**other, "score": 0}


def test_guesses_for_several_texts_are_equal(both_masked):
    ours, theirs = both_masked
    texts = ["the [MASK] sat.", "a [MASK] is a [MASK]"]
    for found, expected in zip(ours.fill_mask(texts), theirs(texts), strict=True):
        assert [g["token"] for g in flat(found)] == [g["token"] for g in flat(expected)]
    assert shape_of(ours.fill_mask(texts[:1])) == shape_of(theirs(texts[:1]))


def shape_of(guesses):
    return [shape_of(g) if isinstance(g, list) else sorted(g) for g in guesses]


def flat(guesses):
    return [g for part in guesses for g in (part if isinstance(part, list) else [part])]
