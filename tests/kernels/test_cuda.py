"""The CuPy path against the NumPy one, over the strict stand-in of cupy_stand_in.py.

It proves that no array of one memory meets the other, that the arithmetic is the same, kernels'
included, and that nothing waits. What it cannot prove: that CuPy computes as NumPy does, and how
fast.
"""

import copy
import dataclasses
import inspect
import operator
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, expected_of, spoil

import minibert
from minibert import BertModel, SentenceTransformer
from minibert.bert.forward import hidden_states
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import Pack, firsts, packs, places_of
from minibert.corpus.build import build
from minibert.documents.reading import Document
from minibert.errors import CheckpointError, CorpusError, DeviceError
from minibert.kernels import cpu as kernels
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.devices import find_device
from minibert.models.scheduler import Scheduler
from minibert.pooling.pooling import POOLINGS

MODELS = ["gelu", "gelu_new", "large_epsilon", "relu", "silu"]
SHOWN_INSIDE = ["gelu", "large_epsilon"]


@pytest.fixture
def cupy(install):
    """The stand-in, on a machine with one GPU."""
    return install(gpus=1)


@pytest.fixture
def cuda(cupy):
    """The device "cuda"."""
    return find_device("cuda")


SOURCE = Path(kernels.__file__).with_name("cuda.cu").read_text(encoding="utf-8")


def numbers(shape, seed=0, scale=3.0, shift=1.0):
    return np.random.default_rng(seed).normal(shift, scale, shape).astype(np.float32)


@pytest.mark.parametrize("host", [np.ones(3, np.float32), np.float32(1), np.float64(1)])
@pytest.mark.parametrize("in_place", ["", "i"])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "matmul"])
def test_the_stand_in_computes_with_no_numpy_array_or_scalar(cupy, name, in_place, host):
    function = getattr(operator, in_place + name)
    device = cupy.asarray(np.ones(3, np.float32))
    for operands in ((device, host), (host, device)):
        with pytest.raises(TypeError):
            function(*operands)
    np.testing.assert_array_equal(cupy.asnumpy(device), [1, 1, 1])


def test_the_stand_in_never_becomes_a_numpy_array_by_itself(cupy):
    device = cupy.asarray(np.ones((2, 3), np.float32))
    rows = np.zeros((2, 3), np.float32)
    for convert in (np.asarray, np.array, np.tanh, np.sum, np.copy, np.float32, float, list):
        with pytest.raises(TypeError):
            np.asarray(convert(device))
    with pytest.raises(TypeError):
        rows[:] = device
    with pytest.raises(TypeError):
        np.tanh(rows, out=device)
    with pytest.raises(TypeError):
        np.concatenate([rows, device])
    np.testing.assert_array_equal(rows, np.zeros((2, 3)))


def test_the_stand_ins_functions_take_no_numpy_array(cupy):
    host = np.ones(3, np.float32)
    device = cupy.asarray(host)
    kernel = cupy.RawModule(code=SOURCE).get_function("relu")
    for call in (
        lambda: kernel((1,), (32,), (host, None, np.int32(3), np.float32(0), np.float32(0))),
        lambda: device.get(out=host, blocking=False),  # not pinned
        lambda: cupy.asnumpy(host),
    ):
        with pytest.raises(TypeError):
            call()


def test_the_stand_in_is_indexed_by_no_numpy_array(cupy):
    device, index = cupy.asarray(np.arange(6).reshape(2, 3)), np.array([1, 0])
    np.testing.assert_array_equal(cupy.asnumpy(device[cupy.asarray(index)]), [[3, 4, 5], [0, 1, 2]])
    np.testing.assert_array_equal(cupy.asnumpy(device[..., None, -1]), [[2], [5]])
    mask = cupy.asarray(np.array([True, False]))
    for wrong in (index, [1, 0], (slice(None), index), np.array(1), True, mask):
        with pytest.raises(TypeError):
            device[wrong]
        with pytest.raises(TypeError):
            device[wrong] = 1
    for value in (index, np.int64(1), [1, 2, 3]):
        with pytest.raises(TypeError):
            device[0] = value


def test_the_stand_in_shares_no_memory_with_the_host(cupy):
    host = np.zeros(3, np.float32)
    device = cupy.asarray(host)
    back = cupy.asnumpy(device)
    device += 1.0
    np.testing.assert_array_equal(host, [0, 0, 0])
    np.testing.assert_array_equal(back, [0, 0, 0])
    np.testing.assert_array_equal(cupy.asnumpy(device), [1, 1, 1])


