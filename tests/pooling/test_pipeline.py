"""Modules in their order: what is refused, the parts of a vector behind them, and gradients."""

import numpy as np
import pytest
from differences import derivative, relative
from golden_files import GOLDEN
from module_folders import DENSE, POOLING, WEIGHT, refused, with_modules
from safetensors.numpy import save_file

from minibert.bert.dropout import Draws, Rates
from minibert.bert.dropout import Dropout as PackDropout
from minibert.checkpoint.folder import read_folder
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.common.tensors_in_memory import TensorsInMemory
from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients
from minibert.pooling.dense import Projection
from minibert.pooling.dropout import Drop
from minibert.pooling.layer_norm import RowNorm
from minibert.pooling.module import NotLinearError
from minibert.pooling.normalize import Normalize
from minibert.pooling.pipeline import Pipeline, Step, load_pipeline
from minibert.pooling.pooling import Pooling


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": "torch.nn.functional.relu"})],
         "'torch.nn.functional.relu'; minibert computes torch.nn's ELU, GELU"),
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": "mine.Swoosh"})],
         "'mine.Swoosh'; minibert computes"),
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": None})], "is None; minibert"),
        ([POOLING, ("Dense", "2", {"in_features": 20})], "out_features is missing"),
        ([POOLING, ("Dense", "2", {**DENSE, "in_features": 0})], "in_features is 0; expected"),
        ([POOLING, ("Dense", "2", {**DENSE, "in_features": 21})], "expects 21 dimensions; .* 20"),
        ([POOLING, ("Dense", "2", {**DENSE, "bias": "yes"})], "bias is 'yes'; expected a bool"),
        ([POOLING, ("Dense", "2", {**DENSE, "module_output_name": "other"})],
         "turns 'sentence_embedding' into 'other'"),
        ([POOLING, ("Dense", "2", {**DENSE, "module_input_name": "x"})], "turns 'x' into 'x'"),
        ([POOLING, ("Dense", "2", {**DENSE, "module_input_name": "token_embeddings"})],
         "modules are Transformer, Pooling, Dense; minibert runs one Pooling, before it"),
        ([("Dense", "2", DENSE), POOLING], "modules are Transformer, Dense, Pooling"),
        ([POOLING, ("LayerNorm", "2", {"dimension": 19})], "expects 19 dimensions; .* gives 20"),
        ([POOLING, ("LayerNorm", "2", {})], "dimension is missing; expected a whole number"),
        ([POOLING, ("Dense", "2", None)], "2/config.json is missing"),
    ],
)  # fmt: skip
def test_modules_that_are_not_computed_are_refused_by_name(folder, modules, message):
    with_modules(folder, *modules)
    (folder / "2").mkdir(exist_ok=True)
    save_file(WEIGHT, folder / "2" / "model.safetensors")
    refused(folder, message)


def pipeline(*modules, mode="mean", include_prompt=True):
    """The mean of states of five dimensions, and modules after it."""
    steps = tuple(Step(type(module).__name__, module) for module in modules)
    return Pipeline((), Pooling(5, mode, include_prompt), steps, 5, 5)


@pytest.mark.parametrize("mode", ["mean", "weightedmean", "max"])
def test_the_parts_of_a_vector_sum_to_what_the_modules_give(mode):
    random = np.random.default_rng(0)
    states = random.normal(size=(6, 5))
    modules = (
        Projection(random.normal(size=(5, 5)), random.normal(size=5), "linear", True),
        RowNorm(*random.normal(size=(2, 5))),
        Normalize(),
    )
    made = pipeline(*modules, mode=mode, include_prompt=False)
    parts = made.parts(states, 2)
    assert not parts[:2].any()
    rows = states.astype(np.float32)
    vectors = made.finished(made.pooled(rows, np.array([6]), 2, kernels), kernels)
    # Worst seen 6e-8: the vector is float32.
    np.testing.assert_allclose(parts.sum(axis=0), vectors[0], rtol=0, atol=1e-6)


def test_parts_are_refused_behind_what_is_not_linear():
    bent = Projection(np.eye(5), np.zeros(5), "tanh")
    with pytest.raises(NotLinearError, match=r"^tanh$"):
        pipeline(Normalize(), bent).parts(np.ones((4, 5)), 0)


LENGTHS = np.array([5, 4, 2, 2])


