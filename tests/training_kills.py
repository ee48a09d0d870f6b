"""Training runs that are killed, and what is left behind: for training/test_kills.py, and by hand.

    python tests/training_kills.py steps              every write, fsync, rename, mkdir and unlink
    python tests/training_kills.py moments MODEL 100  so many random moments of `minibert train`

Both print one object: how many kills there were, and which ended with other bytes than a run that
nobody killed. A test runs them in a process of their own, since they fork.
"""

import json
import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bag_of_words import BagOfWords
from killing import forked, memory, tree

from minibert import evaluation
from minibert.common import files, safetensors_writing
from minibert.errors import TrainingError
from minibert.training import checkpoints
from minibert.training.loop import fit
from minibert.training.losses import MarginMSELoss

ROWS = [(f"q{n} who", f"q{n} p{n % 5} it", f"other {n % 3}", n % 4) for n in range(5)]
SAMPLE = Path(evaluation.__file__).parent / "sample"
MODULES = files, checkpoints, safetensors_writing


def evaluator(model, output_path, epoch, steps):
    """A score that rises and falls."""
    return float(model.encode(["q1 p1"])[0, 0])


def run(out, **changes):
    """Train into a folder: with evaluations, dropout and checkpoints."""
    given = {"lr": 0.1, "batch_size": 2, "evaluation_steps": 1, "checkpoint_steps": 2}
    given |= {"evaluate_first": True, **changes}
    fit(BagOfWords(), ROWS, MarginMSELoss(None), output=out, evaluator=evaluator, **given)


def begin_anew_and_go_on(out):
    """Begin anew if the folder holds another run, else go on."""
    try:
        run(out, seed=1)
    except TrainingError:
        run(out, seed=1, restart=True)


def kill_at_every_step(work):
    """Kill a run and one that begins anew at every step, and run each again."""
    out, before = work / "out", work / "before"
    run(work / "warm")  # imports what forks then need not
    actions = [
        (lambda: run(out), lambda: run(out), False),
        (lambda: run(out), lambda: run(out), True),
        (lambda: run(out, seed=1, restart=True), lambda: begin_anew_and_go_on(out), True),
    ]
    kills, differing = 0, []
    for number, (action, again, power) in enumerate(actions):
        if number == 2:
            shutil.copytree(out, before)
        code, steps = start_from(before, out, action)
        assert code == 0, number
        expected = tree(out)
        for last in range(1, steps + 1):
            killed = start_from(before, out, action, last=last, power=power)
            code, _ = forked(again, modules=MODULES)
            kills += 1
            if (killed[0], code, tree(out)) != (-signal.SIGKILL, 0, expected):
                differing.append([number, last, killed[0], code])
    return kills, differing


def start_from(before, out, action, **options):
    """Run a function on a folder as it was before."""
    shutil.rmtree(out, ignore_errors=True)
    if before.exists():
        shutil.copytree(before, out)
    return forked(action, modules=MODULES, **options)


def kill_at_moments(model, work, count):
    """Kill runs at random moments, each until it comes to its end, `count` kills in all."""
    data = work / "triples.jsonl"
    names = "query", "positive", "negative", "label"
    data.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in ROWS))

    def start(out, *more):
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "minibert", "train", model, data, "-o", out, "--quiet"),
                *("--loss", "margin-mse", "--lr", "1e-3", "--batch-size", "2", "--epochs", "20"),
                *("--evaluate", SAMPLE, "--evaluation-steps", "2"),
                *("--checkpoint-steps", "4", "--checkpoint-limit", "2"),
                *more,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    begun = time.monotonic()
    assert start(work / "whole").wait() == 0
    whole = time.monotonic() - begun
    expected, kills, differing = tree(work / "whole"), 0, []
    while kills < count:
        out = work / f"out{kills}"
        while True:
            # A report, which is written beside the run, changes no byte of it.
            running = start(out, "--report", work / "report.html")
            try:
                code = running.wait(random.uniform(0, whole) if kills < count else None)
                break
            except subprocess.TimeoutExpired:
                # SIGTERM writes a checkpoint; the kill may come while it does.
                for number in random.choice([[signal.SIGKILL], [signal.SIGTERM, signal.SIGKILL]]):
                    running.send_signal(number)
                    time.sleep(random.uniform(0, 0.1))
                running.wait()
                kills += 1
        if code != 0 or tree(out) != expected:
            differing.append(str(out))
        shutil.rmtree(out)
    return kills, differing


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    logging.disable()  # a run that had finished says so
    with tempfile.TemporaryDirectory(dir=memory()) as work:
        if kind == "steps":
            kills, differing = kill_at_every_step(Path(work))
        else:
            model, count = rest
            kills, differing = kill_at_moments(model, Path(work), int(count))
    print(json.dumps({"kills": kills, "differing": differing}))
