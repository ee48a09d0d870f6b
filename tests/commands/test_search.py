"""The command `minibert search`: questions, ids and runs, and what it says."""

import gzip
import io
import json
import sys

import numpy as np
import pytest
from corpora import GELU, QUERIES, sentences, with_fields
from golden_files import GOLDEN

from minibert import CrossEncoder, SentenceTransformer
from minibert.commands import cli
from minibert.common.escapes import has_controls
from minibert.corpus.building import build
from minibert.corpus.search import Hit, Index
from minibert.documents.reading import Document


def run(*arguments, stdin=b"", monkeypatch=None):
    """What main() returns; results are captured by pytest."""
    if monkeypatch:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    return cli.main(["search", *map(str, arguments)])


@pytest.fixture(scope="module")
def unprompted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain-cli") / "corpus"
    build(folder, sentences(), SentenceTransformer(GELU))
    return folder


def test_a_model_that_is_not_given_gets_the_metric_of_the_corpus(tmp_path, capsys):
    model = SentenceTransformer(GELU, similarity_fn_name="dot")
    build(tmp_path / "c", sentences(), model)
    expected = Index(tmp_path / "c", model).search(QUERIES[:1], 3)
    assert Index(tmp_path / "c").search(QUERIES[:1], 3) == expected
    for arguments in ([], ["--model", GELU]):
        assert run(tmp_path / "c", QUERIES[0], "-k", 3, "--json", *arguments) == 0
        hits = json.loads(capsys.readouterr().out)["hits"]
        assert [Hit(**hit) for hit in hits] == expected[0]


def test_the_command_prints_a_table(unprompted, capsys):
    assert run(unprompted, QUERIES[0], "-k", 2) == 0
    hits = Index(unprompted).search(QUERIES[:1], 2)[0]
    assert capsys.readouterr().out.split("\n") == [
        QUERIES[0],
        *(f"{hit.rank:4} {hit.score:10.4f}  {hit.id}  {hit.text}" for hit in hits),
        "",
    ]


def test_each_typed_question_is_answered_before_the_next_is_read(unprompted, capsys, monkeypatch):
    seen = []

    class Typist(io.BytesIO):
        """Notes what has been printed whenever a line is read."""

        def isatty(self):
            return True

        def __next__(self):
            seen.append(capsys.readouterr().out)
            return super().__next__()

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Typist(b"a cat\na dog\n")))
    assert cli.main(["search", str(unprompted), "-k", "1"]) == 0
    assert [out.split("\n")[0] for out in seen] == ["", "a cat", "a dog"]


def test_only_a_k_that_was_asked_for_is_said_to_be_too_large(tmp_path, capsys):
    build(tmp_path / "c", sentences()[:4], SentenceTransformer(GELU))
    (tmp_path / "ids").write_text("".join(f"{one.id}\n" for one in sentences()[:2]))
    for more, lines, is_said in (([], 5, False), (["-k", 9], 5, True), (["-k", 4], 5, False)):
        assert run(tmp_path / "c", "a cat", *more) == 0
        out, err = capsys.readouterr()
        assert (len(out.splitlines()), "all are returned" in err) == (lines, is_said)
    assert run(tmp_path / "c", "a cat", "--ids", tmp_path / "ids") == 0
    assert capsys.readouterr().err == ""


def test_a_file_that_is_not_there_is_said_in_words(unprompted, tmp_path, capsys):
    assert run(unprompted, "a cat", "--ids", tmp_path / "no") == 66
    path = str(tmp_path / "no")
    assert capsys.readouterr().err == f"minibert: {path!r}: No such file or directory\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a cat\n  sat", "a cat sat"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("word " * 40, "word " * 19 + "word…"),
    ],
)
def test_the_table_marks_a_text_that_is_shortened(tmp_path, capsys, text, shown):
    build(tmp_path / "c", [Document("d", text, "list")], SentenceTransformer(GELU))
    assert run(tmp_path / "c", "a cat", "-k", 1) == 0
    assert capsys.readouterr().out.splitlines()[1].split("  d  ", 1)[1] == shown


