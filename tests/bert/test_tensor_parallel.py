"""A lone pack on several threads, and short ones in tiles: the numbers of the whole."""

import copy
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from golden_files import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert import BertModel, SentenceTransformer
from minibert.bert import tensor_parallel
from minibert.bert.families import FAMILIES
from minibert.bert.forward import hidden_states
from minibert.bert.packs import packs
from minibert.bert.parameters import Config, Layer, Parameters
from minibert.bert.tensor_parallel import (
    RankGroup,
    TensorParallel,
    blocks_of,
    run_ranks,
    shard_of,
    tiled,
)
from minibert.kernels import cores
from minibert.kernels import cpu as kernels
from minibert.kernels.cores import Cores
from minibert.kernels.segments import firsts

BERT = FAMILIES["bert"]
CONFIG = Config(
    vocab_size=50, hidden_size=24, num_hidden_layers=3, num_attention_heads=6,
    intermediate_size=36, max_position_embeddings=60,
)  # fmt: skip


@pytest.fixture(scope="module")
def parameters():
    """Weights in which no bias is 0 and no gain 1."""
    random = np.random.default_rng(0)

    def draw(*shape):
        return (0.5 * random.standard_normal(shape)).astype(np.float32)

    width, inner = CONFIG.hidden_size, CONFIG.intermediate_size
    return Parameters(
        word_embeddings=draw(50, width), types_and_positions=draw(2, 60, width),
        norm_weight=draw(width), norm_bias=draw(width),
        layers=tuple(
            Layer(
                draw(3 * width, width).T, draw(3 * width), draw(width, width).T, draw(width),
                draw(width), draw(width), draw(inner, width).T, draw(inner),
                draw(width, inner).T, draw(width), draw(width), draw(width),
            )
            for _ in range(3)
        ),
    )  # fmt: skip


@pytest.fixture
def small_products(monkeypatch):
    """A BLAS with kernels for small products; none is needed for the numbers."""
    monkeypatch.setattr(tensor_parallel, "has_small_products", lambda: True)


def in_ranks(parameters):
    """Parameters that any pack may split among 12 threads, however small it is."""
    return TensorParallel(parameters, CONFIG, BERT, min_rank_work=1, cores=Cores(12))


def pack_of(*lengths):
    random = np.random.default_rng(1)
    (pack,) = packs([random.integers(0, 50, length) for length in lengths], 1024)
    return pack


@pytest.mark.parametrize("lengths", [(9,), (1,), (40,), (9, 9, 5)])
@pytest.mark.parametrize("threads", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("may_tile", [False, True])
@pytest.mark.parametrize("pooled_tokens", [None, firsts])
def test_split_packs_have_the_states_of_whole_ones(
    parameters, small_products, lengths, threads, may_tile, pooled_tokens
):
    pack = pack_of(*lengths)
    query_rows = None if pooled_tokens is None else pooled_tokens(pack.lengths)
    whole = hidden_states(pack, parameters, CONFIG, kernels, query_rows=query_rows)
    found = in_ranks(parameters).compute(pack, kernels, query_rows, threads, may_tile)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)


def test_heads_feed_forward_and_work_bound_the_threads_of_a_pack(parameters, monkeypatch):
    counts = []
    monkeypatch.setattr(
        tensor_parallel, "run_ranks", lambda forward, shards: counts.append(len(shards))
    )
    model = in_ranks(parameters)
    for threads in (1, 2, 3, 4, 5, 6, 12):
        model.compute(pack_of(9), kernels, None, threads, False)
    assert counts == [2, 3, 3, 3, 6, 6]
    model.min_rank_work = 9 * 24 * (4 * 24 + 2 * 36) // 2
    model.compute(pack_of(9), kernels, None, 12, False)
    model.compute(pack_of(8), kernels, None, 12, False)  # not worth two
    assert counts[6:] == [2]


