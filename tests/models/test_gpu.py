"""Whole models on a GPU give what they give on the CPU: over the stand-in of cupy_stand_in.py."""

import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, expected_of, spoil

import minibert
from minibert import BertModel, SentenceTransformer
from minibert.corpus.building import build
from minibert.documents.reading import Document
from minibert.errors import CheckpointError, CorpusError, DeviceError
from minibert.kernels.devices import find_device
from minibert.models.scheduler import Scheduler
from minibert.pooling.modes import POOLINGS

MODELS = ["gelu", "gelu_new", "large_epsilon", "relu", "silu"]
SHOWN_INSIDE = ["gelu", "large_epsilon"]


@pytest.mark.slow
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


@pytest.mark.slow
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
        model._pipeline = model._pipeline._replace(pooling=pooling, dimension=20 * len(POOLINGS))
        model._place_head()
    return model.encode(texts, prompt="the cat ", **arguments)


@pytest.mark.slow
def test_windows_of_long_texts_equal_the_cpus(cupy, texts):
    gpu, cpu = (
        SentenceTransformer(GOLDEN / "gelu", device=device, on_long="window").encode(texts)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-5)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_the_next_pack_is_begun_before_the_last_is_awaited(cupy, texts, monkeypatch):
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


@pytest.mark.slow
def test_pack_tokens_default_by_device_and_follow_the_caller(cupy, texts):
    model = SentenceTransformer(GOLDEN / "gelu", device="cuda", on_long="ignore")
    assert model.transformer.device.pack_tokens == 16 * find_device("cpu").pack_tokens
    scheduler = model.transformer.scheduler
    scheduler.device = dataclasses.replace(scheduler.device, pack_tokens=1000)
    for budget, several in ((None, False), (30, True)):
        cupy_stand_in.COUNTS.clear()
        model.encode(texts, pack_tokens=budget)
        assert (cupy_stand_in.COUNTS["down"] > 1) == several


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_float16_of_a_real_model_is_within_2e_3(cupy, minilm):
    texts = ["A dog barks.", "Where do nine million people live, and which city is that?"]
    cpu = minilm.encode(texts)
    gpu = SentenceTransformer(minilm.folder.path, device="cuda")
    np.testing.assert_allclose(gpu.encode(texts), cpu, rtol=0, atol=1e-5)
    half = gpu.half().encode(texts)
    assert np.linalg.norm(half - cpu, axis=1).max() < 2e-3  # worst seen 1.3e-3; |v| is 1


@pytest.mark.slow
def test_half_and_float_set_the_dtype_on_every_device(install, texts):
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


def test_a_model_that_cannot_become_float16_stays_as_it_was(texts):
    model = SentenceTransformer(GOLDEN / "gelu", on_long="ignore")
    before = model.encode(texts)
    with pytest.raises(ValueError, match="float16"):
        model.half()
    assert model.dtype == "float32"
    np.testing.assert_array_equal(model.to("cpu").encode(texts), before)


@pytest.mark.slow
def test_a_build_with_another_dtype_does_not_go_on(cupy, tmp_path):
    def built(dtype):
        model = SentenceTransformer(GOLDEN / "gelu", device="cuda", dtype=dtype, on_long="ignore")
        return build(tmp_path, [Document("d", "the cat sat", "list")], model)

    manifest, _ = built("float16")
    assert (manifest.settings.device, manifest.settings.dtype) == ("cuda", "float16")
    with pytest.raises(CorpusError, match="dtype is 'float16' there and 'float32' here"):
        built("float32")


@pytest.mark.slow
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


@pytest.mark.slow
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
