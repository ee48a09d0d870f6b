"""A corpus on disk: what it holds, how a run that was stopped goes on, and what is refused."""

import errno
import gzip
import hashlib
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of
from killing import tree
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer, quantize_embeddings
from minibert.commands import cli
from minibert.commands.formats import npy_pieces
from minibert.common import files
from minibert.common.escapes import has_controls
from minibert.corpus import shards
from minibert.corpus import writer as writing
from minibert.corpus.build import add, build, delete
from minibert.corpus.corpus import Corpus, place_of_model
from minibert.corpus.manifest import chained, read_manifest, write_manifest
from minibert.corpus.search import Index
from minibert.corpus.verify import verify
from minibert.documents.reading import Document, read_documents
from minibert.errors import CorpusError, OutputError
from minibert.models import encoding

GELU = str(GOLDEN / "gelu")  # takes 41 tokens, has 20 dimensions and does not normalise
LONG = "the dog barks at the cat " * 10
TEXTS = ["the cat sat.", "", "Dogs, cats and London!", LONG, "Café 中文", " ", "a cat"]
SMALL = {"shard_documents": 3}


@pytest.fixture(scope="module")
def model():
    return SentenceTransformer(GELU, on_long="ignore")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "corpus"


@pytest.fixture(autouse=True)
def root_logger():
    """main() sets up the log of a whole process; here other tests come after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process: run(*arguments, stdin=b"") -> code, stdout, stderr."""

    def command(*arguments, stdin=b"", stream=io.BytesIO):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream(stdin)))
        capsys.readouterr()
        code = cli.main([*map(str, arguments)])
        return code, *capsys.readouterr()

    return command


def documents(texts=TEXTS, name="d"):
    """Documents with ids, d0 and so on."""
    return [Document(f"{name}{n}", text, f"list, line {n + 1}") for n, text in enumerate(texts)]


def wrong(folder):
    return list(verify(folder))


# What a corpus holds.


def test_vectors_ids_and_texts_are_those_of_the_documents(folder, model):
    manifest, new = build(folder, documents(), model, **SMALL)
    corpus = Corpus(folder)
    assert (len(corpus), new, [shard.first for shard in corpus.shards]) == (7, 7, [0, 3, 6])
    for start, shard in zip((0, 3, 6), corpus.shards, strict=True):
        expected = model.encode(TEXTS[start : start + 3])
        np.testing.assert_allclose(shard.vectors, expected, rtol=0, atol=1e-5)  # packs as encode's
        assert isinstance(shard.vectors, np.memmap)
        assert shard.ids() == [f"d{n}" for n in range(start, min(start + 3, 7))]
        assert shard.texts() == TEXTS[start : start + 3]
    assert corpus.ids([6, 0, 4, 0]) == ["d6", "d0", "d4", "d0"]
    assert corpus.texts(np.array([3, 1])) == [LONG, ""]
    assert corpus.numbers(["d5", "nobody", "d0"]) == {"d5": 5, "d0": 0}
    assert corpus.deleted.dtype == np.int64
    assert (manifest.empty, manifest.cut, manifest.complete) == (2, 1, True)
    assert wrong(folder) == []


@pytest.mark.parametrize("number", [-1, 7])
def test_a_number_that_no_document_has_is_refused(folder, model, number):
    build(folder, documents(), model)
    with pytest.raises(IndexError, match=f"no document {number}; numbers go from 0 to 6"):
        Corpus(folder).ids([0, number])


def test_documents_without_ids_are_called_by_their_numbers(folder, model):
    build(folder, (document._replace(id=None) for document in documents()), model, **SMALL)
    add(folder, [Document(None, "one more", "list")], model)
    assert Corpus(folder).ids(range(8)) == [str(n) for n in range(8)]


def test_the_model_s_prompt_for_documents_goes_before_each(folder):
    prompts = {"query": "the cat ", "document": "dogs and "}
    model = SentenceTransformer(GELU, prompts=prompts)
    manifest, _ = build(folder, documents(["cats"]), model)
    expected = model.encode(["dogs and cats"])
    np.testing.assert_array_equal(Corpus(folder).shards[0].vectors, expected)
    assert manifest.settings.prompt == "dogs and "


def test_a_length_of_documents_counts(tmp_path, folder, edit):
    path = copy_of("gelu", tmp_path)
    edit(path / "sentence_bert_config.json", document_length=6)
    model = SentenceTransformer(path, on_long="ignore")
    manifest, _ = build(folder, documents([LONG]), model)
    np.testing.assert_array_equal(Corpus(folder).shards[0].vectors, model.encode_document([LONG]))
    assert manifest.settings.max_seq_length == 6


def test_width_and_length_can_be_asked_for(folder, model):
    build(folder, documents(), model, truncate_dim=5, normalize=True)
    expected = model.encode(TEXTS, truncate_dim=5, normalize_embeddings=True)
    np.testing.assert_allclose(Corpus(folder).shards[0].vectors, expected, rtol=0, atol=2e-6)


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


def test_int8_of_one_document_is_refused(folder, model):
    with pytest.raises(ValueError, match="int8 takes its ranges from the first shard"):
        build(folder, documents(["a"]), model, precision="int8")


def test_a_number_that_float16_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="up to 65504, and a vector has 70000"):
        writing.coded(np.full((1, 2), 7e4, dtype=np.float32), "float16", None)


def test_a_shard_ends_with_the_document_that_fills_it(folder, model):
    build(
        folder, documents(["12345", "12345", "1", "123456789012", "1"]), model, shard_characters=10
    )
    assert [len(shard) for shard in Corpus(folder).shards] == [2, 2, 1]


