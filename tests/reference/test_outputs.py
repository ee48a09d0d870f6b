"""BertModel's output against that of transformers' AutoModel, as a dict and as a tuple.

And every kind of folder that transformers writes of a family, which minibert is to read.
"""

import json

import numpy as np
import pytest
import torch
import transformers
from golden_models import FAMILIES as OTHERS
from golden_models import SIZES, Family, awkward, tokenizer

import minibert

FAMILIES = {"bert": Family("Bert", tokenizer, SIZES), **OTHERS}
IDS = np.array([[2, 5, 6, 7, 3], [2, 6, 3, 8, 9]])
CLOSE = {"rtol": 0, "atol": 1e-5}


def saved(name, kind, folder, **how):
    """A tiny model of a family as transformers writes it."""
    torch.manual_seed(20261128)
    family = FAMILIES[name]
    model = awkward(getattr(transformers, family.kind + kind)(family.config()), 0.2)
    model.save_pretrained(folder, **how)
    family.words().save_pretrained(folder)
    return folder


def kinds_of(name):
    """The classes of transformers that a family has."""
    found = ["Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"]
    found += ["ForPreTraining", "ForQuestionAnswering"]
    return [kind for kind in found if hasattr(transformers, FAMILIES[name].kind + kind)]


@pytest.mark.parametrize("original", [True, False])
@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in FAMILIES for kind in kinds_of(name)]
)
def test_what_transformers_writes_is_read(name, kind, original, tmp_path):
    folder = saved(name, kind, tmp_path / "model", save_original_format=original)
    with torch.no_grad():
        theirs = transformers.AutoModel.from_pretrained(folder)(torch.from_numpy(IDS))
    ours = minibert.AutoModel.from_pretrained(folder)(IDS)
    np.testing.assert_allclose(ours.last_hidden_state, theirs.last_hidden_state, **CLOSE)


@pytest.fixture(scope="module", params=FAMILIES)
def both_berts(request, tmp_path_factory):
    folder = saved(request.param, "Model", tmp_path_factory.mktemp("outputs") / "model")
    reference = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")
    return minibert.AutoModel.from_pretrained(folder), reference


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("attentions", [False, True])
def test_an_output_is_transformers_as_dict_and_as_tuple(both_berts, hidden, attentions):
    asked = {"output_hidden_states": hidden, "output_attentions": attentions}
    ours = both_berts[0](IDS, **asked)
    with torch.no_grad():
        theirs = both_berts[1](torch.from_numpy(IDS), **asked)
    assert list(ours) == list(ours.keys()) == list(theirs.keys())
    assert len(ours) == len(theirs)
    for name in theirs:
        assert_equal(ours[name], theirs[name])
        assert_equal(getattr(ours, name), theirs[name])
    for place in range(-len(theirs), len(theirs)):
        assert_equal(ours[place], theirs[place])
    for places in (slice(2), slice(1, None), slice(None, None, -1)):
        assert_equal(ours[places], theirs[places])
    assert_equal(ours.to_tuple(), theirs.to_tuple())
    assert_equal(both_berts[0](IDS, **asked, return_dict=False), theirs.to_tuple())
    with torch.no_grad():
        assert_equal(
            ours.to_tuple(), both_berts[1](torch.from_numpy(IDS), **asked, return_dict=False)
        )
    for name in ("pooler_output", "hidden_states", "attentions", "past_key_values", "nothing"):
        assert (name in ours) == (name in theirs)
        assert hasattr(ours, name) == hasattr(theirs, name), name
        assert (getattr(ours, name, None) is None) == (getattr(theirs, name, None) is None)
        assert (ours.get(name) is None) == (theirs.get(name) is None)


@pytest.mark.parametrize(
    "settings",
    [
        {"output_hidden_states": True},
        {"output_attentions": True, "output_hidden_states": None},
        {"return_dict": False, "output_hidden_states": True},
    ],
)
def test_config_json_says_the_same_of_an_output(settings, tmp_path):
    folder = saved("bert", "Model", tmp_path / "model")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    reference = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager")
    model = minibert.AutoModel.from_pretrained(folder)
    for asked in ({}, {"output_hidden_states": False}, {"return_dict": True}):
        ours = model(IDS, **asked)
        with torch.no_grad():
            theirs = reference(torch.from_numpy(IDS), **asked)
        assert isinstance(ours, dict) == isinstance(theirs, dict)
        assert isinstance(ours, tuple) == isinstance(theirs, tuple)
        assert_equal(tuple(ours) if isinstance(ours, tuple) else ours.to_tuple(),
                     theirs if isinstance(theirs, tuple) else theirs.to_tuple())  # fmt: skip


def assert_equal(ours, theirs):
    if isinstance(theirs, tuple):
        assert isinstance(ours, tuple)
        for mine, other in zip(ours, theirs, strict=True):
            assert_equal(mine, other)
    else:
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_allclose(ours, theirs, **CLOSE)
