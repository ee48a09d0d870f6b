"""Check `minibert serve` under load, beside slow clients, at its end, and at rest.

    python tools/serve_check.py all                  # some minutes; exit code 1 if one misses
    python tools/serve_check.py overload slow --seconds 60

- overload: requests of 16 texts of 120 tokens, at eight times the rate that is served
- slow: 200 clients that send no byte, half a header, half a body, or a byte each half second,
  beside 50 honest callers
- sigterm: the signal to end, with 100 requests in flight
- kill: one of two workers killed with kill -9
- start: from the start of the process to its first answer, beside `minibert embed`
- memory: what the process does not share with others, at rest
- size: what the extra installs

Requests are sent by tools/load.c, which needs a C compiler.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench import SAMPLE, installed_megabytes, processor, read_texts
from bench_models import find
from bench_serve import PEERS, Server, report_of, short_texts, start_load

OURS = PEERS["minibert base64"]
TIMES, TEXTS, TOKENS, BODIES = 8, 16, 120, 32  # of the overload
PACK_TOKENS, QUEUED_BATCHES = 1024, 64  # the server's own limits, for each core
REFUSED = {"429", "503"}
TOLERANCE = 2e-6  # of a normalised vector beside other neighbours
SLOW, HONEST, RECEIVE_TIMEOUT, STEP = 200, 50, 5, 0.5
IN_FLIGHT = 100
# Each is a token of its own in the vocabulary of BERT.
VOCABULARY = [
    "water", "wind", "stone", "tree", "river", "house", "light", "night", "music",
    "paper", "garden", "winter", "summer", "market", "city", "road", "bridge", "mountain",
    "forest", "island", "horse", "bird", "fish", "dog", "cat", "bread", "wine",
    "salt", "sugar", "glass", "iron", "gold", "silver", "machine", "engine", "ship",
    "train", "letter", "book", "story", "song", "voice", "hand", "eye", "heart",
    "face", "door",
]  # fmt: skip


class Row(NamedTuple):
    """A line of the table."""

    check: str
    value: str
    expected: str
    ok: bool


def texts_of(count, tokens=TOKENS, seed=0):
    """Make different texts of so many tokens, [CLS] and [SEP] among them."""
    random_words = random.Random(seed)
    return [" ".join(random_words.choices(VOCABULARY, k=tokens - 2)) for _ in range(count)]


def overload(options):
    """Send eight times what is served."""
    from minibert import SentenceTransformer

    texts = texts_of(TEXTS * BODIES)
    groups = [texts[start : start + TEXTS] for start in range(0, len(texts), TEXTS)]
    expected = SentenceTransformer(options.folder, threads=options.threads).encode(texts)
    expected = expected.reshape(BODIES, TEXTS, -1)
    batch = PACK_TOKENS * options.threads
    limits = ["--max-batch-tokens", str(batch), "--max-queue-tokens", str(QUEUED_BATCHES * batch)]
    with server_of(options, *limits) as server, tempfile.TemporaryDirectory() as scratch:
        answers = Path(scratch, "answers")
        rest = server.megabytes("VmRSS")
        before = served_rate(server, groups, options.seconds / 4)
        report = server.load(
            groups, "-c", 400, "-t", options.seconds, "-r", TIMES * before, "-o", answers
        )
        after = served_rate(server, groups, options.seconds / 4)
        peak = server.megabytes("VmHWM")
        wrong, accepted = checked(answers, expected)
    statuses = report["statuses"]
    ends = np.sort([end for _, end in accepted])
    rate = np.searchsorted(ends, options.seconds, "right") / options.seconds
    at_once = (before + after) / 2
    # The queue, the batch that is computed, the request itself, and an answer on its way. Answers
    # are counted, because other work on the machine changes how many seconds they take.
    bound = (QUEUED_BATCHES + 1) * batch // (TEXTS * TOKENS) + 2
    meanwhile = [np.diff(np.searchsorted(ends, pair, "right"))[0] for pair in accepted]
    ahead = np.percentile(meanwhile, 99, method="higher")
    p99 = statuses["200"]["p99 ms"] / 1e3
    counts = ", ".join(f"{found['count']} of {status}" for status, found in statuses.items())
    unanswered = report["sent"] - report["answered"]
    name = f"overload, {options.seconds:g} s at {TIMES} times {before:.2f} requests a second"
    yield Row(f"{name}: answers", counts, "200, 429, 503", set(statuses) <= {"200", *REFUSED})
    yield Row("- some of them refused", counts, "429 or 503", bool(REFUSED & set(statuses)))
    yield Row("- lost", f"{unanswered}", "0", unanswered == report["lost"] == 0)
    yield Row("- bytes of no answer", f"{report['extra bytes']}", "0", not report["extra bytes"])
    yield Row("- wrong", f"{wrong}", "0", wrong == 0)
    grown = peak - rest
    yield Row(f"- MB above the {rest:.0f} at rest", f"{grown:.0f}", "<= 200", grown <= 200)
    found = f"{p99:.1f} s, in which {ahead} are answered"
    yield Row("- p99 of those accepted", found, f"<= {bound}", ahead <= bound)
    share = rate / at_once
    yield Row("- rate, to that without overload", f"{share:.2f}", ">= 0.90", share >= 0.9)


def served_rate(server, groups, seconds):
    """Measure requests answered a second, for callers that wait for their answers."""
    report = server.load(groups, "-c", 4, "-t", seconds)
    assert set(report["statuses"]) == {"200"}, report
    return report["rate"]


def checked(path, expected):
    """Compare answers with `encode`'s: -> how many are wrong; of each 200 begin and end, in s."""
    wrong, accepted = 0, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            number, status, due, latency, body = line.split(" ", 4)
            if status == "200":
                accepted.append((int(due) / 1e6, (int(due) + int(latency)) / 1e6))
                wrong += not is_right(json.loads(body), expected[int(number) % BODIES])
            else:
                wrong += "error" not in json.loads(body)
    return wrong, accepted


