"""The process of a server, from its start to its end."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer

GELU = GOLDEN / "gelu"
TEXT = {"input": "the cat sat."}
# Texts that take long; equal ones would be computed once.
LONG = {"inputs": ["the dog barks at the cat " * 10 + "a cat " * number for number in range(500)]}


def run(*arguments, **options):
    """Run a server that is to end by itself: its code and what it told."""
    command = [sys.executable, "-m", "minibert", "serve", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=60, **options)
    return done.returncode, done.stderr.decode()


def at_path(path, target="/ready"):
    """Ask a server at a socket in a file: the status."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        client.sendall(f"GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        return int(client.makefile("rb").readline().split()[1])


def half_a_request(server):
    """Send a request but for its last byte, and let the server see it."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = "POST /embed HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    client.sendall(f"{head}content-length: 2\r\n\r\n{{".encode())
    assert server.request("GET", "/health").status == 200  # the loop took both
    return client


def test_a_server_says_where_it_listens_and_what_it_serves(server):
    told = server.stderr()
    assert f"minibert: listening on http://127.0.0.1:{server.port}\n" in told
    assert "minibert: serving gelu: embedding, unit vectors of 20 numbers, metric cosine\n" in told
    assert "minibert: serving cross_encoder: classifier\n" in told


def test_a_server_is_alive_and_ready(server):
    for path in ("/health", "/ping", "/ready"):
        assert server.request("GET", path).status == 200
        assert server.request("HEAD", path)[::2] == (200, b"")


def test_vectors_are_those_of_encode(server):
    answer = server.request("POST", "/v1/embeddings", TEXT).json()
    expected = SentenceTransformer(str(GELU)).encode(TEXT["input"], normalize_embeddings=True)
    np.testing.assert_allclose(answer["data"][0]["embedding"], expected, rtol=0, atol=2e-6)


def test_every_answer_has_a_date_and_an_id(server):
    answer = server.request("GET", "/health", headers={"X-Request-Id": "a-1"})
    assert answer.headers["x-request-id"] == "a-1"
    assert answer.headers["date"].endswith(" GMT")
    assert "server" not in answer.headers


def test_a_dot_product_model_is_said_to_have_raw_vectors(serving, tmp_path):
    folder = tmp_path / "dot"
    shutil.copytree(GELU, folder)
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text()) | {"similarity_fn_name": "dot"}
    path.write_text(json.dumps(settings))
    told = serving(folder, f"unit={GELU}", f"raw={GELU}", "--normalize", "auto").stderr()
    assert "serving dot: embedding, raw vectors of 20 numbers, metric dot\n" in told
    assert "serving unit: embedding, unit vectors" in told


def test_a_server_says_which_prompts_and_aliases_a_model_has(serving, gelu_with_prompts):
    names = ["--alias", "ada=asked", "--alias", "q=asked:query"]
    told = serving(f"asked={gelu_with_prompts}", *names).stderr()
    assert re.search(r"serving asked: .*, prompts .*query.*, also named ada, q\n", told)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_server_in_order(serving, number):
    server = serving()
    assert server.end(number) == 0
    assert "minibert: stopping" in server.stderr()


def test_a_hangup_that_is_ignored_stays_so(serving):
    ignoring = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = serving()
    finally:
        signal.signal(signal.SIGHUP, ignoring)
    server.process.send_signal(signal.SIGHUP)
    assert server.request("GET", "/ready").status == 200
    assert server.end() == 0


def test_requests_in_flight_are_answered_before_the_end(serving):
    many = ("--max-queue-tokens", "10000000", "--shutdown-timeout", "60")
    server = serving(GELU, "--threads", "1", *many)
    answers = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(server.request("POST", "/embed", LONG, timeout=60).status)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while "te_batch_next_size_count 0\n" in server.request("GET", "/metrics").text():
        time.sleep(0.01)  # until it computes
    assert server.end(seconds=60) == 0
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


def test_a_stopping_server_is_alive_and_not_ready(serving):
    """A second long, requests are answered; then they are refused, and connections closed."""
    server = serving(GELU)
    half = half_a_request(server)
    kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    kept.request("GET", "/ready")
    assert kept.getresponse().read() == b'{"status":"ready"}'
    server.process.send_signal(signal.SIGTERM)
    server.until("minibert: stopping")
    kept.request("GET", "/ready")
    answer = kept.getresponse()
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert json.loads(answer.read()) == {"error": "The server is stopping."}
    assert server.request("GET", "/health").status == 200
    half.sendall(b"}")  # it came before the signal, so it has its answer
    assert half.recv(1000).startswith(b"HTTP/1.1 422 ")
    half.close()
    assert server.process.wait(60) == 0


def test_what_is_not_finished_in_time_is_refused(serving):
    server = serving(GELU, "--shutdown-timeout", "0.5")
    half = half_a_request(server)
    server.process.send_signal(signal.SIGTERM)
    answer = half.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"The server has stopped." in answer
    half.close()
    assert server.process.wait(30) == 0


def test_a_ctrl_c_after_a_signal_ends_a_server_at_once(serving):
    server = serving(GELU, "--shutdown-timeout", "600")
    half = half_a_request(server)
    server.process.send_signal(signal.SIGTERM)
    server.until("minibert: stopping")
    assert server.end(signal.SIGINT) == 128 + signal.SIGINT
    half.close()


def test_a_port_in_use_is_told_with_a_code_of_its_own(server):
    code, told = run(GELU, "--port", server.port)
    assert code == 71
    assert told == (
        f"minibert: cannot listen on 127.0.0.1 port {server.port}: Address already in use. Another "
        "program listens there: stop it, or give another --port.\n"
    )


@pytest.mark.slow
def test_a_host_without_an_address_is_told():
    code, told = run(GELU, "--host", "no.such.host.invalid")
    assert code == 71
    assert told.startswith("minibert: --host 'no.such.host.invalid' has no address (")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_cannot_be_loaded_ends_the_server(tmp_path, workers):
    folder = tmp_path / "broken"
    shutil.copytree(GELU, folder)
    (folder / "model.safetensors").write_bytes(b"none")
    code, told = run(GELU, folder, "--port", "0", "--workers", workers)
    assert code == 65
    assert re.search(r"^minibert: .*model\.safetensors", told, re.MULTILINE)
    assert "ready" not in told


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_is_not_there_ends_the_server(workers):
    code, told = run("./nowhere", "--port", "0", "--workers", workers)
    assert code == 66
    assert "Traceback" not in told


def test_a_socket_in_a_file_is_served_and_removed(serving, tmp_path):
    path = tmp_path / "s"
    server = serving(GELU, "--unix-socket", path)
    assert f"minibert: listening on unix:{path}\n" in server.stderr()
    assert at_path(path) == 200
    code, told = run(GELU, "--unix-socket", path)
    assert (code, at_path(path)) == (71, 200)
    assert told.startswith(f"minibert: another server listens at '{path}'")
    assert server.end() == 0
    assert not path.exists()


def test_the_socket_file_of_a_dead_server_is_replaced(serving, tmp_path):
    path = tmp_path / "s"
    server = serving(GELU, "--unix-socket", path)
    server.end(signal.SIGKILL)
    assert path.exists()
    serving(GELU, "--unix-socket", path)
    assert at_path(path) == 200


@pytest.mark.slow
def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "texts"
    path.write_text("mine")
    code, told = run(GELU, "--unix-socket", path)
    assert (code, path.read_text()) == (71, "mine")
    assert "exists and is no socket" in told


def test_a_server_answers_while_its_models_load(serving, tmp_path):
    """A weights file without an end: it is read for as long as the test wants."""
    folder = tmp_path / "slow"
    shutil.copytree(GELU, folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    server = serving(folder, told="listening")
    while True:
        try:
            assert server.request("GET", "/health").status == 200
            break
        except ConnectionError:
            time.sleep(0.01)
    answer = server.request("GET", "/ready")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    answer = server.request("POST", "/v1/embeddings", TEXT)
    assert answer.json()["error"]["message"] == "The models are being loaded."
    assert answer.status == 503
    assert server.end() == 0  # at once, whatever the thread waits for


def test_keys_are_asked_for_but_by_probes(serving):
    server = serving(GELU, env={"MINIBERT_API_KEY": "a-key,b-key"})
    assert server.request("GET", "/health").status == 200
    assert server.request("GET", "/metrics").status == 200
    assert server.request("POST", "/v1/embeddings", TEXT).status == 401
    for key, status in {"b-key": 200, "c-key": 401}.items():
        headers = {"Authorization": f"Bearer {key}"}
        assert server.request("POST", "/v1/embeddings", TEXT, headers).status == status
    assert "-key" not in server.stderr()
