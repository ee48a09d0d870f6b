"""Results as tensors: of a torch that is not installed, and of one that is."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minibert import CrossEncoder, MissingLibraryError, Tokenizer, semantic_search, util
from minibert.models.bert_model import BertModel

TEXTS = ["the cat", "a dog"]


class Tensor:
    """As much of a tensor as is asked for."""

    __module__ = "torch"

    def __init__(self, array, dtype="torch.float32", requires_grad=False):
        assert isinstance(array, np.ndarray)
        self.array, self.dtype, self.requires_grad = array, dtype, requires_grad

    def __array__(self, dtype=None, copy=None):
        if self.dtype == "torch.bfloat16" or self.requires_grad:
            raise RuntimeError("torch itself gives no array of this tensor")
        return self.array

    def float(self):
        return Tensor(self.array)

    def __getitem__(self, index):
        return Tensor(np.asarray(self.array[index]))


@pytest.fixture
def torch(monkeypatch):
    """A torch that makes Tensors."""
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=Tensor))


@pytest.mark.usefixtures("torch")
def test_vectors_are_tensors_where_tensors_are_asked_for(model):
    for inputs in (TEXTS, "the cat", []):
        found = model.encode(inputs, convert_to_tensor=True)
        assert isinstance(found, Tensor)
        np.testing.assert_array_equal(found.array, model.encode(inputs))
    codes = model.encode(TEXTS, precision="binary", convert_to_tensor=True)
    np.testing.assert_array_equal(codes.array, model.encode(TEXTS, precision="binary"))
    queries = model.encode_query(TEXTS, convert_to_tensor=True, convert_to_numpy=False)
    np.testing.assert_array_equal(queries.array, model.encode_query(TEXTS))


@pytest.mark.usefixtures("torch")
def test_states_and_tokens_are_tensors_where_asked_for(model):
    found = model.encode(TEXTS, output_value="token_embeddings", convert_to_tensor=True)
    expected = model.encode(TEXTS, output_value="token_embeddings")
    for states, array in zip(found, expected, strict=True):
        np.testing.assert_array_equal(states.array, array)
    everything = model.encode("the cat", output_value=None, convert_to_tensor=True)
    assert everything["modality"] == "text"
    expected = model.encode("the cat", output_value=None)
    np.testing.assert_array_equal(everything["input_ids"].array, expected["input_ids"])


@pytest.mark.usefixtures("torch")
def test_scores_are_tensors_where_tensors_are_asked_for(one_label):
    scorer = CrossEncoder(one_label)
    pairs = [("the cat", "a dog"), ("a dog", "a dog")]
    found = scorer.predict(pairs, convert_to_tensor=True)
    np.testing.assert_array_equal(found.array, scorer.predict(pairs))
    one = scorer.predict(pairs[0], convert_to_tensor=True)
    assert one.array.shape == ()
    assert one.array == scorer.predict(pairs[0])


def test_tensors_without_torch_are_refused_with_what_to_do(model, one_label):
    needed = r"convert_to_tensor=True \(leave it out for NumPy arrays\) needs torch.* install torch"
    with pytest.raises(MissingLibraryError, match=needed):
        model.encode([], convert_to_tensor=True)
    with pytest.raises(MissingLibraryError, match=needed):
        CrossEncoder(one_label).predict([], convert_to_tensor=True)


@pytest.mark.usefixtures("torch")
def test_tokens_are_tensors_where_a_call_asks_for_them(folder):
    tokenizer = Tokenizer.from_pretrained(folder)
    arguments = {"padding": True, "return_token_type_ids": True}
    arrays = tokenizer(TEXTS, return_tensors="np", **arguments)
    found = tokenizer(TEXTS, return_tensors="pt", **arguments)
    assert [*found] == [*arrays]
    for name, array in arrays.items():
        assert found[name].array.dtype == np.int64
        np.testing.assert_array_equal(found[name].array, array)
    assert found.tokens(1) == arrays.tokens(1)
    again = tokenizer.pad(
        {name: list(array) for name, array in arrays.items()}, return_tensors="pt"
    )
    np.testing.assert_array_equal(again["input_ids"].array, arrays["input_ids"])
    assert tokenizer("the cat", return_tensors="pt").input_ids.array.shape == (1, 4)


@pytest.mark.usefixtures("torch")
def test_states_of_tensors_are_tensors(folder):
    bert, ids = BertModel.from_pretrained(folder), np.array([[2, 9, 8, 3]])
    kept = {"output_hidden_states": True}
    expected, found = bert(ids, **kept), bert(Tensor(ids), **kept)
    assert [*found] == [*expected]
    for name in ("last_hidden_state", "pooler_output"):
        np.testing.assert_array_equal(found[name].array, expected[name])
    for states, array in zip(found.hidden_states, expected.hidden_states, strict=True):
        np.testing.assert_array_equal(states.array, array)
    masked = bert(ids, attention_mask=Tensor(np.ones_like(ids)), return_dict=False)
    np.testing.assert_array_equal(masked[0].array, expected[0])


def test_tensors_of_tokens_are_refused_without_torch(folder):
    tokenizer = Tokenizer.from_pretrained(folder)
    needed = r'return_tensors="pt" \(pass "np" for NumPy arrays\) needs torch'
    for call in (tokenizer, tokenizer.pad):
        with pytest.raises(MissingLibraryError, match=needed):
            call({"input_ids": [2]}, return_tensors="pt")


@pytest.mark.slow
def test_torch_is_imported_for_tensors_alone(folder, tmp_path):
    (tmp_path / "torch.py").write_text("from_numpy = tuple\n")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from minibert import SentenceTransformer
model = SentenceTransformer({str(folder)!r})
model.similarity(model.encode(["a"]), model.encode(["b"]))
assert "torch" not in sys.modules
model.encode(["a"], convert_to_tensor=True)
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    "name",
    [
        *("cos_sim", "dot_score", "euclidean_sim", "manhattan_sim", "pairwise_cos_sim"),
        *("pairwise_dot_score", "pairwise_euclidean_sim", "pairwise_manhattan_sim"),
        "pairwise_angle_sim",
    ],
)
def test_scores_of_a_tensor_are_a_tensor(name):
    score, vectors = getattr(util, name), np.random.default_rng(0).normal(size=(3, 4))
    expected = score(vectors, vectors)
    assert type(expected) is np.ndarray
    for a, b in ((Tensor(vectors), vectors), (vectors, Tensor(vectors))):
        np.testing.assert_array_equal(score(a, b).array, expected)
    np.testing.assert_array_equal(
        score(Tensor(vectors[0]), Tensor(vectors[0])).array, score(vectors[0], vectors[0])
    )


@pytest.mark.usefixtures("torch")
def test_tensors_of_bfloat16_are_scored_as_float32():
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    tensor = Tensor(vectors, "torch.bfloat16")
    np.testing.assert_array_equal(
        util.cos_sim(tensor, tensor).array, util.cos_sim(vectors, vectors)
    )
    rows = [Tensor(row, "torch.bfloat16") for row in vectors]
    assert semantic_search(rows, tensor) == semantic_search(vectors, vectors)
    assert util.paraphrase_mining_embeddings(tensor) == util.paraphrase_mining_embeddings(vectors)
    np.testing.assert_array_equal(
        util.quantize_embeddings(tensor, "binary"), util.quantize_embeddings(vectors, "binary")
    )


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    "score",
    [util.cos_sim, util.dot_score, util.pairwise_euclidean_sim, semantic_search],
)
def test_tensors_that_require_a_gradient_are_refused(score):
    vectors = np.ones((2, 4), np.float32)
    grown = Tensor(vectors, requires_grad=True)
    for a, b in ((grown, vectors), (vectors, grown), ([grown], vectors)):
        with pytest.raises(ValueError, match=r"requires a gradient.*give tensor\.detach"):
            score(a, b)


@pytest.mark.usefixtures("torch")
def test_a_model_s_similarity_of_tensors_is_a_tensor(model):
    tensors, vectors = model.encode(TEXTS, convert_to_tensor=True), model.encode(TEXTS)
    for method in (model.similarity, model.similarity_pairwise):
        np.testing.assert_array_equal(method(tensors, tensors).array, method(vectors, vectors))
    assert semantic_search(tensors, tensors) == semantic_search(vectors, vectors)
