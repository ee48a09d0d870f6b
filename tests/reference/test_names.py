"""The reference's names and parameters here: in name, in order, with its values where they are."""

import inspect

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers
from golden_files import copy_of
from sentence_transformers import util as their_util

import minibert
from minibert import util

PAIRS = [("the cat", "a dog"), ("a dog", "a dog"), ("a", "the cat sat on the mat")]
TEXTS = ["the cat", "a dog", "the cat sat on the mat"]
# Given by place to older releases of CrossEncoder; newer ones take them by name alone.
BY_PLACE = ["model_name_or_path", "num_labels", "max_length", "activation_fn", "device"]
# Defaults that differ: one call of the reference has 32 texts a batch, and needs a model's name.
OTHER_DEFAULTS = {
    *("batch_size", "model_name_or_path", "optimizer_class", "optimizer_params"),
    "dtype",  # of a merge: a name, not torch's object
}
METHODS = {
    "SentenceTransformer": [
        *("__init__", "encode", "encode_query", "encode_document", "encode_multi_process"),
        *("fit", "old_fit", "save", "save_pretrained", "push_to_hub", "evaluate", "supports"),
        *("is_singular_input", "load", "set_pooling_include_prompt", "truncate_embeddings"),
        *("start_multi_process_pool", "merge", "save_to_hub", "truncate_sentence_embeddings"),
        *("get_embedding_dimension", "get_sentence_embedding_dimension", "cuda", "cpu", "train"),
        *("append", "insert", "pop", "extend", "get_max_seq_length", "get_backend"),
        *("similarity", "similarity_pairwise"),
    ],
    "CrossEncoder": [
        *("__init__", "predict", "rank", "save", "save_pretrained", "push_to_hub", "evaluate"),
        *("is_singular_input", "supports", "cuda", "cpu", "train", "save_to_hub"),
        *("start_multi_process_pool", "get_max_seq_length", "get_backend", "get_model_kwargs"),
    ],
}
MANY = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
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
    assert [key for key in ours if key in theirs] == list(theirs)
    defaults = {
        key: value.default
        for key, value in theirs.items()
        if value.default is not value.empty and key not in OTHER_DEFAULTS
    }
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


@pytest.fixture
def both(folder):
    """The golden model, open in both libraries."""
    return (
        minibert.SentenceTransformer(folder),
        sentence_transformers.SentenceTransformer(str(folder), device="cpu"),
    )


@pytest.fixture
def both_scorers(tmp_path):
    """The golden cross-encoder, open in both libraries."""
    folder = copy_of("cross_encoder", tmp_path)
    return (
        minibert.CrossEncoder(folder),
        sentence_transformers.CrossEncoder(str(folder), device="cpu"),
    )


def test_small_methods_give_what_the_reference_s_give(both, both_scorers):
    for ours, theirs in (both, both_scorers):
        assert ours.model_type == theirs.model_type
        assert ours.modalities == theirs.modalities
        assert ours.get_model_kwargs() == theirs.get_model_kwargs()
        assert ours.get_max_seq_length() == theirs.get_max_seq_length()
        for modality in ("text", "image", ("text", "image")):
            assert ours.supports(modality) == theirs.supports(modality)
        assert str(ours.device) == str(theirs.device)
    for inputs in ("a", ["a"], ("a", "b"), np.array(["a"]), []):
        assert both[0].is_singular_input(inputs) == both[1].is_singular_input(inputs)
    for inputs in (("a", "b"), ["a", "b"], PAIRS, [], np.array(PAIRS), np.array(["a", "b"])):
        ours, theirs = both_scorers
        assert ours.is_singular_input(inputs) == theirs.is_singular_input(inputs)


def test_settings_are_those_that_transformers_reads(both, both_scorers):
    for ours, theirs in (both, both_scorers):
        written, read = ours.config.to_dict(), theirs.config.to_dict()
        for of_the_reference in (written, read):
            del of_the_reference["use_cache"]  # the reference turns it off
        assert {key: read.get(key) for key in written} == written
        assert ours.config.id2label == theirs.config.id2label
        assert ours.config.num_labels == theirs.config.num_labels
        for key in written.keys() - {"dtype"}:  # which is torch's object there
            assert getattr(ours.config, key) == getattr(theirs.config, key)
    bert = minibert.AutoModel.from_pretrained(both[0].folder.path)
    assert bert.config.to_dict() == both[0].config.to_dict()


