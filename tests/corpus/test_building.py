"""Corpora built, added to and deleted from: by which settings, and with the same bytes."""

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from corpora import GELU, LONG, SMALL, TEXTS, documents, stop_after, with_fields, wrong
from golden_files import copy_of
from killing import tree

from minibert import SentenceTransformer, quantize_embeddings
from minibert.corpus.building import add, build, delete
from minibert.corpus.compacting import compact
from minibert.corpus.corpus import Corpus
from minibert.corpus.fields import FLAGS, NUMBERS
from minibert.corpus.filters import matching
from minibert.corpus.manifest import read_manifest
from minibert.corpus.replacing import replace
from minibert.corpus.search import Index
from minibert.corpus.shards import digest_of
from minibert.documents import Document, Fields, read_documents
from minibert.errors import CorpusError


def test_documents_without_ids_are_called_by_their_numbers(corpus_folder, model):
    build(corpus_folder, (document._replace(id=None) for document in documents()), model, **SMALL)
    add(corpus_folder, [Document(None, "one more", "list")], model)
    assert Corpus(corpus_folder).ids(range(8)) == [str(n) for n in range(8)]


def test_the_model_s_prompt_for_documents_goes_before_each(corpus_folder):
    prompts = {"query": "the cat ", "document": "dogs and "}
    model = SentenceTransformer(GELU, prompts=prompts)
    manifest, _ = build(corpus_folder, documents(["cats"]), model)
    expected = model.encode(["dogs and cats"])
    np.testing.assert_array_equal(Corpus(corpus_folder).shards[0].vectors, expected)
    assert manifest.settings.prompt == "dogs and "


def test_a_length_of_documents_counts(tmp_path, corpus_folder, edit):
    path = copy_of("gelu", tmp_path)
    edit(path / "sentence_bert_config.json", document_length=6)
    model = SentenceTransformer(path, on_long="ignore")
    manifest, _ = build(corpus_folder, documents([LONG]), model)
    np.testing.assert_array_equal(
        Corpus(corpus_folder).shards[0].vectors, model.encode_document([LONG])
    )
    assert manifest.settings.max_seq_length == 6


def test_dimension_and_length_can_be_asked_for(corpus_folder, model):
    build(corpus_folder, documents(), model, truncate_dim=5, normalize=True)
    expected = model.encode(TEXTS, truncate_dim=5, normalize_embeddings=True)
    np.testing.assert_allclose(Corpus(corpus_folder).shards[0].vectors, expected, rtol=0, atol=2e-6)


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
def test_the_number_of_threads_changes_no_byte(tmp_path, minilm_folder, on_long):
    # One pack, which threads would share; and windows of one text are one, too.
    texts = ["the cat sat on the dog " * 12] * 3
    for threads in (1, 2):
        model = SentenceTransformer(minilm_folder, threads=threads)
        model.transformer.scheduler.tensor_parallel.min_rank_work = 1
        model.max_seq_length = 40
        build(tmp_path / str(threads), documents(texts), model, on_long=on_long)
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def test_settings_may_change_while_nothing_was_finished(corpus_folder, model):
    stop_after(corpus_folder, model, 2)
    manifest, _ = build(corpus_folder, documents(), model, precision="float16")
    assert manifest.settings.precision == "float16"
    assert wrong(corpus_folder) == []


def test_a_long_text_can_be_an_error(corpus_folder, model):
    with pytest.raises(ValueError, match="41 tokens"):
        build(corpus_folder, documents(), model, on_long="error")


@pytest.mark.slow
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


def test_documents_are_added_with_the_corpus_s_settings(corpus_folder, model, tmp_path):
    build(corpus_folder, documents(), model, precision="int8", prompt="the ", **SMALL)
    ranges = np.array(read_manifest(corpus_folder).ranges)
    old = Corpus(corpus_folder)
    manifest, new = add(corpus_folder, documents(["cat", "dog"], "e"), model)
    assert (new, [one.documents for one in manifest.inputs]) == (2, [7, 2])
    codes = quantize_embeddings(model.encode(["the cat", "the dog"]), "int8", ranges)
    np.testing.assert_array_equal(Corpus(corpus_folder).shards[3].vectors, codes)
    assert Corpus(corpus_folder).ids([6, 7, 8]) == ["d6", "e0", "e1"]
    assert len(old) == 7  # what was open stays as it was
    assert wrong(corpus_folder) == []


