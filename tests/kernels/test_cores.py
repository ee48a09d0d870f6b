"""The cores of a process, shared by the calls that are under way, and not inherited by a fork."""

import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from golden_files import GOLDEN
from threadpoolctl import threadpool_info, threadpool_limits

from minibert import CrossEncoder, SentenceTransformer
from minibert.kernels import cores
from minibert.kernels.cores import CORES, available_threads, one_blas_thread, quota, thread_count


def threads_now():
    """The BLAS threads of NumPy's library."""
    (blas,) = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
    return blas["num_threads"]


@pytest.fixture
def sixteen(monkeypatch):
    """A machine with 16 cores."""
    monkeypatch.setattr(cores, "affinity", lambda: 16)
    monkeypatch.setattr(cores, "quota", lambda: 1 << 16)


def test_a_product_has_one_thread_while_any_call_is_under_way():
    with threadpool_limits(2, user_api="blas"):  # a machine may have one core, or too many
        with one_blas_thread():
            assert threads_now() == 1
            CORES.enter()
            assert threads_now() == 1
        assert threads_now() == 1  # the other call has not ended
        CORES.leave()
        assert threads_now() == 2


def test_a_call_stopped_at_its_start_does_not_count_as_running(monkeypatch):
    calls, before = cores.Cores(), threads_now()
    with monkeypatch.context() as patch:
        patch.setattr("threadpoolctl.ThreadpoolController", Stopped)
        with pytest.raises(KeyboardInterrupt):
            calls.enter()
    calls.enter()
    assert threads_now() == 1
    calls.leave()
    assert threads_now() == before


class Stopped:
    """What Ctrl-C makes of a controller that is being made."""

    def __init__(self):
        raise KeyboardInterrupt


def test_any_thread_may_set_the_limit_and_another_restore_it():
    before, seen = threads_now(), []

    def enter():
        CORES.enter()
        seen.append(threads_now())

    def leave():
        CORES.leave()
        seen.append(threads_now())

    with one_blas_thread():  # the first thread that sets a limit
        pass
    for work in (enter, leave, enter, leave):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [1, before, 1, before]


def test_a_call_has_one_thread_though_another_holds_a_limit():
    before, is_set, may_end = threads_now(), threading.Event(), threading.Event()

    def limit():
        with threadpool_limits(2, user_api="blas"):
            is_set.set()
            may_end.wait(60)

    other = threading.Thread(target=limit)
    other.start()
    try:
        assert is_set.wait(60)
        with one_blas_thread():
            assert threads_now() == 1
        assert threads_now() == 2
    finally:
        may_end.set()
        other.join()
    assert threads_now() == before


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 1 << 16),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1 << 16),
        ({}, 1 << 16),
    ],
)
def test_a_container_s_quota_is_so_many_cores(tmp_path, files, expected):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert quota(tmp_path) == expected


def test_there_are_no_more_threads_than_the_quota_allows(sixteen, monkeypatch):
    assert available_threads() == 16
    monkeypatch.setattr(cores, "quota", lambda: 3)
    assert available_threads() == 3
    assert SentenceTransformer(GOLDEN / "gelu").transformer.threads == 3


def test_more_threads_than_cores_are_as_many_and_said_once(monkeypatch, sixteen, caplog):
    monkeypatch.setattr(cores.CORES, "has_warned", False)
    assert [thread_count(threads) for threads in (None, 1, 16, np.int64(3))] == [16, 1, 16, 3]
    assert caplog.messages == []
    monkeypatch.setattr(cores, "quota", lambda: 3)
    model = SentenceTransformer(GOLDEN / "gelu", threads=8)
    assert model.transformer.threads == 3
    model.use_threads(20)
    assert model.transformer.threads == 3
    assert CrossEncoder(GOLDEN / "cross_encoder", threads=8).transformer.threads == 3
    assert pickle.loads(pickle.dumps(model)).transformer.threads == 3
    assert caplog.messages == ["threads is 8, and this process may use 3 cores: it uses 3."]


