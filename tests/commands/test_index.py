"""The commands `minibert index ...`, and what they say."""

import errno
import gzip
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
from corpora import GELU, LONG, TEXTS, documents

from minibert import SentenceTransformer
from minibert.common.escapes import has_controls
from minibert.corpus.building import build
from minibert.corpus.corpus import Corpus
from minibert.documents import Document


def test_a_finished_build_says_so_and_touches_nothing(corpus_folder, run, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS))
    command = ["index", "build", corpus_folder, path, "-m", GELU, "--shard-documents", 3, "--quiet"]
    assert run(*command)[:2] == (
        0,
        f"{corpus_folder}: 7 documents (7 of them new), 2 of them empty, "
        "20 dimensions of float32\n",
    )  # fmt: skip
    before = {file: file.stat().st_mtime_ns for file in corpus_folder.rglob("*")}
    code, out, _ = run(*command)
    assert (code, "complete before, nothing was changed" in out) == (0, True)
    assert {file: file.stat().st_mtime_ns for file in corpus_folder.rglob("*")} == before


class Terminal(io.BytesIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("command", [["index", "build", "new", "-m", GELU], ["search", "corpus"]])
def test_a_command_that_waits_for_the_keyboard_says_so(run, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    build("corpus", documents(), SentenceTransformer(GELU))
    said = "minibert: reading what you type, line by line; Ctrl-D ends.\n"
    assert run(*command, stdin=b"the cat\n", stream=Terminal)[2].count(said) == 1
    assert said not in run(*command, stdin=b"the cat\n")[2]


def test_an_empty_input_is_code_65(run, corpus_folder):
    code, out, err = run("index", "build", corpus_folder, "-", "-m", GELU, stdin=b"")
    assert (code, out) == (65, "")
    assert "The input holds no document" in err
    assert (
        run("index", "add", corpus_folder, "-", "-m", GELU, stdin=b"a\n")[0] == 65
    )  # nothing was built
    assert run("index", "build", corpus_folder, "-", "-m", GELU, stdin=b"a\n")[0] == 0


def test_a_missing_file_is_code_66_and_makes_no_folder(run, corpus_folder):
    code, _, err = run("index", "build", corpus_folder, "missing.txt", "-m", GELU)
    assert code == 66
    assert "There is no file 'missing.txt'" in err
    assert not corpus_folder.exists()


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


def test_what_can_be_found_is_counted_and_not_what_was_deleted(run, corpus_folder):
    assert run("index", "build", corpus_folder, "-m", GELU, stdin=b"a\n\n")[1].startswith(
        f"{corpus_folder}: 2 documents (2 of them new), 1 of them empty, 20 dim"
    )
    assert run("index", "delete", corpus_folder, "0")[0] == 0
    assert run("index", "add", corpus_folder, stdin=b"c\nd\n")[1].startswith(
        f"{corpus_folder}: 3 documents (2 of them new), 1 deleted, 1 of all 4 empty, 20 dim"
    )
    code, out, _ = run("index", "add", corpus_folder, "--json", stdin=b"e\n")
    facts = json.loads(out)
    assert (code, facts["new"], facts["documents"], facts["deleted"]) == (0, 1, 4, 1)
    assert facts["inputs"] == [2, 2, 1]
    assert len(Corpus(corpus_folder)) == 5  # numbers, of which one leads to nothing that is found


def test_one_document_is_not_called_documents(run, corpus_folder):
    assert (
        "1 document (1 of them new)"
        in run("index", "build", corpus_folder, "-m", GELU, stdin=b"a")[1]
    )


def test_ids_to_delete_may_be_gzipped_with_blank_lines(run, corpus_folder, tmp_path):
    run("index", "build", corpus_folder, "-m", GELU, stdin=b"a\nb\nc\n")
    path = tmp_path / "ids.gz"
    path.write_bytes(gzip.compress(b"0\n\n2\n0\n"))
    assert (
        run("index", "delete", corpus_folder, "--file", path)[1]
        == f"{corpus_folder}: 2 documents deleted\n"
    )
    code, _, err = run("index", "delete", corpus_folder, "--file", tmp_path / "ids.jsonl")
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


def test_a_truncated_text_is_told_once(run, corpus_folder):
    stdin = f"the cat\n{LONG}\n".encode()
    _, _, err = run("index", "build", corpus_folder, "-m", GELU, stdin=stdin)
    assert err == "minibert: 1 of 2 texts were longer than 41 tokens and lost their ends.\n"


def test_a_bar_shows_how_many_there_are(run, corpus_folder, tmp_path, monkeypatch):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(["the cat"] * 7))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "7/7" in run("index", "build", corpus_folder, path, "-m", GELU)[2]
    assert (
        "7/7" in run("index", "build", corpus_folder, path, "-m", GELU)[2]
    )  # compared, not encoded


def test_files_may_stand_behind_options_and_a_dash_too(run, corpus_folder, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("a\n")
    assert run("index", "build", corpus_folder, "-m", GELU, path, "-", stdin=b"b\n")[0] == 0
    assert Corpus(corpus_folder).texts([0, 1]) == ["a", "b"]
    assert run("index", "add", corpus_folder, "--json", "-", stdin=b"c\n")[0] == 0
    code, out, _ = run("index", "delete", corpus_folder, "--json", "0", "2")
    assert (code, json.loads(out)) == (0, {"deleted": 2, "deleted_before": []})
    code, out, err = run("index", "delete", corpus_folder, "--file", "-", stdin=b"0\n1\n")
    assert (code, out) == (0, f"{corpus_folder}: 1 document deleted\n")
    assert "1 document had been deleted before; the first is '0'" in err


def test_a_commanded_build_names_the_model_as_it_was_given(run, corpus_folder):
    code, out, _ = run("index", "build", corpus_folder, "--json", "-m", GELU, stdin=b"b\n")
    assert (code, json.loads(out)["model"], json.loads(out)["new"]) == (0, GELU, 1)
    shutil.rmtree(corpus_folder)
    code, _, err = run("index", "add", corpus_folder, stdin=b"b\n")
    assert code == 66
    assert f"There is no folder {str(corpus_folder)!r}. `minibert index build`" in err


def test_fields_are_kept_and_added_ones_are_read_alike(corpus_folder, run, tmp_path):
    """Numbers of a csv are named once, when the corpus is built."""
    table, more, lines = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.jsonl"
    table.write_text("id,text,lang,year,code\n1,the cat,de,1990,07\n2,a dog,fr,,x\n")
    more.write_text("year,code,lang,id,text\n2001.5,8,en,3,the house\n")
    lines.write_text('{"id": "4", "text": "cats", "year": "1995"}\n')
    fields = ["--fields", "year:number,lang,code"]
    assert run("index", "build", corpus_folder, table, "-m", GELU, *fields)[0] == 0
    assert run("index", "add", corpus_folder, more)[0] == 0
    code, _, err = run("index", "add", corpus_folder, lines)
    told = f"minibert: {lines}: no document has the fields 'lang', 'code', so they are null in all."
    assert (code, err.splitlines()) == (0, [told])
    assert Corpus(corpus_folder).fields(range(4)) == [
        {"year": 1990, "lang": "de", "code": "07"},
        {"year": None, "lang": "fr", "code": "x"},
        {"year": 2001.5, "lang": "en", "code": "8"},
        {"year": 1995, "lang": None, "code": None},
    ]
    told = run("index", "info", corpus_folder)[1].splitlines()
    assert ["fields", "year, lang, code"] in [line.split(maxsplit=1) for line in told]
    assert run("index", "verify", corpus_folder)[0] == 0


@pytest.mark.parametrize("fields", [[""], ["a,"], ["a,a"], [":number"], ["a,a:number"], ["a", "a"]])
def test_names_of_fields_that_cannot_be_meant_are_code_2(corpus_folder, run, fields):
    given = [part for one in fields for part in ("--fields", one)]
    code, _, err = run("index", "build", corpus_folder, "-", "-m", GELU, *given)
    assert code == 2
    assert f"--fields {','.join(fields)!r} has an empty name, or one twice." in err


def test_fields_may_be_named_by_several_options_and_with_blanks(corpus_folder, run, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("text,lang,dc:date,year\nthe cat,de,May,900\n")
    given = ["--fields", "lang, year:number", "--fields", "dc:date"]
    assert run("index", "build", corpus_folder, table, "-m", GELU, *given)[0] == 0
    assert Corpus(corpus_folder).fields([0]) == [{"lang": "de", "year": 900, "dc:date": "May"}]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (
            "year:integer",
            "'year:integer' ends in a kind of values that is not known; expected NAME",
        ),
        ("a=b", "'a=b' has an operator of `minibert search --where` in its name"),
        ("a!", "'a!' has an operator of `minibert search --where` in its name"),
        ("a>b:number", "'a>b' has an operator of `minibert search --where` in its name"),
    ],
)
def test_a_field_that_no_search_could_use_is_code_2(corpus_folder, run, field, told):
    code, _, err = run("index", "build", corpus_folder, "-", "-m", GELU, f"--fields={field}")
    assert code == 2
    assert f"argument --fields: {told}" in err
    assert not corpus_folder.exists()


def test_a_build_that_cannot_read_its_input_makes_no_folder(corpus_folder, run, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("text,lang\nthe cat,de\n")
    code, _, err = run("index", "build", corpus_folder, table, "-m", GELU, "--fields", "lnag")
    assert (code, "has no field 'lnag'; it has text, lang" in err) == (65, True)
    with pytest.raises(ValueError, match="has the field 'lang', which the corpus does not keep"):
        build(corpus_folder, [Document("1", "a", "a", {"lang": "de"})], SentenceTransformer(GELU))
    assert not corpus_folder.exists()


def jsonl(**texts):
    """Documents by their ids, as the lines of a file."""
    lines = (json.dumps({"_id": id, "text": text}) for id, text in texts.items())
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_commanded_replacement_says_what_has_changed(run, corpus_folder, tmp_path):
    form = ["--format", "jsonl"]
    first = jsonl(a="the cat", b="a dog", c="London")
    assert run("index", "build", corpus_folder, *form, "-m", GELU, stdin=first)[0] == 0
    given = jsonl(b="two dogs", c="London", d=LONG)
    code, out, err = run("index", "replace", corpus_folder, *form, stdin=given)
    assert (code, out) == (
        0,
        f"{corpus_folder}: 4 documents (1 of them replaced, 1 added, 1 given as they were)\n",
    )
    assert err == "minibert: 1 of 5 texts were longer than 41 tokens and lost their ends.\n"
    code, out, _ = run("index", "replace", corpus_folder, "--json", *form, stdin=given)
    facts = json.loads(out)
    expected = {"replaced": 0, "added": 0, "unchanged": 3, "documents": 4, "deleted": 1}
    assert (code, facts) == (0, facts | expected)
    code, _, err = run("index", "replace", corpus_folder, stdin=b"a line\n")
    assert code == 65
    assert "standard input is read as text, whose lines have no ids" in err
    assert "say so, as by --format jsonl" in err
    (tmp_path / "a.txt").write_text("a line\n")
    code, _, err = run("index", "replace", corpus_folder, tmp_path / "a.txt")
    assert (code, f"minibert: {tmp_path / 'a.txt'} is read as text, whose" in err) == (65, True)
    code, _, err = run("index", "replace", corpus_folder, *form, stdin=b'{"text": "a line"}\n')
    assert (code, "line 1 has no id, by which the document that it" in err) == (65, True)


def test_a_commanded_compaction_says_what_was_removed(run, corpus):
    code, out, _ = run("index", "compact", corpus)
    assert (code, out) == (0, f"{corpus}: 2 documents removed, 5 documents left in 2 shards\n")
    code, out, _ = run("index", "compact", corpus, "--json")
    facts = json.loads(out)
    expected = {"removed_now": 0, "removed": 2, "documents": 5, "deleted": 0}
    assert (code, facts) == (0, facts | expected)
    code, out, _ = run("index", "info", corpus, "--json")
    facts = json.loads(out)
    assert (facts["removed"], facts["documents"], facts["inputs"]) == (2, 5, [7])
    assert run("index", "verify", corpus)[0] == 0
    code, _, err = run("index", "compact", corpus.parent)
    assert (code, "so it is no corpus" in err) == (66, True)


def test_a_compaction_that_is_stopped_says_how_to_go_on(run, corpus, monkeypatch):
    def stopped(folder, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("minibert.corpus.compacting.compact", stopped)
    code, out, err = run("index", "compact", corpus)
    assert (code, out) == (74, "")
    assert err == (
        f"minibert: stopped; {corpus} is whole, and the same command goes on from there\n"
        "minibert: No space left on device\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_low_limit_of_open_files_stops_no_command(corpus_folder, model):
    build(corpus_folder, documents(TEXTS * 4), model, shard_documents=1)
    command = [sys.executable, "-m", "minibert", "index", "verify", str(corpus_folder)]
    limited = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh", *command]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_table_added_is_read_as_the_corpus_s_fields_are(corpus_folder, run, tmp_path):
    """True and false of JSON Lines, and numbers that no document had before."""
    first, more = tmp_path / "a.jsonl", tmp_path / "b.csv"
    first.write_text('{"_id": "1", "text": "the cat", "ok": true, "year": null}\n')
    more.write_text("id,text,ok,year\n2,a dog,false,900\n3,cats,,2001\n")
    fields = ["--fields", "ok,year:number"]
    assert run("index", "build", corpus_folder, first, "-m", GELU, *fields)[0] == 0
    assert run("index", "add", corpus_folder, more)[0] == 0
    assert Corpus(corpus_folder).fields(range(3)) == [
        {"ok": True, "year": None}, {"ok": False, "year": 900}, {"ok": None, "year": 2001}
    ]  # fmt: skip
    told = run("index", "info", corpus_folder)[1].splitlines()
    assert ["number_fields", "year"] in [line.split(maxsplit=1) for line in told]
