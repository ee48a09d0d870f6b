"""Losses against the textbook and central differences in float64, and what they refuse."""

import logging
import math
from typing import NamedTuple

import numpy as np
import pytest

from minibert import util
from minibert.training import losses
from minibert.training.losses import LOSSES, MatryoshkaLoss, false_negatives
from minibert.training.losses.similarities import unit_vectors

B, D = 6, 4
TIED = np.array([0.2, 0.8, 0.2, 1.0, 0.5, 0.8])
CLASSES = np.array([1.0, 0, 0, 1, 0, 1])


class Case(NamedTuple):
    """A loss, its columns and labels, and the loss of a batch by the textbook."""

    loss: object
    columns: int
    labels: np.ndarray | None
    textbook: object  # vectors of the columns, labels -> the loss


def vectors_of(columns, seed=7):
    return list(np.random.default_rng(seed).normal(0.3, 1.2, (columns, B, D)))


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.5, 2, shape)


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def cos(x, y):
    return dot(x, y) / math.sqrt(dot(x, x)) / math.sqrt(dot(y, y))


def euclidean(x, y):
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)))


def manhattan(x, y):
    return sum(abs(a - b) for a, b in zip(x, y, strict=True))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def margin_mse(score):
    def loss(vectors, margins):
        query, positive, *negatives = vectors
        return mean(
            (score(query[i], positive[i]) - score(query[i], negative[i]) - margins[i][j]) ** 2
            for j, negative in enumerate(negatives)
            for i in range(B)
        )

    return loss


def ranking(score, scale, per_direction=False, directions=("query_to_doc",)):
    def loss(vectors, _):
        queries, positives = vectors[:2]
        total = 0
        for i in range(B):
            sums = []
            if "query_to_doc" in directions:
                sums.append([(queries[i], document) for rows in vectors[1:] for document in rows])
            if "doc_to_query" in directions:
                sums.append([(positives[i], query) for query in queries])
            if "query_to_query" in directions:
                sums.append([(queries[i], queries[j]) for j in range(B) if j != i])
            if "doc_to_doc" in directions:
                others = [rows[j] for rows in vectors[1:] for j in range(B) if j != i]
                sums.append([(positives[i], document) for document in others])
            sums = [sum(math.exp(scale * score(*pair)) for pair in pairs) for pairs in sums]
            log_sum = mean(map(math.log, sums)) if per_direction else math.log(sum(sums))
            total += log_sum - scale * score(queries[i], positives[i])
        return total / B

    return loss


def cosent(score, scale):
    def loss(vectors, labels):
        scores = [scale * score(x, y) for x, y in zip(*vectors, strict=True)]
        return math.log(
            1 + sum(math.exp(scores[i] - scores[j])
                    for i in range(B) for j in range(B) if labels[i] < labels[j])
        )  # fmt: skip

    return loss


def cosine_similarity(vectors, labels):
    return mean((cos(*pair) - y) ** 2 for *pair, y in zip(*vectors, labels, strict=True))


def mse(vectors, labels):
    return mean(np.mean((column - labels) ** 2) for column in vectors)


def mse_by_column(vectors, labels):
    return mean(np.mean((column - labels[:, i]) ** 2) for i, column in enumerate(vectors))


def triplet(distance, margin):
    def loss(vectors, _):
        return mean(
            max(0, distance(a, p) - distance(a, n) + margin)
            for a, p, n in zip(*vectors, strict=True)
        )

    return loss


def contrastive(distance, margin, whole=mean):
    def loss(vectors, labels):
        return whole(
            (d**2 if y else max(0, margin - d) ** 2) / 2
            for d, y in ((distance(*pair), y) for *pair, y in zip(*vectors, labels, strict=True))
        )

    return loss


def matryoshka(loss, weights, of_labels=lambda labels, d: labels):
    def summed(vectors, labels):
        return sum(
            weight * loss([shortened(column, d) for column in vectors], of_labels(labels, d))
            for d, weight in weights.items()
        )

    return summed


def shortened(column, dimension):
    return np.array([row[:dimension] / math.sqrt(dot(row[:dimension], row[:dimension]))
                     for row in column])  # fmt: skip


def one_minus_cos(x, y):
    return 1 - cos(x, y)


