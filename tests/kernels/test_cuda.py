"""The kernels on a GPU beside those of NumPy, over the strict stand-in of cupy_stand_in.py.

It proves that no array of one memory meets the other, that the arithmetic is the same, kernels'
included, and that nothing waits. What it cannot prove: that CuPy computes as NumPy does, and how
fast.
"""

import inspect
from functools import partial

import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN
from package_sources import PACKAGE
from random_numbers import numbers

from minibert.bert.forward import hidden_states
from minibert.bert.hook import ForGradients
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import Pack
from minibert.bert.placement import pack_to_device, parameters_to_device
from minibert.kernels import cpu as kernels
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.devices import find_device
from minibert.kernels.protocol import Bucket
from minibert.kernels.segments import firsts, places_of
from minibert.pooling.modes import POOLINGS
from minibert.pooling.pooling import pool_gradient

LENGTHS = [[1], [5], [1, 1, 1], [3, 1, 4, 2], [64, 64, 33, 7, 7, 2]]


def test_both_modules_of_kernels_have_the_same_names(cuda):
    assert cuda.kernels is not kernels
    assert sorted(cuda.kernels.__all__) == sorted(kernels.__all__)


@pytest.mark.parametrize("name", kernels.__all__)
def test_a_kernel_takes_the_same_arguments_on_both_devices(cuda, name):
    ours, theirs = (inspect.signature(getattr(k, name)) for k in (cuda.kernels, kernels))
    assert list(ours.parameters.values()) == list(theirs.parameters.values())


def on_both(cuda, name, *arguments):
    """Run a kernel on NumPy and on the GPU: what it returned or left in its first argument.

    Arrays of float32 go to the GPU; lengths and whole numbers stay on the host.
    """

    def result(kernel, arguments):
        returned = kernel(*arguments)
        assert (returned is None) == name.endswith("_")
        return arguments[0] if returned is None else returned

    on_gpu = [
        cuda.to_device(argument) if getattr(argument, "dtype", None) == np.float32 else argument
        for argument in arguments
    ]
    gpu = result(getattr(cuda.kernels, name), on_gpu)
    assert isinstance(gpu, cupy_stand_in.DeviceArray)
    gpu = cuda.to_host(gpu)
    # The GPU has copies, so NumPy's kernel may now write to the originals.
    cpu = result(getattr(kernels, name), arguments)
    assert gpu.dtype == cpu.dtype == np.float32
    return gpu, cpu


def awkward(shape):
    """Numbers around 0 and, where there is room, some at which an activation could break."""
    x = numbers(shape, shift=0)
    edges = np.array([0.0, -0.0, 1e-40, -1e-40, 20, -20, 3e18, -3e18, 1e30, -1e30], np.float32)
    x.reshape(-1)[: len(edges)] = edges[: x.size]
    return x


@pytest.mark.parametrize("shape", [(1, 1), (0, 5), (11, 1), (1, 300), (257, 301)])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gelu_", ()),
        ("gelu_tanh_", ()),
        ("relu_", ()),
        ("silu_", ()),
        ("silu_", (1.702,)),
        ("sigmoid_", ()),
        ("tanh_", ()),
        ("elu_", ()),
        ("softplus_", ()),
        ("mish_", ()),
        ("leaky_relu_", (0.01,)),
        ("clip_", (-1.0, 6.0)),
    ],
)
def test_activations_agree(cuda, name, arguments, shape):
    gpu, cpu = on_both(cuda, name, awkward(shape), *arguments)
    # Worst seen 2.8e-7 of the value, or of 1.
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-12, 1e-2, 1])
@pytest.mark.parametrize("shape", [(1, 2), (0, 5), (5, 1), (50, 37), (300, 768)])
def test_layer_norm_agrees(cuda, shape, epsilon):
    x, dimension = numbers(shape), shape[1]
    x[1::7] += 4
    x[2::7] = 2
    gpu, cpu = on_both(
        cuda, "layer_norm_", x, numbers(dimension, 1), numbers(dimension, 2), epsilon
    )
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)  # worst seen 5.7e-6, of 34


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 5), (3, 4, 64, 64)])
def test_softmax_agrees(cuda, shape):
    logits = numbers(shape, scale=20)
    logits[-1, 0, 0] = -1e30
    logits[-1, -1, -1, 0] = 1e30
    gpu, cpu = on_both(cuda, "softmax_", logits)
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-6)  # none seen; a sum may differ