def test_the_command_prints_an_object_a_question(unprompted, capsys, tmp_path, monkeypatch):
    expected = Index(unprompted).search(QUERIES[:2], 3)
    content = "".join(
        json.dumps({"_id": f"q{n}", "text": query}) + "\n" for n, query in enumerate(QUERIES[:2])
    )
    (tmp_path / "queries.jsonl").write_text(content)
    (tmp_path / "lines.txt").write_text("\n".join(QUERIES[:2]) + "\n")
    for arguments, stdin, ids in (
        (["--file", tmp_path / "queries.jsonl"], b"", ["q0", "q1"]),
        (["--file", tmp_path / "lines.txt"], b"", ["1", "2"]),
        (QUERIES[:2], b"", ["1", "2"]),
        ([], "\n".join(QUERIES[:2]).encode(), ["1", "2"]),
    ):
        code = run(unprompted, *arguments, "-k", 3, "--json", stdin=stdin, monkeypatch=monkeypatch)
        assert code == 0
        objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["id"] for one in objects] == ids
        assert [one["query"] for one in objects] == QUERIES[:2]
        assert [one["prompt"] for one in objects] == ["", ""]
        assert [[Hit(**hit) for hit in one["hits"]] for one in objects] == expected


def test_the_command_writes_a_run(unprompted, tmp_path, capsys):
    assert run(unprompted, *QUERIES[:2], "-k", 3, "--run", tmp_path / "run.trec") == 0
    assert capsys.readouterr().out == ""
    expected = [
        f"{n} Q0 {hit.id} {hit.rank} {hit.score:.9g} minibert"
        for n, hits in enumerate(Index(unprompted).search(QUERIES[:2], 3), start=1)
        for hit in hits
    ]
    assert (tmp_path / "run.trec").read_text().splitlines() == expected
    assert run(unprompted, *QUERIES[:2], "-k", 3, "--run", "-") == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_a_run_has_no_place_for_blanks_and_is_not_begun(unprompted, tmp_path, capsys):
    (tmp_path / "q.jsonl").write_text('{"_id": "q 1", "text": "a cat"}\n')
    assert run(unprompted, "-f", tmp_path / "q.jsonl", "--run", tmp_path / "run") == 65
    assert "A run cannot hold the id 'q 1'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_question_id_that_comes_twice_is_in_no_run(unprompted, tmp_path, capsys):
    one = tmp_path / "one.jsonl"
    one.write_text('{"_id": "q", "text": "a cat"}\n{"_id": "p", "text": "a dog"}\n')
    number = tmp_path / "number.jsonl"
    number.write_text('{"_id": "1", "text": "a cat"}\n')
    for queries in (["-f", one, "-f", one], ["typed", "-f", number]):
        assert run(unprompted, *queries, "--run", tmp_path / "run") == 65
        assert "cannot hold two rankings of one query" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
        assert run(unprompted, *queries, "--json") == 0  # where each answer has its text


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "tsv"])
def test_questions_come_in_every_form_that_documents_do(unprompted, tmp_path, capsys, ending):
    divider = "," if ending == "csv" else "\t"
    table = "".join(f"q{divider.join([str(n), text])}\n" for n, text in enumerate(QUERIES))
    content = (
        "".join(f'{{"id": "q{n}", "text": "{text}"}}\n' for n, text in enumerate(QUERIES))
        if "jsonl" in ending
        else f"id{divider}text\n{table}"
    ).encode()
    path = tmp_path / f"questions.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert run(unprompted, "-f", path, "--json") == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["query"]) for one in objects] == [
        (f"q{number}", text) for number, text in enumerate(QUERIES)
    ]


def test_ids_come_from_lines_each_once_and_from_no_records(unprompted, tmp_path, capsys):
    path = tmp_path / "ids.txt.gz"
    path.write_bytes(gzip.compress(b"d4\n\nd7\r\nd4\nd4"))
    assert run(unprompted, "a cat", "--ids", path, "--json") == 0
    captured = capsys.readouterr()
    assert {hit["id"] for hit in json.loads(captured.out)["hits"]} == {"d4", "d7"}
    assert captured.err == ""  # no word of a k above the two that there are
    (tmp_path / "ids.jsonl").write_text('{"_id": "d4"}\n')
    assert run(unprompted, "a cat", "--ids", tmp_path / "ids.jsonl") == 65
    assert (
        "holds jsonl by its name; expected a text file with one id on each line"
        in capsys.readouterr().err
    )


def test_the_table_sends_no_control_character(tmp_path, capsys):
    texts = ["\x1b]0;title\x07the cat", "\x9b31m \u202etxt.exe\u2069"]
    build(
        tmp_path / "c",
        [Document(f"\x1bd{n}", t, "") for n, t in enumerate(texts)],
        SentenceTransformer(GELU),
    )
    for form in ([], ["--json"]):
        assert run(tmp_path / "c", "who\x9b", *form) == 0
        out = capsys.readouterr().out
        assert not has_controls(out.replace("\n", ""))
        assert form or r"\x1b]0;title\x07the cat" in out
    hits = json.loads(out)["hits"]
    assert sorted(hit["text"] for hit in hits) == sorted(texts)
    assert run(tmp_path / "c", "who", "--run", "-") == 65
    assert "control character" in capsys.readouterr().err


