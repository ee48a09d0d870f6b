"""minibert explain: a score, its words, and pictures of them."""

import gzip
import io
import json
import os
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import FORM_FILES, GELU, LONG
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.commands import cli
from minibert.explain.occluding import occlusion


def test_explain_prints_the_score_both_texts_and_strongest_pairs(run, model):
    result = run("explain", "-m", GELU, "the cats sat", "London barks!", "--top-k", "2")
    assert (result.code, result.err) == (0, "")
    found = model.explain("the cats sat", "London barks!")
    lines = result.out.splitlines()
    assert lines[0] == f"{found.score:10.4f}  cosine, of which"
    words, special = (float(line.split()[0]) for line in lines[1:3])
    assert words == pytest.approx(found.between_words().sum(), abs=6e-5)
    assert words + special == pytest.approx(found.score, abs=2e-4)
    assert re.sub(r"\[[+-]+\]", "", lines[4]) == "query     the cats sat"
    assert re.sub(r"\[[+-]+\]", "", lines[5]) == "document  London barks!"
    assert "\x1b" not in result.out
    assert lines[8:] == [
        f"{pair.contribution:10.4f}  {pair.query.text} - {pair.document.text}"
        for pair in found.strongest(2)
    ]


def test_explain_shades_words_by_what_they_gave(run, minilm_folder, minilm):
    query, document = "Where do penguins sleep?", "The zoo bought six penguins."
    shown = run("explain", "-m", minilm_folder, query, document).out.splitlines()
    amounts = minilm.explain(query, document).between_words()
    for line, sums in ((shown[4], amounts.sum(axis=1)), (shown[5], amounts.sum(axis=0))):
        assert "penguins[++++]" in line
        steps = np.round(4 * sums / np.abs(sums).max()).astype(int)
        signs = ["+" * step if step > 0 else "-" * -step for step in steps.tolist()]
        assert re.findall(r"\[([+-]+)\]", line) == [sign for sign in signs if sign]


def test_explain_uses_colours_on_a_terminal_that_has_them(run, monkeypatch):
    monkeypatch.setattr("minibert.pictures.terminal.colours_of", lambda *_: 256)
    coloured = run("explain", "-m", GELU, "the cats sat", "London barks!").out
    assert "\x1b[38;5;" in coloured
    monkeypatch.undo()
    plain = run("explain", "-m", GELU, "the cats sat", "London barks!").out
    without = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert without == re.sub(r"\[[+-]+\]", "", plain)


def test_explain_as_json_is_the_whole_split(run, model):
    (content,) = run("explain", "-m", GELU, "--json", "the cats", "London barks!").objects
    assert content == json.loads(json.dumps(model.explain("the cats", "London barks!").as_dict()))


def test_explain_by_another_metric(run, model):
    (content,) = run("explain", "-m", GELU, "--json", "--metric", "dot", "the cat", "dogs").objects
    assert content["metric"] == "dot"
    expected = float(model.encode("the cat") @ model.encode("dogs"))
    assert content["score"] == pytest.approx(expected, rel=1e-5)


def test_explain_says_what_the_score_loses_without_each_word(run, model):
    of_query, of_document = occlusion(model, "the cats", "London barks!")
    (content,) = run("explain", "-m", GELU, "--json", "--occlusion", "the cats",
                     "London barks!").objects  # fmt: skip
    assert [(word["text"], word["tokens"]) for word in content["occlusion"]["query"]] == [
        ("the", [1, 2]), ("cats", [2, 4]),
    ]  # fmt: skip
    found = [word["difference"] for word in content["occlusion"]["document"]]
    assert found == pytest.approx([lost.difference for lost in of_document], abs=1e-6)
    shown = run("explain", "-m", GELU, "--occlusion", "--top-k", "2", "the cats", "London barks!")
    words = [(lost, "query") for lost in of_query] + [(lost, "document") for lost in of_document]
    words.sort(key=lambda word: -abs(word[0].difference))
    assert shown.out.splitlines()[-3:] == [
        "Without a word, the score loses",
        *(f"{lost.difference:10.4f}  {lost.word.text} ({name})" for lost, name in words[:2]),
    ]


