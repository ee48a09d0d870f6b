"""Runs that are killed, and what is left behind: here of `minibert index`, for test_writer.py.

    python tests/killing.py steps MODEL        every write, fsync, rename, mkdir and unlink
    python tests/killing.py moments MODEL 100  so many random moments

Both print one object: how many kills there were, and which ended with other bytes than a run that
nobody killed. A test runs them in a process of their own, since they fork.
"""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import filelock

from minibert import SentenceTransformer
from minibert import corpus as on_disk
from minibert.common import files
from minibert.corpus import shards
from minibert.documents import Fields, read_documents
from minibert.kernels import devices

WARM = filelock, devices  # a run imports them late; a fork then need not

FIRST = [
    {"_id": f"d{n}", "title": "the cat", "text": f"sat on dog {n}", "lang": "en", "year": n % 3}
    for n in range(5)
]
MORE = [{"_id": f"e{n}", "text": f"Café {n} 中文", "lang": "fr"} for n in range(3)]
# Of the old ones, d4 is as it was, and d2 has another field; the others are new texts.
CHANGED = [
    {"_id": "d0", "text": "a dog", "lang": "de"},
    {**FIRST[4]},
    {**FIRST[2], "year": 7},
    *({"_id": f"f{n}", "text": f"who {n}", "lang": "en"} for n in range(2)),
]
KEPT = ("lang", "year")  # fields


def tree(folder):
    """What a folder holds, but for what may be there or not: the lock, which is an empty file, and
    the cache of digests, which depends on the model's inodes and on the clock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", "digests.json")
    }


STEPS = ("mkdir", "unlink", "link", "rmdir")  # of the system, each of them one step


class Killer:
    """Counts the steps that change a disk, and ends the process before the one that it is told.

    Of a write that it does not let happen, a half is written. With `power`, what was not synced is
    lost as well: such files lose their ends, and such renames never happened.
    """

    def __init__(self, last, power, modules):
        """`modules` are those whose files are counted."""
        self.last, self.power, self.steps = last, power, 0
        self.unsynced = {}  # path -> how much of it was synced
        self.renames = []
        self.real = {name: getattr(os, name) for name in ("fsync", "replace", *STEPS)}
        for name in STEPS:
            setattr(os, name, self.counted(self.real[name]))
        os.fsync, os.replace = self.fsync, self.replace
        for module in modules:
            module.open = self.open

    def step(self):
        self.steps += 1
        if self.steps == self.last:
            self.die()

    def die(self):
        if self.power:
            for source, target, before in reversed(self.renames):
                self.real["replace"](target, source)
                if before is not None:
                    Path(target).write_bytes(before)
            for path, synced in self.unsynced.items():
                if os.path.exists(path):
                    os.truncate(path, (synced + os.path.getsize(path)) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, function):
        def call(*arguments, **named):
            self.step()
            return function(*arguments, **named)

        return call

    def fsync(self, descriptor):
        self.step()
        self.real["fsync"](descriptor)
        path = os.path.realpath(f"/proc/self/fd/{descriptor}")
        self.unsynced.pop(path, None)
        self.renames = [
            rename for rename in self.renames
            if os.path.realpath(os.path.dirname(rename[1])) != path
        ]  # fmt: skip

    def replace(self, source, target):
        self.step()
        before = Path(target).read_bytes() if os.path.isfile(target) else None
        old, new = (os.path.realpath(path) for path in (source, target))
        self.real["replace"](source, target)
        self.renames.append((source, target, before))
        self.unsynced = {  # of what lies in a folder, the path has changed
            new + path[len(old) :] if path.startswith(old) else path: synced
            for path, synced in self.unsynced.items()
        }

    def open(self, path, mode="r", buffering=-1):
        if mode not in ("wb", "ab"):
            return open(path, mode)
        killer = self

        class Counted(io.FileIO):
            def truncate(self, size=None):
                killer.step()
                return super().truncate(size)

            def write(self, content):
                killer.steps += 1
                synced = 0 if mode == "wb" else self.tell()
                killer.unsynced.setdefault(os.path.realpath(path), synced)
                if killer.steps == killer.last:
                    super().write(content[: len(content) // 2])
                    killer.die()
                return super().write(content)

        return Counted(path, mode)


def fork(action):
    """Start a function in a process of its own, which ends with it: -> the process's number."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        finally:  # whatever was raised is told, and never runs on as a second parent
            traceback.print_exc()
            os._exit(1)
    return pid