def test_the_same_input_is_not_added_twice(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    more = [document._replace(id=None) for document in documents(["a", "b", "c", "d"])]
    assert add(corpus_folder, more, model)[1] == 4
    before = tree(corpus_folder)
    assert add(corpus_folder, more, model)[1] == 0
    assert tree(corpus_folder) == before
    assert add(corpus_folder, more[:2], model)[1] == 2  # that is another input
    with pytest.raises(CorpusError, match="the input goes on after its document 1"):
        add(corpus_folder, more[:3], model)


def test_adding_nothing_changes_nothing(corpus_folder, model):
    build(corpus_folder, documents(), model)
    before = tree(corpus_folder)
    assert add(corpus_folder, [], model)[1] == 0
    assert tree(corpus_folder) == before


def test_a_stopped_add_goes_on_and_no_other_comes_between(corpus_folder, tmp_path, model):
    more = documents(["a", "b", "c", "d", "e"], "e")
    for name in ("whole", "corpus"):
        build(tmp_path / name, documents(), model, **SMALL)
    add(tmp_path / "whole", more, model)

    def until():
        yield from more[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(corpus_folder, until(), model)
    assert len(Corpus(corpus_folder)) == 10
    with pytest.raises(CorpusError, match="was stopped while other documents were added"):
        add(corpus_folder, documents(["x"], "x"), model)
    with pytest.raises(CorpusError, match="is not finished"):
        delete(corpus_folder, ["d1"])
    assert add(corpus_folder, more, model)[1] == 2
    assert tree(corpus_folder) == tree(tmp_path / "whole")


def test_adding_to_an_unfinished_build_is_refused(corpus_folder, model):
    stop_after(corpus_folder, model, 5)
    with pytest.raises(CorpusError, match="not finished; repeat its `minibert index build`"):
        add(corpus_folder, documents(["x"], "x"), model)


def test_adding_to_no_corpus_is_refused(corpus_folder, model):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .* `minibert index build`"):
        add(corpus_folder, documents(), model)
    assert not corpus_folder.exists()


def test_deleted_documents_keep_their_numbers_and_free_their_ids(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    assert delete(corpus_folder, ["d5", "d1", "d5"]) == (2, [])
    corpus = Corpus(corpus_folder)
    assert corpus.deleted.tolist() == [1, 5]
    assert (len(corpus), corpus.ids([5]), corpus.numbers(["d1", "d2"])) == (7, ["d5"], {"d2": 2})
    assert delete(corpus_folder, ["d1", "d6"]) == (1, ["d1"])
    add(corpus_folder, [Document("d1", "new", "list")], model)
    assert Corpus(corpus_folder).numbers(["d1"]) == {"d1": 7}
    assert delete(corpus_folder, ["d1"]) == (1, [])
    assert Corpus(corpus_folder).deleted.tolist() == [1, 5, 6, 7]
    assert len(list(corpus_folder.glob("deleted-*.npy"))) == 1
    assert wrong(corpus_folder) == []


def test_deleting_an_id_that_was_never_there_deletes_nothing(corpus_folder, model):
    build(corpus_folder, documents(), model)
    before = tree(corpus_folder)
    with pytest.raises(
        CorpusError, match="no document with the id 'x'; 2 of these ids are unknown; nothing"
    ):
        delete(corpus_folder, ["d1", "x", "y"])
    assert tree(corpus_folder) == before


def test_fields_come_back_by_the_documents_numbers(corpus_folder, model):
    build(corpus_folder, with_fields()[:9], model, fields=("year", "lang"), **SMALL)
    add(corpus_folder, [Document("x", "a cat", "list", {"year": 1.5})], model)
    add(corpus_folder, [Document("y", "a dog", "list", {})], model)
    corpus = Corpus(corpus_folder)
    expected = [one.fields for one in with_fields()[:9]]
    assert corpus.fields(range(9)) == expected
    assert corpus.fields([8, 9, 2, 10, 8]) == [
        expected[8], {"year": 1.5, "lang": None}, expected[2], {"year": None, "lang": None},
        expected[8],
    ]  # fmt: skip
    assert list(corpus.fields([0])[0]) == ["year", "lang"]
    assert corpus.kinds() == {"year": 2, "lang": 3}
    assert wrong(corpus_folder) == []


def test_a_corpus_without_fields_keeps_its_bytes(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    assert "fields" not in json.loads((corpus_folder / "manifest.json").read_bytes())["settings"]
    assert not list(corpus_folder.glob("shards/*/fields.npy"))
    digest = hashlib.blake2b(b"2:d0the cat sat.", digest_size=16).digest()
    assert Corpus(corpus_folder).shards[0].digests[0].tobytes() == digest
    assert Corpus(corpus_folder).fields([0, 5]) == [{}, {}]
    assert Corpus(corpus_folder).kinds() == {}


def test_a_document_with_another_field_is_another_document(corpus_folder, model):
    changed = with_fields()[:9]
    changed[4] = changed[4]._replace(fields={**changed[4].fields, "year": 1492})
    build(corpus_folder, with_fields()[:9], model, fields=("lang", "year"), **SMALL)
    assert build(corpus_folder, with_fields()[:9], model, fields=("lang", "year"), **SMALL)[1] == 0
    with pytest.raises(CorpusError, match=r"document 4, 'd4', is not .* or its text or a field"):
        build(corpus_folder, changed, model, fields=("lang", "year"), **SMALL)


def test_fields_that_end_as_a_text_begins_are_told_apart():
    known = {digest_of(b"1", b"a", ("b",)), digest_of(b"1", b'a["b"]'), digest_of(b"1", b"a", (1,))}
    known |= {digest_of(b"1", b'a["b"]', ("c",)), digest_of(b"1", b"a", ("1",))}
    assert len(known) == 5


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"lang": "de", "url": "x"}, ValueError, "d has the field 'url', .* it keeps lang, year."),
        ({"year": "1990"}, ValueError, "d: the field 'year' is '1990', and has numbers in"),
        ({"lang": ["de"]}, ValueError, r"d: lang is \['de'\]; expected a text"),
        ({"lang": np.array([5])}, ValueError, r"d: lang is .*5.*; expected .* it is an ndarray"),
        ({"lang": "\udc80"}, ValueError, "d: lang is .* lone surrogate"),
        ({"year": float("inf")}, ValueError, "d: year is inf; expected a finite number"),
    ],
)
def test_a_field_that_cannot_be_kept_is_refused(corpus_folder, model, fields, error, message):
    build(corpus_folder, with_fields()[:9], model, fields=("lang", "year"))
    before = tree(corpus_folder)
    with pytest.raises(error, match=message):
        add(corpus_folder, [Document("x", "a cat", "d", fields)], model)
    assert tree(corpus_folder) == before


