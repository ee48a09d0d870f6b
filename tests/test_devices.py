"""The cores of a process, shared by the calls that are under way, and not inherited by a fork."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from golden_files import GOLDEN
from threadpoolctl import threadpool_info

from minibert import SentenceTransformer, devices
from minibert.devices import CORES, available_threads, blas_threads, quota


def threads_now():
    """The BLAS threads of NumPy's library."""
    (blas,) = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
    return blas["num_threads"]


@pytest.fixture
def sixteen(monkeypatch):
    """A machine with 16 cores."""
    monkeypatch.setattr(devices, "affinity", lambda: 16)
    monkeypatch.setattr(devices, "quota", lambda: 1 << 16)


def test_the_lowest_limit_of_overlapping_calls_counts(sixteen):
    before = threads_now()
    with blas_threads(3):
        assert threads_now() == 3
        with blas_threads(1):
            assert threads_now() == 1
            with blas_threads(2):
                assert threads_now() == 1
        assert threads_now() == 3
    assert threads_now() == before


def test_calls_may_end_in_any_order(sixteen):
    before = threads_now()
    CORES.enter(1)
    CORES.enter(3)
    CORES.enter(2)
    CORES.leave(1)
    assert threads_now() == 2
    CORES.leave(3)
    assert threads_now() == 2
    CORES.leave(2)
    assert threads_now() == before


def test_calls_share_the_cores_instead_of_multiplying_threads(sixteen):
    for _ in range(5):
        CORES.enter(16)
    assert threads_now() == 3
    for _ in range(4):
        CORES.leave(16)
    CORES.leave(16)


def test_any_thread_may_set_the_limit_and_another_restore_it():
    before, seen = threads_now(), []

    def enter():
        CORES.enter(1)
        seen.append(threads_now())

    def leave():
        CORES.leave(1)
        seen.append(threads_now())

    with blas_threads(1):  # the first thread that sets a limit
        pass
    for work in (enter, leave, enter, leave):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [1, before, 1, before]


def test_a_call_that_may_use_all_cores_changes_nothing(monkeypatch):
    monkeypatch.setattr(CORES, "_controller", None)
    before = threads_now()
    with blas_threads(available_threads()):
        assert threads_now() == before


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 1 << 16),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1 << 16),
        ({}, 1 << 16),
    ],
)
def test_a_container_s_quota_is_so_many_cores(tmp_path, files, cores):
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert quota(tmp_path) == cores


def test_there_are_no_more_threads_than_the_quota_allows(sixteen, monkeypatch):
    assert available_threads() == 16
    monkeypatch.setattr(devices, "quota", lambda: 3)
    assert available_threads() == 3
    assert SentenceTransformer(GOLDEN / "gelu").transformer.threads == 3


def test_no_more_packs_are_computed_at_a_time_than_there_are_cores(monkeypatch):
    cores = devices.Cores()
    at_once, most, lock = 0, 0, threading.Lock()

    def compute():
        nonlocal at_once, most
        with cores.pack():
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.01)
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
from minibert import SentenceTransformer
from minibert.devices import CORES, available_threads

model = SentenceTransformer(sys.argv[1], on_long="ignore")
texts = ["the cat sat on a mat " * n for n in range(1, 40)]
expected = model.encode(texts)
with ExitStack() as busy:  # as if every core were at work on a pack of another thread's
    for _ in range(available_threads()):
        busy.enter_context(CORES.pack())
    CORES.enter(1)
    pid = os.fork()
    if pid == 0:
        good = np.allclose(model.encode(texts), expected, rtol=0, atol=1e-5)
        os._exit(0 if good and CORES._limits == [] else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    CORES.leave(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_in_the_middle_of_a_call_leaves_the_child_able_to_work():
    result = subprocess.run(
        [sys.executable, "-c", FORK, str(GOLDEN / "gelu")],
        capture_output=True, text=True, timeout=30,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    assert result.stdout.strip() == "0", result.stderr


def test_thirty_two_threads_on_one_model_give_the_bits_of_one(minilm_folder):
    model = SentenceTransformer(minilm_folder, reproducible=True, on_long="ignore")
    random = np.random.default_rng(0)
    words = [
        "the",
        "river",
        "ran",
        "past",
        "an",
        "old",
        "mill",
        "where",
        "nobody",
        "had",
        "worked",
        "for",
        "years",
    ]
    texts = [" ".join(random.choice(words, size)) for size in random.integers(1, 40, 64)]
    alone = model.encode(texts)
    blas, wrong = threads_now(), []

    def call(seed):
        chosen = np.random.default_rng(seed).integers(0, len(texts), 3)
        for number in chosen:
            if not np.array_equal(model.encode(texts[number]), alone[number]):
                wrong.append(number)
        if not np.array_equal(model.encode([texts[n] for n in chosen]), alone[chosen]):
            wrong.append(chosen)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert threads_now() == blas