def test_texts_need_not_be_kept(folder, model):
    build(folder, documents(), model, texts=False, **SMALL)
    assert wrong(folder) == []
    assert not list(folder.rglob("texts*"))
    with pytest.raises(CorpusError, match="holds no texts"):
        Corpus(folder).texts([0])
    with pytest.raises(CorpusError, match="line 5: document 4, 'd4', is not the one"):
        build(folder, documents([*TEXTS[:4], "other", *TEXTS[5:]]), model, texts=False, **SMALL)


def test_nothing_depends_on_the_input_s_path_or_on_the_time(tmp_path, model):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / f"{name}.txt"
        path.write_text("\n".join(TEXTS))
        os.utime(path, (len(name), 1e9 if name == "one" else 2e9))
        build(tmp_path / name / "corpus", read_documents([str(path)]), model, **SMALL)
    assert tree(tmp_path / "one" / "corpus") == tree(tmp_path / "two" / "corpus")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has one number of threads")
@pytest.mark.parametrize("on_long", ["ignore", "window"])
def test_the_number_of_threads_changes_no_byte(tmp_path, minilm_folder, monkeypatch, on_long):
    monkeypatch.setattr("minibert.bert.tensor_parallel.WORTH_MEETING", 1)
    # One pack, which threads would share; and windows of one text are one, too.
    texts = ["the cat sat on the dog " * 12] * 3
    for threads in (1, 2):
        model = SentenceTransformer(minilm_folder, threads=threads)
        model.max_seq_length = 40
        build(tmp_path / str(threads), documents(texts), model, on_long=on_long)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


# Going on.


def stop_after(folder, model, count, texts=TEXTS, **settings):
    """Begin a build, and stop it when it asks for document `count`."""

    def until():
        yield from documents(texts)[:count]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder, until(), model, **{**SMALL, **settings})


def test_a_stopped_build_goes_on_and_encodes_nothing_twice(folder, tmp_path, model, monkeypatch):
    build(tmp_path / "whole", documents(), model, **SMALL)
    stop_after(folder, model, 5)
    assert len(Corpus(folder)) == 3
    assert not Corpus(folder).manifest.complete
    seen, vectors = [], encoding.vectors

    def seeing(model, texts, *rest):
        seen.extend(texts)
        return vectors(model, texts, *rest)

    monkeypatch.setattr(encoding, "vectors", seeing)
    _, new = build(folder, documents(), model, **SMALL)
    assert seen == TEXTS[3:]
    assert new == 4
    assert tree(folder) == tree(tmp_path / "whole")


def test_a_finished_build_says_so_and_touches_nothing(folder, run, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS))
    command = ["index", "build", folder, path, "-m", GELU, "--shard-documents", 3, "--quiet"]
    assert run(*command)[:2] == (
        0, f"{folder}: 7 documents (7 of them new), 2 of them empty, 20 dimensions of float32\n",
    )  # fmt: skip
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    code, out, _ = run(*command)
    assert (code, "complete before, nothing was changed" in out) == (0, True)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("precision", {"precision": "float16"}),
        ("prompt", {"prompt": "the "}),
        ("normalize", {"normalize": True}),
        ("dimension", {"truncate_dim": 3}),
        ("pack_tokens", {"pack_tokens": 7}),
        ("texts", {"texts": False}),
        ("shard_documents", {"shard_documents": 4}),
        ("shard_characters", {"shard_characters": 4}),
        ("long_texts", {"on_long": "window"}),
        ("files_sha256", {"model": "relu"}),
        ("modules", {"model": "poolings"}),
        ("metric", {"similarity_fn_name": "dot"}),
        ("reproducible", {"reproducible": True}),
        ("max_seq_length", {"max_seq_length": 9}),
    ],
)
def test_another_setting_is_refused_by_its_name(folder, model, name, change):
    stop_after(folder, model, 5)
    before = tree(folder)
    arguments = {
        key: change.pop(key) for key in ("similarity_fn_name", "reproducible") if key in change
    }
    other = SentenceTransformer(GOLDEN / change.pop("model", "gelu"), on_long="ignore", **arguments)
    other.max_seq_length = change.pop("max_seq_length", other.max_seq_length)
    if name == "modules":
        other.include_prompt = False
    with pytest.raises(CorpusError, match=rf"made in another way: (.*; )?{name} is .* there and "):
        build(folder, documents(), other, **{**SMALL, **change})
    assert tree(folder) == before


def test_a_value_that_is_cut_in_a_message_is_seen_to_be(folder, model):
    build(folder, documents(), model, **SMALL)
    settings = read_manifest(folder).settings
    with pytest.raises(CorpusError) as error:
        settings.check_same({"prompt": "x" * 300}, folder)
    assert f"'{'x' * 199}… here" in str(error.value)


@pytest.fixture
def other_model(tmp_path):
    """The same model but for one number of its weights."""
    path = copy_of("gelu", tmp_path) / "model.safetensors"
    tensors = load_file(path)
    tensors[min(tensors)] += 1
    save_file(tensors, path)
    return SentenceTransformer(path.parent)


def test_other_weights_are_refused(folder, model, other_model):
    stop_after(folder, model, 5)
    with pytest.raises(CorpusError, match=r"weights_sha256 is .[0-9a-f]{64}. there and "):
        build(folder, documents(), other_model, **SMALL)


def test_another_revision_is_refused(folder, cache):
    snapshot = cache("someone/tiny", GOLDEN / "gelu")
    later = snapshot.with_name("f" * 40)
    shutil.copytree(snapshot, later, symlinks=True)
    build(folder, documents(), SentenceTransformer(snapshot))
    with pytest.raises(
        CorpusError, match=f"revision is '{snapshot.name}' there and '{later.name}' here"
    ):
        build(folder, documents(), SentenceTransformer(later))