def test_the_stand_in_views_are_written_through(cupy):
    device = cupy.empty((2, 3), dtype=cupy.float32)
    assert np.isnan(cupy.asnumpy(device)).all()
    device.reshape(3, 2).transpose(1, 0)[...] = cupy.asarray(np.ones((2, 3), np.float32))
    device.T[0] = 2
    device.swapaxes(0, 1)[1:2] *= 3.0
    np.testing.assert_array_equal(cupy.asnumpy(device), [[2, 3, 1], [2, 3, 1]])


def test_the_stand_in_makes_no_float64(cupy):
    device, whole = cupy.asarray(np.ones(3, np.float32)), cupy.asarray(np.arange(3))
    assert (device * 0.1 + 1).dtype == np.float32
    for call in (
        lambda: cupy.asarray(np.ones(3)),
        lambda: cupy.empty(3),
        lambda: whole / 2,
        lambda: device * whole,
    ):
        with pytest.raises(TypeError):
            call()


def test_the_stand_in_computes_on_the_current_gpu_only(install):
    cupy = install(gpus=2)
    first = cupy.asarray(np.ones(3, np.float32))
    with cupy.cuda.Device(1):
        second = cupy.asarray(np.ones(3, np.float32))
        assert (second + second).device.id == 1
        with pytest.raises(ValueError, match="different from the current device"):
            first + first
    with pytest.raises(ValueError, match="different from the current device"):
        first + second
    np.testing.assert_array_equal(cupy.asnumpy(second), [1, 1, 1])
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        cupy.cuda.Device(2).use()


def test_both_modules_of_kernels_have_the_same_names(cuda):
    assert cuda.kernels is not kernels
    assert sorted(cuda.kernels.__all__) == sorted(kernels.__all__)


@pytest.mark.parametrize("name", kernels.__all__)
def test_a_kernel_takes_the_same_arguments_on_both_devices(cuda, name):
    ours, theirs = (inspect.signature(getattr(k, name)) for k in (cuda.kernels, kernels))
    assert list(ours.parameters.values()) == list(theirs.parameters.values())


def on_both(cuda, name, *arguments, put=None):
    """Run a kernel on NumPy and on the GPU: what it returned or left in its first argument.

    Arrays of float32 go to the GPU; lengths and whole numbers stay on the host.
    """

    def result(kernel, arguments):
        returned = kernel(*arguments)
        assert (returned is None) == name.endswith("_")
        return arguments[0] if returned is None else returned

    on_gpu = [
        cuda.put(argument) if getattr(argument, "dtype", None) == np.float32 else argument
        for argument in arguments
    ]
    gpu = result(getattr(cuda.kernels, name), on_gpu)
    assert isinstance(gpu, cupy_stand_in.DeviceArray)
    gpu = cuda.take(gpu)
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
    x, width = numbers(shape), shape[1]
    x[1::7] += 4
    x[2::7] = 2
    gpu, cpu = on_both(cuda, "layer_norm_", x, numbers(width, 1), numbers(width, 2), epsilon)
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)  # worst seen 5.7e-6, of 34


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 5), (3, 4, 64, 64)])
def test_softmax_agrees(cuda, shape):
    logits = numbers(shape, scale=20)
    logits[-1, 0, 0] = -1e30
    logits[-1, -1, -1, 0] = 1e30
    gpu, cpu = on_both(cuda, "softmax_", logits)
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-6)  # none seen; a sum may differ


@pytest.mark.parametrize(("rows", "width", "out"), [(1, 1, 1), (0, 4, 3), (9, 37, 11), (64, 5, 90)])
def test_linear_agrees(cuda, rows, width, out):
    weight = numbers((out, width), 1).T  # as a checkpoint gives it
    gpu, cpu = on_both(cuda, "linear", numbers((rows, width)), weight, numbers(out, 2))
    assert gpu.shape == (rows, out)
    np.testing.assert_allclose(gpu, cpu, rtol=1e-6, atol=1e-5)  # none seen, of 200


LENGTHS = [[1], [5], [1, 1, 1], [3, 1, 4, 2], [64, 64, 33, 7, 7, 2]]


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
    device = cuda.put(x)
    cuda.kernels.normalize_(device[:, :3])
    kernels.normalize_(x[:, :3])
    np.testing.assert_allclose(cuda.take(device), x, rtol=0, atol=1e-6)  # none seen


def test_floats_brings_whole_numbers_of_the_host(cuda):
    gpu, cpu = on_both(cuda, "floats", np.array([1, 2, 500, 2**24 + 1]))
    np.testing.assert_array_equal(gpu, cpu)


def test_empty_has_the_shape_asked_for(cuda):
    gpu, cpu = on_both(cuda, "empty", 3, 4)
    assert gpu.shape == cpu.shape == (3, 4)