ALL = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
WEIGHTS = {2: 0.5, 4: 2, 3: 1.25}
SCORES = numbers(B, 3)
RANKING = losses.MultipleNegativesRankingLoss
CASES = {
    "margin-mse": Case(
        losses.MarginMSELoss(), 3, TIED, lambda v, y: margin_mse(dot)(v, y[:, None])
    ),
    "margin-mse of margins": Case(losses.MarginMSELoss(), 4, SCORES[:, :2], margin_mse(dot)),
    "margin-mse of scores": Case(
        losses.MarginMSELoss(None, "cosine"), 4, SCORES,
        lambda v, y: margin_mse(cos)(v, y[:, :1] - y[:, 1:]),
    ),
    "margin-mse of distances": Case(
        losses.MarginMSELoss(None, util.pairwise_euclidean_sim), 4, SCORES[:, :2],
        margin_mse(lambda x, y: -euclidean(x, y)),
    ),
    "ranking": Case(RANKING(scale=5), 2, None, ranking(cos, 5)),
    "ranking with negatives": Case(RANKING(scale=5), 4, None, ranking(cos, 5)),
    "ranking by products": Case(
        RANKING(None, 0.7, util.dot_score), 3, None, ranking(dot, 0.7)
    ),
    "ranking in four directions": Case(
        RANKING(scale=5, directions=ALL), 4, None, ranking(cos, 5, directions=ALL)
    ),
    "symmetric ranking": Case(
        losses.MultipleNegativesSymmetricRankingLoss(scale=5), 3, None,
        ranking(cos, 5, True, ("query_to_doc", "doc_to_query")),
    ),
    "ranking four at once": Case(
        losses.CachedMultipleNegativesRankingLoss(None, 5, "cos_sim", 4, directions=ALL), 4, None,
        ranking(cos, 5, directions=ALL),
    ),
    "cosine-similarity": Case(losses.CosineSimilarityLoss(), 2, TIED, cosine_similarity),
    "cosent": Case(losses.CoSENTLoss(scale=5), 2, TIED, cosent(cos, 5)),
    "cosent by products": Case(losses.CoSENTLoss(None, 0.7, "dot"), 2, -TIED, cosent(dot, 0.7)),
    "mse": Case(losses.MSELoss(), 2, numbers(B, D), mse),
    "mse by column": Case(losses.MSELoss(), 3, numbers(B, 3, D), mse_by_column),
    "triplet": Case(losses.TripletLoss(None, "euclidean", 0.3), 3, None, triplet(euclidean, 0.3)),
    "triplet by manhattan": Case(
        losses.TripletLoss(None, "manhattan", 0.7), 3, None, triplet(manhattan, 0.7)
    ),
    "triplet by cosine": Case(
        losses.TripletLoss(None, "cosine", 0.1), 3, None, triplet(one_minus_cos, 0.1)
    ),
    "contrastive": Case(losses.ContrastiveLoss(), 2, CLASSES, contrastive(one_minus_cos, 0.5)),
    "contrastive summed": Case(
        losses.ContrastiveLoss(None, margin=0.9, size_average=False), 2, 1 - CLASSES,
        contrastive(one_minus_cos, 0.9, sum),
    ),
    "contrastive by euclidean": Case(
        losses.ContrastiveLoss(None, losses.SiameseDistanceMetric.EUCLIDEAN, 3), 2, CLASSES,
        contrastive(lambda x, y: euclidean(x + 1e-6, y), 3),
    ),
    "matryoshka of ranking": Case(
        MatryoshkaLoss(None, RANKING(scale=5), [*WEIGHTS], [*WEIGHTS.values()]), 3, None,
        matryoshka(ranking(cos, 5), WEIGHTS),
    ),
    "matryoshka of margin-mse": Case(
        MatryoshkaLoss(None, losses.MarginMSELoss(), [*WEIGHTS], [*WEIGHTS.values()]), 4,
        SCORES[:, :2], matryoshka(margin_mse(dot), WEIGHTS),
    ),
    "matryoshka of mse": Case(
        MatryoshkaLoss(None, losses.MSELoss(), [*WEIGHTS]), 2, numbers(B, D),
        matryoshka(mse, dict.fromkeys(WEIGHTS, 1), lambda labels, d: labels[:, :d]),
    ),
}  # fmt: skip


each_loss = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@each_loss
def test_a_loss_is_that_of_the_textbook(case):
    vectors = vectors_of(case.columns)
    case.loss.check(case.columns, case.labels, B)
    value, gradients = case.loss(vectors, case.labels)
    assert type(value) is float
    assert value == pytest.approx(case.textbook(vectors, case.labels), rel=1e-12)
    assert [gradient.shape for gradient in gradients] == [(B, D)] * case.columns