def test_a_model_elsewhere_is_the_same_model(folder, tmp_path, model):
    stop_after(folder, model, 5)
    shutil.copytree(GELU, tmp_path / "elsewhere")
    build(folder, documents(), SentenceTransformer(tmp_path / "elsewhere"), **SMALL)
    assert read_manifest(folder).settings.model == GELU


def test_the_last_shard_and_the_end_of_the_input_are_named_at_once(folder, model, monkeypatch):
    # Else a run that is killed between the two could go on with a longer input, whose shards would
    # end elsewhere than those of an unbroken run.
    seen = []

    def watched(folder, manifest):
        seen.append((manifest.documents, manifest.complete))
        write_manifest(folder, manifest)

    monkeypatch.setattr(writing, "write_manifest", watched)
    build(folder, documents(), model, **SMALL)
    add(folder, documents(["x"], "x"), model)
    assert seen == [(0, False), (3, False), (6, False), (7, True), (8, True)]


@pytest.mark.parametrize("count", [5, 7])
def test_another_input_is_refused_at_the_document_that_differs(folder, model, count):
    if count == 7:
        build(folder, documents(), model, **SMALL)
    else:
        stop_after(folder, model, count)
    other = documents()
    other[1] = other[1]._replace(text="other")
    with pytest.raises(CorpusError, match="list, line 2: document 1, 'd1', is not the one"):
        build(folder, other, model, **SMALL)
    renamed = documents()
    renamed[2] = renamed[2]._replace(id="x")
    with pytest.raises(CorpusError, match=r"line 3: document 2, 'x', is not the one .* 'd2'"):
        build(folder, renamed, model, **SMALL)
    with pytest.raises(CorpusError, match="input ends before document 2"):
        build(folder, documents()[:2], model, **SMALL)


def test_a_longer_input_than_the_finished_one_is_refused(folder, model):
    build(folder, documents(), model)
    longer = documents([*TEXTS, "more"])
    with pytest.raises(CorpusError, match=r"line 8: the input goes on after its document 6"):
        build(folder, longer, model)


def test_settings_may_change_while_nothing_was_finished(folder, model):
    stop_after(folder, model, 2)
    manifest, _ = build(folder, documents(), model, precision="float16")
    assert manifest.settings.precision == "float16"
    assert wrong(folder) == []


# Whatever stops a run.


# At random moments; `sh tools/test.sh long` asks for a hundred.
KILLS = int(os.environ.get("MINIBERT_TEST_KILLS", "3"))


def killing(*arguments):
    """What tests/killing.py found. It has a process of its own, for it forks."""
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "killing.py", *map(str, arguments)],
        stdout=subprocess.PIPE, timeout=900 + 30 * KILLS, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="asks Linux which file is synced")
def test_a_kill_at_any_write_sync_or_rename_costs_no_byte():
    found = killing("steps", GELU)
    assert found["kills"] > 150
    assert found["differing"] == []


def test_a_kill_at_any_moment_costs_no_byte():
    assert killing("moments", GELU, KILLS) == {"kills": KILLS, "differing": []}


def documents_in(folder):
    """How many documents the manifest names; none before there is one."""
    return read_manifest(folder).documents if (folder / "manifest.json").exists() else 0