def test_all_tensors_of_a_model_go_to_the_gpu(cuda):
    parameters = load_checkpoint(GOLDEN / "gelu").parameters
    on_gpu = cuda.put_parameters(parameters)
    there = [
        tensor
        for part in (on_gpu, *on_gpu.layers)
        for tensor in part._asdict().values()
        if not isinstance(tensor, tuple | str | None)
    ]
    here = [t for part in (parameters, *parameters.layers) for t in part._asdict().values()]
    here = [tensor for tensor in here if isinstance(tensor, np.ndarray)]
    assert len(there) == 6 + 3 * 12
    for ours, theirs in zip(there, here, strict=True):
        assert isinstance(ours, cupy_stand_in.DeviceArray)
        np.testing.assert_array_equal(cuda.take(ours), theirs)


def test_a_checkpoint_without_a_pooler_goes_to_the_gpu(cuda):
    parameters = load_checkpoint(GOLDEN / without_pooler()).parameters
    on_gpu = cuda.put_parameters(parameters)
    assert on_gpu.pooler_weight is None
    assert isinstance(on_gpu.words, cupy_stand_in.DeviceArray)


def without_pooler():
    """The name of a golden model that has none."""
    names = sorted(path.parent.name for path in GOLDEN.glob("*/expected.npz"))
    return next(name for name in names if "right_pooler_output" not in expected_of(name))


def test_lengths_and_order_of_a_pack_stay_on_the_host(cuda):
    (pack,) = packs([np.array([2, 5, 3]), np.array([2, 3])], 1024)
    on_gpu = cuda.put_pack(pack)
    for name in ("ids", "positions", "token_types"):
        assert isinstance(getattr(on_gpu, name), cupy_stand_in.DeviceArray)
        np.testing.assert_array_equal(cuda.take(getattr(on_gpu, name)), getattr(pack, name))
    assert on_gpu.lengths is pack.lengths
    assert on_gpu.order is pack.order


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_every_pooling_agrees(cuda, name, lengths):
    hidden, counts = numbers((sum(lengths), 7)), np.array(lengths)
    gpu = cuda.take(POOLINGS[name](cuda.put(hidden), counts, 3, cuda.kernels))
    cpu = POOLINGS[name](hidden.copy(), counts, 3, kernels)
    assert gpu.dtype == np.float32
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=2e-6)  # worst seen 2.4e-7, of 6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalize_embeddings": True},
        {"truncate_dim": 7},
        {"truncate_dim": 7, "normalize_embeddings": True},
        {"pack_tokens": 1},
        {"pack_tokens": 30},
        {"batch_size": 3, "normalize_embeddings": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", MODELS)
def test_vectors_equal_the_cpus(cupy, texts, name, options):
    gpu, cpu = (
        SentenceTransformer(GOLDEN / name, device=device, on_long="ignore").encode(texts, **options)
        for device in ("cuda", "cpu")
    )
    assert type(gpu) is np.ndarray
    assert gpu.dtype == np.float32
    assert gpu.shape == cpu.shape == (len(texts), options.get("truncate_dim", 20))
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)  # worst seen 3e-6


@pytest.mark.parametrize("output", ["sentence_embedding", "token_embeddings", None])
@pytest.mark.parametrize("name", ["modules", "poolings"])
def test_modules_and_every_output_equal_the_cpus(cupy, texts, name, output, monkeypatch):
    models = [
        SentenceTransformer(GOLDEN / name, device=d, on_long="ignore") for d in ("cuda", "cpu")
    ]
    texts = texts[:3]
    for device in ("cpu", "cuda:0", "cuda"):  # there and back, and encoding at every place
        encoded(models[0].to(device), texts, True)
    for counts in (True, False) if name == "poolings" else (True,):
        gpu, cpu = (encoded(m, texts, counts, output_value=output) for m in models)
        for ours, theirs in zip(gpu, cpu, strict=True):
            if output is None:
                assert list(ours) == list(theirs)
                ours, theirs = ours["sentence_embedding"], theirs["sentence_embedding"]
            assert type(ours) is np.ndarray
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def encoded(model, texts, counts, **arguments):
    """With a pooling of every mode; the prompt counts, or does not."""
    if len(model) == 2:
        modes = {"pooling_mode": tuple(POOLINGS), "include_prompt": counts}
        pooling = model.pooling._replace(**modes)
        model._pipeline = model._pipeline._replace(pooling=pooling, width=20 * len(POOLINGS))
        model.place_head()
    return model.encode(texts, prompt="the cat ", **arguments)


def test_windows_of_long_texts_equal_the_cpus(cupy, texts):
    gpu, cpu = (
        SentenceTransformer(GOLDEN / "gelu", device=device, on_long="window").encode(texts)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("float16", 0.1)])