@pytest.mark.parametrize("arguments", [["-"], [], ["--file", "-"]])
def test_explain_reads_the_document_whole_from_standard_input(run, arguments):
    given = run("explain", "-m", GELU, "--json", "the cat", "a dog\nLondon barks!")
    stdin = b"\xef\xbb\xbfa dog\r\nLondon barks!\n"
    assert run("explain", "-m", GELU, "--json", "the cat", *arguments, stdin=stdin).out == given.out


def test_explain_reads_a_query_from_stdin_or_a_document_file(run, tmp_path):
    given = run("explain", "-m", GELU, "--json", "the cat", "a dog")
    read = run("explain", "-m", GELU, "--json", "-", "a dog", stdin=b"the cat\n")
    assert read.out == given.out
    (tmp_path / "page.txt").write_text("a dog\n")
    arguments = ["the cat", "--file", tmp_path / "page.txt"]
    assert run("explain", "-m", GELU, "--json", *arguments).out == given.out
    late = run("explain", "-m", GELU, "the cat", "--json", "a dog")  # behind an option
    assert late.out == given.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b", "c"], "2 documents are given; give one. Is a text not quoted?"),
        (["a", "b", "--file", "-"], "2 documents are given"),
        (["-", "-"], "Both texts come from standard input; give one of them another way"),
        (["-"], "Both texts come from standard input; give one of them another way"),
        (["a", "b", "--json", "--svg", "-"], "Only one of --json, --svg - and --html -"),
        (["a", "b", "--html", "-", "--svg", "-"], "Only one of --json, --svg - and --html -"),
    ],
)
def test_explain_refuses_what_cannot_be_meant(run, arguments, message):
    result = run("explain", "-m", GELU, *arguments, stdin=b"a dog")
    assert (result.code, result.out) == (65, "")
    assert message in result.err


def test_explain_refuses_a_model_whose_score_is_no_sum(run):
    result = run("explain", "-m", GOLDEN / "modules", "the cat", "a dog")
    assert (result.code, result.out) == (65, "")
    assert "not linear (gelu)" in result.err


@pytest.mark.parametrize(
    ("name", "metric", "arguments"),
    [
        ("modules", None, []),
        ("modules", "dot", ["--metric", "dot"]),
        ("euclidean", None, []),
    ],
)
def test_a_score_that_is_no_sum_is_explained_by_occlusion(
    run, folder, edit, name, metric, arguments
):
    if name == "euclidean":
        edit(folder / "config_sentence_transformers.json", similarity_fn_name=name)
    chosen = folder if name == "euclidean" else GOLDEN / name
    model = SentenceTransformer(chosen, similarity_fn_name=metric)
    arguments = ["-m", chosen, "--occlusion", *arguments, "the cats", LONG]
    (content,) = run("explain", "--json", *arguments).objects
    expected = model.similarity(model.encode("the cats"), model.encode(LONG)).item()
    assert content["score"] == pytest.approx(expected, rel=1e-5)
    assert content["metric"] == model.similarity_fn_name
    _, of_document = occlusion(model, "the cats", LONG)
    found = [word["difference"] for word in content["occlusion"]["document"]]
    assert found == pytest.approx([lost.difference for lost in of_document], abs=1e-6)
    shown = run("explain", *arguments)
    assert f"{model.similarity_fn_name}, here no sum over pairs of words" in shown.out
    assert f"{content['document']['truncated']} tokens of the document were truncated" in shown.out
    assert run("explain", "--html", "-", *arguments).code == 65


def test_explain_occludes_by_the_metric_that_was_asked_for(run):
    arguments = ["explain", "-m", GELU, "--occlusion", "--json", "the cats", "a dog"]
    (content,) = run(*arguments, "--metric", "dot").objects
    model = SentenceTransformer(GELU, similarity_fn_name="dot")
    of_query, _ = occlusion(model, "the cats", "a dog")
    found = [word["difference"] for word in content["occlusion"]["query"]]
    assert found == pytest.approx([lost.difference for lost in of_query], rel=1e-4)
    assert occlusion(SentenceTransformer(GELU), "the cats", "a dog", metric="dot")[0] == of_query


