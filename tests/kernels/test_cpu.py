"""Each kernel against the textbook in float64, slow and obvious."""

import math

import numpy as np
import pytest
from random_numbers import numbers

from minibert.kernels import cpu as kernels


def naive_gelu(value):
    return value / 2 * math.erfc(-value / math.sqrt(2))


def naive_gelu_tanh(value):
    return value / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (value + 0.044715 * value**3)))


def naive_silu(value):
    return value / (1 + math.exp(-value))


def naive_softplus(value):
    return math.log1p(math.exp(value))


ACTIVATIONS = {
    "gelu_": (kernels.gelu_, naive_gelu),
    "gelu_tanh_": (kernels.gelu_tanh_, naive_gelu_tanh),
    "relu_": (kernels.relu_, lambda value: max(value, 0.0)),
    "silu_": (kernels.silu_, naive_silu),
    "tanh_": (kernels.tanh_, math.tanh),
    "sigmoid_": (kernels.sigmoid_, lambda value: 1 / (1 + math.exp(-value))),
    "leaky_relu_": (lambda x: kernels.leaky_relu_(x, 0.01), lambda v: v if v > 0 else 0.01 * v),
    "elu_": (kernels.elu_, lambda value: value if value > 0 else math.expm1(value)),
    "softplus_": (kernels.softplus_, naive_softplus),
    "mish_": (kernels.mish_, lambda value: value * math.tanh(naive_softplus(value))),
    "clip_": (lambda x: kernels.clip_(x, -1.0, 6.0), lambda value: min(6.0, max(-1.0, value))),
    "quick gelu": (lambda x: kernels.silu_(x, 1.702), lambda v: v / (1 + math.exp(-1.702 * v))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_agree_with_the_textbook_in_float64(name):
    kernel, naive = ACTIVATIONS[name]
    x = np.linspace(-12, 12, 48_000, dtype=np.float32).reshape(-1, 3)
    expected = np.array([naive(float(value)) for value in x.flat]).reshape(x.shape)
    error_allowed = 3e-7 * np.maximum(1, np.abs(x))  # worst seen 2.1e-7 of that, for gelu
    kernel(x)
    assert x.dtype == np.float32
    assert (np.abs(x - expected) <= error_allowed).all()


def test_gelu_in_float64_is_exact_to_its_last_digits():
    x = np.linspace(-12, 12, 1001).reshape(-1, 7)
    expected = np.array([naive_gelu(value) for value in x.flat]).reshape(x.shape)
    kernels.gelu_(x)
    assert x.dtype == np.float64
    np.testing.assert_allclose(x, expected, rtol=1e-13)  # small results, too; worst seen 3.1e-14


def test_gelu_is_the_exact_form_and_not_the_tanh_one():
    x = np.array([[-2.7, 2.7]], dtype=np.float32)
    kernels.gelu_(x)
    assert abs(x[0, 1] - naive_gelu(float(np.float32(2.7)))) < 5e-7
    assert abs(x[0, 1] - naive_gelu_tanh(2.7)) > 4e-4


@pytest.mark.parametrize("name", ["gelu_", "gelu_tanh_", "mish_", "silu_", "softplus_"])
def test_activations_stay_right_where_squares_overflow(name):
    x = np.array([[1e30, -1e30, 3e18, -3e18]], dtype=np.float32)
    ACTIVATIONS[name][0](x)
    np.testing.assert_array_equal(x, np.array([[1e30, 0, 3e18, 0]], dtype=np.float32))


def test_sigmoid_keeps_small_results_and_never_overflows():
    x = np.array([[-80.0, -20.0, -1e30, 1e30]], dtype=np.float32)
    kernels.sigmoid_(x)
    np.testing.assert_allclose(x, [[math.exp(-80), math.exp(-20), 0, 1]], rtol=1e-6)


def test_kernels_work_in_blocks_that_divide_unevenly():
    x = numbers((kernels.BLOCK_FLOATS // 1000 * 2 + 7, 1000))
    expected = np.array([naive_gelu(float(value)) for value in x[-1]])
    one_row = x[:1].copy()
    kernels.gelu_(x)
    kernels.gelu_(one_row)
    np.testing.assert_allclose(x[-1], expected, rtol=3e-7, atol=3e-7)
    np.testing.assert_array_equal(x[:1], one_row)


def naive_layer_norm(row, weight, bias, epsilon):
    mean = sum(row) / len(row)
    variance = sum((value - mean) ** 2 for value in row) / len(row)
    return (row - mean) / (variance + epsilon) ** 0.5 * weight + bias


@pytest.mark.parametrize("epsilon", [1e-12, 1e-2, 10.0])
def test_layer_norm_agrees_with_the_textbook_in_float64(epsilon):
    x, weight, bias = numbers((50, 37)), numbers(37, 1), numbers(37, 2)
    expected = [naive_layer_norm(row, weight, bias, epsilon) for row in x.astype(np.float64)]
    kernels.layer_norm_(x, weight, bias, epsilon)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, expected, rtol=0, atol=5e-6)  # worst seen 2.3e-6, of values to 30


def test_layer_norm_of_a_constant_row_is_its_bias():
    x = np.full((2, 16), 0.1, dtype=np.float32)
    bias = numbers(16)
    kernels.layer_norm_(x, np.ones(16, dtype=np.float32), bias, 1e-12)
    np.testing.assert_allclose(x, [bias, bias], rtol=0, atol=0.02)  # rounding of the mean over 1e-6


def naive_softmax(row):
    exponentials = [math.exp(value - max(row)) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def test_softmax_agrees_with_the_textbook_in_float64():
    logits = numbers((2, 3, 5, 7), scale=20)
    expected = np.array([naive_softmax(row) for row in logits.reshape(-1, 7).astype(np.float64)])
    kernels.softmax_(logits)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits.reshape(-1, 7), expected, rtol=0, atol=1e-6)  # seen 3e-7
    np.testing.assert_allclose(logits.sum(axis=-1), 1, rtol=0, atol=1e-6)


def test_rows_are_gathered_in_the_order_asked_for():
    x = numbers((5, 3))
    np.testing.assert_array_equal(kernels.rows_at(x, np.array([4, 0, 4])), x[[4, 0, 4]])


def test_segment_max_takes_the_largest_of_each_text():
    x = numbers((6, 3), shift=-9)  # below 0, where a 0 from elsewhere would win
    expected = [x[:1].max(axis=0), x[1:4].max(axis=0), x[4:].max(axis=0)]
    np.testing.assert_array_equal(kernels.segment_max(x, np.array([1, 3, 2])), expected)


def test_normalize_takes_one_vector_as_well():
    x = np.array([3.0, 4.0], dtype=np.float32)
    kernels.normalize_(x)
    np.testing.assert_allclose(x, [0.6, 0.8], rtol=1e-6)


def test_softmax_of_huge_logits_does_not_overflow():
    logits = np.array([[1e30, 1e30, -1e30], [-1e30, -3e30, -2e30]], dtype=np.float32)
    kernels.softmax_(logits)
    np.testing.assert_array_equal(logits, [[0.5, 0.5, 0], [1, 0, 0]])


def test_linear_agrees_with_the_textbook_in_float64():
    x, weight, bias = numbers((9, 37)), numbers((37, 11), 1), numbers(11, 2)
    expected = x.astype(np.float64) @ weight.astype(np.float64) + bias
    product = kernels.linear(x, weight, bias)
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, expected, rtol=0, atol=1e-4)  # seen 2e-5, of values to 400


def test_segment_sum_adds_the_rows_of_each_text():
    x, lengths = numbers((10, 4)), np.array([3, 1, 4, 2])
    expected = [x[:3].sum(0), x[3], x[4:8].sum(0), x[8:].sum(0)]
    sums = kernels.segment_sum(x, lengths)
    assert sums.dtype == np.float32
    np.testing.assert_allclose(sums, expected, rtol=1e-6, atol=1e-6)


def test_normalize_gives_every_row_the_length_1():
    x = numbers((6, 5))
    expected = [row / math.sqrt(sum(row**2)) for row in x.astype(np.float64)]
    kernels.normalize_(x)
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-7)


def test_normalize_leaves_a_row_of_zeros_as_it_is():
    x = np.zeros((2, 3), dtype=np.float32)
    kernels.normalize_(x)
    np.testing.assert_array_equal(x, np.zeros((2, 3)))


def test_normalize_gives_short_rows_length_1_down_to_the_floor():
    x = np.array([[3e-10, 4e-10], [3e-14, 4e-14]], dtype=np.float32)
    kernels.normalize_(x)
    np.testing.assert_allclose(x, [[0.6, 0.8], [0.03, 0.04]], rtol=1e-5)


def test_floats_and_empty_make_float32():
    assert kernels.floats(np.array([3, 1])).dtype == np.float32
    assert kernels.empty(2, 3).dtype == np.float32
    assert kernels.empty(2, 3).shape == (2, 3)


@pytest.mark.parametrize("width", [37, kernels.CHAIN, kernels.CHAIN + 1, 2 * kernels.CHAIN + 16])
def test_linear_agrees_at_every_number_of_chains(width):
    x, weight, bias = numbers((9, width)), numbers((width, 11), 1), numbers(11, 2)
    expected = x.astype(np.float64) @ weight.astype(np.float64) + bias
    product = kernels.linear(x, weight, bias)
    np.testing.assert_allclose(product, expected, rtol=0, atol=1e-5 * width)  # worst seen 2.1e-4


def test_no_logit_is_above_the_bound_and_one_may_reach_it():
    random = np.random.default_rng(0)
    for _ in range(20):
        q, k = random.normal(size=(2, 7, 12)).astype(np.float32)
        by_head = np.einsum("qhd,khd->hqk", q.reshape(7, 3, 4), k.reshape(7, 3, 4))
        assert np.abs(by_head).max() <= kernels.logit_bound(q, k, 3) * (1 + 1e-6)
    q = np.array([[3.0, 4.0, 0.1, 0.0]], dtype=np.float32)
    assert kernels.logit_bound(q, q, 2) == pytest.approx(25)


@pytest.mark.parametrize("bound", [59.0, 61.0, np.inf, np.nan])
def test_softmax_without_the_shift_equals_softmax_with_it(bound):
    logits = np.random.default_rng(0).uniform(-59, 59, size=(3, 4, 9)).astype(np.float32)
    exact = np.exp(logits.astype(np.float64))
    exact /= exact.sum(axis=-1, keepdims=True)
    found = logits.copy()
    found /= kernels.exponentials_(found, bound)
    np.testing.assert_allclose(found, exact, rtol=2e-5, atol=1e-7)


def test_logits_that_would_overflow_are_shifted():
    q = np.full((1, 4), 30.0, dtype=np.float32)
    # NaN is the bound of a pack in which another text has overflowed.
    for bound in (kernels.logit_bound(q, q, 1), np.nan):
        logits = np.array([[3600.0, 0.0, -3600.0]], dtype=np.float32)
        logits /= kernels.exponentials_(logits, bound)
        assert logits.tolist() == [[1, 0, 0]]


def naive_attention(q, k, v, lengths, heads, bias):
    """Each head of each text, token by token, in float64."""
    mixed, width, start = np.zeros(q.shape), q.shape[1] // heads, 0
    for length in lengths:
        for head in range(heads):
            place = slice(start, start + length), slice(head * width, (head + 1) * width)
            mine, theirs, values = (x.astype(np.float64)[place] for x in (q, k, v))
            logits = mine @ theirs.T + bias[head, :length, :length]
            mixed[place] = [naive_softmax(row) for row in logits] @ values
        start += length
    return mixed


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("lengths", [[1], [4, 4, 2], [3, 5, 5, 1]])
def test_attention_agrees_with_the_textbook_in_float64(lengths, biased, heads):
    counts = np.array(lengths)
    q, k, v = (numbers((sum(lengths), 12), seed, 1, 0) for seed in range(3))
    bias = numbers((heads, 6, 6), 3) if biased else np.zeros((heads, 6, 6), np.float32)
    expected = naive_attention(q, k, v, lengths, heads, bias)
    buckets, given = kernels.buckets(counts), bias if biased else None
    context = kernels.attend(q, k, v, buckets, heads, given)
    assert context.dtype == np.float32
    np.testing.assert_allclose(context, expected, rtol=0, atol=5e-6)  # worst seen 4.4e-7
    if not biased:
        lasts = np.cumsum(counts) - 1
        of_lasts = kernels.attend(q, k, v, buckets, heads, query_rows=lasts)
        np.testing.assert_allclose(of_lasts, expected[lasts], rtol=0, atol=5e-6)


def test_a_bias_of_minus_infinity_takes_distant_tokens_out():
    q, k, v = (numbers((3, 4), seed, 1, 0) for seed in range(3))
    bias = np.array([[[0, 0, -np.inf], [0, 0, 0], [-np.inf, 0, 0]]], np.float32)
    seen = []
    kernels.attend(q, k, v, kernels.buckets(np.array([3])), 2, bias, show=seen.append)
    assert seen[0].shape == (1, 2, 3, 3)
    assert (seen[0][:, :, [0, 2], [2, 0]] == 0).all()
    np.testing.assert_allclose(seen[0].sum(axis=-1), 1, rtol=1e-6)


def test_a_large_bias_does_not_overflow():
    q, k, v = (numbers((2, 4), seed, 1, 0) for seed in range(3))
    bias = np.full((1, 2, 2), 200, np.float32)
    buckets = kernels.buckets(np.array([2]))
    found = kernels.attend(q, k, v, buckets, 2, bias)
    np.testing.assert_allclose(found, kernels.attend(q, k, v, buckets, 2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-2, 10.0])
def test_standard_rows_and_deviations_are_the_textbook_s(epsilon):
    x = numbers((50, 37))
    expected = [naive_layer_norm(row, 1, 0, epsilon) for row in x.astype(np.float64)]
    variances = x.astype(np.float64).var(axis=1)
    deviations = kernels.standardise(x, epsilon)
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-6)  # worst seen 3.4e-7
    np.testing.assert_allclose(deviations, np.sqrt(variances + epsilon), rtol=1e-6)
