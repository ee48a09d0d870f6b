"""Modules in their order: what is refused, and the parts of a vector behind them."""

import numpy as np
import pytest
from module_folders import DENSE, POOLING, WEIGHT, refused, with_modules
from safetensors.numpy import save_file

from minibert.kernels import cpu as kernels
from minibert.pooling.dense import Projection
from minibert.pooling.layer_norm import RowNorm
from minibert.pooling.module import NotLinearError
from minibert.pooling.normalize import Normalize
from minibert.pooling.pipeline import Pipeline, Step
from minibert.pooling.pooling import Pooling


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": "torch.nn.functional.relu"})],
         "activation_function is 'torch.nn.functional.relu'; minibert computes torch.nn's GELU"),
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
    return Pipeline((), Pooling((mode,), 5, include_prompt), steps, 5, 5)


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