@pytest.mark.parametrize(
    ("rows", "dimension", "out"), [(1, 1, 1), (0, 4, 3), (9, 37, 11), (64, 5, 90)]
)
def test_linear_agrees(cuda, rows, dimension, out):
    weight = numbers((out, dimension), 1).T  # as a checkpoint gives it
    gpu, cpu = on_both(cuda, "linear", numbers((rows, dimension)), weight, numbers(out, 2))
    assert gpu.shape == (rows, out)
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-5)  # none seen, of 200


@pytest.mark.parametrize("lengths", LENGTHS)
def test_segment_sums_agree(cuda, lengths):
    x = numbers((sum(lengths), 7))
    gpu, cpu = on_both(cuda, "segment_sum", x, np.array(lengths))
    assert gpu.shape == (len(lengths), 7)
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-5)  # worst seen 7.6e-6, of 86


@pytest.mark.parametrize("lengths", LENGTHS)
def test_segment_maxima_agree(cuda, lengths):
    gpu, cpu = on_both(cuda, "segment_max", numbers((sum(lengths), 7)), np.array(lengths))
    np.testing.assert_array_equal(gpu, cpu)


def test_rows_are_gathered_alike(cuda):
    gpu, cpu = on_both(cuda, "rows_at", numbers((5, 3)), np.array([4, 0, 4]))
    np.testing.assert_array_equal(gpu, cpu)


@pytest.mark.parametrize("spoilt", [np.inf, np.nan])
def test_a_text_that_overflowed_spoils_no_other_text_of_its_pack(cuda, spoilt):
    x = numbers((10, 4))
    x[3] = spoilt
    gpu, cpu = on_both(cuda, "segment_sum", x, np.array([3, 1, 4, 2]))
    assert np.isfinite(cpu[[0, 2, 3]]).all()
    assert not np.isfinite(cpu[1]).any()
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-5)


def test_normalize_agrees_and_leaves_zeros(cuda):
    x = numbers((6, 5))
    x[1], x[2], x[3] = 0, 1e-30, 1e15
    gpu, cpu = on_both(cuda, "normalize_", x)
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-6)  # none seen
    np.testing.assert_array_equal(gpu[1], np.zeros(5))


def test_normalize_writes_to_the_columns_it_was_given(cuda):
    x = numbers((6, 5))
    device = cuda.to_device(x)
    cuda.kernels.normalize_(device[:, :3])
    kernels.normalize_(x[:, :3])
    np.testing.assert_allclose(cuda.to_host(device), x, rtol=0, atol=1e-6)  # none seen


def test_floats_brings_whole_numbers_of_the_host(cuda):
    gpu, cpu = on_both(cuda, "floats", np.array([1, 2, 500, 2**24 + 1]))
    np.testing.assert_array_equal(gpu, cpu)


def test_empty_has_the_shape_asked_for(cuda):
    gpu, cpu = on_both(cuda, "empty", 3, 4)
    assert gpu.shape == cpu.shape == (3, 4)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_every_pooling_agrees(cuda, name, lengths):
    hidden, counts = numbers((sum(lengths), 7)), np.array(lengths)
    gpu = cuda.to_host(POOLINGS[name].pool(cuda.to_device(hidden), counts, 3, cuda.kernels))
    cpu = POOLINGS[name].pool(hidden.copy(), counts, 3, kernels)
    assert gpu.dtype == np.float32
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=2e-6)  # worst seen 2.4e-7, of 6