def test_no_more_packs_run_at_a_time_than_there_are_cores(monkeypatch):
    shared = cores.Cores()
    at_once, most, lock = 0, 0, threading.Lock()
    all_busy = threading.Barrier(available_threads(), timeout=60)

    def compute():
        nonlocal at_once, most
        with shared.pack():
            with lock:
                at_once += 1
                most = max(most, at_once)
            all_busy.wait()  # however late the others begin
            time.sleep(0.01)  # for one more, if there were room for it
            with lock:
                at_once -= 1

    threads = [threading.Thread(target=compute) for _ in range(4 * available_threads())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == available_threads()


FORK = """
import os
import sys
import numpy as np
from contextlib import ExitStack
from threadpoolctl import threadpool_info
from minibert import SentenceTransformer
from minibert.kernels.cores import CORES, available_threads

def threads():
    return next(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

before = threads()
model = SentenceTransformer(sys.argv[1], on_long="ignore")
texts = ["the cat sat on a mat " * n for n in range(1, 40)]
expected = model.encode(texts)
with ExitStack() as busy:  # as if every core were at work on a pack of another thread's
    for _ in range(available_threads()):
        busy.enter_context(CORES.pack())
    CORES.enter()
    pid = os.fork()
    if pid == 0:
        good = np.allclose(model.encode(texts), expected, rtol=0, atol=1e-5)
        os._exit(0 if good and CORES._calls == 0 and threads() == before else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    CORES.leave()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_forked_during_a_call_can_still_compute():
    result = subprocess.run(
        [sys.executable, "-c", FORK, str(GOLDEN / "gelu")],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    assert result.stdout.strip() == "0", result.stderr


WORDS = ["the", "dog", "cat", "sat", "on", "a", "mat", "and", "barks"]


def texts_of(random, count, most):
    return [" ".join(random.choice(WORDS, size)) for size in random.integers(0, most, count)]


def on_32_threads(call):
    """Run a function of a seed on 32 threads; what went wrong there is raised here."""
    with ThreadPoolExecutor(32) as threads:
        return [done for done in threads.map(call, range(32)) if done]


@pytest.mark.slow
def test_thirty_two_threads_on_one_model_give_the_bits_of_one(minilm_folder, monkeypatch):
    monkeypatch.setattr("minibert.bert.tensor_parallel.has_small_products", lambda: True)
    model = SentenceTransformer(minilm_folder, reproducible=True, on_long="ignore")
    texts = texts_of(np.random.default_rng(0), 64, 60)
    alone = model.encode(texts)
    blas = threads_now()

    def wrong(seed):
        chosen = np.random.default_rng(seed).integers(0, len(texts), 3)
        one_by_one = np.stack([model.encode(texts[number]) for number in chosen])
        together = model.encode([texts[number] for number in chosen])
        return not np.array_equal(one_by_one, alone[chosen]) or not np.array_equal(
            together, alone[chosen]
        )

    assert on_32_threads(wrong) == []
    assert threads_now() == blas


def resident():
    """The bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux says it there")
def test_calls_on_32_threads_need_no_more_memory_than_the_first():
    model = SentenceTransformer(GOLDEN / "gelu", reproducible=True, on_long="ignore")
    texts = texts_of(np.random.default_rng(0), 100, 60)
    expected = model.encode(texts)

    def wrong(seed, calls=156):
        random = np.random.default_rng(seed)
        for numbers in (random.integers(0, 100, random.integers(1, 4)) for _ in range(calls)):
            if not np.array_equal(model.encode([texts[n] for n in numbers]), expected[numbers]):
                return True
        return False

    assert on_32_threads(wrong) == []  # 5,000 calls
    # What a call keeps, each round keeps again; an allocator's own pools are full at some time.
    grown = []
    while not grown or (min(grown) > 4e6 and len(grown) < 4):
        before = resident()
        assert on_32_threads(wrong) == []
        grown.append(resident() - before)
    assert min(grown) < 4e6, grown  # 800 bytes a call


def test_a_forked_process_says_no_second_time_that_cores_are_few():
    own = cores.Cores(2)
    own.has_warned = True
    own.after_fork()
    assert own.has_warned
