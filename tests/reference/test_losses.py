"""Losses and their gradients by the vectors, against sentence-transformers and torch's autograd."""

import numpy as np
import pytest
import sentence_transformers
import torch
from sentence_transformers.sentence_transformer import losses as theirs

import minibert
from minibert import losses as ours

# Differences of a gradient from torch's, of the largest entry. Seen: 1e-15 and 5e-7.
CLOSE = {np.float64: 1e-9, np.float32: 1e-4}


class Given(torch.nn.Module):
    """A model whose vectors of a column are given in place of its texts."""

    def __init__(self, dimension):
        super().__init__()
        self.dimension = dimension

    def __getitem__(self, number):
        return torch.nn.Identity()

    def get_embedding_dimension(self):
        return self.dimension

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}


def awkward_columns(columns, dtype, zero=True, examples=8, dimension=5):
    """Vectors with duplicates in a column and across columns, and zeros in the first column."""
    rng = np.random.default_rng(columns)
    made = [rng.normal(0.2, 1.5, (examples, dimension)) for _ in range(columns)]
    made[0][1] = made[0][0]  # a query twice
    made[-1][2] = made[0][2]  # a distance of 0
    if columns > 1:
        made[1][4] = made[1][3]  # a positive twice
        made[-1][5] = made[1][5]  # a negative that is the positive
        made[1][6] = made[0][6] * 3  # a cosine of 1
    if zero:
        made[0][7] = 0
    return [column.astype(dtype) for column in made]


def of_torch(loss, columns, labels):
    """The loss of torch, and its gradients by the vectors."""
    tensors = [torch.from_numpy(column.copy()).requires_grad_() for column in columns]
    given = None if labels is None else torch.from_numpy(labels)
    with torch.enable_grad():
        value = loss([{"vectors": tensor} for tensor in tensors], given)
        value.backward()
    return value.item(), [tensor.grad.numpy() for tensor in tensors]


def assert_close(loss, reference, columns, labels):
    value, gradients = loss(columns, labels)
    expected_value, expected = of_torch(reference, columns, labels)
    close = CLOSE[columns[0].dtype.type]
    assert type(value) is float
    assert abs(value - expected_value) <= close * max(1, abs(expected_value))
    assert len(gradients) == len(expected)
    for column, gradient, right in zip(columns, gradients, expected, strict=True):
        assert (gradient.dtype, gradient.shape) == (column.dtype, column.shape)
        # By a vector of zeros a cosine's gradient is huge, and would hide all other rows.
        for rows in (column.any(axis=1), ~column.any(axis=1)):
            largest = np.abs(right[rows]).max(initial=0)
            assert np.abs(gradient[rows] - right[rows]).max(initial=0) <= close * largest


def both(name, score=None, **arguments):
    """The loss of a name here and there, with the function of a name in util."""
    made = [
        getattr(module, name)(
            Given(5), **{"similarity_fct": getattr(util, score)} if score else {}, **arguments
        )
        for module, util in ((ours, minibert.util), (theirs, sentence_transformers.util))
    ]
    assert made[0].get_config_dict() == made[1].get_config_dict()
    return made


def margins(examples, count):
    return np.random.default_rng(count).normal(0, 3, (examples, count)).astype(np.float32)


@pytest.fixture(params=CLOSE, ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("negatives", [1, 2, 3])
@pytest.mark.parametrize("score", ["dot_score", "cos_sim", "euclidean_sim", "manhattan_sim"])
def test_margin_mse_is_torch_s(negatives, score, dtype):
    loss, reference = both("MarginMSELoss", f"pairwise_{score}")
    columns = awkward_columns(2 + negatives, dtype)
    for count in (negatives, negatives + 1):
        assert_close(loss, reference, columns, margins(8, count).astype(dtype))
    if negatives == 1:
        assert_close(loss, reference, columns, margins(8, 1)[:, 0].astype(dtype))


DIRECTIONS = [
    ("query_to_doc",),
    ("query_to_doc", "doc_to_query"),
    ("query_to_query", "query_to_doc"),
    ("doc_to_doc", "doc_to_query", "query_to_query", "query_to_doc"),
]


@pytest.mark.parametrize("negatives", [0, 1, 3])
@pytest.mark.parametrize("directions", DIRECTIONS, ids=lambda names: "+".join(names))
@pytest.mark.parametrize("score", ["cos_sim", "dot_score"])
def test_ranking_is_torch_s(negatives, directions, score, dtype):
    """Of vectors of zeros, too; with dot products the softmax is nearly all or nothing."""
    columns = awkward_columns(2 + negatives, dtype)
    arguments = {"scale": 7.5 if score == "cos_sim" else 0.6, "directions": directions}
    assert_close(*both("MultipleNegativesRankingLoss", score, **arguments), columns, None)
    if {*directions} <= {"query_to_doc", "doc_to_query"}:
        arguments["partition_mode"] = "per_direction"
        assert_close(*both("MultipleNegativesRankingLoss", score, **arguments), columns, None)


@pytest.mark.parametrize("negatives", [0, 2])
def test_ranking_by_other_names_is_torch_s(negatives, dtype):
    columns = awkward_columns(2 + negatives, dtype)
    loss, reference = both("CachedMultipleNegativesRankingLoss", mini_batch_size=3)
    assert_close(loss, cached(reference), columns, None)
    with pytest.deprecated_call():
        loss, reference = both("MultipleNegativesSymmetricRankingLoss")
    assert_close(loss, reference, columns, None)


def cached(loss):
    """A loss of torch that takes vectors, of one that computes them in parts."""
    return lambda features, labels: loss.calculate_loss([[f["vectors"]] for f in features])