def test_a_field_that_is_not_asked_for_is_not_dropped(corpus_folder, model):
    with pytest.raises(ValueError, match=r"'lang', which the corpus .* keeps none. Name it in fi"):
        build(corpus_folder, with_fields()[:9], model)


@pytest.mark.parametrize("fields", ["lang", ["lang", "lang"], [""], [5]])
def test_names_of_fields_that_cannot_be_meant_are_refused(corpus_folder, model, fields):
    with pytest.raises((TypeError, ValueError), match=r"fields (is one text|has)"):
        build(corpus_folder, documents(), model, fields=fields)


YEARS = Fields(kept=("year", "ok"), numbers=("year",), flags=("ok",))


def table(path, *rows):
    """A csv of documents with a year, and whether they are ok."""
    path.write_text("id,text,year,ok\n" + "".join(f"{row}\n" for row in rows))
    return [path]


def test_documents_read_without_the_corpus_s_fields_are_refused(corpus_folder, model, tmp_path):
    """Their values would be lost in silence."""
    file = table(tmp_path / "a.csv", "1,a cat,2001,true")
    message = r"a.csv, line 2 was read without fields, and the corpus keeps year, ok: its values w"
    with pytest.raises(ValueError, match=message):
        build(corpus_folder, read_documents(file), model, fields=("year", "ok"))
    build(corpus_folder, read_documents(file, fields=("year", "ok")), model, fields=("year", "ok"))
    before = tree(corpus_folder)
    for call in (add, replace):
        with pytest.raises(ValueError, match=message):
            call(corpus_folder, read_documents(file), model)
        with pytest.raises(ValueError, match=r"document \d, '1' was read without"):
            call(corpus_folder, [Document("1", "x")], model)
    assert tree(corpus_folder) == before
    replace(corpus_folder, [Document("1", "x", fields={})], model)  # asks for no values
    assert Corpus(corpus_folder).fields([1]) == [{"year": None, "ok": None}]