def forked(action, stdin=b"", last=None, power=False, modules=(files, shards)):
    """Run a function in a fork: how that ended, and how many steps it took."""
    reader, writer = os.pipe()

    def counted():
        killer = Killer(last, power, modules)
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
        action()
        os.write(writer, str(killer.steps).encode())

    pid = fork(counted)
    os.close(writer)
    with open(reader) as pipe:
        steps = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), int(steps or 0)


def kill_at_every_step(folder, work):
    """Kill builds and each command that changes a corpus at every step, and run each again."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads do not survive a fork
    model = SentenceTransformer(folder, threads=1)
    model.encode("the cat")  # imports what forks then need not
    corpus, first, more = work / "corpus", work / "first.jsonl", work / "more.jsonl"
    changed = work / "changed.jsonl"
    for path, documents in ((first, FIRST), (more, MORE), (changed, CHANGED)):
        path.write_text("".join(json.dumps(document) + "\n" for document in documents))

    def read(files, form=None):
        return read_documents(files, form, fields=Fields(kept=KEPT))

    def build(size, *source):
        on_disk.build(corpus, read(*source), model, shard_documents=size, fields=KEPT)

    actions = [
        (lambda: build(5, [str(first)]), b"", False),
        (lambda: build(3, ["-"], "jsonl"), first.read_bytes(), True),
        (
            lambda: on_disk.add(corpus, read(["-"], "jsonl"), model),
            more.read_bytes(),
            True,
        ),
        (lambda: on_disk.delete(corpus, ["d1", "e2"]), b"", True),
        (lambda: on_disk.replace(corpus, read([str(changed)]), model), b"", True),
        (lambda: on_disk.compact(corpus), b"", True),
    ]
    kills, differing, before = 0, [], work / "before"
    for number, (action, stdin, power) in enumerate(actions):
        if number > 1:
            shutil.move(corpus, before)
        code, steps = start_from(before, corpus, action, stdin)
        assert code == 0, number
        expected = tree(corpus)
        for last in range(1, steps + 1):
            killed = start_from(before, corpus, action, stdin, last, power)
            faults = list(on_disk.verify(corpus)) if number > 1 else []
            again = forked(action, stdin)
            kills += 1
            if (killed[0], again[0], tree(corpus)) != (-signal.SIGKILL, 0, expected) or faults:
                differing.append([number, last, killed[0], again[0], *faults])
        shutil.rmtree(before, ignore_errors=True)
    return kills, differing


def start_from(before, corpus, *run):
    """Run a function on a corpus as it was before."""
    shutil.rmtree(corpus, ignore_errors=True)
    if before.exists():
        shutil.copytree(before, corpus)
    return forked(*run)


def kill_at_moments(model, work, count):
    """Kill builds at random moments, each until it comes to its end, `count` kills in all."""
    texts = "".join(f"the cat sat on dog {n} " * 5 + "\n" for n in range(3_000)).encode()
    path = work / "texts.txt"
    path.write_bytes(texts)

    def start(corpus, source):
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "minibert", "index", "build", corpus, source),
                *("-m", model, "--shard-documents", "300", "--quiet"),
            ],
            stdin=open(path, "rb") if source == "-" else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    begun = time.monotonic()
    assert start(work / "whole", path).wait() == 0
    whole = time.monotonic() - begun
    expected, kills, rounds, differing = tree(work / "whole"), 0, 0, []
    while kills < count:
        corpus, source = work / f"corpus{rounds}", [path, "-"][rounds % 2]
        rounds += 1
        while True:
            running = start(corpus, source)
            try:
                code = running.wait(random.uniform(0, whole) if kills < count else None)
                break
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                kills += 1
        if code != 0 or tree(corpus) != expected:
            differing.append(str(corpus))
        else:
            shutil.rmtree(corpus)
    return kills, differing


def memory():
    """A folder in memory, where an fsync takes no time; None if there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    kind, model, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=memory()) as work:
        if kind == "steps":
            kills, differing = kill_at_every_step(model, Path(work))
        else:
            kills, differing = kill_at_moments(model, Path(work), int(rest[0]))
    print(json.dumps({"kills": kills, "differing": differing}))