@pytest.mark.parametrize("name", ["gelu", "modules"])
def test_a_trace_is_on_the_host_and_equals_the_cpus(cupy, name, dtype, close):
    gpu = SentenceTransformer(GOLDEN / name, device="cuda", dtype=dtype)
    cpu = SentenceTransformer(GOLDEN / name)
    ours, theirs = (dict(model.trace("the cats sat, a dog")) for model in (gpu, cpu))
    assert list(ours) == list(theirs)
    for step, array in ours.items():
        assert (type(array), array.dtype) == (np.ndarray, np.float32)
        np.testing.assert_allclose(array, theirs[step], rtol=close, atol=close, err_msg=step)


def test_a_score_is_split_on_the_host_whatever_computed_it(cupy):
    gpu, cpu = (SentenceTransformer(GOLDEN / "gelu", device=device) for device in ("cuda", "cpu"))
    ours, theirs = (m.explain("the cats sat", "a dog", metric="dot") for m in (gpu, cpu))
    assert type(ours.contributions) is np.ndarray
    np.testing.assert_allclose(ours.contributions, theirs.contributions, rtol=0, atol=1e-5)


def test_heads_equal_the_cpus(cupy, texts):
    pairs = [(text, texts[0]) for text in texts]
    models = [minibert.CrossEncoder(GOLDEN / "cross_encoder", device=d) for d in ("cuda", "cpu")]
    models[0].to("cpu").to("cuda")
    gpu, cpu = (model.predict(pairs, on_long="ignore") for model in models)
    assert type(gpu) is np.ndarray
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)
    gpu, cpu = (
        minibert.BertForMaskedLM.from_pretrained(GOLDEN / "masked", device=device)
        for device in ("cuda", "cpu")
    )
    ours, theirs = (m.fill_mask(["a [MASK] sat", "[MASK] [MASK] b"], top_k=3) for m in (gpu, cpu))
    assert [g["token"] for g in ours[0]] == [g["token"] for g in theirs[0]]
    assert ours[1][1][0]["score"] == pytest.approx(theirs[1][1][0]["score"], abs=1e-6)


def test_one_text_and_no_text_work_on_the_gpu(cupy):
    gpu, cpu = (SentenceTransformer(GOLDEN / "gelu", device=device) for device in ("cuda", "cpu"))
    one = gpu.encode("the cat sat.")
    assert one.shape == (20,)
    np.testing.assert_allclose(one, cpu.encode("the cat sat."), rtol=0, atol=1e-5)
    assert gpu.encode([]).shape == (0, 20)


def test_one_thread_is_enough_for_the_gpu(cupy, texts):
    gpu, cpu = (
        SentenceTransformer(GOLDEN / "gelu", device=device, threads=1, on_long="ignore")
        for device in ("cuda", "cpu")
    )
    # Worst seen 1.8e-6.
    vectors = gpu.encode(texts, pack_tokens=30)
    np.testing.assert_allclose(vectors, cpu.encode(texts), rtol=0, atol=1e-5)


def test_similarity_scores_the_gpus_vectors(cupy, texts):
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda:0", on_long="ignore")
    vectors = model.encode(texts)
    scores = model.similarity(vectors, vectors)
    assert type(scores) is np.ndarray
    np.testing.assert_allclose(np.diag(scores), 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pack_tokens", [1024, 30])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", SHOWN_INSIDE)
def test_everything_in_a_bert_output_equals_the_cpus(cupy, name, side, pack_tokens):
    expected = expected_of(name)
    keys = ("input_ids", "token_type_ids", "attention_mask")
    inputs = {key: expected[f"{side}_{key}"] for key in keys}
    gpu, cpu = (
        BertModel.from_pretrained(GOLDEN / name, device=device)(
            **inputs, output_hidden_states=True, output_attentions=True, pack_tokens=pack_tokens
        )
        for device in ("cuda", "cpu")
    )
    ours, theirs = (
        [o.last_hidden_state, *o.hidden_states, *o.attentions]
        + ([o.pooler_output] if side == "right" else [])  # on the left it would read padding
        for o in (gpu, cpu)
    )
    assert len(ours) == 1 + 4 + 3 + (side == "right")
    for on_gpu, on_cpu in zip(ours, theirs, strict=True):
        assert type(on_gpu) is np.ndarray
        assert on_gpu.dtype == np.float32
        # Worst seen 5.6e-6, in a hidden state of up to 5.7.
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=0, atol=1e-5)


