"""Losses and their gradients by the vectors, against sentence-transformers and torch's autograd."""

import numpy as np
import pytest
import sentence_transformers
import torch
from sentence_transformers.sentence_transformer import losses as theirs

import minibert
from minibert import losses as ours

# Differences of a gradient from torch's, of the largest entry. Worst seen: 6e-14 and 3e-6.
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
        made[1][6] = made[0][6] * 4  # a cosine of 1, and of both the same normalised vector
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


each_dtype = pytest.mark.parametrize("dtype", CLOSE, ids=["float64", "float32"])


@pytest.mark.parametrize("negatives", [1, 2, 3])
@pytest.mark.parametrize("score", ["dot_score", "cos_sim", "euclidean_sim", "manhattan_sim"])
@each_dtype
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
@each_dtype
def test_ranking_is_torch_s(negatives, directions, score, dtype):
    """Of vectors of zeros, too; with dot products the softmax is nearly all or nothing."""
    columns = awkward_columns(2 + negatives, dtype)
    arguments = {"scale": 7.5 if score == "cos_sim" else 0.6, "directions": directions}
    assert_close(*both("MultipleNegativesRankingLoss", score, **arguments), columns, None)
    if {*directions} <= {"query_to_doc", "doc_to_query"}:
        arguments["partition_mode"] = "per_direction"
        assert_close(*both("MultipleNegativesRankingLoss", score, **arguments), columns, None)


@pytest.mark.parametrize("negatives", [0, 2])
@each_dtype
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


# A label more than once, and one that is higher than all.
TIED = np.array([0.25, 0.75, 0.25, 1, 0.5, 0.75, 0, 0.25], dtype=np.float32)


@each_dtype
def test_cosine_similarity_is_torch_s(dtype):
    columns = awkward_columns(2, dtype)
    for labels in (TIED, TIED[:, None]):
        assert_close(*both("CosineSimilarityLoss"), columns, labels.astype(dtype))


@pytest.mark.parametrize("score", ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim"])
@pytest.mark.parametrize("scale", [20.0, 1.5])
@each_dtype
def test_cosent_is_torch_s(score, scale, dtype):
    columns = awkward_columns(2, dtype)
    for labels in (TIED, np.ones_like(TIED), np.arange(8) % 2, -TIED[:, None]):
        assert_close(*both("CoSENTLoss", f"pairwise_{score}", scale=scale), columns, labels)


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("columns", [1, 3])
@each_dtype
def test_mse_is_torch_s(columns, projected, dtype):
    given = awkward_columns(columns, dtype)
    shape = (8, columns, 5) if projected else (8, 5)
    labels = np.random.default_rng(1).normal(0, 2, shape).astype(dtype)
    assert_close(*both("MSELoss"), given, labels)


@pytest.mark.parametrize("metric", ["EUCLIDEAN", "MANHATTAN", "COSINE"])
@pytest.mark.parametrize("margin", [0.1, 1, 5])
@each_dtype
def test_triplet_is_torch_s(metric, margin, dtype):
    """At a distance of 0, too, and with triplets on both sides of the margin."""
    losses = both_by("TripletLoss", f"TripletDistanceMetric.{metric}", triplet_margin=margin)
    columns = awkward_columns(3, dtype)
    assert_close(*losses, columns, None)
    gradients = losses[0](columns)[1]
    assert margin == 5 or 1 < gradients[2].any(axis=1).sum() < 7


@pytest.mark.parametrize("metric", ["EUCLIDEAN", "MANHATTAN", "COSINE_DISTANCE"])
@pytest.mark.parametrize("size_average", [True, False])
@pytest.mark.parametrize("margin", [0.5, 3])
@each_dtype
def test_contrastive_is_torch_s(metric, size_average, margin, dtype):
    arguments = {"margin": margin, "size_average": size_average}
    losses = both_by("ContrastiveLoss", f"SiameseDistanceMetric.{metric}", **arguments)
    labels = np.array([1, 0, 0, 1, 0, 1, 1, 0])
    for given in (labels, 1 - labels, labels.astype(dtype)):
        assert_close(*losses, awkward_columns(2, dtype), given)


def both_by(name, metric, **arguments):
    """The loss of a name here and there, with the distance of a name."""
    kind, member = metric.split(".")
    made = [
        getattr(module, name)(Given(5), getattr(getattr(module, kind), member), **arguments)
        for module in (ours, theirs)
    ]
    assert made[0].get_config_dict() == made[1].get_config_dict()
    return made


MATRYOSHKA = [
    ("MarginMSELoss", 4, margins(8, 2)),
    ("MultipleNegativesRankingLoss", 3, None),
    ("CosineSimilarityLoss", 2, TIED),
    ("CoSENTLoss", 2, TIED),
    ("MSELoss", 2, np.random.default_rng(3).normal(size=(8, 5)).astype(np.float32)),
    ("MSELoss", 2, np.random.default_rng(3).normal(size=(8, 2, 5)).astype(np.float32)),
    ("TripletLoss", 3, None),
    ("ContrastiveLoss", 2, np.arange(8) % 2),
]


@pytest.mark.parametrize(("name", "count", "labels"), MATRYOSHKA)
@each_dtype
def test_matryoshka_is_torch_s(name, count, labels, dtype):
    """The vectors are not normalised, and the whole dimension is among those of the loss."""
    columns = awkward_columns(count, dtype, zero=False)
    given = labels.astype(dtype) if labels is not None and labels.dtype.kind == "f" else labels
    model = Given(5)
    loss, reference = (
        module.MatryoshkaLoss(model, getattr(module, name)(model), [2, 5, 3], [0.5, 2, 1.25])
        for module in (ours, theirs)
    )
    assert loss.get_config_dict() == reference.get_config_dict()
    assert_close(loss, reference, columns, given)
