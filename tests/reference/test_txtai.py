"""txtai's own class, which needs torch itself, finds the same with either library by name."""

import json
import subprocess
import sys

import pytest
from other_processes import environment

pytest.importorskip("txtai", reason="txtai is not installed: sh tools/test.sh reference")

PROGRAM = """
import json, sys
if sys.argv[1] == "minibert":
    from minibert.integrations.sentence_transformers import install
    install(force=True)
from txtai.embeddings import Embeddings
folder, texts, queries, index = json.loads(sys.stdin.read())
embeddings = Embeddings(method="sentence-transformers", path=folder, gpu=False)
embeddings.index(texts)
embeddings.save(index)
again = Embeddings()
again.load(index)
module = type(again.model.model).__module__.split(".")[0]
print(json.dumps([module, [again.search(query, 3) for query in queries]]))
"""


def searched(library, given):
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, library], input=json.dumps(given),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    module, found = json.loads(finished.stdout.splitlines()[-1])
    assert module == library
    return found


@pytest.mark.slow
def test_txtai_finds_the_same_with_minibert(minilm_folder, tmp_path):
    texts = ["A dog barks.", "The tea is still hot.", "Rain falls on the hills.", "A cat sleeps."]
    queries = ["Who barks?", "What is there to drink?", "How is the weather?"]
    ours, theirs = (
        searched(library, [str(minilm_folder), texts, queries, str(tmp_path / library)])
        for library in ("minibert", "sentence_transformers")
    )
    assert [[id for id, _ in hits] for hits in ours] == [[id for id, _ in hits] for hits in theirs]
    for hits, expected in zip(ours, theirs, strict=True):
        assert [score for _, score in hits] == pytest.approx([s for _, s in expected], abs=2e-6)