def test_tokens_of_pairs_are_the_reference_s(both_scorers):
    ours, theirs = both_scorers
    for prompt in (None, "a "):
        found, expected = ours.preprocess(PAIRS, prompt), theirs.preprocess(PAIRS, prompt)
        assert found.keys() == expected.keys()
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            np.testing.assert_array_equal(found[name], expected[name])


def test_a_saved_cross_encoder_opens_in_the_reference(tmp_path):
    folder = copy_of("cross_encoder", tmp_path)
    for name, activation in (("sigmoid", torch.nn.Sigmoid), ("identity", torch.nn.Identity)):
        ours = minibert.CrossEncoder(
            folder, max_length=9, activation_fn=name, prompts={"query": "a "}
        )
        ours.save_pretrained(tmp_path / name)
        theirs = sentence_transformers.CrossEncoder(str(tmp_path / name), device="cpu")
        assert isinstance(theirs.activation_fn, activation)
        assert (theirs.max_seq_length, theirs.prompts) == (9, {"query": "a "})
        for how in ({}, {"prompt_name": "query"}):
            np.testing.assert_allclose(
                ours.predict(PAIRS, on_long="ignore", **how),
                theirs.predict(PAIRS, **how),
                atol=1e-5,
            )
        back = minibert.CrossEncoder(tmp_path / name)
        np.testing.assert_array_equal(
            back.predict(PAIRS, on_long="ignore"), ours.predict(PAIRS, on_long="ignore")
        )


def test_a_folder_of_the_other_class_opens_as_in_the_reference(both_scorers, tmp_path, caplog):
    both_scorers[1].save_pretrained(str(tmp_path / "scorer"))
    ours = minibert.SentenceTransformer(tmp_path / "scorer")
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "scorer"), device="cpu")
    assert "has a CrossEncoder, and is opened as a SentenceTransformer" in caplog.text
    np.testing.assert_allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)
    theirs.save_pretrained(str(tmp_path / "model"))
    # The weights of a SentenceTransformer may hold a classifier, too.
    weights = (tmp_path / "scorer" / "model.safetensors").read_bytes()
    (tmp_path / "model" / "model.safetensors").write_bytes(weights)
    scorer = (tmp_path / "scorer" / "config.json").read_bytes()
    (tmp_path / "model" / "config.json").write_bytes(scorer)
    ours = minibert.CrossEncoder(tmp_path / "model")
    theirs = sentence_transformers.CrossEncoder(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(ours.predict(PAIRS), theirs.predict(PAIRS), atol=1e-5)


def test_tensors_hold_what_the_reference_s_hold(both, both_scorers):
    ours, theirs = both
    for inputs in (TEXTS, "the cat"):
        found = ours.encode(inputs, convert_to_tensor=True)
        expected = theirs.encode(inputs, convert_to_tensor=True)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    states = ours.encode(TEXTS, output_value="token_embeddings", convert_to_tensor=True)
    expected = theirs.encode(TEXTS, output_value="token_embeddings", convert_to_tensor=True)
    for found, other in zip(states, expected, strict=True):
        torch.testing.assert_close(found, other, rtol=0, atol=1e-5)
    found = both_scorers[0].predict(PAIRS, convert_to_tensor=True)
    expected = both_scorers[1].predict(PAIRS, convert_to_tensor=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    one = both_scorers[0].predict(PAIRS[0], convert_to_tensor=True)
    assert one.shape == both_scorers[1].predict(PAIRS[0], convert_to_tensor=True).shape


def test_modules_are_added_as_the_reference_adds_them(both):
    from sentence_transformers.models import Normalize

    ours, theirs = both
    ours.append(minibert.models.Normalize())
    theirs.append(Normalize())
    np.testing.assert_allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)
    assert len(ours) == len(theirs) == 3
    ours.pop(-1)
    theirs.pop(-1)
    np.testing.assert_allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)