@each_loss
def test_gradients_are_central_differences(case):
    vectors = vectors_of(case.columns)
    gradients = case.loss(vectors, case.labels)[1]
    step = 2e-5
    for column, gradient in zip(vectors, gradients, strict=True):
        for place in np.ndindex(B, D):
            given = column[place]
            column[place] = given + step
            above = case.loss(vectors, case.labels)[0]
            column[place] = given - step
            slope = (above - case.loss(vectors, case.labels)[0]) / (2 * step)
            column[place] = given
            # Worst seen: 2e-7.
            assert abs(slope - gradient[place]) < 1e-6 * max(1e-4, abs(slope))


@each_loss
def test_a_loss_changes_nothing_and_keeps_float32(case):
    """Gradients share no memory with the vectors or with one another: callers may scale them."""
    wide = vectors_of(case.columns)
    vectors = [column.astype(np.float32) for column in wide]
    before = [column.copy() for column in vectors]
    labels = None if case.labels is None else case.labels.copy()
    value, gradients = case.loss(vectors, labels)
    assert all(gradient.dtype == np.float32 for gradient in gradients)
    np.testing.assert_array_equal(vectors, before)
    if labels is not None:
        np.testing.assert_array_equal(labels, case.labels)
    expected_value, expected = case.loss(wide, case.labels)
    for gradient in gradients:
        gradient *= 2
    np.testing.assert_array_equal(vectors, before)
    gradients = np.array(gradients) / 2
    assert value == pytest.approx(expected_value, rel=1e-5)  # worst seen: 3e-7
    np.testing.assert_allclose(gradients, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@each_loss
def test_parts_of_a_batch_sum_to_it_if_it_is_a_mean(case):
    """Only then: one that is no mean is another loss in parts, here of other candidates."""
    vectors = vectors_of(case.columns)
    whole, gradients = case.loss(vectors, case.labels)
    total, parts = 0.0, []
    for rows in (slice(0, 1), slice(1, 4), slice(4, B)):
        weight = len(range(B)[rows]) / B
        labels = None if case.labels is None else case.labels[rows]
        loss, part = case.loss([column[rows] for column in vectors], labels)
        total += weight * loss
        parts.append([weight * gradient for gradient in part])
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    assert (total == pytest.approx(whole, rel=1e-12)) == case.loss.is_mean
    assert np.allclose(joined, gradients, rtol=0, atol=1e-13) == case.loss.is_mean


def test_every_loss_of_the_command_line_has_a_case():
    tested = {type(case.loss) for case in CASES.values()}
    assert {*LOSSES.values()} <= tested
    for name, loss in LOSSES.items():
        assert type(loss()).__name__.lower() == f"{name.replace('-', '')}loss"
        assert "\n" not in loss().description


def test_a_vector_below_the_floor_is_divided_by_the_floor():
    """Its gradient has no part along the vector that is taken out."""
    vectors, gradient = np.array([[3.0, 4], [0.3, 0.4], [0, 0]]), np.array([[1.0, 2]] * 3)
    unit, backward = unit_vectors(vectors, 1.0)
    assert unit.tolist() == [[0.6, 0.8], [0.3, 0.4], [0, 0]]
    taken_out = 0.6 * 1 + 0.8 * 2
    expected = [[(1 - 0.6 * taken_out) / 5, (2 - 0.8 * taken_out) / 5], [1, 2], [1, 2]]
    np.testing.assert_allclose(backward(gradient), expected, rtol=1e-15)


def test_a_gradient_at_distance_0_is_0():
    anchor, far = np.array([[1.0, 2, 3]]), np.array([[0.0, 2, 3]])
    for metric in losses.TripletDistanceMetric:
        _, gradients = losses.TripletLoss(None, metric)([anchor, anchor, anchor])
        assert not np.any(gradients)
    value, gradients = losses.TripletLoss()([anchor, anchor, far])
    assert value == 4
    assert gradients[1].tolist() == [[0, 0, 0]]
    assert gradients[2].tolist() == [[1, 0, 0]]


def test_large_scores_overflow_in_no_loss():
    """Scores of thousands, whose exp is infinite."""
    columns = [np.full((2, 1), 100.0), np.array([[90.0], [-90.0]])]
    value, gradients = losses.MultipleNegativesRankingLoss(None, 1, "dot")(columns)
    assert value == 9000  # of the second query: 100 (90 - -90) / 2
    assert np.isfinite(gradients).all()
    value, gradients = losses.CoSENTLoss(None, 1, "dot")(columns, np.array([0, 1]))
    assert value == 18000
    assert gradients[1].tolist() == [[100], [-100]]


@pytest.mark.parametrize(
    ("loss", "columns", "expected"),
    [
        (losses.MarginMSELoss(), 2, "takes at least 3 columns of texts, and the examples have 2"),
        (losses.MultipleNegativesRankingLoss(), 1, "takes at least 2 columns"),
        (losses.CosineSimilarityLoss(), 3, "takes 2 columns of texts, and the examples have 3"),
        (losses.CoSENTLoss(), 1, "CoSENTLoss takes 2 columns"),
        (losses.TripletLoss(), 4, "TripletLoss takes 3 columns"),
        (losses.ContrastiveLoss(), 3, "ContrastiveLoss takes 2 columns"),
        (MatryoshkaLoss(None, losses.CoSENTLoss(), [2]), 3, "CoSENTLoss takes 2 columns"),
        (losses.MSELoss(), 0, "MSELoss takes at least 1 column"),
    ],
)
def test_columns_that_do_not_fit_are_refused(loss, columns, expected):
    with pytest.raises(ValueError, match=expected):
        loss.check(columns, TIED, B)


WITH_LABELS = [
    losses.MarginMSELoss(),
    losses.CosineSimilarityLoss(),
    losses.CoSENTLoss(),
    losses.ContrastiveLoss(),
    losses.MSELoss(),
    MatryoshkaLoss(None, losses.CosineSimilarityLoss(), [2]),
]


@pytest.mark.parametrize("loss", WITH_LABELS)
def test_labels_missing_or_no_numbers_are_refused(loss):
    columns = loss.columns[0]
    with pytest.raises(ValueError, match="needs a label for each example, and there are none"):
        loss.check(columns, None, B)
    with pytest.raises(ValueError, match="needs numbers as labels"):
        loss.check(columns, np.array(["1"] * B), B)
    with pytest.raises(ValueError, match="for a batch of 7 examples"):
        loss.check(columns, TIED, 7)
    for labels in (np.array(1.0), np.ones((B, 3, 2, 1))):
        with pytest.raises(ValueError, match="have the shape"):
            loss.check(columns, labels, B)


@pytest.mark.parametrize("loss", WITH_LABELS)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_label_that_is_not_finite_is_named(loss, number):
    labels = np.array(CLASSES)
    labels[4] = number
    given = np.stack([labels, labels], axis=1) if loss.label == "vectors" else labels
    with pytest.raises(ValueError, match=r"label of example 4 of the batch, .*finite"):
        loss.check(loss.columns[0], given, B)
    with pytest.raises(ValueError, match="example 4"):
        loss(vectors_of(loss.columns[0]), given)


@pytest.mark.parametrize(("columns", "shape"), [(4, (B,)), (4, (B, 4)), (3, (B, 3)), (4, (B, 1))])
def test_margins_of_another_shape_are_refused(columns, shape):
    with pytest.raises(ValueError, match=rf"needs {columns - 2} margins .* \({B}, {columns - 1}\)"):
        losses.MarginMSELoss().check(columns, np.ones(shape), B)


def test_teacher_s_vectors_of_another_shape_are_refused():
    loss = losses.MSELoss()
    with pytest.raises(ValueError, match=r"\(6, D\), or .* \(6, 2, D\)"):
        loss.check(2, np.ones((B, 3, D)), B)
    loss.check(2, np.ones((B, 3)), B)
    with pytest.raises(ValueError, match="vectors of 3 dimensions, and those of the model have 4"):
        loss(vectors_of(2), np.ones((B, 3)))


def test_contrastive_labels_other_than_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"example 3 of the batch, counted from 0, is 0\.5"):
        losses.ContrastiveLoss().check(2, np.array([0, 1, 1, 0.5]), 4)