def test_a_bert_model_that_shows_nothing_inside_equals_the_cpus(cupy):
    ids = [[2, 5, 6, 7, 3], [2, 6, 3, 5, 3]]
    gpu, cpu = (
        BertModel.from_pretrained(GOLDEN / "gelu", device=device)(ids) for device in ("cuda", "cpu")
    )
    assert gpu.hidden_states is gpu.attentions is None
    np.testing.assert_allclose(gpu[0], cpu[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(gpu[1], cpu[1], rtol=0, atol=1e-5)


def test_a_model_computes_on_the_gpu_it_was_given(install):
    install(gpus=2)
    assert find_device("cuda:1").put(numbers((2, 3))).device.id == 1
    assert find_device("cuda:0").put(numbers((2, 3))).device.id == 0


def test_cuda_without_a_number_is_the_current_gpu(install):
    install(gpus=2).cuda.Device(1).use()
    assert find_device("cuda").put(numbers((2, 3))).device.id == 1


def test_models_on_two_gpus_work_side_by_side(install, texts):
    install(gpus=2)
    first, second, cpu = (
        SentenceTransformer(GOLDEN / "gelu", device=device, on_long="ignore")
        for device in ("cuda:0", "cuda:1", "cpu")
    )
    expected = cpu.encode(texts)
    for model in (first, second, first):
        np.testing.assert_allclose(model.encode(texts), expected, rtol=0, atol=1e-5)


def test_bert_models_on_two_gpus_work_side_by_side(install):
    install(gpus=2)
    ids = [[2, 5, 6, 7, 3], [2, 6, 3, 5, 3]]
    first, second, cpu = (
        BertModel.from_pretrained(GOLDEN / "gelu", device=device)
        for device in ("cuda:0", "cuda:1", "cpu")
    )
    expected = cpu(ids, output_attentions=True)
    for model in (first, second, first):
        output = model(ids, output_attentions=True)
        np.testing.assert_allclose(output[0], expected[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(
            output.attentions, np.array(expected.attentions), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_threads_may_share_a_model_on_a_gpu(install, texts, device):
    install(gpus=2)
    gpu, cpu = (
        SentenceTransformer(GOLDEN / "gelu", device=name, on_long="ignore")
        for name in (device, "cpu")
    )
    expected = cpu.encode(texts)
    with ThreadPoolExecutor(2) as workers:
        for vectors in workers.map(gpu.encode, [texts] * 4):
            np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_a_gpu_too_many_is_refused(cupy, load):
    with pytest.raises(DeviceError, match=r"'cuda:1'.*\b1\b.*counted from cuda:0"):
        load(GOLDEN / "gelu", device="cuda:1")


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_cupy_without_a_gpu_says_to_use_the_cpu(install, load):
    install(gpus=0)
    with pytest.raises(DeviceError, match=r"no GPU \(cudaErrorNoDevice.*Use 'cpu'"):
        load(GOLDEN / "gelu", device="cuda")


@pytest.mark.parametrize("name", ["cuda:x", "cuda:-1", "cuda:1.0", "cuda: 0", "cuda:²", "cuda:"])
def test_a_gpu_without_a_whole_number_is_refused(cupy, name):
    with pytest.raises((DeviceError, ValueError), match=name):
        find_device(name)


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_without_cupy_the_error_names_the_command_that_installs_it(install, monkeypatch, load):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"CuPy, .*pip install '\.\[cupy\]' in a clone"):
        load(GOLDEN / "gelu", device="cuda")


@pytest.mark.parametrize("name", ["tpu", "CUDA", "cuda1", "gpu", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match='expected "cpu", "cuda"'):
        find_device(name)


@pytest.mark.parametrize("name", [None, "cpu"])
def test_the_cpu_needs_no_cupy(install, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "cupy", None)
    device = find_device(name)
    assert (device.name, device.kernels) == ("cpu", kernels)
    assert "minibert.kernels.cuda" not in sys.modules


# What follows a product, in one kernel.


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_adds_a_bias_first(cuda, name):
    x, bias = numbers((9, 300), shift=0), numbers(300, 1)
    device, expected = cuda.put(x), x + bias
    ACTIVATIONS[name](cuda.kernels, device, cuda.put(bias))
    ACTIVATIONS[name](kernels, expected)
    np.testing.assert_allclose(cuda.take(device), expected, rtol=1e-6, atol=1e-6)
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
    device = cuda.put(logits)
    assert cuda.kernels.exponentials_(device, np.inf, cuda.put(lengths)) == 1
    kernels.softmax_(logits[0, :, :, :5])
    kernels.softmax_(logits[1])
    logits[0, :, :, 5:] = 0
    np.testing.assert_allclose(cuda.take(device), logits, rtol=0, atol=1e-6)


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
    for chosen, expected in ((None, alone), (firsts(lengths), alone[firsts(lengths)])):
        gpu = hidden_states(
            cuda.put_pack(pack), cuda.put_parameters(parameters), config, cuda.kernels, None, chosen
        )
        np.testing.assert_allclose(cuda.take(gpu), expected, rtol=0, atol=1e-5)
    assert len(cuda.kernels.runs(lengths)) == 3


def test_a_text_that_overflowed_spoils_no_other_in_its_run(cuda):
    (config, parameters), lengths = loaded("gelu"), np.array([12, 9, 9])
    pack = pack_of(np.arange(5, 35), lengths)
    spoilt = parameters._replace(words=parameters.words.copy())
    spoilt.words[pack.ids[-9:]] = np.nan  # the last text's
    clean, gpu = (
        hidden_states(cuda.put_pack(pack), cuda.put_parameters(tensors), config, cuda.kernels, None)
        for tensors in (parameters, spoilt)
    )
    np.testing.assert_array_equal(cuda.take(gpu)[:-9], cuda.take(clean)[:-9])
    assert np.isnan(cuda.take(gpu)[-9:]).all()


def pack_of(ids, lengths=None):
    lengths = np.array([len(ids)]) if lengths is None else lengths
    none = np.zeros_like(ids)
    return Pack(ids, places_of(lengths), none, lengths, np.arange(len(lengths)))


def loaded(name):
    checkpoint = load_checkpoint(GOLDEN / name)
    return checkpoint.config, checkpoint.parameters


# What goes to and fro.


def counts_of(cuda, layers, lengths, chosen=None):
    """What one forward pass asks of a GPU."""
    config, parameters = loaded("gelu")
    parameters = cuda.put_parameters(parameters._replace(layers=parameters.layers * layers))
    pack = pack_of(np.full(int(np.sum(lengths)), 7), np.array(lengths))
    cupy_stand_in.COUNTS.clear()
    hidden_states(cuda.put_pack(pack), parameters, config, cuda.kernels, None, chosen)
    return dict(cupy_stand_in.COUNTS)


def test_transfers_are_as_many_whatever_the_layers(cuda):
    few, many = (counts_of(cuda, layers, [12, 9, 5, 5]) for layers in (1, 4))
    assert many["up"] == few["up"] == 4  # ids, positions, token types; lengths with starts
    for counts in (few, many):
        assert "wait" not in counts
        assert "down" not in counts


def test_launches_are_counted_by_runs_of_near_lengths_not_by_lengths(cuda):
    layers = 3 * (4 - 1)  # the golden model has three

    def a_layer(lengths):
        few, many = (counts_of(cuda, number, lengths)["launch"] for number in (1, 4))
        return (many - few) / layers

    one_run, two_runs = a_layer([16]), a_layer([16, 8])
    assert one_run == 15  # four products and four kernels after them; seven for attention
    assert two_runs == one_run + 7
    assert a_layer([16, 15, 14, 13, 12, 11, 10, 9]) == one_run


def test_the_next_pack_is_begun_before_the_one_before_it_is_waited_for(cupy, texts, monkeypatch):
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda", on_long="ignore")
    events = []
    compute, wait = Scheduler._compute, cupy.cuda.Event.synchronize
    monkeypatch.setattr(
        Scheduler,
        "_compute",
        lambda *arguments, **named: (events.append("begin"), compute(*arguments, **named))[1],
    )
    monkeypatch.setattr(
        cupy.cuda.Event, "synchronize", lambda event: (events.append("wait"), wait(event))[1]
    )
    cupy_stand_in.COUNTS.clear()
    model.encode(texts, pack_tokens=30)
    packs = events.count("begin")
    assert packs > 2
    assert events == ["begin", *["begin", "wait"] * (packs - 1), "wait"]
    assert cupy_stand_in.COUNTS["down"] == cupy_stand_in.COUNTS["wait"] == packs


def test_a_pack_is_as_large_as_suits_the_device_unless_the_caller_says(cupy, texts):
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda", on_long="ignore")
    assert model.transformer.device.pack_tokens == 16 * find_device("cpu").pack_tokens
    scheduler = model.transformer.scheduler
    scheduler.device = dataclasses.replace(scheduler.device, pack_tokens=1000)
    for budget, several in ((None, False), (30, True)):
        cupy_stand_in.COUNTS.clear()
        model.encode(texts, pack_tokens=budget)
        assert (cupy_stand_in.COUNTS["down"] > 1) == several


# Memory.


def test_where_memory_runs_out_packs_are_halved_once_for_good(cupy, texts, caplog):
    gpu, cpu = (
        SentenceTransformer(GOLDEN / "gelu", device=device, on_long="ignore")
        for device in ("cuda", "cpu")
    )
    texts = texts * 4
    expected, config = cpu.encode(texts), gpu.config
    # The logits of one text of 41 tokens, which its run rounds up to 48.
    cupy_stand_in.MEMORY.room = room = config.num_attention_heads * 48 * 48
    np.testing.assert_allclose(gpu.encode(texts), expected, rtol=0, atol=1e-5)
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings
    assert all("pack_tokens=" in warning and "cuda" in warning for warning in warnings)
    assert (
        int(warnings[-1].partition("pack_tokens=")[2].rstrip("."))
        <= room / config.intermediate_size
    )
    caplog.clear()
    np.testing.assert_allclose(gpu.encode(texts), expected, rtol=0, atol=1e-5)
    assert not caplog.records


def test_one_text_that_is_too_much_is_an_error(cupy, texts):
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda", on_long="ignore")
    cupy_stand_in.MEMORY.room = 2 * model.config.intermediate_size
    with pytest.raises(DeviceError, match=r"one text of 3 tokens.*max_seq_length"):
        model.encode(["the", "the"])


# float16


@pytest.mark.parametrize("output", ["sentence_embedding", "token_embeddings"])
@pytest.mark.parametrize("name", [*MODELS, "modules", "poolings"])
def test_float16_is_near_and_gives_float32(cupy, texts, name, output):
    half, cpu = (
        SentenceTransformer(GOLDEN / name, device=device, dtype=dtype, on_long="ignore")
        for device, dtype in (("cuda", "float16"), ("cpu", "float32"))
    )
    assert half.transformer.parameters.layers[0].qkv_weight.dtype == np.float16
    ours, theirs = (m.encode(texts, output_value=output) for m in (half, cpu))
    for on_gpu, on_cpu in zip(ours, theirs, strict=True):
        assert on_gpu.dtype == np.float32
        # These parameters are ten times a real model's, and so is what rounding does: 4.4e-3.
        assert np.linalg.norm(on_gpu - on_cpu) <= 1e-2 * np.linalg.norm(on_cpu)
        assert np.linalg.norm(on_gpu - on_cpu) > 1e-5 * np.linalg.norm(on_cpu)


def test_float16_of_a_real_model_is_within_2e_3(cupy, minilm):
    texts = ["A dog barks.", "Where do nine million people live, and which city is that?"]
    cpu = minilm.encode(texts)
    gpu = SentenceTransformer(minilm.folder.path, device="cuda")
    np.testing.assert_allclose(gpu.encode(texts), cpu, rtol=0, atol=1e-5)
    half = gpu.half().encode(texts)
    assert np.linalg.norm(half - cpu, axis=1).max() < 2e-3  # worst seen 1.3e-3; |v| is 1


def test_half_and_float_change_the_dtype_and_keep_it_on_every_device(install, texts):
    install(gpus=2)
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda", dtype=np.float16, on_long="ignore")
    half = model.encode(texts)
    assert model.to("cuda:1").dtype == "float16"
    np.testing.assert_array_equal(model.encode(texts), half)
    np.testing.assert_array_equal(copy.deepcopy(model).encode(texts), half)
    single = model.float().encode(texts)
    assert model.dtype == "float32"
    assert np.abs(single - half).max() > 1e-4
    np.testing.assert_array_equal(model.half().encode(texts), half)


def test_a_process_s_copy_computes_in_the_model_s_dtype(cupy, texts):
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda", dtype="float16", on_long="ignore")
    recipe = model._recipe()
    made = recipe.make(*recipe.arguments).to("cuda:0")
    assert made.dtype == "float16"
    assert recipe.computes != model.float()._recipe().computes
    with pytest.raises(ValueError, match=r'float16.*"cpu"'):
        recipe.make(*recipe.arguments).to("cpu")


@pytest.mark.parametrize("load", [SentenceTransformer, BertModel.from_pretrained])
def test_a_cpu_refuses_float16_and_says_why(load):
    with pytest.raises(ValueError, match=r"float16.*no float16 products.*slower"):
        load(GOLDEN / "gelu", dtype="float16")


def test_a_model_that_cannot_become_float16_stays_as_it_was(texts):
    model = SentenceTransformer(GOLDEN / "gelu", on_long="ignore")
    before = model.encode(texts)
    with pytest.raises(ValueError, match="float16"):
        model.half()
    assert model.dtype == "float32"
    np.testing.assert_array_equal(model.to("cpu").encode(texts), before)


def test_a_corpus_is_of_one_dtype(cupy, tmp_path):
    def built(dtype):
        model = SentenceTransformer(GOLDEN / "gelu", device="cuda", dtype=dtype, on_long="ignore")
        return build(tmp_path, [Document("d", "the cat sat", "list")], model)

    manifest, _ = built("float16")
    assert (manifest.settings.device, manifest.settings.dtype) == ("cuda", "float16")
    with pytest.raises(CorpusError, match="dtype is 'float16' there and 'float32' here"):
        built("float32")


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "half", np.float64, 16])
def test_another_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match='expected "float32" or "float16"'):
        find_device("cpu", dtype)


def test_a_weight_too_large_for_float16_is_named(cupy):
    _, parameters = loaded("gelu")
    weight = parameters.layers[0].output_weight.copy()
    weight[0, 0] = -70000
    spoilt = parameters._replace(layers=(parameters.layers[0]._replace(output_weight=weight),))
    with pytest.raises(DeviceError, match=r"output_weight.*70000.*65504"):
        find_device("cuda", "float16").put_parameters(spoilt)


def test_heads_in_float16_are_near(cupy, texts):
    pairs = [(text, texts[0]) for text in texts]
    half, cpu = (
        minibert.CrossEncoder(GOLDEN / "cross_encoder", device=device, dtype=dtype)
        for device, dtype in (("cuda", "float16"), ("cpu", None))
    )
    gpu, cpu = (
        model.predict(pairs, on_long="ignore", activation_fn="identity") for model in (half, cpu)
    )
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=2e-2)


def test_a_bert_output_in_float16_is_near(cupy):
    ids = [[2, 5, 6, 7, 3], [2, 6, 3, 5, 3]]
    half, cpu = (
        BertModel.from_pretrained(GOLDEN / "gelu", device=device, dtype=dtype)(
            ids, output_hidden_states=True, output_attentions=True
        )
        for device, dtype in (("cuda", "float16"), ("cpu", None))
    )
    for ours, theirs in (
        (half[0], cpu[0]),
        (half.hidden_states, cpu.hidden_states),
        (half.attentions, cpu.attentions),
    ):
        np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=0, atol=3e-2)


