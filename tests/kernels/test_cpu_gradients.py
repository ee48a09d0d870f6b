"""Gradients of kernels against differences and the textbook in float64, slow and obvious."""

import numpy as np
import pytest
from differences import derivatives, relative

from minibert.kernels import cpu, cpu_gradients
from minibert.kernels.protocol import NormRows
from minibert.kernels.segments import equal_buckets, split_rows

HEADS, PART = 2, 6
LENGTHS = np.array([4, 2, 2, 1, 1])
TOKENS = int(LENGTHS.sum())
BUCKETS = list(equal_buckets(LENGTHS))


# Of central differences: with rounding of 1e-16 in a loss of some tens, the worst seen is 6e-8.
CLOSE = 1e-6


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(0.3, 1.2, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_weight_s_gradient_sums_products_of_rows(dtype):
    x, gradient = drawn(7, 3, dtype=dtype), drawn(7, 5, seed=1, dtype=dtype)
    expected = sum(np.outer(x[n].astype(float), gradient[n].astype(float)) for n in range(7))
    found = cpu_gradients.weight_gradient(x, gradient)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-14)


def test_a_weight_s_gradient_is_that_of_linear():
    x, weight, bias, given = drawn(7, 3), drawn(3, 5, seed=1), drawn(5, seed=2), drawn(7, 5, seed=3)

    def loss():
        return (cpu.linear(x, weight, bias) * given).sum()

    assert relative(derivatives(loss, weight), cpu_gradients.weight_gradient(x, given)) < CLOSE
    assert relative(derivatives(loss, bias), cpu_gradients.column_sums(given)) < CLOSE
    assert relative(derivatives(loss, x), given @ weight.T) < CLOSE


def test_a_weight_s_gradient_lies_as_the_stored_weight():
    """Stored as (out, in): the gradient by the stored tensor is a view that copies nothing."""
    assert cpu_gradients.weight_gradient(drawn(7, 3), drawn(7, 5)).T.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_column_sums_keep_the_dtype(dtype):
    x = np.arange(12, dtype=dtype).reshape(4, 3)
    sums = cpu_gradients.column_sums(x)
    assert sums.dtype == dtype
    np.testing.assert_array_equal(sums, [18, 22, 26])


class Norm:
    """A layer norm of some rows, its loss, and the gradients that come of it."""

    def __init__(self, rows, dimension, epsilon, dtype=np.float64):
        self.x, self.epsilon = drawn(rows, dimension, dtype=dtype), epsilon
        self.weight, self.bias = drawn(dimension, seed=1, dtype=dtype), drawn(dimension, seed=2)
        self.bias = self.bias.astype(dtype)
        self.given = drawn(rows, dimension, seed=3, dtype=dtype)
        self.kept = NormRows(np.empty_like(self.x), np.empty_like(self.x[:, 0]))
        self.loss()

    def loss(self):
        rows = self.x.copy()
        cpu.add_and_normalise_(rows, None, None, self.weight, self.bias, self.epsilon, self.kept)
        return (rows * self.given).sum()

    def gradients(self):
        """By x, the weight and the bias."""
        by_x = self.given.copy()
        sums = cpu_gradients.layer_norm_gradient_(by_x, self.kept, self.weight)
        return by_x, *sums


@pytest.mark.parametrize("epsilon", [1e-12, 0.5])
def test_a_layer_norm_s_gradients_agree_with_differences(epsilon):
    norm = Norm(5, 7, epsilon)
    for array, exact in zip((norm.x, norm.weight, norm.bias), norm.gradients(), strict=True):
        assert relative(derivatives(norm.loss, array), exact) < CLOSE