@pytest.mark.parametrize("questions", [[], ["--file", "-"]])
def test_questions_and_ids_in_one_stream_are_refused(questions, unprompted, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"d9\n")))
    assert run(unprompted, *questions, "--ids", "-") == 65
    assert "both read from standard input. Give a file" in capsys.readouterr().err


def test_the_command_takes_ids_a_model_and_a_cross_encoder(unprompted, tmp_path, capsys, one_label):
    (tmp_path / "ids").write_text("d4\nd7\n\n")
    arguments = ["--ids", tmp_path / "ids", "--model", GELU, "--threads", 1, "-k", 10, "--json"]
    assert run(unprompted, "a cat", *arguments, "--rerank", one_label) == 0
    captured = capsys.readouterr()
    hits = json.loads(captured.out)["hits"]
    assert {hit["id"] for hit in hits} == {"d4", "d7"}
    assert "k is 10, and there are 2 documents" in captured.err
    pairs = [("a cat", hit["text"]) for hit in hits]
    scores = CrossEncoder(one_label).predict(pairs)
    np.testing.assert_allclose([hit["score"] for hit in hits], scores, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{here}/none", "a cat"], 66, "There is no folder"),
        (["{here}", "a cat"], 66, "holds no manifest.json"),
        (["{corpus}", ""], 65, "Query 1 of 1 is empty"),
        (["{corpus}", "a cat", "--model", str(GOLDEN / "relu")], 65, "files_sha256"),
        (["{corpus}", "a cat", "--file", "{here}/none"], 66, "none"),
        (["{corpus}", "a cat", "--ids", "{here}/none"], 66, "none"),
        (["{corpus}", "a cat", "--rescore", "3"], 65, "needs binary"),
        (["{corpus}", "a cat", "--run", "{here}/no/run"], 73, "cannot create"),
    ],
)
def test_the_command_ends_with_the_code_of_what_is_wrong(
    unprompted, tmp_path, capsys, arguments, code, message
):
    filled = [one.format(here=tmp_path, corpus=unprompted) for one in arguments]
    assert run(*filled) == code
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def folder_with_fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder_with_fields") / "corpus"
    build(folder, with_fields(), SentenceTransformer(GELU), fields=("lang", "year"))
    return folder


def test_conditions_choose_the_documents_and_fields_are_shown(folder_with_fields, capsys):
    where = {"lang": ["de", None], "year": {">=": 2000}}
    conditions = ["--where", "lang=de", "--where", "lang=null", "--where", "year>=2000"]
    expected = Index(folder_with_fields).search(QUERIES[0], 60, where=where)
    assert run(folder_with_fields, QUERIES[0], "-k", 60, "--json", *conditions, "--quiet") == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert hits == [hit.as_dict() for hit in expected]
    assert run(folder_with_fields, QUERIES[0], "-k", 3, *conditions) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    for line, hit in zip(lines, expected, strict=False):
        lang = f"lang={hit.fields['lang']}  " if hit.fields["lang"] else ""
        shown = f"{lang}year={hit.fields['year']}  {hit.text}"
        assert line == f"{hit.rank:4} {hit.score:10.4f}  {hit.id}  {shown}"


def test_a_field_is_shown_as_a_condition_takes_it(tmp_path, capsys):
    values = {"seen": False, "size": 2.5, "lang": "True"}
    fields = [f"{name}={value}" for name, value in {**values, "seen": "false"}.items()]
    document = Document("a", "A dog barks.", "a", values)
    build(tmp_path / "c", [document], SentenceTransformer(GELU), fields=tuple(values))
    assert run(tmp_path / "c", "a cat") == 0
    assert "  ".join([*fields, document.text]) in capsys.readouterr().out
    assert run(tmp_path / "c", "a cat", *(f"--where={field}" for field in fields)) == 0
    assert document.text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("conditions", "code", "told"),
    [
        (["yeear=5"], 65, "where names 'yeear', which the corpus lacks: it has lang, year"),
        (["year=five"], 65, "--where: year is 'five'; expected a number"),
        (["year>3000"], 0, "There is no document with year>3000 in "),
    ],
)
def test_conditions_that_cannot_be_met_are_told(folder_with_fields, capsys, conditions, code, told):
    arguments = [part for one in conditions for part in ("--where", one)]
    assert run(folder_with_fields, "a cat", *arguments) == code
    assert told in capsys.readouterr().err


def test_a_condition_that_is_none_is_code_2(folder_with_fields, capsys):
    with pytest.raises(SystemExit) as end:
        run(folder_with_fields, "a cat", "--where", "year")
    assert end.value.code == 2
    assert "argument --where: 'year' is no condition" in capsys.readouterr().err