def test_the_tokenizer_s_maximum_length_is_the_reference_s(folder):
    given = {"processor_kwargs": {"model_max_length": 5}}
    ours = minibert.SentenceTransformer(folder, **given, on_long="ignore")
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu", **given)
    assert ours.max_seq_length == theirs.max_seq_length == 5
    np.testing.assert_allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, "float32", "auto", None])
def test_neutral_arguments_are_neutral_in_both(folder, dtype):
    given = {
        "model_kwargs": {"torch_dtype": dtype, "attn_implementation": "sdpa"},
        "tokenizer_kwargs": {"use_fast": True},
        "config_kwargs": {"use_cache": False},
        "backend": "torch",
        "trust_remote_code": False,
        "model_card_data": None,
    }
    ours = minibert.SentenceTransformer(folder, **given)
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu", **given)
    np.testing.assert_allclose(ours.encode(TEXTS), theirs.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim", "pairwise_cos_sim"],
)
def test_scores_of_tensors_are_the_reference_s(both, name):
    vectors = both[0].encode(TEXTS, convert_to_tensor=True)
    found, expected = (
        getattr(util, name)(vectors, vectors),
        getattr(their_util, name)(vectors, vectors),
    )
    np.testing.assert_allclose(np.asarray(found), expected.numpy(), atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scores_of_half_tensors_are_the_reference_s(both, dtype):
    vectors = both[0].encode(TEXTS, convert_to_tensor=True).to(dtype)
    for name in ("cos_sim", "dot_score", "euclidean_sim"):
        found, expected = (
            getattr(library, name)(vectors, list(vectors)) for library in (util, their_util)
        )
        assert found.dtype == expected.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    with pytest.raises(ValueError, match=r"give tensor\.detach"):
        util.cos_sim(torch.nn.Parameter(vectors.float()), vectors)


def test_torch_goes_on_with_scores_of_tensors(both):
    ours, theirs = both
    found, expected = (
        torch.topk(model.similarity(*2 * [model.encode(TEXTS, convert_to_tensor=True)])[0], k=2)
        for model in (ours, theirs)
    )
    assert found.indices.tolist() == expected.indices.tolist()
    torch.testing.assert_close(found.values, expected.values, rtol=0, atol=2e-6)


def test_a_search_of_tensors_finds_what_the_reference_finds(both):
    vectors = both[0].encode(TEXTS, convert_to_tensor=True)
    found, expected = (
        util.semantic_search(vectors, vectors),
        their_util.semantic_search(vectors, vectors),
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert [hit["corpus_id"] for hit in ours] == [hit["corpus_id"] for hit in theirs]
        np.testing.assert_allclose(
            [hit["score"] for hit in ours], [hit["score"] for hit in theirs], atol=2e-6
        )


def mean_of_tokens(library, folder):
    """Vectors as model cards compute them, with functions of torch around a plain BERT."""
    tokenizer = library.AutoTokenizer.from_pretrained(folder)
    model = library.AutoModel.from_pretrained(folder, add_pooling_layer=False)
    inputs = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        output = model(**inputs)
    states, mask = output[0], inputs["attention_mask"].unsqueeze(-1)
    weights = mask.expand(states.size()).float()
    return torch.sum(states * weights, 1) / torch.clamp(weights.sum(1), min=1e-9)


def test_the_code_of_a_model_card_gives_the_same_vectors(folder):
    found, expected = mean_of_tokens(minibert, folder), mean_of_tokens(transformers, folder)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_bert_without_its_pooler_answers_as_in_transformers(folder):
    outputs = []
    for library in (minibert, transformers):
        given = {"add_pooling_layer": False, "output_hidden_states": True}
        model = library.AutoModel.from_pretrained(folder, **given)
        inputs = library.AutoTokenizer.from_pretrained(folder)("the cat", return_tensors="pt")
        outputs.append(model(**inputs))
    found, expected = outputs
    assert found.pooler_output is expected.pooler_output is None
    assert list(found) == list(expected) == ["last_hidden_state", "hidden_states"]
    assert torch.equal(found[1][-1], found[0])