@pytest.mark.usefixtures("heeding_ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_finished_and_says_how_to_go_on(
    folder, tmp_path, model, number, code
):
    lines = [f"the cat {n}\n" for n in range(5)]
    with subprocess.Popen(
        [sys.executable, "-m", "minibert", "index", "build", folder, "-m", GELU, "-"]
        + ["--shard-documents", "2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        running.stdin.writelines(lines)
        running.stdin.flush()  # the fourth line fills a shard, the fifth is waiting
        deadline = time.monotonic() + 120
        while documents_in(folder) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(number)
        out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (code, "")
    assert f"what was finished stays in {folder}" in err
    assert len(Corpus(folder)) == 4
    texts = documents([line.strip() for line in lines])
    texts = [document._replace(id=None) for document in texts]
    assert build(folder, texts, model, shard_documents=2)[1] == 1


class Full(io.FileIO):
    """A file on a disk that has room for some bytes more."""

    room = 0

    def write(self, content):
        if len(content) > Full.room:
            super().write(content[: Full.room])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Full.room -= len(content)
        return super().write(content)


@pytest.mark.parametrize("room", [0, 100, 1000, 2000])
def test_a_full_disk_keeps_earlier_work_and_leaves_nothing_half(folder, model, monkeypatch, room):
    stop_after(folder, model, 5)
    before = tree(folder)
    monkeypatch.setattr(Full, "room", room)
    monkeypatch.setattr(shards, "open", Full, raising=False)
    monkeypatch.setattr(files, "open", Full, raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        build(folder, documents(), model, **SMALL)
    assert tree(folder) == before
    monkeypatch.undo()
    build(folder, documents(), model, **SMALL)
    assert wrong(folder) == []


@pytest.fixture
def disk(tmp_path):
    """A disk of its own: disk(options) mounts it, or again with others."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(options):
        if shutil.which("mount") is None:
            pytest.skip("there is no mount")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this test may not mount a disk: {done.stderr}")
        return path

    yield mount
    while os.path.ismount(path):
        subprocess.run(["umount", "-l", path], check=True)


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


def test_a_disk_that_cannot_be_written_is_code_73_and_earlier_work_stays(
    disk, run, model, tmp_path
):
    folder = disk("size=1m") / "corpus"
    stop_after(folder, model, 5)
    before = tree(folder)
    disk("remount,ro")
    for command in (["build", folder, "-m", GELU], ["build", folder.parent / "new", "-m", GELU]):
        code, out, err = run("index", *command, stdin=b"the cat\n")
        assert (code, out) == (73, "")
        assert f"cannot write to {str(command[1])!r}" in err
    assert run("index", "delete", folder, "d1")[0] == 73
    assert run("index", "info", folder)[0] == 0  # reading needs no lock
    assert tree(folder) == before


def test_a_folder_without_the_right_to_write_is_code_73(run, folder, model, monkeypatch):
    build(folder, documents(), model)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    code, _, err = run("index", "delete", folder, "d1")
    assert code == 73
    assert err == f"minibert: cannot write to {str(folder)!r}: Permission denied.\n"


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


def test_a_folder_of_something_else_is_left_alone(folder, model):
    (folder / "shards").mkdir(parents=True)
    (folder / "shards" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="is no corpus and not empty; it holds 'shards'"):
        build(folder, documents(), model)
    assert tree(folder) == {"shards/mine": b"mine"}


def test_a_second_writer_is_refused_at_once(folder, model, run):
    def meanwhile():
        yield from documents()[:4]
        for call in (
            lambda: build(folder, documents(), model, **SMALL),
            lambda: add(folder, documents(), model),
            lambda: delete(folder, ["d0"]),
        ):
            with pytest.raises(OutputError, match="is being written by another process"):
                call()
        assert run("index", "delete", folder, "d0")[0] == 73
        yield from documents()[4:]

    build(folder, meanwhile(), model, **SMALL)
    assert wrong(folder) == []


def test_a_lock_that_is_a_link_is_not_followed(folder, model, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder.mkdir()
    (folder / "lock").symlink_to(precious)
    with pytest.raises(OutputError, match="cannot write to"):
        build(folder, documents(), model)
    assert precious.read_text() == "mine"


def test_left_overs_are_removed(folder, model):
    build(folder, documents(), model, **SMALL)
    before = tree(folder)
    for name in ("shards/00003", "shards/00004.partial"):
        shutil.copytree(folder / "shards" / "00000", folder / name)
    for name in ("manifest.json.7.partial", "deleted-0123.npy"):
        (folder / name).write_bytes(b"half")
    (folder / "notes.txt").write_text("mine")
    build(folder, documents(), model, **SMALL)
    assert tree(folder) == {**before, "notes.txt": b"mine"}


def test_what_is_not_a_run_s_is_left_alone(folder, model):
    build(folder, documents(), model, **SMALL)
    (folder / "shards" / ".DS_Store").write_text("a file manager's")
    (folder / "shards" / "notes").mkdir()
    before = tree(folder)
    build(folder, documents(), model, **SMALL)
    assert tree(folder) == before
    assert (folder / "shards" / "notes").is_dir()


def test_shards_that_a_link_puts_elsewhere_are_not_written_to(folder, model, tmp_path):
    build(folder, documents(), model, **SMALL)
    elsewhere = tmp_path / "elsewhere"
    (folder / "shards").rename(elsewhere)
    (folder / "shards").symlink_to(elsewhere)
    (elsewhere / "00007").mkdir()
    before = tree(elsewhere)
    for call in (
        lambda: build(folder, documents(), model, **SMALL),
        lambda: add(folder, documents(["more"], "e"), model),
        lambda: delete(folder, ["d1"]),
    ):
        with pytest.raises(OutputError, match="shards' is a link"):
            call()
    assert tree(elsewhere) == before
    assert (elsewhere / "00007").is_dir()
    assert len(Corpus(folder)) == 7


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux for the peak")
def test_memory_does_not_grow_with_the_input(tmp_path):
    def peak(count):  # MB
        program = (
            "import sys; from minibert.commands import cli; cli.main(sys.argv[1:]); "
            "sys.stderr.write(open('/proc/self/status').read())"
        )
        line = b"x" * 9_999 + b"\n"
        folder = tmp_path / str(count)
        done = subprocess.run(
            [sys.executable, "-c", program, "index", "build", folder, "-", "-m", GELU]
            + ["--quiet", "--json"],
            input=line * count, capture_output=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout)["documents"] == count
        # Not getrusage: its figure begins with the memory of the process that started this one.
        return int(re.search(rb"VmHWM:\s*(\d+) kB", done.stderr)[1]) / 1000

    # 20 MB of texts, held as str and as bytes; a shard has a tenth of them. Worst seen: 1 MB.
    assert peak(2_000) - peak(200) < 20


# Adding and deleting.


def test_documents_are_added_with_the_corpus_s_settings(folder, model, tmp_path):
    build(folder, documents(), model, precision="int8", prompt="the ", **SMALL)
    ranges = np.array(read_manifest(folder).ranges)
    old = Corpus(folder)
    manifest, new = add(folder, documents(["cat", "dog"], "e"), model)
    assert (new, [one.documents for one in manifest.inputs]) == (2, [7, 2])
    codes = quantize_embeddings(model.encode(["the cat", "the dog"]), "int8", ranges)
    np.testing.assert_array_equal(Corpus(folder).shards[3].vectors, codes)
    assert Corpus(folder).ids([6, 7, 8]) == ["d6", "e0", "e1"]
    assert len(old) == 7  # what was open stays as it was
    assert wrong(folder) == []


def test_the_same_input_is_not_added_twice(folder, model):
    build(folder, documents(), model, **SMALL)
    more = [document._replace(id=None) for document in documents(["a", "b", "c", "d"])]
    assert add(folder, more, model)[1] == 4
    before = tree(folder)
    assert add(folder, more, model)[1] == 0
    assert tree(folder) == before
    assert add(folder, more[:2], model)[1] == 2  # that is another input
    with pytest.raises(CorpusError, match="the input goes on after its document 1"):
        add(folder, more[:3], model)


def test_adding_nothing_changes_nothing(folder, model):
    build(folder, documents(), model)
    before = tree(folder)
    assert add(folder, [], model)[1] == 0
    assert tree(folder) == before


def test_a_stopped_add_goes_on_and_no_other_comes_between(folder, tmp_path, model):
    more = documents(["a", "b", "c", "d", "e"], "e")
    for name in ("whole", "corpus"):
        build(tmp_path / name, documents(), model, **SMALL)
    add(tmp_path / "whole", more, model)

    def until():
        yield from more[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(folder, until(), model)
    assert len(Corpus(folder)) == 10
    with pytest.raises(CorpusError, match="was stopped while other documents were added"):
        add(folder, documents(["x"], "x"), model)
    with pytest.raises(CorpusError, match="is not finished"):
        delete(folder, ["d1"])
    assert add(folder, more, model)[1] == 2
    assert tree(folder) == tree(tmp_path / "whole")


def test_adding_to_an_unfinished_build_is_refused(folder, model):
    stop_after(folder, model, 5)
    with pytest.raises(CorpusError, match="not finished; repeat its `minibert index build`"):
        add(folder, documents(["x"], "x"), model)


def test_adding_with_another_model_is_refused(folder, model, other_model):
    build(folder, documents(), model)
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        add(folder, documents(["x"], "x"), other_model)
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        Corpus(folder).check_model(other_model)
    Corpus(folder).check_model(SentenceTransformer(GELU))


def test_another_model_is_told_from_another_setting(folder, model, other_model):
    build(folder, documents(), model, model_name="my/tiny")
    with pytest.raises(
        CorpusError, match=r"is of another model, 'my/tiny'. Give that one .* weights_sha"
    ):
        add(folder, documents(["x"], "x"), other_model)
    with pytest.raises(CorpusError, match=r"here\. Repeat what it was made with"):
        build(folder, documents(), model, model_name="my/tiny", pack_tokens=7)


def test_adding_on_another_device_says_how_to_go_on(folder, model):
    build(folder, documents(), model)
    manifest = read_manifest(folder)
    settings = replace(manifest.settings, device="cuda")
    write_manifest(folder, replace(manifest, settings=settings))
    with pytest.raises(CorpusError, match=r"device is 'cuda' there and 'cpu' here.* --device cuda"):
        add(folder, documents(["x"], "x"), model)
    Corpus(folder).check_model(model)  # searching works on any


@pytest.fixture
def project(tmp_path, monkeypatch, run):
    """A folder with a model and a corpus, built from within with a relative path."""
    project = tmp_path / "project"
    shutil.copytree(GELU, project / "models" / "tiny")
    monkeypatch.chdir(project)
    assert run("index", "build", "data/corpus", "-m", "models/tiny", stdin=b"the cat\n")[0] == 0
    assert read_manifest(Path("data/corpus")).settings.model == "models/tiny"
    monkeypatch.chdir(tmp_path)
    return project


def test_a_relative_model_is_found_from_anywhere_and_after_a_move(project, run, tmp_path):
    assert run("search", "project/data/corpus", "who")[0] == 0
    assert run("index", "add", "project/data/corpus", stdin=b"a dog\n")[0] == 0
    project.rename(tmp_path / "moved")
    assert run("search", "moved/data/corpus", "who")[0] == 0
    assert len(Index("moved/data/corpus").search(["who"], 2)[0]) == 2


def test_a_relative_model_is_looked_for_from_here_first(project, run, tmp_path):
    other = SentenceTransformer(project / "models" / "tiny")
    assert place_of_model(project / "data" / "corpus", "models/tiny") == str(other.folder.path)
    shutil.copytree(GELU, tmp_path / "models" / "tiny")
    assert place_of_model(project / "data" / "corpus", "models/tiny") == "models/tiny"


def test_a_model_that_is_gone_is_asked_for_with_the_option(project, run, tmp_path):
    (project / "models").rename(tmp_path / "elsewhere")
    hint = "the model that 'project/data/corpus' was made with; if it lies elsewhere now"
    for command in (["search", "project/data/corpus", "who"], ["index", "add"]):
        code, _, err = run(*command, *(["project/data/corpus"] if len(command) == 2 else []))
        assert (code, hint in err, "--model" in err) == (69, True, True)  # it may be a hub's name
    with pytest.raises(OSError, match=hint):
        Index("project/data/corpus")
    assert run("search", "project/data/corpus", "who", "--model", "elsewhere/tiny")[0] == 0


def test_a_model_of_the_hub_stands_by_its_name(folder, cache):
    snapshot = cache("someone/tiny", GOLDEN / "gelu")
    build(folder, documents(), SentenceTransformer("someone/tiny"))
    settings = read_manifest(folder).settings
    assert (settings.model, settings.revision) == ("someone/tiny", snapshot.name)
    Index(folder)


class Terminal(io.BytesIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("command", [["index", "build", "new", "-m", GELU], ["search", "corpus"]])
def test_a_command_that_waits_for_the_keyboard_says_so(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    build("corpus", documents(), SentenceTransformer(GELU))
    said = "minibert: reading what is typed here, a line each; Ctrl-D ends.\n"
    assert run(*command, stdin=b"the cat\n", stream=Terminal)[2].count(said) == 1
    assert said not in run(*command, stdin=b"the cat\n")[2]


def test_adding_to_no_corpus_is_refused(folder, model):
    with pytest.raises(FileNotFoundError, match="so it is no corpus"):
        add(folder, documents(), model)
    assert not folder.exists()


def test_deleted_documents_keep_their_numbers_and_free_their_ids(folder, model):
    build(folder, documents(), model, **SMALL)
    assert delete(folder, ["d5", "d1", "d5"]) == (2, [])
    corpus = Corpus(folder)
    assert corpus.deleted.tolist() == [1, 5]
    assert (len(corpus), corpus.ids([5]), corpus.numbers(["d1", "d2"])) == (7, ["d5"], {"d2": 2})
    assert delete(folder, ["d1", "d6"]) == (1, ["d1"])
    add(folder, [Document("d1", "new", "list")], model)
    assert Corpus(folder).numbers(["d1"]) == {"d1": 7}
    assert delete(folder, ["d1"]) == (1, [])
    assert Corpus(folder).deleted.tolist() == [1, 5, 6, 7]
    assert len(list(folder.glob("deleted-*.npy"))) == 1
    assert wrong(folder) == []


def test_deleting_an_id_that_was_never_there_deletes_nothing(folder, model):
    build(folder, documents(), model)
    before = tree(folder)
    with pytest.raises(CorpusError, match="no document with the id 'x', nor 1 others of these"):
        delete(folder, ["d1", "x", "y"])
    assert tree(folder) == before


# Bad input.


def test_texts_in_place_of_documents_are_told_how_they_are_made(folder, model):
    for given in ("the cat", ["the cat"], [("1", "the cat")]):
        with pytest.raises(TypeError, match=r"expected a minibert\.documents\.reading\.Document"):
            build(folder, given, model)


def test_an_id_twice_is_refused_with_both_places(folder, model):
    twice = documents()
    twice[2] = twice[2]._replace(id="d0")
    with pytest.raises(CorpusError, match="line 3: the id 'd0' is also that of list, line 1"):
        build(folder, twice, model, **SMALL)
    twice = documents()
    twice[4] = twice[4]._replace(id="d0")
    with pytest.raises(CorpusError, match="line 5: the id 'd0' is also that of document 0 of"):
        build(folder, twice, model, **SMALL)
    assert len(Corpus(folder)) == 3
    build(folder, documents(), model, **SMALL)
    with pytest.raises(CorpusError, match="line 1: the id 'd6' is also that of document 6"):
        add(folder, [Document("d6", "x", "list, line 1")], model)


def test_ids_with_one_hash_are_told_apart(folder, model, monkeypatch):
    monkeypatch.setattr(shards, "hashes_of", lambda ids: np.zeros(len(list(ids)), np.uint64))
    monkeypatch.setattr("minibert.corpus.corpus.hashes_of", shards.hashes_of)
    build(folder, documents(), model, **SMALL)
    assert Corpus(folder).numbers(["d4", "d1", "x"]) == {"d4": 4, "d1": 1}
    with pytest.raises(CorpusError, match="the id 'd6' is also"):
        add(folder, [Document("d6", "x", "list")], model)


def test_half_of_a_surrogate_pair_is_refused_with_its_line(run, folder):
    stdin = b'{"text": "a"}\n{"text": "\\ud800"}\n'
    code, _, err = run("index", "build", folder, "--format", "jsonl", "-m", GELU, stdin=stdin)
    assert code == 65
    assert "standard input, line 2 has a lone surrogate" in err


def test_an_empty_input_is_code_65(run, folder):
    code, out, err = run("index", "build", folder, "-", "-m", GELU, stdin=b"")
    assert (code, out) == (65, "")
    assert "The input holds no document" in err
    assert run("index", "add", folder, "-", "-m", GELU, stdin=b"a\n")[0] == 65  # nothing was built
    assert run("index", "build", folder, "-", "-m", GELU, stdin=b"a\n")[0] == 0


def test_a_malformed_line_is_code_65_and_what_came_before_stays(run, folder, tmp_path):
    path = tmp_path / "a.jsonl"
    good = [json.dumps({"_id": str(n), "text": "a"}) for n in range(4)]
    path.write_text("\n".join([*good, "{"]))
    command = ["index", "build", folder, path, "-m", GELU, "--shard-documents", 2]
    code, out, err = run(*command)
    assert (code, out) == (65, "")
    assert f"{path}, line 5 is not JSON" in err
    assert len(Corpus(folder)) == 2  # whether the second shard is the last was not yet known
    path.write_text("\n".join(good))
    assert run(*command)[0] == 0


def test_a_missing_file_is_code_66_and_makes_no_folder(run, folder):
    code, _, err = run("index", "build", folder, "missing.txt", "-m", GELU)
    assert code == 66
    assert "There is no file 'missing.txt'" in err
    assert not folder.exists()


def test_a_long_text_can_be_an_error(folder, model):
    with pytest.raises(ValueError, match="41 tokens"):
        build(folder, documents(), model, on_long="error")


def test_a_vector_that_is_not_finite_is_not_written(folder, model, monkeypatch):
    vectors = encoding.vectors

    def broken(*arguments):
        found, cut = vectors(*arguments)
        found[1, 2] = np.nan
        return found, cut

    monkeypatch.setattr(encoding, "vectors", broken)
    with pytest.raises(ValueError, match="list, line 2: the vector of 'd1' is not finite"):
        build(folder, documents(), model)
    assert len(Corpus(folder)) == 0


# Damage.


@pytest.fixture
def corpus(folder, model):
    """A folder of three shards, one of two deleted documents in it."""
    build(folder, documents(), model, **SMALL)
    delete(folder, ["d0", "d4"])
    return folder


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
    return b"".join(map(bytes, npy_pieces(array)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"documents": 7', '"documents": 8'), "damaged or edited"),
        (lambda text: text.replace('"cosine"', '"dot"'), "damaged or edited"),
        (lambda text: text[:-9], "is not valid JSON"),
        (lambda text: "[]", r"format is \[\]; this minibert reads 1"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format is 2; this minibert"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(corpus, model, run, change, message):
    path = corpus / "manifest.json"
    path.write_text(change(path.read_text()))
    before = tree(corpus)
    with pytest.raises(CorpusError, match=message):
        Corpus(corpus)
    for call in (
        lambda: build(corpus, documents(), model, **SMALL),
        lambda: add(corpus, documents(), model),
        lambda: delete(corpus, ["d1"]),
    ):
        with pytest.raises(CorpusError, match=message):
            call()
    code, out, err = run("index", "verify", corpus)
    assert code == 65
    assert re.search(message, out)
    assert "1 things are wrong" in err
    assert tree(corpus) == before


def test_a_manifest_with_other_fields_is_refused(corpus):
    content = json.loads((corpus / "manifest.json").read_text())
    del content["sha256"], content["cut"]
    content["sha256"] = sha256((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    (corpus / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(CorpusError, match="other fields than a manifest's: 'cut'"):
        Corpus(corpus)


def header(shape):
    """The beginning of an array's file."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


PICKLED = io.BytesIO()
np.save(PICKLED, np.full((3, 20), None), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "vectors.npy",
            npy(np.zeros((3, 19), np.float32)),
            r"holds \(3, 19\) of float32; expected \(3, 20\)",
        ),
        ("vectors.npy", npy(np.zeros((2, 20), np.float32)), r"holds \(2, 20\)"),
        ("vectors.npy", npy(np.zeros((3, 20), np.float16)), "of float16; expected"),
        ("vectors.npy", b"not an array", "is no array of NumPy's"),
        ("vectors.npy", PICKLED.getvalue(), "is no array of NumPy's"),
        ("vectors.npy", b"PK\3\4 as an archive of arrays begins", "is no array of NumPy's"),
        ("vectors.npy", header((10**30, 20)), "is no array of NumPy's"),
        ("vectors.npy", header((10**12, 20)), "is no array of NumPy's"),
        ("vectors.npy", header((-3, 20)), "is no array of NumPy's"),
    ],
)
def test_vectors_of_another_shape_are_refused_at_the_door(corpus, name, content, message):
    rewritten(corpus, "00001", name, content)
    with pytest.raises(CorpusError, match=message):
        Corpus(corpus)
    [told] = wrong(corpus)
    assert re.search(message, told)


def test_a_file_of_another_size_is_refused_at_the_door(corpus):
    path = corpus / "shards" / "00001" / "ids.utf8"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorpusError, match=r"ids.utf8 is of 5 bytes; shard.json says 6"):
        Corpus(corpus)
    path.unlink()
    with pytest.raises(CorpusError, match=r"ids.utf8 is missing"):
        Corpus(corpus)


