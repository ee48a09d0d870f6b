"""Several processes on one port: who serves, who is replaced, and how all end."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from golden_files import GOLDEN

GELU = GOLDEN / "gelu"
TEXT = {"input": "the cat sat."}
COUNT = 'te_request_count{method="single"}'
PATIENCE = 30  # seconds


def children_of(pid):
    """The processes that a process has started to serve; multiprocessing's tracker is another."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def is_alive(pid):
    """Whether a process runs; one that has ended, and that nobody waited for, does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def two(serving):
    return serving(GELU, "--workers", "2")


def total(server, name):
    """A number of /metrics."""
    lines = server.request("GET", "/metrics").text().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_two_processes_serve_and_count_together(two):
    workers = children_of(two.process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGSTOP)  # so that the other has to answer
    for _ in range(3):
        assert two.request("POST", "/v1/embeddings", TEXT).status == 200
    os.kill(workers[0], signal.SIGCONT)
    os.kill(workers[1], signal.SIGSTOP)
    for _ in range(2):
        assert two.request("POST", "/v1/embeddings", TEXT).status == 200
    os.kill(workers[1], signal.SIGCONT)
    until(lambda: total(two, COUNT) == 5)
    assert two.end() == 0
    told = two.stderr()
    assert told.count("minibert: serving gelu") == told.count("minibert: ready") == 1


def test_a_process_that_is_killed_is_replaced(two):
    first, second = children_of(two.process.pid)
    assert two.request("POST", "/v1/embeddings", TEXT).status == 200
    until(lambda: total(two, COUNT) == 1)  # a request is counted after its answer
    os.kill(first, signal.SIGKILL)
    two.until("ended with exit code -9; another starts in 0.25 s")
    assert two.request("POST", "/v1/embeddings", TEXT).status == 200  # by the other
    two.until("is ready again")
    (new,) = set(children_of(two.process.pid)) - {first, second}
    os.kill(second, signal.SIGSTOP)
    assert two.request("POST", "/v1/embeddings", TEXT).status == 200  # by the new one
    os.kill(second, signal.SIGCONT)
    until(lambda: total(two, COUNT) == 3)  # the new one counts on
    assert two.end() == 0
    assert not any(map(is_alive, (first, second, new)))


def test_a_process_that_is_ended_alone_leaves_the_port_to_others(two):
    first, _ = children_of(two.process.pid)
    os.kill(first, signal.SIGTERM)
    two.until("is ready again")
    assert not is_alive(first)
    for _ in range(3):
        assert two.request("POST", "/v1/embeddings", TEXT, timeout=5).status == 200
    assert two.end() == 0


def test_a_process_that_dies_again_is_replaced_later(two):
    first, second = children_of(two.process.pid)
    os.kill(first, signal.SIGKILL)
    two.until("is ready again")
    (new,) = set(children_of(two.process.pid)) - {first, second}
    os.kill(new, signal.SIGKILL)
    two.until("another starts in 0.5 s")


def test_no_process_outlives_the_first_one(two):
    workers = children_of(two.process.pid)
    assert two.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not any(map(is_alive, workers)))


def test_a_ctrl_c_after_a_signal_ends_all_processes_at_once(serving):
    server = serving(GELU, "--workers", "2", "--shutdown-timeout", "600")
    workers = children_of(server.process.pid)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # so that none can end in order
    server.process.send_signal(signal.SIGTERM)
    server.until("minibert: stopping")
    assert server.end(signal.SIGINT) == 128 + signal.SIGINT
    assert not any(map(is_alive, workers))


def test_processes_that_do_not_end_are_ended_in_time(serving):
    server = serving(GELU, "--workers", "2", "--shutdown-timeout", "0.5")
    workers = children_of(server.process.pid)
    os.kill(workers[0], signal.SIGSTOP)
    assert server.end() == 0
    assert not any(map(is_alive, workers))


def test_signals_of_a_terminal_end_all_in_order(two):
    """Ctrl-C goes to every process of the terminal; a service's end may, too."""
    workers = children_of(two.process.pid)
    for number in (signal.SIGINT, signal.SIGHUP):
        for worker in workers:
            os.kill(worker, number)
    assert two.request("GET", "/ready").status == 200
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    assert two.end(signal.SIGINT) == 0


def test_a_process_that_cannot_start_ends_no_other(serving, tmp_path):
    """The model's folder is gone when the killed process is to be replaced."""
    folder = tmp_path / "gelu"
    shutil.copytree(GELU, folder)
    server = serving(folder, "--workers", "2")
    folder.rename(tmp_path / "moved")
    first, _ = children_of(server.process.pid)
    os.kill(first, signal.SIGKILL)
    server.until("cannot start: ")
    server.until("another starts in 0.5 s")
    assert server.request("POST", "/v1/embeddings", TEXT).status == 200
    (tmp_path / "moved").rename(folder)
    server.until("is ready again")
    assert len(children_of(server.process.pid)) == 2
    assert server.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_client_of_a_stopping_server_is_answered_or_refused(serving, workers):
    """Twelve clients connect again and again: none is cut off before its answer."""
    server = serving(GELU, "--workers", str(workers), "--threads", "1")
    outcomes, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            try:
                outcomes.append(server.request("POST", "/v1/embeddings", TEXT).status)
            except ConnectionRefusedError:
                return
            except OSError as error:
                outcomes.append(type(error).__name__)

    clients = [threading.Thread(target=ask) for _ in range(12)]
    for client in clients:
        client.start()
    until(lambda: outcomes.count(200) > 12)
    assert server.end() == 0
    is_over.set()
    for client in clients:
        client.join()
    assert set(outcomes) <= {200, 503}