# The stand-in compares no arrays, as the gradient of "max" does.
@pytest.mark.parametrize("name", [name for name in POOLINGS if name != "max"])
@pytest.mark.parametrize("skipped", [0, 2])
def test_gradients_of_poolings_agree(cuda, name, skipped):
    hidden, given, lengths = numbers((10, 7)), numbers((4, 7), 1), np.array([3, 1, 4, 2])
    on_gpu = cuda.to_device(given), cuda.to_device(hidden)
    gpu = cuda.to_host(pool_gradient([name], *on_gpu, lengths, skipped, cuda.kernels))
    cpu = pool_gradient([name], given, hidden, lengths, skipped, kernels)
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-6)  # none seen


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_adds_a_bias_first(cuda, name):
    x, bias = numbers((9, 300), shift=0), numbers(300, 1)
    device, expected = cuda.to_device(x), x + bias
    ACTIVATIONS[name](cuda.kernels, device, cuda.to_device(bias))
    ACTIVATIONS[name](kernels, expected)
    np.testing.assert_allclose(cuda.to_host(device), expected, rtol=1e-6, atol=1e-6)
    ACTIVATIONS[name](kernels, x, bias)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("rows", [1, 8, 9, 31])  # eight to a block of threads
def test_bias_residual_and_norm_in_one_agree(cuda, rows):
    x, bias, before = numbers((rows, 70)), numbers(70, 1), numbers((rows, 70), 2)
    arrays = (x, bias, before, numbers(70, 3), numbers(70, 4))
    gpu, cpu = on_both(cuda, "add_and_normalise_", *arrays, 1e-12)
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)