def test_explain_shows_control_characters_and_obeys_none(run):
    texts = "t\x1bhe[2J ca\x07t", "a\x07dog \u202eb\x9b31m"
    result = run("explain", "-m", GELU, "--top-k", "99", "--occlusion", *texts)
    assert result.code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.out)
    assert r"\x1b" in result.out


def test_explain_reads_a_gzipped_text_and_no_records(run, files):
    (files / "page.txt.gz").write_bytes(gzip.compress(b"a dog\nbarks"))
    given = run("explain", "-m", GELU, "--json", "the cat", "a dog\nbarks")
    read = run("explain", "-m", GELU, "--json", "the cat", "--file", files / "page.txt.gz")
    assert read.out == given.out
    for ending in FORM_FILES:
        result = run("explain", "-m", GELU, "the cat", "--file", files / f"a.{ending}")
        assert (result.code, result.out) == (65, "")
        assert "by its name; expected a text file, which is read as one text" in result.err


@pytest.mark.parametrize("blank", ["", "  "])
def test_explain_says_that_a_text_has_no_words(run, blank):
    assert (
        "The query has no words, only special tokens." in run("explain", "-m", GELU, blank, "a").out
    )
    out = run("explain", "-m", GELU, "a", blank, "--top-k", "1").out
    assert "The document has no words" in out
    assert "The query has no words" not in out


def test_explain_says_how_many_tokens_were_truncated(run):
    result = run("explain", "-m", GELU, "the cat", LONG)
    assert result.out.endswith("\n31 tokens of the document were truncated; 41 were read.\n")
    assert result.err == ""


def test_explain_warns_of_a_text_that_names_a_file(run, text_file):
    result = run("explain", "-m", GELU, "the cat", text_file)
    assert "is taken as a text; to read the file of that name, use --file" in result.err


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures were asked for; they are tested by themselves."""
    asked = []

    def heat_map_svg(explanation):
        asked.append(explanation)
        return "<svg>ä</svg>"

    def explanation_page(*arguments, metric):
        asked.append((*arguments, metric))
        return "<html>ä</html>"

    for name, function in (("heat_map", heat_map_svg), ("explanation_page", explanation_page)):
        module = SimpleNamespace(**{function.__name__: function})
        monkeypatch.setitem(sys.modules, f"minibert.pictures.{name}", module)
    return asked


def test_explain_writes_pictures_beside_what_it_prints(run, tmp_path, drawn, model):
    files = ["--svg", tmp_path / "a.svg", "--html", tmp_path / "a.html"]
    result = run("explain", "-m", GELU, "--metric", "dot", "the cat", "a dog", *files)
    assert result.out == run("explain", "-m", GELU, "--metric", "dot", "the cat", "a dog").out
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == "<svg>ä</svg>"
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "<html>ä</html>"
    explanation, (used, *arguments) = drawn
    assert explanation.score == pytest.approx(model.explain("the cat", "a dog", metric="dot").score)
    assert isinstance(used, SentenceTransformer)
    assert arguments == ["the cat", "a dog", "dot"]


@pytest.mark.parametrize("kind", ["svg", "html"])
def test_a_picture_on_standard_output_stands_there_alone(drawn, kind, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["explain", "-m", GELU, "the cat", "a dog", f"--{kind}", "-"]) == 0
    assert stream.buffer.getvalue().decode() == f"<{kind}>ä</{kind}>"


def test_a_picture_in_a_folder_that_does_not_exist_is_code_73(run, tmp_path, drawn):
    result = run("explain", "-m", GELU, "a", "b", "--svg", tmp_path / "no" / "a.svg")
    assert result.code == 73
    assert os.listdir(tmp_path) == []
