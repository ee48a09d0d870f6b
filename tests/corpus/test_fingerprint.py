"""Which model a corpus is of, and when that model's files are read."""

import json
import os
import shutil
import sys
import time
from types import SimpleNamespace

import pytest
from corpora import GELU, SMALL, documents, stop_after
from golden_files import GOLDEN, copy_of
from safetensors.numpy import load_file, save

from minibert import SentenceTransformer
from minibert.checkpoint.save import loaded_files
from minibert.corpus.building import add, build
from minibert.corpus.corpus import Corpus
from minibert.corpus.fingerprint import DIGESTS, TICK, state_of
from minibert.corpus.manifest import json_bytes, read_manifest, sha256_of
from minibert.corpus.search import Index
from minibert.errors import CorpusError


def test_other_weights_are_refused(corpus_folder, model, changed_model):
    stop_after(corpus_folder, model, 5)
    with pytest.raises(CorpusError, match=r"weights_sha256 is .[0-9a-f]{64}. there and "):
        build(corpus_folder, documents(), changed_model, **SMALL)


def test_another_revision_is_refused(corpus_folder, cache):
    snapshot = cache("someone/tiny", GOLDEN / "gelu")
    later = snapshot.with_name("f" * 40)
    shutil.copytree(snapshot, later, symlinks=True)
    build(corpus_folder, documents(), SentenceTransformer(snapshot))
    with pytest.raises(
        CorpusError, match=f"revision is '{snapshot.name}' there and '{later.name}' here"
    ):
        build(corpus_folder, documents(), SentenceTransformer(later))


def test_a_model_elsewhere_is_the_same_model(corpus_folder, tmp_path, model):
    stop_after(corpus_folder, model, 5)
    shutil.copytree(GELU, tmp_path / "elsewhere")
    build(corpus_folder, documents(), SentenceTransformer(tmp_path / "elsewhere"), **SMALL)
    assert read_manifest(corpus_folder).settings.model == GELU


def test_adding_with_another_model_is_refused(corpus_folder, model, changed_model):
    build(corpus_folder, documents(), model)
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        add(corpus_folder, documents(["x"], "x"), changed_model)
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        Corpus(corpus_folder).check_model(changed_model)
    Corpus(corpus_folder).check_model(SentenceTransformer(GELU))


# When the files are read.


@pytest.fixture
def own(tmp_path):
    """A model whose files a test may change."""
    return SentenceTransformer(copy_of("gelu", tmp_path), on_long="ignore")


def weights_of(model):
    [path] = model.checkpoint.files
    return path


def forge(folder, **changes):
    """Change every entry of a cache, and sign it as minibert does."""
    path = folder / DIGESTS
    content = json.loads(path.read_bytes())
    del content["sha256"]
    for entry in content["models"]:
        entry.update(changes)
    path.write_bytes(json_bytes({**content, "sha256": sha256_of(content)}))


FALSE = {"weights_sha256": "0" * 64}  # seen in a message if and only if it was believed
LATER = {"read": 1 << 62}  # than any file was changed


def is_believed(folder, model):
    """Whether the cache is believed; if not, all files are read again, and it is mended."""
    try:
        Corpus(folder).check_model(model)
    except CorpusError as error:
        if "0" * 64 not in str(error):
            raise
        return True
    return False


@pytest.fixture
def forged(corpus_folder, own):
    """A corpus of `own`, whose cache says another digest of the weights than they have."""
    build(corpus_folder, documents(), own)
    forge(corpus_folder, **FALSE, **LATER)
    return corpus_folder


def test_files_that_did_not_change_are_not_read_again(forged, own):
    assert is_believed(forged, own)
    for call in (
        lambda: Index(forged, own),
        lambda: Index(forged),
        lambda: build(forged, documents(), own),
        lambda: add(forged, documents(["x"], "x"), own),
    ):
        with pytest.raises(CorpusError, match=r"weights_sha256 is .* and '0{64}' here"):
            call()


class File(SimpleNamespace):
    """A file of which only what the system says of it is known."""

    def stat(self):
        return self

    def absolute(self):
        return self.path


STATE = {
    "path": "/a/model.safetensors",
    "st_dev": 1,
    "st_ino": 2,
    "st_size": 3,
    "st_mtime_ns": 4,
    "st_ctime_ns": 5,
}


@pytest.mark.parametrize("name", STATE)
def test_everything_that_tells_a_change_is_of_the_state(name):
    other = {**STATE, name: "/b/model.safetensors" if name == "path" else 6}
    assert state_of([File(**STATE)])[0] == state_of([File(**STATE)])[0]
    assert state_of([File(**STATE)])[0] != state_of([File(**other)])[0]
    assert state_of([File(**STATE), File(**other)])[0] != state_of([File(**STATE)])[0]


def test_files_are_read_again_when_a_time_changed(forged, own):
    os.utime(weights_of(own), (1e9, 1e9))
    assert not is_believed(forged, own)