def test_columns_beyond_a_text_have_no_weight(cuda):
    logits = numbers((2, 3, 4, 40), scale=20)
    logits[0, :, :, 5:] = np.nan  # what stands there must not matter
    lengths = np.array([5, 40], np.int32)
    device = cuda.to_device(logits)
    cuda.kernels.softmax_of(device, cuda.to_device(lengths))
    kernels.softmax_(logits[0, :, :, :5])
    kernels.softmax_(logits[1])
    logits[0, :, :, 5:] = 0
    np.testing.assert_allclose(cuda.to_host(device), logits, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_texts_of_nearly_one_length_attend_as_each_alone(cuda):
    lengths = np.array([40, 38, 37, 36, 33, 9, 8, 7, 1, 1])
    (config, parameters), total = loaded("gelu"), int(lengths.sum())
    ids = np.random.default_rng(0).integers(5, 80, total)
    alone = np.concatenate(
        [
            hidden_states(pack_of(part), parameters, config, kernels)
            for part in np.split(ids, np.cumsum(lengths)[:-1])
        ]
    )
    pack = pack_of(ids, lengths)
    for query_rows, expected in ((None, alone), (firsts(lengths), alone[firsts(lengths)])):
        gpu = hidden_states(
            pack_to_device(pack, cuda),
            parameters_to_device(parameters, cuda),
            config,
            cuda.kernels,
            None,
            query_rows,
        )
        np.testing.assert_allclose(cuda.to_host(gpu), expected, rtol=0, atol=1e-5)
    assert len(cuda.kernels.buckets(lengths)) == 3


def test_a_text_that_overflowed_spoils_no_other_in_its_bucket(cuda):
    (config, parameters), lengths = loaded("gelu"), np.array([12, 9, 9])
    pack = pack_of(np.arange(5, 35), lengths)
    spoilt = parameters._replace(word_embeddings=parameters.word_embeddings.copy())
    spoilt.word_embeddings[pack.ids[-9:]] = np.nan  # the last text's
    clean, gpu = (
        hidden_states(
            pack_to_device(pack, cuda),
            parameters_to_device(tensors, cuda),
            config,
            cuda.kernels,
            None,
        )
        for tensors in (parameters, spoilt)
    )
    np.testing.assert_array_equal(cuda.to_host(gpu)[:-9], cuda.to_host(clean)[:-9])
    assert np.isnan(cuda.to_host(gpu)[-9:]).all()


def pack_of(ids, lengths=None):
    lengths = np.array([len(ids)]) if lengths is None else lengths
    none = np.zeros_like(ids)
    return Pack(ids, places_of(lengths), none, lengths, np.arange(len(lengths)))


def loaded(name):
    checkpoint = load_checkpoint(GOLDEN / name)
    return checkpoint.config, checkpoint.parameters


def counts_of(cuda, layers, lengths, query_rows=None):
    """What one forward pass asks of a GPU."""
    config, parameters = loaded("gelu")
    parameters = parameters_to_device(parameters._replace(layers=parameters.layers * layers), cuda)
    pack = pack_of(np.full(int(np.sum(lengths)), 7), np.array(lengths))
    cupy_stand_in.COUNTS.clear()
    hidden_states(pack_to_device(pack, cuda), parameters, config, cuda.kernels, None, query_rows)
    return dict(cupy_stand_in.COUNTS)


@pytest.mark.slow
def test_transfers_are_as_many_whatever_the_layers(cuda):
    few, many = (counts_of(cuda, layers, [12, 9, 5, 5]) for layers in (1, 4))
    assert many["up"] == few["up"] == 4  # ids, positions, token types; lengths with starts
    for counts in (few, many):
        assert "wait" not in counts
        assert "down" not in counts


@pytest.mark.slow
def test_a_layer_launches_kernels_per_bucket_and_not_per_length(cuda):
    layers = 3 * (4 - 1)  # the golden model has three

    def a_layer(lengths):
        few, many = (counts_of(cuda, number, lengths)["launch"] for number in (1, 4))
        return (many - few) / layers

    one_bucket, two_buckets = a_layer([16]), a_layer([16, 8])
    assert one_bucket == 15  # four products and four kernels after them; seven for attention
    assert two_buckets == one_bucket + 7
    assert a_layer([16, 15, 14, 13, 12, 11, 10, 9]) == one_bucket


def test_cublas_is_asked_for_what_its_documentation_says(cuda):
    from cupy.cuda import cublas

    a, b = numbers((2, 3, 5, 4)), numbers((2, 3, 7, 4), 1)
    logits = cuda.kernels.products(cuda.to_device(a), cuda.to_device(b), 7, cublas.CUBLAS_OP_T)
    np.testing.assert_allclose(cuda.to_host(logits), a @ b.swapaxes(2, 3), rtol=1e-5, atol=1e-5)
    weights = numbers((2, 3, 5, 7), 2)
    mixed = cuda.kernels.products(cuda.to_device(weights), cuda.to_device(b), 4, cublas.CUBLAS_OP_N)
    np.testing.assert_allclose(cuda.to_host(mixed), weights @ b, rtol=1e-5, atol=1e-4)


# Attention.


@pytest.mark.parametrize("lengths", [[1], [1, 1], [9, 9, 9], [40, 38, 33, 9, 8, 1], [64, 5]])
@pytest.mark.parametrize("case", ["plain", "query_rows", "bias"])
def test_attention_agrees(cuda, lengths, case):
    heads, counts = 3, np.array(lengths)
    q, k, v = (numbers((sum(lengths), 12), seed, 1, 0) for seed in range(3))
    bias = numbers((heads, 64, 64), 3, 1, 0) if case == "bias" else None
    query_rows = firsts(counts) if case == "query_rows" else None
    found = cuda.kernels.attend(
        cuda.to_device(q), cuda.to_device(k), cuda.to_device(v),
        cuda.kernels.buckets(counts), heads,
        None if bias is None else cuda.to_device(bias), query_rows,
    )  # fmt: skip
    expected = kernels.attend(q, k, v, kernels.buckets(counts), heads, bias, query_rows)
    assert found.shape == expected.shape == (len(lengths) if case == "query_rows" else len(q), 12)
    np.testing.assert_allclose(cuda.to_host(found), expected, rtol=0, atol=1e-5)  # worst seen 1e-6


@pytest.mark.parametrize("has_query_rows", [False, True])
def test_both_devices_show_the_weights_that_they_divided(cuda, has_query_rows):
    counts, shown = np.array([5, 5, 3]), {"gpu": [], "cpu": []}
    q, k, v = (numbers((13, 12), seed, 1, 0) for seed in range(3))
    buckets = [Bucket(slice(0, 2), slice(0, 10), 5), Bucket(slice(2, 3), slice(10, 13), 3)]
    rows = firsts(counts) if has_query_rows else None
    on_gpu = map(cuda.to_device, (q, k, v))
    cuda.kernels.attend(
        *on_gpu, buckets, 3, None, rows, lambda w: shown["gpu"].append(cuda.to_host(w).copy())
    )
    kernels.attend(q, k, v, buckets, 3, None, rows, lambda w: shown["cpu"].append(w.copy()))
    asked = (1, 1) if has_query_rows else (5, 3)
    assert [w.shape for w in shown["gpu"]] == [(2, 3, asked[0], 5), (1, 3, asked[1], 3)]
    for gpu, cpu in zip(*shown.values(), strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-6)


def test_standard_rows_and_their_deviations_agree(cuda):
    x = numbers((50, 37))
    x[1::7] = 2
    for epsilon in (1e-12, 1e-2):
        device, host = cuda.to_device(x), x.copy()
        deviations = cuda.to_host(cuda.kernels.standardise(device, epsilon))
        np.testing.assert_allclose(
            deviations, kernels.standardise(host, epsilon), rtol=1e-6, atol=1e-9
        )
        np.testing.assert_allclose(cuda.to_host(device), host, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("float16", 3e-2)])
