"""Corpora for tests: what goes into them, and how they are stopped, damaged and looked at."""

import errno
import hashlib
import io
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert.common.files import npy_chunks
from minibert.corpus.building import build, delete
from minibert.corpus.manifest import chained, read_manifest, write_manifest
from minibert.corpus.verifying import verify
from minibert.documents.reading import Document

GELU = str(GOLDEN / "gelu")  # takes 41 tokens, has 20 dimensions and does not normalise
LONG = "the dog barks at the cat " * 10
TEXTS = ["the cat sat.", "", "Dogs, cats and London!", LONG, "Café 中文", " ", "a cat"]
SMALL = {"shard_documents": 3}
WORDS = "the cat dog sat barks at on mat in London a big small river runs by old house"
QUERIES = ["the cat sat", "a dog barks in London", "the old house by the river"]


def documents(texts=TEXTS, name="d"):
    """Documents with ids, d0 and so on."""
    return [Document(f"{name}{n}", text, f"list, line {n + 1}") for n, text in enumerate(texts)]


def sentences(count=60):
    """Documents of a few words, some of them twice."""
    random = np.random.default_rng(0)
    words = WORDS.split()
    texts = [" ".join(random.choice(words, random.integers(3, 9))) for _ in range(count - 5)]
    return [Document(f"d{n}", text, "here") for n, text in enumerate(texts + texts[:5])]


def with_fields():
    """The same with a language, which some lack, and a year."""
    languages = ["de", "fr", "en", None]
    return [
        one._replace(fields={"lang": languages[n % 4], "year": 1990 + n * 7 % 40})
        for n, one in enumerate(sentences())
    ]


def three_shards(folder, model):
    """Build a corpus of three shards, one of two deleted documents in it: -> its folder."""
    build(folder, documents(), model, **SMALL)
    delete(folder, ["d0", "d4"])
    return folder


def wrong(folder):
    return list(verify(folder))


def stop_after(folder, model, count, texts=TEXTS, **settings):
    """Begin a build, and stop it when it asks for document `count`."""

    def until():
        yield from documents(texts)[:count]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder, until(), model, **{**SMALL, **settings})


class Full(io.FileIO):
    """A file on a disk that has room for some bytes more."""

    room = 0

    def write(self, content):
        if len(content) > Full.room:
            super().write(content[: Full.room])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Full.room -= len(content)
        return super().write(content)


def rewritten(folder, shard, name, content):
    """Replace a file of a shard as somebody would who also writes every digest anew."""
    path = folder / "shards" / shard
    (path / name).write_bytes(content)
    description = json.loads((path / "shard.json").read_bytes())
    description["files"][name] = {"bytes": len(content), "sha256": sha256(content)}
    (path / "shard.json").write_text(json.dumps(description))
    digest = ""
    for one in sorted((folder / "shards").iterdir()):
        digest = chained(digest, (one / "shard.json").read_bytes())
    write_manifest(folder, replace(read_manifest(folder), shards_sha256=digest))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def npy(array):
    return b"".join(map(bytes, npy_chunks(array)))


def header(shape):
    """The beginning of an array's file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()
