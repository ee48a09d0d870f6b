"""HTTP servers of one sentence model under load, in turn, beside `encode` of the same texts.

    python tools/bench.py --work serve --model minilm
    python tools/bench_serve.py FOLDER PORT      # the plain service, which bench.py starts

The texts are consecutive words of the documents, eight each, all different. Callers of tools/load.c
send them: 32 callers with one text a request, 32 with 32 texts a request, and one with one text.
Every server has a process of its own; its log goes to a file. "sentence-transformers" is a plain
service: a FastAPI route that calls `model.encode`. infinity runs its torch engine, and has an
environment of its own, .venv-infinity, because it needs NumPy 1.
"""

import contextlib
import http.client
import importlib.util
import itertools
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
INFINITY = ROOT / ".venv-infinity"
# Pinned, so that a table is repeatable. Alone and first: torch's build for CPUs, as in bench.py.
REQUIREMENTS = ["fastapi==0.165.0", "uvicorn==0.54.0"]
INFINITY_REQUIREMENTS = [["torch==2.13.0"], ["infinity-emb[torch,server]==0.0.78"]]
TEXTS, WORDS, CALLERS, BATCH = 512, 8, 32, 32
SECONDS = 4  # of load, for each measurement of a round
LONE = 100  # requests of the one caller in a round


class Kind(NamedTuple):
    """How a server is started and asked; `given` are other keys of a body, with values."""

    command: list[str]  # {folder} and {port} stand for themselves
    path: str
    key: str  # of the texts
    given: tuple[tuple[str, str], ...] = ()


OURS = [sys.executable, "-m", "minibert", "serve", "{folder}", "--port", "{port}"]
INFINITY_COMMAND = [
    str(INFINITY / "bin" / "infinity_emb"), "v2", "--model-id", "{folder}", "--port", "{port}",
    "--engine", "torch", "--device", "cpu", "--host", "127.0.0.1",
]  # fmt: skip
PEERS = {
    "minibert": Kind(OURS, "/v1/embeddings", "input"),
    "minibert base64": Kind(OURS, "/v1/embeddings", "input", (("encoding_format", "base64"),)),
    "sentence-transformers": Kind(
        [sys.executable, __file__, "{folder}", "{port}"], "/embed", "texts"
    ),
    "infinity": Kind(INFINITY_COMMAND, "/embeddings", "input"),
}


