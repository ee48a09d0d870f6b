"""The CuPy path against the NumPy one, over the strict stand-in of cupy_stand_in.py.

It proves that no array of one memory meets the other, and that the arithmetic is the same. What it
cannot prove: that CuPy computes as NumPy does, and how fast.
"""

import inspect
import operator
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cuda_on_host
import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN, expected_of

import minibert
from minibert import BertModel, SentenceTransformer, kernels
from minibert.checkpoint import load_checkpoint
from minibert.devices import find_device
from minibert.errors import DeviceError
from minibert.packing import packs
from minibert.pooling import POOLINGS

MODELS = ["gelu", "gelu_new", "large_epsilon", "relu", "silu"]
SHOWN_INSIDE = ["gelu", "large_epsilon"]


@pytest.fixture
def install(monkeypatch):
    """Put the stand-in in CuPy's place: install(gpus=2) gives its `cupy`."""

    def put_in_place(gpus):
        if reason := cuda_on_host.why_not():
            pytest.skip(reason)
        made = cupy_stand_in.modules(gpus)
        for name, module in made.items():
            monkeypatch.setitem(sys.modules, name, module)
        return made["cupy"]

    forget_the_kernels()
    yield put_in_place
    forget_the_kernels()
    cupy_stand_in.CURRENT.number, cupy_stand_in.MEMORY.room = 0, None


def forget_the_kernels():
    """Make the next import of minibert.kernels_cupy look for CuPy again."""
    sys.modules.pop("minibert.kernels_cupy", None)
    vars(minibert).pop("kernels_cupy", None)


@pytest.fixture
def cupy(install):
    """The stand-in, on a machine with one GPU."""
    return install(gpus=1)


@pytest.fixture
def cuda(cupy):
    """The device "cuda"."""
    return find_device("cuda")


SOURCE = Path(kernels.__file__).with_name("kernels_cupy.cu").read_text(encoding="utf-8")


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
        t for part in (on_gpu, *on_gpu.layers) for n, t in part._asdict().items() if n != "layers"
    ]
    here = [t for part in (parameters, *parameters.layers) for t in part._asdict().values()]
    here = [tensor for tensor in here if not isinstance(tensor, tuple)]
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
    with pytest.raises(DeviceError, match=r"pip install 'cupy-cuda12x\[ctk\]'"):
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
    assert "minibert.kernels_cupy" not in sys.modules