def test_a_shard_s_description_that_was_edited_is_refused(corpus):
    path = corpus / "shards" / "00001" / "shard.json"
    path.write_text(path.read_text().replace('"empty": 1', '"empty": 0'))
    with pytest.raises(CorpusError, match="the shards' descriptions are not those"):
        Corpus(corpus)
    assert any("was edited" in told for told in wrong(corpus))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(documents="3"),
        lambda content: content.update(documents=-3),
        lambda content: content.update(documents=True),
        lambda content: content.update(cut=1.0),
        lambda content: content["files"].pop("ids.npy"),
        lambda content: content["files"].pop("texts.npy"),
        lambda content: content["files"].update({"ids.npy": 5}),
        lambda content: content["files"]["ids.npy"].pop("sha256"),
        lambda content: content["files"]["ids.npy"].update(bytes="160"),
    ],
)
def test_a_description_of_another_kind_is_refused(corpus, change):
    path = corpus / "shards" / "00001" / "shard.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=r"00001/shard.json is missing or damaged: "):
        Corpus(corpus)
    assert any("00001/shard.json is missing or damaged: " in told for told in wrong(corpus))


def test_a_description_leads_nowhere_else(corpus):
    path = corpus / "shards" / "00001" / "shard.json"
    path.write_text(path.read_text().replace("ids.utf8", "../../secret"))
    with pytest.raises(CorpusError, match=r"names '../../secret', which no shard has"):
        Corpus(corpus)