# The stand-in, once more: kernels are held to what they declare.


def test_a_kernel_s_arguments_must_be_of_the_types_it_declares(cupy):
    relu = cupy.RawModule(code=SOURCE).get_function("relu")
    x = cupy.asarray(np.array([-1, 2, -3], np.float32))
    right = (x, None, np.int32(3), np.float32(0), np.float32(0))
    wrong = {0: x.astype(np.float16), 1: 0, 2: np.int64(3), 3: np.float64(0), 4: 0.0}
    for number, argument in wrong.items():
        arguments = [*right[:number], argument, *right[number + 1 :]]
        with pytest.raises(TypeError, match=f"argument {number}"):
            relu((1,), (32,), arguments)
    with pytest.raises(TypeError, match="5 parameters"):
        relu((1,), (32,), right[:4])
    relu((1,), (32,), right)
    np.testing.assert_array_equal(cupy.asnumpy(x), [0, 2, 0])


def test_threads_of_a_warp_that_part_are_noticed(cupy):
    source = """typedef float real;
    extern "C" __global__ void part(real* x) {
        if (threadIdx.x < 16) x[threadIdx.x] = __shfl_xor_sync(0xffffffff, x[threadIdx.x], 16);
    }"""
    part = cupy.RawModule(code=source).get_function("part")
    with pytest.raises(RuntimeError, match="different shuffles"):
        part((1,), (32,), (cupy.asarray(np.ones(32, np.float32)),))