class Trained:
    """The modules of the golden model that has them all, with tensors in memory."""

    def __init__(self, dtype, dropout=True):
        folder, self.values = read_folder(GOLDEN / "modules"), {}

        def tensors_of(path):
            tensors = TensorsInMemory(Tensors(weight_files(path)), dtype)
            self.values[path.name] = tensors.values
            return tensors

        made = load_pipeline(folder.path, folder.modules, 20, tensors_of)
        pooling = made.pooling._replace(include_prompt=False)
        self.pipeline = made._replace(pooling=pooling)
        random = np.random.default_rng(4)
        self.hidden = random.normal(0.3, 1, (LENGTHS.sum(), 20)).astype(dtype)
        self.given = random.normal(size=(len(LENGTHS), made.dimension)).astype(dtype)
        texts = np.array([7, 1, 2, 0])
        self.dropout = (
            PackDropout(Draws(1, 2), Rates(0, 0), texts, LENGTHS, dtype=dtype) if dropout else None
        )

    def forward(self, prompt_length=1):
        return self.pipeline.forward(
            self.hidden.copy(), LENGTHS, kernels, self.dropout, prompt_length
        )

    def loss(self):
        return (self.forward()[0] * self.given).sum()

    def backward(self):
        """The gradient by the hidden states, and those by tensors."""
        found, kept = {}, self.forward()[1]
        by_hidden = self.pipeline.backward(
            kept, self.given.copy(), kernels, cpu_gradients, found.__setitem__
        )
        return by_hidden, found


def test_every_gradient_of_a_pipeline_agrees_with_differences():
    trained, random = Trained("float64"), np.random.default_rng(5)
    by_hidden, found = trained.backward()
    tensors = {
        f"{folder}/{name}": tensor
        for folder, values in trained.values.items()
        for name, tensor in values.items()
    }
    assert found.keys() == tensors.keys()
    assert {"1_Dense/linear.weight", "4_LayerNorm/norm.bias"} < found.keys()
    for tensor, exact in [(trained.hidden, by_hidden), *((tensors[k], found[k]) for k in found)]:
        assert (exact.shape, exact.dtype) == (tensor.shape, np.float64)
        for _ in range(4):
            direction = random.normal(size=tensor.shape)
            numerical = derivative(trained.loss, tensor, direction, 1e-4)
            assert relative(numerical, (exact * direction).sum()) < 1e-6  # worst seen 2e-8


def test_gradients_in_float32_are_those_of_float64():
    by_hidden, found = Trained("float32").backward()
    wide, expected = Trained("float64").backward()
    for ours, theirs in [(by_hidden, wide), *((found[key], expected[key]) for key in found)]:
        assert ours.dtype == np.float32
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        assert error < 1e-5  # worst seen 4e-7


@pytest.mark.parametrize("prompt_length", [0, 1, 4])
def test_training_without_dropout_computes_the_same_bits(prompt_length):
    trained = Trained("float32", dropout=False)
    vectors, _ = trained.forward(prompt_length)
    assert vectors.dtype == np.float32
    made = trained.pipeline
    states = made.tokens(trained.hidden.copy(), kernels)
    expected = made.finished(made.pooled(states, LENGTHS, prompt_length, kernels), kernels)
    assert vectors.tobytes() == expected.tobytes()


def test_dropout_is_drawn_by_text_and_alike_each_time():
    trained = Trained("float32")
    vectors, _ = trained.forward()
    np.testing.assert_array_equal(trained.forward()[0], vectors)
    assert (vectors != Trained("float32", dropout=False).forward()[0]).any(axis=1).all()
    # The same texts in another order: each has the same zeros.
    rows = np.ones((3, 50), np.float32)
    drops = pipeline(Drop(0.5))
    texts = np.array([4, 0, 9])
    of_texts = [
        drops.forward(
            rows.copy(), np.ones(3, int), kernels,
            PackDropout(Draws(1, 2), Rates(0, 0), order, np.ones(3, int)),
        )[0]
        for order in (texts, texts[::-1])
    ]  # fmt: skip
    np.testing.assert_array_equal(of_texts[0], of_texts[1][::-1])
    assert len({row.tobytes() for row in of_texts[0]}) == 3


def test_a_dropout_of_1_leaves_nothing_to_train():
    dropout = PackDropout(Draws(1, 2), Rates(0, 0), np.arange(1), np.ones(1, int))
    with pytest.raises(ValueError, match="Dropout is 1"):
        pipeline(Drop(1.0)).forward(np.ones((1, 5)), np.ones(1, int), kernels, dropout)