@pytest.mark.parametrize("name", ["ids", "texts", "hashes", "documents", "vectors"])
def test_verify_notices_every_flipped_bit(corpus, run, name):
    path = (
        corpus
        / "shards"
        / "00001"
        / (f"{name}.utf8" if name in ("ids", "texts") else f"{name}.npy")
    )
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    Corpus(corpus)  # sizes and shapes are right
    code, out, _ = run("index", "verify", corpus, "--json")
    assert code == 65
    [told] = json.loads(out)["wrong"]
    assert told.startswith(f"{path} was damaged")


def test_numbers_of_deleted_documents_that_were_edited_are_refused_at_the_door(corpus):
    (path,) = corpus.glob("deleted-*.npy")
    content = path.read_bytes()
    six = content[:-8] + npy(np.array([6]))[-8:]
    for other in (six, content[:-1], header((10**12,)), b"PK\3\4"):
        path.write_bytes(other)
        with pytest.raises(CorpusError, match="is missing or damaged"):
            Corpus(corpus)
        [told] = wrong(corpus)
        assert told.startswith(f"{path} is missing or damaged")


def test_verify_tells_each_thing_that_is_wrong(corpus):
    for shard, name in (("00000", "texts.utf8"), ("00002", "ids.utf8"), ("00002", "vectors.npy")):
        path = corpus / "shards" / shard / name
        path.write_bytes(b"z" + path.read_bytes()[1:])
    (corpus / "shards" / "00001" / "hashes.npy").unlink()
    (deleted,) = corpus.glob("deleted-*.npy")
    deleted.unlink()
    told = "\n".join(wrong(corpus))
    for expected in ("00000/texts.utf8 was", "00002/ids.utf8 was", "00002/vectors.npy was"):
        assert expected in told
    assert "00001/hashes.npy cannot be read" in told
    assert f"{deleted} is missing or damaged" in told


