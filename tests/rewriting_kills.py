"""Replacements and compactions that are killed at random moments, for test_compacting.py.

    python tests/rewriting_kills.py MODEL 100   so many kills

Each is killed again and again until it comes to its end. After every kill the corpus is whole, and
has of each document the old or the new text. In the end it has the bytes of one that nobody killed,
and after a compaction no file has a byte of a text that is gone. Prints one object: how many kills
there were, and what was wrong after them.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from killing import WARM, fork, forked, memory, tree

from minibert import SentenceTransformer
from minibert import corpus as on_disk
from minibert.documents import Document

NEEDED = WARM  # a fork then need not import them
FIRST = {f"d{n}": f"the cat sat on the old dog {n}." for n in range(400)}
DELETED = [f"d{n}" for n in range(0, 400, 7)]
CHANGED = {f"d{n}": f"the new dog {n} barks." for n in range(0, 400, 3)}
CHANGED |= {f"e{n}": f"who is {n}?" for n in range(60)}
BEFORE = {id: text for id, text in FIRST.items() if id not in DELETED}
AFTER = BEFORE | CHANGED
GONE = [text for id, text in FIRST.items() if AFTER.get(id) != text]


def documents(texts):
    return [Document(id, text, "here", {"seen": f"{text} once"}) for id, text in texts.items()]


def found(folder):
    """The documents that can be found, id -> text; ValueError if the corpus is not whole."""
    faults = list(on_disk.verify(folder))
    corpus = on_disk.Corpus(folder)
    numbers = sorted(set(range(len(corpus))) - set(corpus.deleted.tolist()))
    texts = dict(zip(corpus.ids(numbers), corpus.texts(numbers), strict=True))
    if corpus.fields(numbers) != [document.fields for document in documents(texts)]:
        faults.append("fields of other documents")
    if faults or len(texts) < len(numbers):
        raise ValueError(f"{faults}, {len(texts)} ids of {len(numbers)} documents")
    return texts


def fault_of_replacement(folder):
    """What is wrong with a corpus in which some documents may be replaced; None if nothing is."""
    texts = found(folder)
    if not BEFORE.keys() <= texts.keys() <= AFTER.keys():
        return "a document is missing, or is there again"
    others = [id for id in texts if texts[id] not in (BEFORE.get(id), AFTER[id])]
    return f"{others} have other texts" if others else None


def fault_of_compaction(folder):
    """What is wrong with a corpus that may be compacted; None if nothing is."""
    return None if found(folder) == AFTER else "it has other documents"


def words_left(folder):
    """The texts that are gone and still stand in a file."""
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return [text for text in GONE if text.encode() in content]


def killed(action, after):
    """Run a function in a fork and kill it after some seconds: how it ended."""
    pid = fork(action)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stages_of(corpus, model):
    """The two commands, each with the check of what it may leave behind."""
    return [
        (lambda: on_disk.replace(corpus, documents(CHANGED), model), fault_of_replacement),
        (lambda: on_disk.compact(corpus), fault_of_compaction),
    ]


def kill_at_moments(folder, work, count):
    """Kill replacements and compactions in turn, `count` kills in all."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads do not survive a fork
    model = SentenceTransformer(folder, threads=1)
    model.encode("the cat")  # imports what forks then need not
    corpus, kills, differing, expected, seconds = work / "corpus", 0, [], [], []
    on_disk.build(corpus, documents(FIRST), model, fields=["seen"], shard_documents=30)
    on_disk.delete(corpus, DELETED)
    stages = stages_of(corpus, model)
    for number, (action, _) in enumerate(stages):
        shutil.copytree(corpus, work / f"before{number}")
        begun = time.monotonic()
        if forked(action)[0] != 0:
            raise ValueError(f"stage {number} failed")
        seconds.append(time.monotonic() - begun)
        expected.append(tree(corpus))
    if left := words_left(corpus):
        differing.append(f"{len(left)} texts are still there")
    rounds = 0
    while kills < count:
        number, rounds = rounds % 2, rounds + 1
        action, fault_of = stages[number]
        shutil.rmtree(corpus)
        shutil.copytree(work / f"before{number}", corpus)
        while kills < count and killed(action, random.uniform(0, seconds[number])) != 0:
            kills += 1
            if fault := fault_of(corpus):
                differing.append([number, fault])
        if forked(action)[0] != 0 or tree(corpus) != expected[number]:
            differing.append([number, "other bytes"])
        if number == 1 and words_left(corpus):
            differing.append([number, "a text is still there"])
    return kills, differing


if __name__ == "__main__":
    model, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=memory()) as work:
        kills, differing = kill_at_moments(model, Path(work), count)
    print(json.dumps({"kills": kills, "differing": differing}))