def test_a_batch_without_negatives_is_refused():
    for loss in (RANKING(), MatryoshkaLoss(None, RANKING(), [2])):
        with pytest.raises(ValueError, match=r"batch of one example.* has no negatives"):
            loss.check(2, None, 1)
        loss.check(3, None, 1)
        loss.check(2, None, 2)
    with pytest.raises(ValueError, match="batch of one pair"):
        losses.CoSENTLoss().check(2, TIED[:1], 1)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: losses.MarginMSELoss(None, util.pairwise_angle_sim), "similarity_fct is .*angle"),
        (lambda: losses.CoSENTLoss(None, 20, "cos_sim"), "similarity_fct is 'cos_sim'"),
        (lambda: RANKING(None, 20, util.euclidean_sim), "similarity_fct is .*euclidean.*dot_score"),
        (lambda: RANKING(None, 20, lambda a, b: a), "similarity_fct is <function"),
        (lambda: RANKING(None, 0), "scale is 0"),
        (lambda: RANKING(None, float("nan")), "scale is nan"),
        (lambda: RANKING(gather_across_devices=True), "gather_across_devices of Multiple"),
        (lambda: RANKING(hardness_mode="all_negatives"), "hardness_mode of .* is 'all_negatives'"),
        (lambda: RANKING(hardness_strength=0.5), "hardness_strength of .* is 0.5"),
        (lambda: RANKING(directions=("doc_to_query",)), "'query_to_doc' is needed"),
        (lambda: RANKING(directions=("query_to_doc", "there")), "a direction is 'there'"),
        (lambda: RANKING(partition_mode="each"), "partition_mode is 'each'"),
        (lambda: RANKING(directions=ALL, partition_mode="per_direction"), "the positive among its"),
        (lambda: losses.CachedMultipleNegativesRankingLoss(mini_batch_size=0), "mini_batch_size"),
        (lambda: losses.CosineSimilarityLoss(None, object()), "loss_fct of CosineSimilarityLoss"),
        (lambda: losses.MSELoss(None, 64), "projection_dim of MSELoss is 64"),
        (lambda: losses.TripletLoss(None, "dot"), "distance_metric is 'dot'"),
        (lambda: losses.ContrastiveLoss(None, "dot"), "distance_metric is 'dot'"),
        (lambda: MatryoshkaLoss(None, RANKING(), []), "matryoshka_dims is empty"),
        (lambda: MatryoshkaLoss(None, RANKING(), [2, 0]), "matryoshka_dims is 0"),
        (lambda: MatryoshkaLoss(None, RANKING(), [2, 3], [1]), "1 matryoshka_weights .* for 2"),
        (lambda: MatryoshkaLoss(None, RANKING(), [2, 3], None, 1), "n_dims_per_step is 1"),
    ],
)
def test_arguments_that_are_not_computed_are_refused(make, expected):
    with pytest.raises(ValueError, match=expected):
        make()