def test_verify_notices_what_has_the_right_digests(corpus):
    shard = Corpus(corpus).shards[1]
    vectors = np.array(shard.vectors)
    vectors[2, 5] = np.nan
    rewritten(corpus, "00001", "vectors.npy", npy(vectors))
    rewritten(corpus, "00001", "ids.utf8", b"d3d4d4")
    told = "\n".join(wrong(corpus))
    assert "the vector of document 5 is not finite" in told
    assert "hashes.npy is not of the ids" in told
    assert "documents.npy is not of the ids and texts" in told


def test_verify_notices_an_id_that_two_documents_have(corpus):
    first, second = corpus / "shards" / "00000", corpus / "shards" / "00001"
    for name in ("ids.utf8", "hashes.npy"):
        rewritten(corpus, "00001", name, (first / name).read_bytes())
    # d0 and d4 were deleted: of d0, the second is there.
    told = [line for line in wrong(corpus) if "same id" in line]
    assert len(told) == 1
    assert "documents 2 and 5 have the same id, 'd2'" in told[0]
    assert second.exists()


def test_verify_notices_counts_that_are_no_sums(corpus):
    manifest = read_manifest(corpus)
    write_manifest(corpus, replace(manifest, cut=5, deleted=1))
    told = "\n".join(wrong(corpus))
    assert "The manifest says cut 5; the shards have 1" in told
    assert "holds (2,) of int64; expected (1,)" in told


