"""Runs of `minibert label` that are killed: for training/test_labels_file.py, and by hand.

    python tests/label_kills.py steps              every write, fsync, rename, mkdir and unlink
    python tests/label_kills.py moments MODEL 100  so many random moments of the command

Both print one object: how many kills there were, and which ended with other bytes than a run that
nobody killed. A test runs them in a process of their own, since they fork.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killing import forked, memory, tree

from minibert.common import files
from minibert.training import labels_file
from minibert.training.labels import chunks_of

ROWS = [(f"q{n % 4} who", f"p{n}", f"n{n % 3} Café") for n in range(8)]
MODULES = files, labels_file


def run(path):
    """Score rows into a file, chunks of three."""
    labels_file.write_labels(
        path,
        chunks_of(ROWS, size=3),
        lambda pairs: [len(a) + len(b) / 7 for a, b in pairs],
        {"teacher": "lengths"},
        lambda done: None,
    )


def kill_at_every_step(work):
    """Kill a run at every step, with and without a power failure, and run it again."""
    run(work / "warm")  # imports what forks then need not
    expected = (work / "warm").read_bytes()
    kills, differing = 0, []
    for power in (False, True):
        out = work / f"out{power}"
        out.mkdir()
        path = out / "rows.jsonl"
        code, steps = forked(lambda path=path: run(path), modules=MODULES)
        assert code == 0
        for last in range(1, steps + 1):
            path.unlink()
            killed, _ = forked(lambda path=path: run(path), b"", last, power, MODULES)
            again, _ = forked(lambda path=path: run(path), modules=MODULES)
            kills += 1
            if (killed, again, tree(out)) != (-signal.SIGKILL, 0, {"rows.jsonl": expected}):
                differing.append([power, last, killed, again])
    return kills, differing


def kill_at_moments(model, work, count):
    """Kill commands at random moments, each until it comes to its end, `count` kills in all."""
    data, kept = work / "triples.jsonl", {"rows.jsonl"}
    names = "query", "positive", "negative"
    rows = [(f"the cat {n}", f"a dog {n} " * 3, f"London {n} " * 5) for n in range(3_000)]
    data.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))

    def start(out):
        return subprocess.Popen(
            [sys.executable, "-m", "minibert", "label", model, data, "-o", out, "--quiet"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    begun = time.monotonic()
    assert start(work / "whole.jsonl").wait() == 0
    whole = time.monotonic() - begun
    expected, kills, rounds, differing = (work / "whole.jsonl").read_bytes(), 0, 0, []
    while kills < count:
        rounds += 1
        out = work / f"out{rounds}"
        out.mkdir()
        while True:
            running = start(out / "rows.jsonl")
            try:
                code = running.wait(random.uniform(0, whole) if kills < count else None)
                break
            except subprocess.TimeoutExpired:
                running.send_signal(random.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
                running.wait()
                kills += 1
        found = tree(out)
        if code != 0 or found.keys() != kept or found["rows.jsonl"] != expected:
            differing.append([str(out), code, sorted(found)])
    return kills, differing


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=memory()) as work:
        if kind == "steps":
            kills, differing = kill_at_every_step(Path(work))
        else:
            model, count = rest
            kills, differing = kill_at_moments(model, Path(work), int(count))
    print(json.dumps({"kills": kills, "differing": differing}))
