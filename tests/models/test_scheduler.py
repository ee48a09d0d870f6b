"""The three ways to compute packs give the same, and each pack once."""

import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, even_copy, spoil
from threadpoolctl import threadpool_info, threadpool_limits

from minibert import BertModel, CheckpointError, SentenceTransformer
from minibert.bert import tensor_parallel
from minibert.bert.families import positions_of
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import packs
from minibert.kernels.cores import one_blas_thread
from minibert.kernels.devices import find_device
from minibert.kernels.segments import firsts
from minibert.models.scheduler import Scheduler

LENGTHS = [9, 9, 7, 5, 5, 2]


def scheduler_of(folder=GOLDEN / "gelu", device="cpu", **options):
    checkpoint = load_checkpoint(folder)
    options = {"threads": 1, **options}
    return Scheduler(checkpoint.parameters, checkpoint.config, find_device(device), **options)


def packs_of(scheduler, pack_tokens=20):
    random = np.random.default_rng(0)
    ids = [random.integers(5, 80, length) for length in LENGTHS]
    positions = [positions_of(row, scheduler.config) for row in ids]
    return list(packs(ids, pack_tokens, positions=positions))


def states(pack, hidden, hook):
    return (hidden,)


def found_by(scheduler, pooled_tokens=None, pack_tokens=20):
    """All results, in the order in which they come, and which texts they are of."""
    work = list(scheduler.run(packs_of(scheduler, pack_tokens), states, pooled_tokens, is_all=True))
    texts = [text for pack, _ in work for text in pack.order]
    return np.concatenate([hidden for _, (hidden,) in work]), texts


@pytest.mark.parametrize("pooled_tokens", [None, firsts])
def test_threads_and_one_thread_give_the_same_bits_in_order(pooled_tokens):
    alone, texts = found_by(scheduler_of(threads=1), pooled_tokens)
    shared, others = found_by(scheduler_of(threads=3), pooled_tokens)
    np.testing.assert_array_equal(alone, shared)
    assert texts == others == list(range(len(LENGTHS)))
    assert alone.shape == (sum(LENGTHS) if pooled_tokens is None else len(LENGTHS), 20)


def test_a_gpu_gives_the_same_and_halves_packs_for_good(install, caplog):
    install(gpus=1)
    expected, texts = found_by(scheduler_of())
    scheduler = scheduler_of(device="cuda")
    cupy_stand_in.MEMORY.room = 5 * 16 * 16  # the logits of one text, whose run is rounded up to 16
    for warned in (True, False):
        caplog.clear()
        found, others = found_by(scheduler, pack_tokens=100)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        assert others == texts
        assert bool(caplog.messages) == warned


def test_a_padded_model_halves_packs_where_memory_runs_out(install, caplog):
    install(gpus=1)
    ids = np.random.default_rng(0).integers(5, 80, (6, 9))
    gpu, cpu = (BertModel.from_pretrained(GOLDEN / "gelu", device=name) for name in ("cuda", "cpu"))
    cupy_stand_in.MEMORY.room = 3 * 5 * 16 * 16  # the logits of three texts, rounded up to 16
    np.testing.assert_allclose(gpu(ids)[0], cpu(ids)[0], rtol=0, atol=1e-5)
    assert "going on with pack_tokens=27" in caplog.text


def test_the_scheduler_computes_no_pack_before_it_is_asked_for():
    scheduler, seen = scheduler_of(), []

    def head(pack, hidden, hook):
        seen.append(len(pack.lengths))
        return (hidden,)

    next(scheduler.run(packs_of(scheduler), head, is_all=True))
    assert len(seen) == 1


@pytest.mark.parametrize(("pack_tokens", "is_all", "laid_out"), [
    (20, True, False),
    (100, False, False),
    (100, True, True),
])  # fmt: skip
def test_only_a_pack_that_is_all_the_work_may_have_tiles(
    tmp_path, monkeypatch, pack_tokens, is_all, laid_out
):
    counts, tiled = [], tensor_parallel.tiled
    monkeypatch.setattr(tensor_parallel, "has_small_products", lambda: True)
    monkeypatch.setattr(tensor_parallel, "tiled", lambda *a: [counts.append(1), tiled(*a)][1])
    scheduler = scheduler_of(even_copy("gelu", tmp_path))
    list(scheduler.run(packs_of(scheduler, pack_tokens), states, is_all=is_all))
    assert bool(counts) == laid_out


@pytest.mark.parametrize("output_value", ["token_embeddings", "sentence_embedding"])
def test_a_last_norm_that_is_not_finite_is_named(tmp_path, output_value):
    folder = spoil(copy_of("modernbert", tmp_path), "final_norm.weight")
    with pytest.raises(CheckpointError, match="; the last norm was the first to make one"):
        SentenceTransformer(folder).encode("the cat", output_value=output_value)
    for keeps in (False, True):
        with pytest.raises(CheckpointError, match="; the last norm was the first to make one"):
            BertModel.from_pretrained(folder)([[2, 5, 3]], output_attentions=keeps)


def test_a_call_that_failed_is_over_while_its_error_is_kept(tmp_path):
    scheduler = scheduler_of(
        spoil(copy_of("gelu", tmp_path), "embeddings.LayerNorm.weight"), threads=2
    )
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(CheckpointError) as kept:
            list(scheduler.run(packs_of(scheduler), states, is_all=True))
        assert kept.value.__traceback__
        assert blas_threads() == [2]
        with one_blas_thread():
            assert blas_threads() == [1]


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