# The command line.


def test_info_tells_what_a_corpus_is(run, corpus):
    code, out, _ = run("index", "info", corpus, "--json")
    facts = json.loads(out)
    assert code == 0
    expected = {
        "documents": 5, "deleted": 2, "shards": 3, "cut": 1, "empty": 2, "complete": True,
        "dimension": 20, "metric": "cosine", "precision": "float32", "texts": True,
    }  # fmt: skip
    assert facts.items() >= expected.items()
    table = [line.partition(" ") for line in run("index", "info", corpus)[1].splitlines()]
    assert [name for name, _, _ in table] == list(facts)
    assert table[0][2].strip() == "5"


def test_what_can_be_found_is_counted_and_not_what_was_deleted(run, folder):
    assert run("index", "build", folder, "-m", GELU, stdin=b"a\n\n")[1].startswith(
        f"{folder}: 2 documents (2 of them new), 1 of them empty, 20 dim"
    )
    assert run("index", "delete", folder, "0")[0] == 0
    assert run("index", "add", folder, stdin=b"c\nd\n")[1].startswith(
        f"{folder}: 3 documents (2 of them new), 1 deleted, 1 of all 4 empty, 20 dim"
    )
    code, out, _ = run("index", "add", folder, "--json", stdin=b"e\n")
    facts = json.loads(out)
    assert (code, facts["new"], facts["documents"], facts["deleted"]) == (0, 1, 4, 1)
    assert facts["inputs"] == [2, 2, 1]
    assert len(Corpus(folder)) == 5  # numbers, of which one leads to nothing that is found


def test_one_document_is_not_called_documents(run, folder):
    assert "1 document (1 of them new)" in run("index", "build", folder, "-m", GELU, stdin=b"a")[1]


def test_ids_to_delete_may_be_gzipped_with_blank_lines(run, folder, tmp_path):
    run("index", "build", folder, "-m", GELU, stdin=b"a\nb\nc\n")
    path = tmp_path / "ids.gz"
    path.write_bytes(gzip.compress(b"0\n\n2\n0\n"))
    assert run("index", "delete", folder, "--file", path)[1] == f"{folder}: 2 documents deleted\n"
    code, _, err = run("index", "delete", folder, "--file", tmp_path / "ids.jsonl")
    assert code == 65
    assert "holds jsonl by its name" in err


def test_a_damaged_corpus_sends_no_control_character(run, corpus):
    (path,) = corpus.glob("deleted-*.npy")
    path.unlink()
    odd = corpus.parent / "\x1b]0;title\x07"
    corpus.rename(odd)
    for command in ("verify", "info"):
        code, out, err = run("index", command, odd)
        assert code == 65
        assert r"\x1b]0;title\x07" in out + err
        assert not has_controls((out + err).replace("\n", ""))


def test_a_cut_text_is_told_once(run, folder):
    stdin = f"the cat\n{LONG}\n".encode()
    _, _, err = run("index", "build", folder, "-m", GELU, stdin=stdin)
    assert err == "minibert: 1 of 2 texts were longer than 41 tokens and lost their ends.\n"


def test_a_bar_shows_how_many_there_are(run, folder, tmp_path, monkeypatch):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(["the cat"] * 7))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "7/7" in run("index", "build", folder, path, "-m", GELU)[2]
    assert "7/7" in run("index", "build", folder, path, "-m", GELU)[2]  # compared, not encoded


def test_files_may_stand_behind_options_and_a_dash_too(run, folder, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("a\n")
    assert run("index", "build", folder, "-m", GELU, path, "-", stdin=b"b\n")[0] == 0
    assert Corpus(folder).texts([0, 1]) == ["a", "b"]
    assert run("index", "add", folder, "--json", "-", stdin=b"c\n")[0] == 0
    code, out, _ = run("index", "delete", folder, "--json", "0", "2")
    assert (code, json.loads(out)) == (0, {"deleted": 2, "deleted_before": []})
    code, out, err = run("index", "delete", folder, "--file", "-", stdin=b"0\n1\n")
    assert (code, out) == (0, f"{folder}: 1 document deleted\n")
    assert "1 had been deleted before, the first of them '0'" in err


def test_a_commanded_build_names_the_model_as_it_was_given(run, folder):
    code, out, _ = run("index", "build", folder, "--json", "-m", GELU, stdin=b"b\n")
    assert (code, json.loads(out)["model"], json.loads(out)["new"]) == (0, GELU, 1)
    shutil.rmtree(folder)
    code, _, err = run("index", "add", folder, stdin=b"b\n")
    assert code == 66
    assert "so it is no corpus" in err
