"""One run that writes a corpus: what it writes, how it is stopped, and how it goes on."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from corpora import (
    GELU,
    SMALL,
    TEXTS,
    Full,
    documents,
    stop_after,
    wrong,
)
from golden_files import even_copy
from killing import tree
from kills import KILLS, killing

from minibert import SentenceTransformer, quantize_embeddings
from minibert.bert import tensor_parallel
from minibert.common import files
from minibert.corpus import shards
from minibert.corpus import writer as writing
from minibert.corpus.building import add, build, delete
from minibert.corpus.compacting import compact
from minibert.corpus.corpus import Corpus
from minibert.corpus.manifest import read_manifest, write_manifest
from minibert.corpus.replacing import replace
from minibert.documents.reading import Document, read_documents
from minibert.errors import CorpusError, OutputError
from minibert.models import encoding


@pytest.mark.parametrize("precision", ["float16", "int8", "binary"])
def test_codes_are_those_of_the_vectors(tmp_path, model, precision):
    # The second shard has other words, and so numbers that lie far outside of the first one's.
    texts = [f"the cat sat on {word}" for word in ("a", "the", "it", "cats", "dogs")]
    texts += ["London", "dogs and dogs barks", "Paris", "who"]
    build(tmp_path / "exact", documents(texts), model, shard_documents=5)
    manifest, _ = build(
        tmp_path / "codes", documents(texts), model, shard_documents=5, precision=precision
    )
    exact = [shard.vectors for shard in Corpus(tmp_path / "exact").shards]
    if precision == "float16":
        expected = [vectors.astype(np.float16) for vectors in exact]
    else:
        ranges = np.stack([exact[0].min(axis=0), exact[0].max(axis=0)])
        expected = [quantize_embeddings(vectors, precision, ranges) for vectors in exact]
        below, above = ranges[0] - exact[1], exact[1] - ranges[1]
        assert max(below.max(), above.max()) > 0.1  # of numbers near 1; no rounding is as large
        outside = ((below > 0) | (above > 0)).sum()
        assert manifest.clipped == (outside if precision == "int8" else 0)
    for shard, codes in zip(Corpus(tmp_path / "codes").shards, expected, strict=True):
        assert shard.vectors.dtype == codes.dtype
        np.testing.assert_array_equal(shard.vectors, codes)
    assert wrong(tmp_path / "codes") == []


def test_int8_of_one_document_is_refused(corpus_folder, model):
    with pytest.raises(ValueError, match="int8 takes its ranges from the first shard"):
        build(corpus_folder, documents(["a"]), model, precision="int8")


def test_a_number_that_float16_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="up to 65504, and a vector has 70000"):
        writing.coded(np.full((1, 2), 7e4, dtype=np.float32), "float16", None)


def test_a_shard_ends_with_the_document_that_fills_it(corpus_folder, model):
    build(
        corpus_folder,
        documents(["12345", "12345", "1", "123456789012", "1"]),
        model,
        shard_characters=10,
    )
    assert [len(shard) for shard in Corpus(corpus_folder).shards] == [2, 2, 1]


def test_a_stopped_build_goes_on_and_encodes_nothing_twice(corpus_folder, tmp_path, model, encoded):
    build(tmp_path / "whole", documents(), model, **SMALL)
    stop_after(corpus_folder, model, 5)
    assert len(Corpus(corpus_folder)) == 3
    assert not Corpus(corpus_folder).manifest.complete
    encoded.clear()
    _, new = build(corpus_folder, documents(), model, **SMALL)
    assert encoded == TEXTS[3:]
    assert new == 4
    assert tree(corpus_folder) == tree(tmp_path / "whole")


def test_the_last_shard_completes_the_manifest_in_one_write(corpus_folder, model, monkeypatch):
    # Else a run that is killed between the two could go on with a longer input, whose shards would
    # end elsewhere than those of an unbroken run.
    seen = []

    def watched(folder, manifest):
        seen.append((manifest.documents, manifest.complete))
        write_manifest(folder, manifest)

    monkeypatch.setattr(writing, "write_manifest", watched)
    build(corpus_folder, documents(), model, **SMALL)
    add(corpus_folder, documents(["x"], "x"), model)
    assert seen == [(0, False), (3, False), (6, False), (7, True), (8, True)]


@pytest.mark.parametrize("count", [5, 7])
def test_another_input_is_refused_at_the_document_that_differs(corpus_folder, model, count):
    if count == 7:
        build(corpus_folder, documents(), model, **SMALL)
    else:
        stop_after(corpus_folder, model, count)
    other = documents()
    other[1] = other[1]._replace(text="other")
    with pytest.raises(CorpusError, match="list, line 2: document 1, 'd1', is not the one"):
        build(corpus_folder, other, model, **SMALL)
    renamed = documents()
    renamed[2] = renamed[2]._replace(id="x")
    with pytest.raises(CorpusError, match=r"line 3: document 2, 'x', is not the one .* 'd2'"):
        build(corpus_folder, renamed, model, **SMALL)
    with pytest.raises(CorpusError, match="input ends before document 2"):
        build(corpus_folder, documents()[:2], model, **SMALL)


def test_a_longer_input_than_the_finished_one_is_refused(corpus_folder, model):
    build(corpus_folder, documents(), model)
    longer = documents([*TEXTS, "more"])
    told = r"line 8: the input goes on after its document 6.* Put the new documents alone into a .*"
    told += "`minibert index replace` takes the whole input"
    with pytest.raises(CorpusError, match=told):
        build(corpus_folder, longer, model)


def test_texts_in_place_of_documents_are_told_how_they_are_made(corpus_folder, model):
    for given in ("the cat", ["the cat"], [("1", "the cat")]):
        with pytest.raises(TypeError, match=r"expected a minibert\.documents\.Document"):
            build(corpus_folder, given, model)


def test_an_id_twice_is_refused_with_both_places(corpus_folder, model):
    twice = documents()
    twice[2] = twice[2]._replace(id="d0")
    with pytest.raises(CorpusError, match="line 3: the id 'd0' is also that of list, line 1"):
        build(corpus_folder, twice, model, **SMALL)
    twice = documents()
    twice[4] = twice[4]._replace(id="d0")
    with pytest.raises(CorpusError, match="line 5: the id 'd0' is also that of document 0 of"):
        build(corpus_folder, twice, model, **SMALL)
    assert len(Corpus(corpus_folder)) == 3
    build(corpus_folder, documents(), model, **SMALL)
    with pytest.raises(CorpusError, match="line 1: the id 'd6' is also that of document 6"):
        add(corpus_folder, [Document("d6", "x", "list, line 1")], model)


def test_half_of_a_surrogate_pair_is_refused_with_its_line(run, corpus_folder):
    stdin = b'{"text": "a"}\n{"text": "\\ud800"}\n'
    code, _, err = run(
        "index", "build", corpus_folder, "--format", "jsonl", "-m", GELU, stdin=stdin
    )
    assert code == 65
    assert "standard input, line 2 has a lone surrogate" in err


def test_a_vector_that_is_not_finite_is_not_written(corpus_folder, model, monkeypatch):
    vectors = encoding.vectors

    def broken(*arguments):
        found, truncation = vectors(*arguments)
        found[1, 2] = np.nan
        return found, truncation

    monkeypatch.setattr(encoding, "vectors", broken)
    with pytest.raises(ValueError, match="list, line 2: the vector of 'd1' is not finite"):
        build(corpus_folder, documents(), model)
    assert len(Corpus(corpus_folder)) == 0


def test_a_folder_that_cannot_be_made_is_code_73(run, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run("index", "build", tmp_path / "file", "-m", GELU, stdin=b"the cat\n")
    assert code == 73
    assert err == (
        f"minibert: cannot write to {str(tmp_path / 'file')!r}: it is a file. Expected the folder "
        "of the corpus, which is named before its input.\n"
    )
    for command in (["search", tmp_path / "file", "who"], ["index", "info", tmp_path / "file"]):
        code, _, err = run(*command)
        assert (code, "so it is no corpus" in err) == (66, True)


def test_a_lone_document_of_a_shard_is_no_lone_query(corpus_folder, tmp_path, monkeypatch):
    """It has no tiles and no threads, whose number would change its bits."""
    model = SentenceTransformer(even_copy("gelu", tmp_path))
    monkeypatch.setattr(tensor_parallel, "has_small_products", lambda: True)
    monkeypatch.setattr(tensor_parallel, "tiled", lambda *_: pytest.fail("laid out in tiles"))
    manifest, _ = build(corpus_folder, documents(TEXTS[:3]), model, shard_documents=1)
    assert manifest.documents == manifest.shards == 3


def test_a_build_leaves_a_folder_with_other_files_alone(corpus_folder, model):
    (corpus_folder / "shards").mkdir(parents=True)
    (corpus_folder / "shards" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="is no corpus and not empty; it holds 'shards'"):
        build(corpus_folder, documents(), model)
    assert tree(corpus_folder) == {"shards/mine": b"mine"}


def test_a_second_writer_is_refused_at_once(corpus_folder, model, run):
    def meanwhile():
        yield from documents()[:4]
        for call in (
            lambda: build(corpus_folder, documents(), model, **SMALL),
            lambda: add(corpus_folder, documents(), model),
            lambda: delete(corpus_folder, ["d0"]),
            lambda: replace(corpus_folder, documents(), model),
            lambda: compact(corpus_folder),
        ):
            with pytest.raises(OutputError, match="is being written by another process"):
                call()
        assert run("index", "delete", corpus_folder, "d0")[0] == 73
        assert run("index", "compact", corpus_folder)[0] == 73
        yield from documents()[4:]

    build(corpus_folder, meanwhile(), model, **SMALL)
    assert wrong(corpus_folder) == []


def test_a_lock_that_is_a_link_is_not_followed(corpus_folder, model, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    corpus_folder.mkdir()
    (corpus_folder / "lock").symlink_to(precious)
    with pytest.raises(OutputError, match="cannot write to"):
        build(corpus_folder, documents(), model)
    assert precious.read_text() == "mine"


def test_leftovers_of_a_killed_run_are_removed(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    before = tree(corpus_folder)
    for name in ("shards/00003", "shards/00004.partial"):
        shutil.copytree(corpus_folder / "shards" / "00000", corpus_folder / name)
    for name in ("manifest.json.7.partial", "deleted-0123.npy"):
        (corpus_folder / name).write_bytes(b"half")
    (corpus_folder / "notes.txt").write_text("mine")
    build(corpus_folder, documents(), model, **SMALL)
    assert tree(corpus_folder) == {**before, "notes.txt": b"mine"}


class Fleeting(type(Path())):
    """A folder from which a file goes as soon as it was seen."""

    def glob(self, pattern):
        yield from super().glob(pattern)
        if pattern == "*.partial":
            yield self / "digests.json.7.partial"


def test_a_left_over_that_goes_by_itself_is_no_error(corpus_folder, model):
    manifest, _ = build(corpus_folder, documents(), model, **SMALL)
    (corpus_folder / "manifest.json.7.partial").write_bytes(b"half")
    writing.clear_leftovers(Fleeting(corpus_folder), manifest)
    assert not list(corpus_folder.glob("*.partial"))


def test_files_that_no_run_wrote_are_left_alone(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    (corpus_folder / "shards" / ".DS_Store").write_text("a file manager's")
    (corpus_folder / "shards" / "notes").mkdir()
    before = tree(corpus_folder)
    build(corpus_folder, documents(), model, **SMALL)
    assert tree(corpus_folder) == before
    assert (corpus_folder / "shards" / "notes").is_dir()


def test_shards_that_a_link_puts_elsewhere_are_not_written_to(corpus_folder, model, tmp_path):
    build(corpus_folder, documents(), model, **SMALL)
    elsewhere = tmp_path / "elsewhere"
    (corpus_folder / "shards").rename(elsewhere)
    (corpus_folder / "shards").symlink_to(elsewhere)
    (elsewhere / "00007").mkdir()
    before = tree(elsewhere)
    for call in (
        lambda: build(corpus_folder, documents(), model, **SMALL),
        lambda: add(corpus_folder, documents(["more"], "e"), model),
        lambda: delete(corpus_folder, ["d1"]),
        lambda: replace(corpus_folder, documents(["more"]), model),
        lambda: compact(corpus_folder),
    ):
        with pytest.raises(OutputError, match="shards' is a link"):
            call()
    assert tree(elsewhere) == before
    assert (elsewhere / "00007").is_dir()
    assert len(Corpus(corpus_folder)) == 7


# Whatever stops a run.


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="asks Linux which file is synced")
def test_a_kill_at_any_write_sync_or_rename_costs_no_byte():
    found = killing("killing.py", "steps", GELU)
    assert found["kills"] > 350
    assert found["differing"] == []


@pytest.mark.slow
def test_a_kill_at_any_moment_costs_no_byte():
    assert killing("killing.py", "moments", GELU, KILLS) == {"kills": KILLS, "differing": []}


def documents_in(folder):
    """How many documents the manifest names; none before there is one."""
    return read_manifest(folder).documents if (folder / "manifest.json").exists() else 0


@pytest.mark.slow
@pytest.mark.usefixtures("heeding_ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_finished_and_says_how_to_go_on(
    corpus_folder, tmp_path, model, number, code
):
    lines = [f"the cat {n}\n" for n in range(5)]
    with subprocess.Popen(
        [sys.executable, "-m", "minibert", "index", "build", corpus_folder, "-m", GELU, "-"]
        + ["--shard-documents", "2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        running.stdin.writelines(lines)
        running.stdin.flush()  # the fourth line fills a shard, the fifth is waiting
        deadline = time.monotonic() + 120
        while documents_in(corpus_folder) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(number)
        out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (code, "")
    assert f"what was finished stays in {corpus_folder}" in err
    assert len(Corpus(corpus_folder)) == 4
    texts = documents([line.strip() for line in lines])
    texts = [document._replace(id=None) for document in texts]
    assert build(corpus_folder, texts, model, shard_documents=2)[1] == 1


@pytest.mark.parametrize("room", [0, 100, 1000, 2000])
def test_a_full_disk_keeps_earlier_work_and_leaves_nothing_half(
    corpus_folder, model, monkeypatch, room
):
    stop_after(corpus_folder, model, 5)
    before = tree(corpus_folder)
    monkeypatch.setattr(Full, "room", room)
    monkeypatch.setattr(shards, "open", Full, raising=False)
    monkeypatch.setattr(files, "open", Full, raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        build(corpus_folder, documents(), model, **SMALL)
    assert tree(corpus_folder) == before
    monkeypatch.undo()
    build(corpus_folder, documents(), model, **SMALL)
    assert wrong(corpus_folder) == []


@pytest.mark.slow
def test_a_small_disk_is_code_74_and_more_room_lets_it_go_on(disk, run, tmp_path, model):
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"the cat sat on {n} dogs\n" for n in range(900)))
    folder = disk("size=256k") / "corpus"
    command = ["index", "build", folder, path, "-m", GELU, "--shard-documents", 100, "--quiet"]
    code, out, err = run(*command)
    assert (code, out) == (74, "")
    assert err.endswith(f"minibert: {os.strerror(errno.ENOSPC)}\n")
    assert run(*command[:-1])[2].startswith(
        f"minibert: stopped; what was finished stays in {folder}, and the same command goes on"
    )
    kept = len(Corpus(folder))
    assert kept > 0
    assert wrong(folder) == []
    disk("remount,size=4m")
    assert run(*command)[0] == 0
    build(
        tmp_path / "whole", read_documents([str(path)]), model, model_name=GELU, shard_documents=100
    )
    assert tree(folder) == tree(tmp_path / "whole")


def test_an_unwritable_disk_is_code_73_and_earlier_work_stays(disk, run, model, tmp_path):
    folder = disk("size=1m") / "corpus"
    stop_after(folder, model, 5)
    before = tree(folder)
    disk("remount,ro")
    for command in (["build", folder, "-m", GELU], ["build", folder.parent / "new", "-m", GELU]):
        code, out, err = run("index", *command, stdin=b"the cat\n")
        assert (code, out) == (73, "")
        assert f"cannot write to {str(command[1])!r}" in err
    assert run("index", "delete", folder, "d1")[0] == 73
    assert run("index", "compact", folder)[0] == 73
    assert run("index", "info", folder)[0] == 0  # reading needs no lock
    assert tree(folder) == before


def test_a_folder_without_the_right_to_write_is_code_73(run, corpus_folder, model, monkeypatch):
    build(corpus_folder, documents(), model)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    code, _, err = run("index", "delete", corpus_folder, "d1")
    assert code == 73
    assert err == f"minibert: cannot write to {str(corpus_folder)!r}: Permission denied.\n"


def test_a_malformed_line_is_code_65_and_what_came_before_stays(run, corpus_folder, tmp_path):
    path = tmp_path / "a.jsonl"
    good = [json.dumps({"_id": str(n), "text": "a"}) for n in range(4)]
    path.write_text("\n".join([*good, "{"]))
    command = ["index", "build", corpus_folder, path, "-m", GELU, "--shard-documents", 2]
    code, out, err = run(*command)
    assert (code, out) == (65, "")
    assert f"{path}, line 5 is not JSON" in err
    assert len(Corpus(corpus_folder)) == 2  # whether the second shard is the last was not yet known
    path.write_text("\n".join(good))
    assert run(*command)[0] == 0