def test_what_is_copied_without_waiting_is_there_after_its_event(cupy):
    device = cupy.asarray(np.ones(3, np.float32))
    host = sys.modules["cupyx"].empty_pinned((3,), np.float32)
    device.get(out=host, blocking=False)
    event = cupy.cuda.Event()
    event.record()
    device += 1.0
    assert np.isnan(host).all()
    event.synchronize()
    np.testing.assert_array_equal(host, [1, 1, 1])


def test_cublas_is_asked_for_what_its_documentation_says(cupy):
    a, b = numbers((2, 3, 5, 4)), numbers((2, 3, 7, 4), 1)
    gpu = find_device("cuda")
    logits = gpu.kernels.logits_of(gpu.put(a), gpu.put(b))
    np.testing.assert_allclose(gpu.take(logits), kernels.logits_of(a, b), rtol=1e-5, atol=1e-5)
    weights = numbers((2, 3, 5, 7), 2)
    mixed = gpu.kernels.mix(gpu.put(weights), gpu.put(b))
    np.testing.assert_allclose(gpu.take(mixed), kernels.mix(weights, b), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("dtype", "advice"), [("float16", 'dtype="float32"'), (None, "too large")])
def test_a_gpu_names_the_layer_and_what_float16_asks_for(dtype, advice, tmp_path, cupy, texts):
    number = 3e38 if dtype is None else 6e4
    tensor = "encoder.layer.1.intermediate.dense.weight"
    folder = spoil(copy_of("gelu", tmp_path), tensor, number)
    model = SentenceTransformer(folder, device="cuda", dtype=dtype, on_long="ignore")
    with pytest.raises(CheckpointError, match=r"layer 1 \(intermediate\) was the first") as caught:
        model.encode(texts)
    assert advice in str(caught.value)
    with pytest.raises(CheckpointError, match=r"layer 1 \(intermediate\) was the first"):
        BertModel.from_pretrained(folder, device="cuda", dtype=dtype)([[2, 5, 3]])
    if dtype:
        assert np.isfinite(SentenceTransformer(folder, on_long="ignore").encode(texts)).all()