def test_a_hook_gets_the_same_arrays_as_on_the_cpu(cupy, dtype, close):
    (config, parameters), lengths = loaded("gelu"), np.array([9, 9, 5])
    pack, device = pack_of(np.arange(5, 28), lengths), find_device("cuda", dtype)
    here = pack_to_device(pack, device), parameters_to_device(parameters, device)

    def seen(found, to_host):
        """Keep arrays; the weights of attention only from the hook that looks at them."""

        def see(name, array, is_attention):
            if name.endswith("attention") == is_attention:
                found.append((name, to_host(array).copy()))

        return partial(see, is_attention=True), ForGradients(partial(see, is_attention=False))

    gpu, cpu = [], []
    for hook in seen(gpu, device.to_host):
        hidden_states(*here, config, device.kernels, hook)
    for hook in seen(cpu, np.asarray):
        hidden_states(pack, parameters, config, kernels, hook)
    assert len({name for name, _ in gpu if name.endswith("attention")}) == 3
    assert [name for name, _ in gpu] == [name for name, _ in cpu]
    for (name, ours), (_, theirs) in zip(gpu, cpu, strict=True):
        is_for_gradients = name.endswith(("intermediate_input", "normalised", "deviation"))
        wide = np.float32 if is_for_gradients else dtype
        assert (ours.shape, ours.dtype) == (theirs.shape, wide), name
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close * 2, err_msg=name)


@pytest.mark.slow
def test_a_hook_changes_no_number_of_float16(cupy):
    (config, parameters), lengths = loaded("gelu"), np.array([16, 8])  # of no padding
    pack, device = pack_of(np.arange(5, 29), lengths), find_device("cuda", "float16")
    arguments = (
        pack_to_device(pack, device),
        parameters_to_device(parameters, device),
        config,
        device.kernels,
    )
    alone, watched, for_gradients = (
        device.to_host(hidden_states(*arguments, hook))
        for hook in (None, lambda *_: None, ForGradients(lambda *_: None))
    )
    np.testing.assert_array_equal(watched, alone)
    np.testing.assert_array_equal(for_gradients, alone)


def test_arrays_end_to_end_are_those_of_numpy(cuda):
    arrays = [numbers((3, 2)), numbers((1, 2), 1)]
    found = cuda.kernels.concatenate([cuda.to_device(array) for array in arrays])
    np.testing.assert_array_equal(cuda.to_host(found), kernels.concatenate(arrays))


def test_sums_of_buckets_agree(cuda):
    x, buckets = numbers((3, 9, 9)), np.random.default_rng(0).integers(0, 4, (9, 9))
    found = cuda.kernels.bucket_sums(cuda.to_device(x), buckets, 6)  # two are empty
    expected = kernels.bucket_sums(x, buckets, 6)
    assert expected.shape == (6, 3)
    assert (expected[4:] == 0).all()
    np.testing.assert_allclose(cuda.to_host(found), expected, rtol=1e-5, atol=1e-5)


def test_no_kernel_adds_in_an_order_that_may_differ():
    """A sum by several threads at once would depend on which of them is first."""
    source = (PACKAGE / "kernels" / "cuda.cu").read_text(encoding="utf-8")
    assert "atomic" not in source.lower()