def test_only_free_cores_are_taken_and_given_back(parameters, monkeypatch):
    counts = []
    monkeypatch.setattr(
        tensor_parallel, "run_ranks", lambda forward, shards: counts.append(len(shards))
    )
    model = in_ranks(parameters)
    with model.cores.further(20) as taken:
        assert taken == 12
        with model.cores.further(1) as none:
            assert none == 0
        whole = model.compute(pack_of(9), kernels, None, 6, False)
        assert whole.shape == (9, 24)
        assert counts == []
    with model.cores.further(9):
        model.compute(pack_of(9), kernels, None, 6, False)
    assert counts == [3]  # three were free, and four threads cannot share six heads
    with model.cores.further(20) as taken:
        assert taken == 12


@pytest.mark.parametrize(("parts", "tiles"), [(1, 6), (2, 1), (4, 3)])
def test_a_product_with_blocks_or_tiles_is_the_product(parts, tiles):
    random = np.random.default_rng(0)
    weight = random.standard_normal((48, 24)).astype(np.float32).T.copy().T
    x, bias = random.standard_normal((7, 48)), random.standard_normal(24)
    exact = x @ weight.astype(np.float64) + bias
    x, bias = x.astype(np.float32), bias.astype(np.float32)
    for blocks in (blocks_of(weight, parts, tiles), tiled(weight, parts, tiles)):
        np.testing.assert_allclose(kernels.linear(x, blocks, bias), exact, rtol=0, atol=1e-5)


def test_tiles_are_small_and_each_in_one_place():
    for rows, columns in ((768, 2304), (768, 3072), (3072, 768), (384, 1536)):
        weight = np.zeros((columns, rows), np.float32).T
        blocks = tiled(weight, 2, 6)
        *_, inner, width = blocks.shape
        assert inner <= 384
        assert 12288 <= inner * width <= 24576
        assert inner * width * 40 <= 10**6
        assert blocks.size == weight.size
        assert blocks[0, 0].flags.c_contiguous
        assert len(blocks) % 2 == 0
        assert blocks.shape[1] % 6 == 0


def test_views_for_threads_copy_no_weight(parameters):
    (layer,) = parameters.layers[:1]
    part = shard_of(tensor_parallel.layer_in_blocks(layer, 3, blocks_of), 1, 3)
    for name in ("qkv_weight", "attention_output_weight", "intermediate_weight", "output_weight"):
        assert np.shares_memory(getattr(part, name), getattr(layer, name)), name


def test_threads_keep_the_caller_s_silence_about_overflow(parameters):
    large = parameters._replace(word_embeddings=parameters.word_embeddings * np.float32(1e38))
    with np.errstate(over="ignore", invalid="ignore"):
        found = in_ranks(large).compute(pack_of(9), kernels, None, 3, False)
    assert not np.isfinite(found).all()


def test_one_thread_calls_the_family_s_forward_pass_directly(parameters):
    """Who follows the path finds it where the model is computed, with nothing in between."""
    callers = []

    def caller(*arguments, **named):
        callers.append(sys._getframe(1).f_code.co_name)
        return hidden_states(*arguments, **named)

    family = replace(BERT, forward=caller)
    TensorParallel(parameters, CONFIG, family).compute(pack_of(9), kernels, None, 1, False)
    assert callers == ["compute"]


class CountedTiles:
    """Counts the weights that are laid out in tiles."""

    def __init__(self, monkeypatch):
        self.made = 0

        def counted(*arguments):
            self.made += 1
            time.sleep(0.001)
            return tiled(*arguments)

        monkeypatch.setattr(tensor_parallel, "tiled", counted)
        monkeypatch.setattr(tensor_parallel, "has_small_products", lambda: True)


def test_only_the_first_short_text_lays_out_tiles(minilm_folder, monkeypatch):
    counted = CountedTiles(monkeypatch)
    model = SentenceTransformer(minilm_folder, on_long="ignore")
    assert counted.made == 0
    model.encode("a long text " * 60)
    model.encode(["a short text"] * 200)  # several packs
    model.transformer.slice_texts = 8
    model.encode(["a short text"] * 9)  # the last window is one text
    three = ["a", "short text", "text"]
    model.encode(three, output_value=None, batch_size=2)  # so is the last batch
    model.max_seq_length = 8
    model.encode(["a long text " * 60, "a short one"], on_long="window")  # the long one is left out
    model.encode([*three, "a text that has two windows here"], on_long="window")
    assert counted.made == 0
    model.encode("a short text")
    assert counted.made == 4 * 6
    model.encode(["another", "and another"])
    assert counted.made == 4 * 6


