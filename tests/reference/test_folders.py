"""Every folder of folders.py through minibert and sentence-transformers: all their outputs."""

import copy

import numpy as np
import pytest
import sentence_transformers
import torch
from codes import assert_same_bits
from folders import FOLDERS
from make_golden import TEXTS

import minibert

# Words that grow together with a prompt, an added token, a long word, and a text above any limit.
MORE = [
    "at",
    "cat paris Paris xy b",
    "s" * 101,
    "the dog sat on a " * 30,
    "É",
    "Cat CAT cat",
    "a [SEP] b",
    "the  [MASK]  cat[MASK]s",
    "<pad> a  <mask>s</s>",
    "``the cat'' \u2581 caf\u00e9 \ufb01 \U0001f600",
]
INPUTS = TEXTS + MORE
PAIRS = [
    ("the cat", "a dog barks"),
    ["a", ""],
    ["the dog sat " * 9, "the cat barks " * 8],
    ("", "a"),
]

CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module", params=FOLDERS)
def both_models(request, tmp_path_factory):
    """A folder, and the two models that were made of it."""
    folder = tmp_path_factory.mktemp("folders") / "model"
    FOLDERS[request.param](folder)
    reference = sentence_transformers.SentenceTransformer(
        str(folder), device="cpu", model_kwargs={"dtype": torch.float32}, local_files_only=True
    )
    for module in reference:
        module.to(torch.float32)
    return minibert.SentenceTransformer(folder, on_long="ignore"), reference


def test_vectors_are_equal(both_models):
    ours, theirs = (model.encode(INPUTS) for model in both_models)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_a_str_gives_one_row(both_models):
    ours, theirs = (model.encode(INPUTS[0]) for model in both_models)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_pairs_are_equal(both_models):
    ours, theirs = (model.encode(PAIRS) for model in both_models)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("name", ["encode_query", "encode_document"])
def test_queries_and_documents_are_equal(both_models, name):
    ours, theirs = (getattr(model, name)(INPUTS) for model in both_models)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("prompt", ["the", "the cat sat. ", "", "a " * 60])
def test_vectors_with_a_prompt_are_equal(both_models, prompt):
    ours, theirs = (model.encode(INPUTS, prompt=prompt) for model in both_models)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_prompts_by_name_are_equal(both_models):
    ours, theirs = both_models
    for name in theirs.prompts:
        np.testing.assert_allclose(
            ours.encode(INPUTS, prompt_name=name), theirs.encode(INPUTS, prompt_name=name), **CLOSE
        )


@pytest.mark.parametrize(
    "arguments",
    [
        {"normalize_embeddings": True},
        {"truncate_dim": 5},
        {"truncate_dim": 5, "normalize_embeddings": True},
        {"truncate_dim": 1000},
        {"batch_size": 2},
    ],
)
def test_arguments_mean_the_same(both_models, arguments):
    ours, theirs = (model.encode(INPUTS, **arguments) for model in both_models)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_codes_are_equal(both_models, precision):
    ours, theirs = (model.encode(INPUTS, precision=precision) for model in both_models)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if precision.endswith("int8"):
        # The largest of each dimension lies on the edge of two codes, and rounding chooses.
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1
        assert (ours != theirs).mean() <= 1 / len(INPUTS)
    else:
        assert_same_bits(ours, theirs, both_models[0].encode(INPUTS), CLOSE["atol"])


def test_a_list_of_rows_is_equal(both_models):
    ours, theirs = (model.encode(INPUTS, convert_to_numpy=False) for model in both_models)
    assert type(ours) is type(theirs) is list
    assert [row.shape for row in ours] == [tuple(row.shape) for row in theirs]
    np.testing.assert_allclose(np.stack(ours), torch.stack(theirs), **CLOSE)


def test_token_embeddings_are_equal(both_models):
    ours, theirs = (model.encode(INPUTS, output_value="token_embeddings") for model in both_models)
    assert type(ours) is type(theirs) is list
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == tuple(other.shape)
        np.testing.assert_allclose(mine, other, **CLOSE)
    ours, theirs = (m.encode("the cat", output_value="token_embeddings") for m in both_models)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 3, "prompt": "the dog "}])
def test_all_of_a_text_is_equal(both_models, arguments):
    ours, theirs = (model.encode(INPUTS, output_value=None, **arguments) for model in both_models)
    for mine, other in zip(ours, theirs, strict=True):
        assert_features_equal(mine, other)
    ours, theirs = (
        model.encode("the cat", output_value=None, **arguments) for model in both_models
    )
    assert_features_equal(ours, theirs)