def test_files_are_read_again_when_another_took_a_place(forged, own):
    path = weights_of(own)
    times = path.stat()
    shutil.copy(path, path.with_name("copy"))
    os.utime(path.with_name("copy"), ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(path.with_name("copy"), path)
    assert path.stat().st_mtime_ns == times.st_mtime_ns
    assert not is_believed(forged, own)


def test_files_are_read_again_when_a_size_changed(forged, own):
    path = own.folder.path / "tokenizer_config.json"
    times = path.stat()
    path.write_text(path.read_text() + "\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(CorpusError) as error:
        Corpus(forged).check_model(own)
    assert "files_sha256" in str(error.value)
    assert "weights_sha256" not in str(error.value)


@pytest.mark.skipif(sys.platform == "win32", reason="ctime is there the time of creation")
def test_weights_changed_in_place_under_their_old_time_are_seen(corpus_folder, own):
    build(corpus_folder, documents(), own)
    forge(corpus_folder, **LATER)
    path = weights_of(own)
    times, tensors = path.stat(), load_file(path)
    tensors[min(tensors)] = tensors[min(tensors)] + 1
    with open(path, "r+b") as file:
        file.write(save(tensors))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size) == (times.st_ino, times.st_size)
    assert after.st_mtime_ns == times.st_mtime_ns
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        Corpus(corpus_folder).check_model(own)


@pytest.mark.parametrize("which", ["mtime", "ctime"])
@pytest.mark.parametrize(("more", "believed"), [(0, False), (1, True)])
def test_digests_of_files_just_changed_are_not_believed(corpus_folder, own, which, more, believed):
    now = time.time_ns() + (3_600_000_000_000 if which == "mtime" else -3_600_000_000_000)
    files = [*own.checkpoint.files, *(own.folder.path / name for name in loaded_files(own.folder))]
    for file in files:
        os.utime(file, ns=(now, now))
    build(corpus_folder, documents(), own)
    changed = max(getattr(file.stat(), f"st_{which}_ns") for file in files)
    forge(corpus_folder, **FALSE, read=changed + TICK + more)
    assert is_believed(corpus_folder, own) == believed


def test_the_time_of_reading_is_before_the_first_byte(corpus_folder, own, monkeypatch):
    begun, kind = [], type(own.checkpoint)
    digest = kind.sha256
    monkeypatch.setattr(kind, "sha256", lambda self: begun.append(time.time_ns()) or digest(self))
    before = time.time_ns()
    build(corpus_folder, documents(), own)
    [entry] = json.loads((corpus_folder / DIGESTS).read_bytes())["models"]
    assert before <= entry["read"] <= begun[0]


def test_a_model_in_another_place_is_read_there(forged, own, tmp_path):
    shutil.copytree(own.folder.path, tmp_path / "elsewhere")
    elsewhere = SentenceTransformer(tmp_path / "elsewhere")
    assert not is_believed(forged, elsewhere)
    os.rename(own.folder.path, tmp_path / "moved")
    assert not is_believed(forged, SentenceTransformer(tmp_path / "moved"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"format": 1, "models": [], "sha256": "0"}',
        lambda content: content.replace(b'"format": 1', b'"format": 2'),
        lambda content: content.replace(b"0" * 64, b"1" * 64),
        lambda content: content[:-20],
    ],
)
def test_a_cache_that_is_damaged_is_not_believed(forged, own, content):
    path = forged / DIGESTS
    path.write_bytes(content(path.read_bytes()) if callable(content) else content)
    Corpus(forged).check_model(own)
    told = json.loads(path.read_bytes())  # mended
    assert [one["weights_sha256"] for one in told["models"]] == [own.checkpoint.sha256()]


@pytest.mark.parametrize(
    "change", [{"read": "1"}, {"read": True}, {"more": 1}, {"files_sha256": 1}]
)
def test_a_signed_cache_of_another_form_is_not_believed(forged, own, change):
    forge(forged, **change)
    assert not is_believed(forged, own)


def test_a_cache_of_another_format_is_not_believed(forged, own):
    content = json.loads((forged / DIGESTS).read_bytes())
    del content["sha256"]
    content["format"] = 2
    (forged / DIGESTS).write_bytes(json_bytes({**content, "sha256": sha256_of(content)}))
    assert not is_believed(forged, own)


def test_two_models_of_a_corpus_keep_their_digests(corpus_folder, own, tmp_path):
    shutil.copytree(own.folder.path, tmp_path / "elsewhere")
    elsewhere = SentenceTransformer(tmp_path / "elsewhere")
    build(corpus_folder, documents(), own)
    Corpus(corpus_folder).check_model(elsewhere)
    forge(corpus_folder, **FALSE, **LATER)
    assert is_believed(corpus_folder, own)
    assert is_believed(corpus_folder, elsewhere)


def test_the_oldest_of_many_states_are_forgotten(corpus_folder, own):
    build(corpus_folder, documents(), own)
    states = []
    for second in range(10):
        os.utime(weights_of(own), (second, second))
        Corpus(corpus_folder).check_model(own)
        models = json.loads((corpus_folder / DIGESTS).read_bytes())["models"]
        states.append(models[-1]["state"])
    assert [one["state"] for one in models] == states[-8:]


def test_a_model_that_is_refused_is_not_kept(corpus_folder, model, changed_model):
    build(corpus_folder, documents(), model)
    before = (corpus_folder / DIGESTS).read_bytes()
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        Index(corpus_folder, changed_model)
    assert (corpus_folder / DIGESTS).read_bytes() == before


def test_a_cache_tells_no_path(corpus_folder, own):
    build(corpus_folder, documents(), own)
    assert str(own.folder.path).encode() not in (corpus_folder / DIGESTS).read_bytes()


def test_a_corpus_is_searched_where_no_cache_can_be_written(corpus_folder, own):
    build(corpus_folder, documents(), own)
    (corpus_folder / DIGESTS).unlink()
    (corpus_folder / DIGESTS).mkdir()  # root may write to every folder, but not to this
    assert len(Index(corpus_folder, own).search("the cat", 2)) == 2
    assert add(corpus_folder, documents(["x"], "x"), own)[1] == 1
    assert [path.name for path in corpus_folder.iterdir() if path.suffix == ".partial"] == []


def test_a_corpus_on_a_disk_that_is_read_only_is_searched(disk, own):
    folder = disk("size=1m") / "corpus"
    build(folder, documents(), own)
    (folder / DIGESTS).unlink()
    disk("remount,ro")
    assert len(Index(folder, own).search("the cat", 2)) == 2
    assert not (folder / DIGESTS).exists()