def test_the_padded_view_of_several_packs_lays_out_no_tiles(minilm_folder, monkeypatch):
    counted = CountedTiles(monkeypatch)
    model = BertModel.from_pretrained(minilm_folder)
    ids = np.full((3, 9), 101)
    model(ids, pack_tokens=18)
    assert counted.made == 0
    model(ids)
    assert counted.made == 4 * 6


def test_no_tiles_if_short_inputs_is_false_or_with_another_blas(minilm_folder, monkeypatch):
    counted = CountedTiles(monkeypatch)
    SentenceTransformer(minilm_folder, short_inputs=False).encode("a short text")
    monkeypatch.setattr(tensor_parallel, "has_small_products", lambda: False)
    SentenceTransformer(minilm_folder).encode("a short text")
    assert counted.made == 0


def test_threads_that_start_together_make_tiles_once(minilm_folder, monkeypatch):
    counted = CountedTiles(monkeypatch)
    model = SentenceTransformer(minilm_folder)
    scheduler = model.transformer.scheduler
    scheduler.device = replace(scheduler.device, active=Cores(8).pack)
    threads = [threading.Thread(target=model.encode, args=("a short text",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.made == 4 * 6


FORK = """
import os, signal, sys, threading
from minibert import SentenceTransformer
from minibert.bert import tensor_parallel

begun, forked = threading.Event(), threading.Event()

def waiting(*arguments, tiled=tensor_parallel.tiled):
    begun.set()
    forked.wait(60)
    return tiled(*arguments)

tensor_parallel.has_small_products = lambda: True
tensor_parallel.tiled = waiting
model = SentenceTransformer(sys.argv[1])
thread = threading.Thread(target=model.encode, args=("a short text",))
thread.start()
begun.wait()
pid = os.fork()
forked.set()
if pid == 0:
    signal.alarm(60)
    model.encode("a short text")
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_forked_while_tiles_are_laid_out_still_encodes(minilm_folder):
    result = subprocess.run(
        [sys.executable, "-c", FORK, str(minilm_folder)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    assert result.stdout.strip() == "0", result.stderr


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"internal_api": "openblas", "architecture": "SkylakeX"}, True),
        ({"internal_api": "openblas", "architecture": "Cooperlake"}, True),
        ({"internal_api": "openblas", "architecture": "SAPPHIRERAPIDS"}, True),
        ({"internal_api": "openblas", "architecture": "Haswell"}, False),
        ({"internal_api": "openblas", "architecture": "Zen"}, False),
        ({"internal_api": "mkl"}, False),
    ],
)
def test_small_products_are_known_by_the_name_of_blas_kernels(monkeypatch, info, expected):
    class Controller:
        def info(self):
            return [info]

    monkeypatch.setattr("threadpoolctl.ThreadpoolController", Controller)
    assert cores.has_small_products.__wrapped__() is expected


@pytest.fixture(scope="module")
def split_minilm(minilm):
    """A copy, since a model keeps its blocks and tiles."""
    return copy.deepcopy(minilm)


@settings(max_examples=25, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["the", "old", "mill", "by", "river", "9", "é"]), min_size=1, max_size=60
    ),
    others=st.lists(st.sampled_from(["", "a dog", "the dog barks " * 9]), max_size=3),
    threads=st.sampled_from([1, 2, 3, 12]),
    tiles=st.booleans(),
    reproducible=st.booleans(),
)
def test_every_path_gives_the_same_vector(
    split_minilm, words, others, threads, tiles, reproducible
):
    text, scheduler = " ".join(words), split_minilm.transformer.scheduler
    expected = split_minilm.encode([text, *others])[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler.tensor_parallel, "cores", Cores(12))
        patch.setattr(scheduler.tensor_parallel, "min_rank_work", 1)
        patch.setattr(tensor_parallel, "has_small_products", lambda: tiles)
        patch.setattr(scheduler, "threads", threads)
        patch.setattr(scheduler, "reproducible", reproducible)
        alone = split_minilm.encode(text)
    np.testing.assert_allclose(alone, expected, rtol=0, atol=2e-6)


def test_reproducible_texts_have_the_same_bits_alone_or_not(minilm_folder, monkeypatch):
    counted = CountedTiles(monkeypatch)
    model = SentenceTransformer(minilm_folder, reproducible=True, on_long="ignore")
    texts = ["a short text", "the dog barks " * 40, "", "another short text of more words"]
    together = model.encode(texts)
    assert counted.made == 4 * 6
    alone = np.stack([model.encode(text) for text in texts])
    np.testing.assert_array_equal(together.view(np.uint32), alone.view(np.uint32))


def test_all_ranks_have_the_same_bits_after_an_all_reduce():
    random = np.random.default_rng(0)
    mine = random.standard_normal((200, 3, 5, 4)).astype(np.float32)  # steps, ranks, rows

    def run(rank, all_reduce):
        for step in range(200):
            all_reduce(mine[step, rank])
        return mine[:, rank]

    expected = mine[:, 0] + mine[:, 1] + mine[:, 2]
    found = run_ranks(run, range(3))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(mine[:, 1], found)
    np.testing.assert_array_equal(mine[:, 2], found)


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("error", [MemoryError("no more"), KeyboardInterrupt()])
def test_an_error_in_one_thread_is_raised_and_none_waits_for_it(failing, error):
    def run(rank, all_reduce):
        all_reduce(np.zeros((1, 1), np.float32))
        if rank == failing:
            raise error
        time.sleep(0.01)
        all_reduce(np.zeros((1, 1), np.float32))

    with pytest.raises(type(error)):
        run_ranks(run, range(3))


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()])
def test_no_thread_waits_for_one_that_could_not_start(monkeypatch, error):
    submit, begun = ThreadPoolExecutor.submit, []

    def until_the_second(*arguments):
        begun.append(submit(*arguments))
        if len(begun) == 2:
            raise error
        return begun[-1]

    monkeypatch.setattr(ThreadPoolExecutor, "submit", until_the_second)
    monkeypatch.setattr(threading.Barrier, "wait", lambda self: WAIT(self, timeout=60))
    start = time.perf_counter()
    with pytest.raises(type(error)):
        run_ranks(lambda shard, all_reduce: all_reduce(np.zeros((1, 1), np.float32)), range(4))
    assert time.perf_counter() - start < 30
    assert len(begun) == 2
    assert all(isinstance(one.exception(), threading.BrokenBarrierError) for one in begun)


WAIT = threading.Barrier.wait


def test_a_quick_thread_overwrites_no_rows_another_still_reads():
    # The second thread reads late, the first writes its next rows at once.
    group, found = RankGroup(2), []

    class Slow(np.ndarray):
        def __setitem__(self, *arguments):
            time.sleep(0.02)
            super().__setitem__(*arguments)

    def quick():
        add = group.all_reduce(1)
        for value in (1.0, 10.0, 100.0):
            add(np.full((1, 1), value, np.float32))

    thread = threading.Thread(target=quick)
    thread.start()
    add = group.all_reduce(0)
    for _ in range(3):
        rows = np.zeros((1, 1), np.float32).view(Slow)
        add(rows)
        found.append(float(rows[0, 0]))
    thread.join()
    assert found == [1.0, 10.0, 100.0]


def test_a_model_of_odd_sizes_is_not_split(small_products):
    model = SentenceTransformer(GOLDEN / "gelu")  # five heads, 37 wide
    model.transformer.scheduler.tensor_parallel.min_rank_work = 1
    model.transformer.scheduler.tensor_parallel.cores = Cores(12)
    together = model.encode(["the cat sat", "a dog"])
    np.testing.assert_allclose(model.encode("the cat sat"), together[0], rtol=0, atol=1e-5)