class Model:
    """A model of four dimensions, of which nothing else is used."""

    def get_embedding_dimension(self):
        return D


def test_matryoshka_dimensions_are_checked_with_the_model(caplog):
    with pytest.raises(ValueError, match="has 5, and the vectors of the model have 4"):
        MatryoshkaLoss(Model(), RANKING(), [5, 2])
    with pytest.raises(ValueError, match="has 5, and the vectors of the model have 4"):
        MatryoshkaLoss(None, RANKING(), [5, 2])(vectors_of(2), None)
    with caplog.at_level(logging.WARNING, "minibert"):
        MatryoshkaLoss(Model(), RANKING(), [2, 4])
        assert caplog.messages == []
        MatryoshkaLoss(Model(), RANKING(), [3, 2])
    assert [message[:54] for message in caplog.messages] == [
        "matryoshka_dims are 3, 2, without the 4 dimensions of "
    ]


def test_a_function_of_any_spelling_is_the_same():
    for spelling in (util.cos_sim, "cos_sim", "cosine", util.SimilarityFunction.COSINE):
        assert RANKING(None, 20, spelling).similarity_fct is util.cos_sim
    for spelling in (util.pairwise_dot_score, "pairwise_dot_score", "dot"):
        assert losses.MarginMSELoss(None, spelling).similarity_fct is util.pairwise_dot_score


def test_false_negatives_are_found_with_their_examples():
    queries = ["a", "b", "c", "a", "e"]
    positives = ["A", "B", "A", "D", ("E", "e")]
    negatives = ["B", "X", "X", "D", "c"]
    assert false_negatives([queries, positives, negatives]) == {
        "a": [0, 3],  # one query twice: the other's positive is not wrong
        "A": [0, 2],  # a positive twice
        "B": [0, 1],  # a negative that is another's positive
        "c": [2, 4],  # a negative that is another's query
    }
    assert false_negatives([["a", "b"], ["A", "B"]]) == {}


def test_only_rankings_take_documents_of_other_examples():
    rankings = {name for name, loss in LOSSES.items() if loss().in_batch_negatives}
    assert rankings == {name for name in LOSSES if "ranking" in name}
    for loss in (RANKING(), losses.CoSENTLoss()):
        wrapped = MatryoshkaLoss(None, loss, [2])
        assert wrapped.in_batch_negatives == loss.in_batch_negatives
        assert wrapped.is_mean == loss.is_mean