def test_a_layer_norm_s_blocks_divide_unevenly_and_sum():
    """Every block has its rows, and the sums are over all of them."""
    norm = Norm(cpu.BLOCK_FLOATS // 1000 * 2 + 7, 1000, 0.01)
    rows, z = norm.kept.normalised, norm.given * norm.weight
    by_x, by_weight, by_bias = norm.gradients()
    means = z.mean(axis=1, keepdims=True), (z * rows).mean(axis=1, keepdims=True)
    expected = (z - means[0] - rows * means[1]) / norm.kept.deviation[:, None]
    np.testing.assert_allclose(by_x, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_weight, (norm.given * rows).sum(axis=0), rtol=0, atol=1e-11)
    np.testing.assert_allclose(by_bias, norm.given.sum(axis=0), rtol=0, atol=1e-11)


def test_a_layer_norm_s_gradients_in_float32_are_near_float64_s():
    norm, exact = Norm(40, 20, 1e-12, np.float32), Norm(40, 20, 1e-12)
    for found, expected in zip(norm.gradients(), exact.gradients(), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def some_factors(bucket):
    """Zeros and 1.25, other ones in every bucket."""
    texts = bucket.texts.stop - bucket.texts.start
    kept = drawn(texts, HEADS, bucket.longest, bucket.longest, seed=bucket.texts.start + 5) > -0.3
    kept[0, 0, 0, -1] = False  # in texts of one token, too
    return kept * 1.25


FACTORS = {bucket.texts.start: some_factors(bucket) for bucket in BUCKETS}


def factors_of(bucket):
    """Dropout's factors for a bucket's weights."""
    return FACTORS[bucket.texts.start]


def textbook(q, k, v, bias, dropout):
    """Attention text by text and head by head."""
    contexts = []
    factors = [f for bucket in BUCKETS for f in dropout(bucket)] if dropout else None
    rows = zip(*(split_rows(x, LENGTHS) for x in (q, k, v)), strict=True)
    for number, (q_text, k_text, v_text) in enumerate(rows):
        heads = []
        for head in range(HEADS):
            place = slice(head * PART // HEADS, (head + 1) * PART // HEADS)
            logits = q_text[:, place] @ k_text[:, place].T
            logits = logits + (0 if bias is None else bias[head, : len(q_text), : len(q_text)])
            weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            if factors:
                weights = weights * factors[number][head]
            heads.append(weights @ v_text[:, place])
        contexts.append(np.concatenate(heads, axis=1))
    return np.concatenate(contexts)


class Attention:
    """Attention on the texts above, its loss, and the gradients by q, k, v and the bias."""

    def __init__(self, has_bias=False, dropout=None, dtype=np.float64):
        # Side by side in memory, as the model has them: each is a view with gaps.
        self.qkv = drawn(TOKENS, 3 * PART, dtype=dtype)
        self.q, self.k, self.v = (self.qkv[:, at : at + PART] for at in (0, PART, 2 * PART))
        # Longer than any text.
        self.bias = drawn(HEADS, 6, 6, seed=1, dtype=dtype) if has_bias else None
        self.given = drawn(TOKENS, PART, seed=2, dtype=dtype)
        self.dropout = dropout and (lambda bucket: dropout(bucket).astype(dtype))

    def context(self):
        return cpu.attend(self.q, self.k, self.v, BUCKETS, HEADS, self.bias, dropout=self.dropout)

    def loss(self):
        return (self.context() * self.given).sum()

    def gradients(self):
        context = self.context()
        by_bias = None if self.bias is None else np.ones_like(self.bias)
        given = self.qkv.copy(), context.copy(), self.given.copy()
        by_qkv = cpu_gradients.attend_gradient(
            self.q, self.k, self.v, context, self.given, BUCKETS, HEADS,
            self.bias, by_bias, self.dropout,
        )  # fmt: skip
        for before, after in zip(given, (self.qkv, context, self.given), strict=True):
            np.testing.assert_array_equal(before, after)  # nothing is overwritten
        return by_qkv, by_bias


@pytest.mark.parametrize("dropout", [None, factors_of])
@pytest.mark.parametrize("has_bias", [False, True])
def test_the_attention_below_is_the_textbook_s(has_bias, dropout):
    attention = Attention(has_bias, dropout)
    given = attention.q, attention.k, attention.v, attention.bias, dropout
    np.testing.assert_allclose(attention.context(), textbook(*given), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dropout", [None, factors_of])
@pytest.mark.parametrize("has_bias", [False, True])
def test_attention_s_gradients_agree_with_differences(has_bias, dropout):
    attention = Attention(has_bias, dropout)
    by_qkv, by_bias = attention.gradients()
    assert relative(derivatives(attention.loss, attention.qkv), by_qkv) < CLOSE
    if has_bias:  # added to the ones that were there
        assert relative(derivatives(attention.loss, attention.bias), by_bias - 1) < CLOSE


@pytest.mark.parametrize("dropout", [None, factors_of])
def test_attention_s_gradients_in_float32_are_near_float64_s(dropout):
    attention, exact = Attention(True, dropout, np.float32), Attention(True, dropout)
    for found, expected in zip(attention.gradients(), exact.gradients(), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_text_of_one_token_gives_its_value_the_gradient():
    attention = Attention()
    by_qkv, _ = attention.gradients()
    np.testing.assert_allclose(by_qkv[-2:, : 2 * PART], 0, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(by_qkv[-2:, 2 * PART :], attention.given[-2:])


@pytest.mark.parametrize("has_bias", [False, True])
def test_a_shift_of_all_keys_has_no_gradient(has_bias):
    """It leaves the softmax alone: the gradients by the keys of a text sum to 0."""
    by_qkv, _ = Attention(has_bias, factors_of).gradients()
    for by_keys in split_rows(by_qkv[:, PART : 2 * PART], LENGTHS):
        np.testing.assert_allclose(by_keys.sum(axis=0), 0, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_added_where_their_index_says(dtype):
    index = np.array([4, 0, 4, 2, 4, 0])
    total, rows = np.ones((6, 3), dtype), np.arange(18, dtype=dtype).reshape(6, 3)
    expected = total.copy()
    np.add.at(expected, index, rows)
    cpu_gradients.add_at_(total, index, rows)
    assert total.dtype == dtype
    np.testing.assert_array_equal(total, expected)  # whole numbers: no rounding


def test_one_row_is_added_to_one_row():
    total = np.zeros((3, 2))
    cpu_gradients.add_at_(total, np.array([2]), np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(total, [[0, 0], [0, 0], [1, 2]])