def is_right(answer, expected):
    """Return whether an answer has the expected vectors, in their order."""
    import base64

    rows = [base64.b64decode(row["embedding"]) for row in answer["data"]]
    vectors = np.array([np.frombuffer(row, "<f4") for row in rows])
    return vectors.shape == expected.shape and np.abs(vectors - expected).max() <= TOLERANCE


class SlowClients:
    """Clients of five shapes in a thread. Who is closed comes again."""

    def __init__(self, port, path, body, count):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head = f"{head}Content-Length: {len(body)}\r\n\r\n".encode()
        half = head + body[: len(body) // 2].encode()
        self.shapes = {
            "no byte": (b"", b""),
            "half a header": (head[: len(head) // 2], b""),
            "half a body": (half, b""),
            "a byte of header each half second": (b"", head),
            "a byte of body each half second": (half, body[len(body) // 2 :].encode()),
        }
        self.port, self.count = port, count
        self.lives = {shape: [] for shape in self.shapes}  # seconds until the server closed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))

    async def _run(self):
        shapes = list(self.shapes)
        async with asyncio.TaskGroup() as clients:
            for number in range(self.count):
                clients.create_task(self._client(shapes[number % len(shapes)]))

    async def _client(self, shape):
        at_once, slowly = self.shapes[shape]
        while not self._stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            began, at = time.monotonic(), 0
            writer.write(at_once)
            while not self._stop.is_set() and not await closed(reader, STEP):
                with contextlib.suppress(OSError):
                    writer.write(slowly[at : at + 1])
                at += 1
            if not self._stop.is_set():
                self.lives[shape].append(time.monotonic() - began)
            writer.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


async def closed(reader, seconds):
    """Wait for the end of a connection: -> whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await reader.read()
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def slow(options):
    """Measure honest callers without slow clients and beside them, in turn."""
    groups = [[text] for text in short_texts(read_texts(SAMPLE, None))]
    p99, lives = {"without": [], "beside": []}, {}
    with server_of(options, "--receive-timeout", str(RECEIVE_TIMEOUT)) as server:
        at_rest = open_files(server)
        for _ in range(options.rounds):
            p99["without"].append(honest_p99(server, groups, options.seconds / 4))
            clients = SlowClients(server.port, OURS.path, server.body(groups[0]), SLOW)
            with clients:
                time.sleep(1)
                p99["beside"].append(honest_p99(server, groups, options.seconds / 4))
                time.sleep(RECEIVE_TIMEOUT)
            for shape, seconds in clients.lives.items():
                lives.setdefault(shape, []).extend(seconds)
        time.sleep(1)
        left = open_files(server) - at_rest
    without, beside = (statistics.median(values) for values in p99.values())
    found = f"{beside:.0f} ms, {without:.0f} without"
    yield Row(f"{HONEST} callers beside {SLOW} slow clients: p99", found, "<= 2 times",
              beside <= 2 * without)  # fmt: skip
    for shape, seconds in lives.items():
        longest = max(seconds, default=float("inf"))
        limit = RECEIVE_TIMEOUT + 2
        yield Row(f"- {shape}: closed after, s", f"{longest:.1f}", f"<= {limit}", longest <= limit)
    yield Row("- files open, more than at rest", f"{left}", "<= 0", left <= 0)


def honest_p99(server, groups, seconds):
    """Measure the 99th percentile of honest callers, in ms."""
    report = server.load(groups, "-c", HONEST, "-t", seconds)
    assert set(report["statuses"]) == {"200"}, report
    assert report["lost"] == 0
    return report["statuses"]["200"]["p99 ms"]


def open_files(server):
    """Count the open files of a server's process."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def sigterm(options):
    """Send the signal to end while a long request is computed and 100 others wait."""
    texts = texts_of(64 + IN_FLIGHT)
    with server_of(options) as server:
        first = start_load(server.port, OURS.path, [server.body(texts[:64])], "-c", 1, "-n", 1)
        time.sleep(0.2)
        bodies = [server.body([text]) for text in texts[64:]]
        others = start_load(server.port, OURS.path, bodies, "-c", IN_FLIGHT, "-n", IN_FLIGHT)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        counts = Counter()
        for report in (report_of(first), report_of(others)):
            for status, found in report["statuses"].items():
                counts[status] += found["count"]
        code = server.process.wait(60)
        seconds = time.monotonic() - began
    found = ", ".join(f"{count} of {status}" for status, count in counts.items()) or "none"
    yield Row(f"SIGTERM with {IN_FLIGHT} waiting and 1 computed: answers", found,
              f"{IN_FLIGHT + 1} of 200", counts == {"200": IN_FLIGHT + 1})  # fmt: skip
    yield Row("- exit code", f"{code}", "0", code == 0)
    yield Row("- seconds to the end", f"{seconds:.1f}", "<= 30", seconds <= 30)


def kill(options):
    """Kill one of two workers; ask the server all the time."""
    with server_of(options, "--workers", "2") as server:
        before = wait_for(lambda: len(workers_of(server)) == 2 and workers_of(server))
        os.kill(before[0], signal.SIGKILL)
        killed, failed, asked = time.monotonic(), 0, 0
        while time.monotonic() - killed < 5:
            asked += 1
            failed += not server.answers()
            time.sleep(0.02)
        after = workers_of(server)
        new = set(after) - set(before)
        left = before[1] in after and before[0] not in after
        code = stopped(server)
    yield Row("kill -9 of a worker of two: requests that failed", f"{failed} of {asked}", "0",
              failed == 0)  # fmt: skip
    yield Row("- new workers within 5 s", f"{len(new)}", "1", len(new) == 1 and left)
    yield Row("- exit code after SIGTERM", f"{code}", "0", code == 0)


def workers_of(server):
    """Return the processes that a server has started to serve."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = []
    for child in children:
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if command and b"resource_tracker" not in command:
                found.append(int(child))
    return found


def wait_for(condition, seconds=30):
    """Wait until a condition holds: -> its value."""
    began = time.monotonic()
    while not (value := condition()):
        assert time.monotonic() - began < seconds, "This came to no end."
        time.sleep(0.05)
    return value


def stopped(server):
    """End a server by SIGTERM: -> its exit code."""
    server.process.terminate()
    return server.process.wait(60)


def start(options):
    """Measure starts of the server and of `minibert embed`, in turn."""
    served, embedded = [], []
    command = [sys.executable, "-m", "minibert", "embed", "--model", options.folder, "water"]
    for _ in range(2 * options.rounds + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        embedded.append(time.perf_counter() - began)
        with server_of(options) as server:
            served.append(server.seconds_to_first_answer)
    server_s, embed_s = statistics.median(served), statistics.median(embedded)
    found = f"{server_s:.2f}, {embed_s:.2f} of `minibert embed`"
    yield Row("start to first answer, s", found, "<= 2 times", server_s <= 2 * embed_s)
    yield Row("- the fastest, s", f"{min(served):.2f}", "< 1 (MiniLM, a quiet machine)",
              min(served) < 1 or options.model != "minilm")  # fmt: skip


def memory(options):
    """Measure private memory at rest: after the start, and after work of 32 callers.

    A second server maps the same files, as a second worker does: only then a page of the weights
    does not count as private.
    """
    groups = [[text] for text in short_texts(read_texts(SAMPLE, None))]
    with server_of(options) as server, server_of(options):
        time.sleep(1)
        fresh = server.megabytes("Private")
        used = []
        for _ in range(2):
            server.load(groups, "-c", 32, "-t", 3)
            time.sleep(1)
            used.append(server.megabytes("Private"))
    yield Row("private memory at rest, MB", f"{fresh:.0f}", "<= 60", fresh <= 60)
    found, more = f"{used[0]:.0f}, {used[1]:.0f}", used[1] - used[0]
    yield Row("- after 32 callers, and once more, MB", found, "no more again", more < 10)


def size(options):
    """Measure what the extra installs beside the package's own requirements."""
    all_ = installed_megabytes(["starlette", "uvicorn"])
    own = installed_megabytes(["minibert-numpy"])
    added = {package: megabytes for package, megabytes in all_.items() if package not in own}
    total = sum(added.values())
    found = f"{total:.1f} ({', '.join(sorted(added))})"
    yield Row("size of the extra, MB", found, "<= 5", total <= 5)


def server_of(options, *more):
    """Start `minibert serve`."""
    return Server(OURS, options.folder, options=["--threads", str(options.threads), *more])


CHECKS = {check.__name__: check for check in (overload, slow, sigterm, kill, start, memory, size)}


def main():
    """Run checks, and print a row for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checks", nargs="+", choices=["all", *CHECKS])
    parser.add_argument("--model", default="minilm", help="minilm, bert-base or a folder")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="of the overload")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args()
    options.folder = str(find(options.model))
    print(f"{processor()}, {options.threads} threads, {options.folder}", flush=True)
    print("\n| | found | expected | |\n|---|---|---|---|", flush=True)
    missed = 0
    for name in CHECKS if "all" in options.checks else options.checks:
        for row in CHECKS[name](options):
            missed += not row.ok
            verdict = "" if row.ok else "**missed**"
            print(f"| {row.check} | {row.value} | {row.expected} | {verdict} |", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
