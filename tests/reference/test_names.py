"""The reference's names and parameters here: in name, in order, with its values where they are."""

import inspect

import pytest
import sentence_transformers

import minibert

PAIRS = [("the cat", "a dog"), ("a dog", "a dog"), ("a", "the cat sat on the mat")]
TEXTS = ["the cat", "a dog", "the cat sat on the mat"]
# Given by place to older releases of CrossEncoder; newer ones take them by name alone.
BY_PLACE = ["model_name_or_path", "num_labels", "max_length", "activation_fn", "device"]
# Defaults that differ: one call of the reference has 32 texts a batch, and needs a model's name.
OTHER_DEFAULTS = {"batch_size", "model_name_or_path", "optimizer_class", "optimizer_params"}
METHODS = {
    "SentenceTransformer": [
        *("__init__", "encode", "encode_query", "encode_document", "encode_multi_process"),
        *("fit", "old_fit", "save", "save_pretrained", "push_to_hub", "evaluate", "supports"),
        *("is_singular_input", "load", "set_pooling_include_prompt", "truncate_embeddings"),
        *("start_multi_process_pool", "merge", "save_to_hub", "truncate_sentence_embeddings"),
        *("get_embedding_dimension", "get_sentence_embedding_dimension", "cuda", "cpu", "train"),
        *("append", "insert", "pop", "extend", "get_max_seq_length", "get_backend"),
    ],
    "CrossEncoder": [
        *("__init__", "predict", "rank", "save", "save_pretrained", "push_to_hub", "evaluate"),
        *("is_singular_input", "supports", "cuda", "cpu", "train", "save_to_hub"),
        *("start_multi_process_pool", "get_max_seq_length", "get_backend", "get_model_kwargs"),
    ],
}
CALLS = [(owner, name) for owner, names in METHODS.items() for name in names]


def parameters_of(library, owner, name):
    """The named parameters of a method, in their order."""
    method = getattr(getattr(library, owner), name)
    return {
        name: parameter
        for name, parameter in inspect.signature(method).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


@pytest.mark.parametrize(("owner", "name"), CALLS)
def test_a_method_has_the_reference_s_parameters_in_its_order(owner, name):
    theirs = parameters_of(sentence_transformers, owner, name)
    ours = parameters_of(minibert, owner, name)
    if name in ("encode_query", "encode_document"):  # they pass the rest on to encode
        theirs = dict(list(theirs.items())[:3])
    if (owner, name) == ("CrossEncoder", "__init__"):
        assert list(ours)[: len(BY_PLACE)] == BY_PLACE
        theirs = {key: value for key, value in theirs.items() if key not in BY_PLACE[1:]}
        theirs["modules"] = ours["modules"]
    assert [key for key in ours if key in theirs] == list(theirs)
    defaults = {key: value.default for key, value in theirs.items() if key not in OTHER_DEFAULTS}
    assert {key: ours[key].default for key in defaults} == defaults


@pytest.mark.parametrize(("owner", "name"), CALLS)
def test_what_the_reference_takes_by_place_is_taken_by_place(owner, name):
    theirs = parameters_of(sentence_transformers, owner, name)
    ours = parameters_of(minibert, owner, name)
    places = [key for key, value in theirs.items() if value.kind is value.POSITIONAL_OR_KEYWORD]
    if name in ("encode_query", "encode_document"):
        places = places[:3]
    assert list(ours)[: len(places)] == places
    assert all(ours[key].kind is not inspect.Parameter.KEYWORD_ONLY for key in places)