class Server:
    """A server in a process of its own, which has answered once."""

    def __init__(self, kind, folder, threads=None, options=()):
        self.kind, self.port = kind, free_port()
        words = {"{folder}": str(folder), "{port}": str(self.port)}
        environment = dict(os.environ, HF_HUB_OFFLINE="1", DO_NOT_TRACK="1")
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        self.log = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [*(words.get(word, word) for word in kind.command), *options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment,
        )  # fmt: skip
        began = time.perf_counter()
        while not self.answers():
            if self.process.poll() is not None or time.perf_counter() - began > 120:
                self.process.kill()
                self.log.seek(0)
                raise RuntimeError(f"A server did not start: {self.log.read().decode()[-2000:]}")
            time.sleep(0.02)
        self.seconds_to_first_answer = time.perf_counter() - began

    def answers(self):
        """Return whether a text is answered."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask(["water"])[0] == 200
        return False

    def ask(self, texts):
        """Send a request: -> the status, the body."""
        return ask(self.port, "POST", self.kind.path, self.body(texts))

    def body(self, texts):
        """Write the body of a request."""
        return json.dumps({self.kind.key: texts, **dict(self.kind.given)})

    def load(self, groups, *options):
        """Send a request for each list of texts, in turn, from load.c: -> its report."""
        return load(self.port, self.kind.path, map(self.body, groups), *options)

    def megabytes(self, field):
        """Read a size: VmRSS, VmHWM (the largest so far), or Private, which nothing shares."""
        file = "smaps_rollup" if field == "Private" else "status"
        lines = Path(f"/proc/{self.process.pid}/{file}").read_text()
        return sum(int(size) for size in re.findall(rf"{field}\w*:\s*(\d+) kB", lines)) / 1e3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port():
    """Find a port that nothing listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def ask(port, method, path, body=None, timeout=60):
    """Send one request on a connection of its own: -> the status, the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def start_load(port, path, bodies, *options):
    """Start tools/load.c, compiled when needed: -> the process; its output is the report."""
    program = Path(tempfile.gettempdir(), f"minibert-load-{os.getuid()}")
    source = ROOT / "tools" / "load.c"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as file:
        file.writelines(f"{body}\n" for body in bodies)
    return subprocess.Popen(
        [program, *map(str, options), str(port), path, file.name], stdout=subprocess.PIPE, text=True
    )


def load(*arguments):
    """Run tools/load.c to its end: -> its report."""
    return report_of(start_load(*arguments))


def report_of(process):
    """Wait for tools/load.c: -> its report."""
    output = process.communicate()[0]
    os.unlink(process.args[-1])
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}.")
    return json.loads(output)


def short_texts(documents):
    """Make different texts of WORDS consecutive words."""
    words = " ".join(documents).split()
    starts = range(0, len(words) - WORDS, WORDS)
    return list(dict.fromkeys(" ".join(words[start : start + WORDS]) for start in starts))[:TEXTS]


def installed(names):
    """Divide the servers: -> those of peers and infinity, the reasons for those left out."""
    wanted = [name for name in PEERS if name.removesuffix(" base64") in {*names, "infinity"}]
    missing = {}
    if not INFINITY.exists():
        missing["infinity"] = "not installed"
    if importlib.util.find_spec("fastapi") is None:
        missing["sentence-transformers"] = "as a server: fastapi is not installed"
    return [name for name in wanted if name not in missing], missing


def install():
    """Make the environment of infinity."""
    subprocess.run([sys.executable, "-m", "venv", INFINITY], check=True)
    for requirements in INFINITY_REQUIREMENTS:
        subprocess.run([INFINITY / "bin" / "pip", "install", "--quiet", *requirements], check=True)


def measure(encoder, names, folder, documents, threads, rounds):
    """Measure the servers in turn, each beside `encode` right before and right after it.

    `encoder` is a process of tools/bench_peers.py with `encode`. -> for each server the medians of
    its rounds.
    """
    texts = short_texts(documents)
    single = [[text] for text in texts]
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]

    def of_encode():
        return len(texts) / encoder.ask(texts=texts)["seconds"][0]

    def of_lone_texts():
        return [1000 * encoder.ask(texts=[text])["seconds"][0] for text in texts[:LONE]]

    found = {name: {} for name in names}
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(Server(PEERS[name], folder, threads)) for name in names
        }
        for server in servers.values():
            answered(server, batches, "-c", 4, "-n", 8)  # warms it up
        of_encode()
        for _, (name, server) in itertools.product(range(rounds), servers.items()):
            values = found[name]
            for work, groups in (("one text", single), ("32 texts", batches)):
                beside = [of_encode()]
                report = answered(server, groups, "-c", CALLERS, "-t", SECONDS)
                beside.append(of_encode())
                speed = report["rate"] * len(groups[0])
                values.setdefault(work, []).append(speed)
                values.setdefault(f"{work}, share", []).append(speed / statistics.mean(beside))
            beside = of_lone_texts()
            report = answered(server, single, "-c", 1, "-n", LONE)
            beside += of_lone_texts()
            latency = report["statuses"]["200"]["p50 ms"]
            values.setdefault("latency", []).append(latency)
            values.setdefault("latency, more", []).append(latency - statistics.median(beside))
    return {
        name: {key: statistics.median(each) for key, each in values.items()} | {"rounds": values}
        for name, values in found.items()
    }


def answered(server, groups, *options):
    """Run load.c: -> its report. Raises RuntimeError for any answer but 200."""
    report = server.load(groups, *options)
    if report["lost"] or report["extra bytes"] or set(report["statuses"]) != {"200"}:
        raise RuntimeError(f"{server.kind.command} failed under load: {report}")
    return report


def rows(results):
    """Make rows of the table of bench.py: -> (title, value of each peer, form), ..."""

    def of(key):
        return {name: found[key] for name, found in results.items()}

    for work in ("one text", "32 texts"):
        yield f"32 callers, {work} a request, texts per second", of(work), "{:.0f}"
        yield "its speed to that of one `encode` in minibert", of(f"{work}, share"), "{:.2f}"
        if "sentence-transformers" in results:
            plain = results["sentence-transformers"][work]
            speeds = {name: speed / plain for name, speed in of(work).items()}
            yield "its speed to sentence-transformers'", speeds, "{:.2f}"
    yield "one caller, one text, ms, median", of("latency"), "{:.2f}"
    yield "above `encode` of one text in minibert, ms", of("latency, more"), "{:.2f}"


def serve_plainly(folder, port):
    """Serve sentence-transformers as its users do: a route that calls `encode`."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from sentence_transformers import SentenceTransformer

    app = FastAPI()
    model = SentenceTransformer(folder, device="cpu")

    class Body(BaseModel):
        texts: list[str]

    @app.post("/embed")
    def embed(body: Body):  # FastAPI runs it in a pool of threads
        return {"vectors": model.encode(body.texts).tolist()}

    uvicorn.run(app, host="127.0.0.1", port=port)


if __name__ == "__main__":
    serve_plainly(sys.argv[1], int(sys.argv[2]))