def test_a_declared_kind_stays_while_there_is_no_value(corpus_folder, model, tmp_path):
    empty = table(tmp_path / "a.csv", "1,a cat,,")
    build(corpus_folder, read_documents(empty, fields=YEARS), model, fields=YEARS)
    assert Corpus(corpus_folder).kinds() == {"year": NUMBERS, "ok": FLAGS}
    assert Corpus(corpus_folder).record_fields() == YEARS
    with pytest.raises(ValueError, match="'year' is '900', and has numbers in the corpus"):
        add(corpus_folder, read_documents(table(tmp_path / "b.csv", "2,x,900,"),
                                          fields=YEARS.kept), model)  # fmt: skip
    delete(corpus_folder, ["1"])
    compact(corpus_folder)
    further = table(tmp_path / "b.csv", "2,a dog,900,True", "3,cats,2001, false ", "4,x,,")
    fields = Corpus(corpus_folder).record_fields()
    add(corpus_folder, read_documents(further, fields=fields), model)
    assert Corpus(corpus_folder).fields([0, 1, 2]) == [
        {"year": 900, "ok": True}, {"year": 2001, "ok": False}, {"year": None, "ok": None}
    ]  # fmt: skip
    assert matching(Corpus(corpus_folder), {"year": {">=": 2000}}).tolist() == [1]


def test_a_corpus_without_declared_kinds_is_as_before(corpus_folder, model):
    """One of an earlier version, which kept no kinds, goes on with declared ones."""
    given = [Document("1", "a cat", fields={"year": 5}), Document("2", "x", fields={"year": None})]
    build(corpus_folder, given, model, fields=("year",))
    settings = json.loads((corpus_folder / "manifest.json").read_bytes())["settings"]
    assert list(settings)[-1] == "fields"
    before = tree(corpus_folder)
    declared = Fields(kept=("year",), numbers=("year",))
    assert build(corpus_folder, given, model, fields=declared)[1] == 0
    assert tree(corpus_folder) == before


def test_another_declared_kind_is_another_setting(corpus_folder, model):
    given = [Document("1", "a cat", fields={"year": None, "ok": None})]
    build(corpus_folder, given, model, fields=YEARS)
    with pytest.raises(CorpusError, match=r"flag_fields is \('ok',\) there and \(\) here"):
        build(corpus_folder, given, model, fields=YEARS._replace(flags=()))


@pytest.mark.parametrize(
    ("values", "are_told"),
    [
        (["900", " 2003 ", "", None], True),
        (["1.5", "-2"], True),
        (["900", "about 1000"], False),
        (["007", "012"], False),  # codes
        (["", None], False),
        ([900, 2003], False),
    ],
)
def test_texts_that_are_all_numbers_are_told_of(corpus_folder, model, caplog, values, are_told):
    given = [Document(str(n), "x", fields={"y": value}) for n, value in enumerate(values)]
    build(corpus_folder, given, model, fields=("y",))
    told = [text for text in caplog.messages if "All values of 'y' are numbers, but texts" in text]
    assert len(told) == are_told
    assert all("`--fields y:number`" in text for text in told)


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        (Document("", "x", "df"), ValueError, "^df: the id is ''; expected a text that is not emp"),
        (Document(1, "x"), TypeError, "^document 0, 1: the id is 1; expected a text, as '1', or N"),
        (Document("a", None), TypeError, "^document 0, 'a': the text is None; expected a str"),
        (Document("a", "x", "", 5), TypeError, "fields is 5; expected a dict of names and values"),
        (Document("a", "\udc80"), ValueError, "^document 0, 'a' has a lone surrogate"),
    ],
)
def test_parts_of_a_document_of_another_type_are_named(
    corpus_folder, model, document, error, message
):
    with pytest.raises(error, match=message):
        build(corpus_folder, [document], model)


def test_arguments_of_another_type_are_named(corpus_folder, model):
    named = (
        r"model is a str; expected a SentenceTransformer, as SentenceTransformer\('all-MiniLM'\)"
    )
    for call in (build, add, replace):
        with pytest.raises(TypeError, match=named):
            call(corpus_folder, documents(), "all-MiniLM")
        with pytest.raises(TypeError, match="folder is a list; expected the path of the corpus"):
            call(documents(), str(corpus_folder), model)
    assert not corpus_folder.exists()
    build(corpus_folder, documents(), model)
    with pytest.raises(TypeError, match=named):
        Index(corpus_folder, "all-MiniLM")
    corpus = Corpus(corpus_folder)
    for read in (corpus.fields, corpus.ids, corpus.texts):
        with pytest.raises(TypeError, match=r"numbers is 0; expected a list of them, as \[0, 7\]"):
            read(0)