def assert_features_equal(ours, theirs):
    # States that only a mix of layers needs; a dict of ours has no layer but the last.
    theirs = {name: value for name, value in theirs.items() if name != "all_layer_embeddings"}
    assert list(ours) == list(theirs)
    real = theirs["attention_mask"].numpy() == 1
    for name, other in theirs.items():
        if not isinstance(other, torch.Tensor):
            assert ours[name] == other, name
        elif name == "token_embeddings":
            assert ours[name].shape == tuple(other.shape)
            np.testing.assert_allclose(ours[name][real], other[real], **CLOSE)
        else:
            assert ours[name].shape == tuple(other.shape), name
            np.testing.assert_allclose(ours[name], other, **CLOSE, err_msg=name)


@pytest.mark.parametrize("prompt", [None, "the cat "])
def test_preprocess_is_equal(both_models, prompt):
    for inputs in (INPUTS, PAIRS):
        ours, theirs = (model.preprocess(inputs, prompt=prompt) for model in both_models)
        assert list(ours) == list(theirs)
        for name, other in theirs.items():
            if isinstance(other, torch.Tensor):
                np.testing.assert_array_equal(ours[name], other.numpy(), err_msg=name)
                assert ours[name].dtype == np.int64
            else:
                assert ours[name] == other, name


def test_settings_are_equal(both_models):
    ours, theirs = both_models
    assert ours.max_seq_length == theirs.max_seq_length
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()
    assert ours.prompts == theirs.prompts
    assert ours.default_prompt_name == theirs.default_prompt_name
    assert ours.similarity_fn_name == theirs.similarity_fn_name
    assert ours.truncate_dim == theirs.truncate_dim
    assert [type(m).__name__ for m in ours] == [type(m).__name__ for m in theirs]
    assert ours[0].max_seq_length == theirs[0].max_seq_length
    assert ours.tokenizer.all_special_ids == theirs.tokenizer.all_special_ids


def test_similarities_are_equal(both_models):
    ours, theirs = both_models
    vectors = np.where(np.isfinite(found := theirs.encode(INPUTS)), found, 0)
    np.testing.assert_allclose(
        ours.similarity(vectors[:4], vectors), theirs.similarity(vectors[:4], vectors), **CLOSE
    )
    np.testing.assert_allclose(
        ours.similarity_pairwise(vectors[:7], vectors[7:14]),
        theirs.similarity_pairwise(vectors[:7], vectors[7:14]),
        **CLOSE,
    )


def test_a_shorter_maximum_truncates_the_same(both_models):
    ours, theirs = both_models
    before = theirs.max_seq_length
    for length in (1, 2, 3, 7):
        ours.max_seq_length = theirs.max_seq_length = length
        theirs[0]._prompt_length_mapping.clear()  # it remembers lengths under another limit
        try:
            texts = INPUTS if length > 1 else TEXTS[:4]  # below the special tokens nothing is cut
            np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), **CLOSE)
        finally:
            ours.max_seq_length = theirs.max_seq_length = before
            theirs[0]._prompt_length_mapping.clear()


def test_what_minibert_saves_is_what_sentence_transformers_loads(both_models, tmp_path):
    ours, theirs = both_models
    ours.save_pretrained(tmp_path / "saved")
    again = sentence_transformers.SentenceTransformer(
        str(tmp_path / "saved"), device="cpu", model_kwargs={"dtype": torch.float32}
    )
    for module in again:
        module.to(torch.float32)
    np.testing.assert_array_equal(again.encode(INPUTS), theirs.encode(INPUTS))
    np.testing.assert_array_equal(again.encode_query(INPUTS), theirs.encode_query(INPUTS))
    assert again.similarity_fn_name == ours.similarity_fn_name
    assert again.prompts == theirs.prompts
    assert (again.default_prompt_name, again.truncate_dim) == (
        theirs.default_prompt_name,
        theirs.truncate_dim,
    )


def test_a_model_that_a_program_changed_is_saved_as_it_is(both_models, tmp_path):
    ours = copy.deepcopy(both_models[0])
    ours.max_seq_length = min(7, ours.max_seq_length)
    ours.include_prompt = not ours.include_prompt
    ours.prompts["query"] = "the cat: "
    ours.save_pretrained(tmp_path / "saved")
    again = sentence_transformers.SentenceTransformer(
        str(tmp_path / "saved"), device="cpu", model_kwargs={"dtype": torch.float32}
    )
    for module in again:
        module.to(torch.float32)
    assert again.max_seq_length == ours.max_seq_length
    np.testing.assert_allclose(ours.encode(INPUTS), again.encode(INPUTS), **CLOSE)
    np.testing.assert_allclose(ours.encode_query(INPUTS), again.encode_query(INPUTS), **CLOSE)
