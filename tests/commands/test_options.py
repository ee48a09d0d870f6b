"""Options that several commands share, and where they may stand."""

import json
import sys
from typing import get_args

import pytest
from command_line import GELU, LONG, TEXTS
from golden_files import GOLDEN

from minibert.commands.cli import parse
from minibert.documents.forms import FORMS, Form
from minibert.documents.tables import read_csv
from minibert.kernels import cores
from minibert.kernels.cores import available_threads
from minibert.scoring.quantization import STORED_DTYPES
from minibert.tokens.truncation import OnLong


def test_the_environment_names_the_model_where_none_is_given(run, monkeypatch):
    given = run("embed", "-m", GELU, *TEXTS).out
    facts = run("info", GELU, "--json").out
    monkeypatch.setenv("MINIBERT_MODEL", GELU)
    assert run("embed", *TEXTS).out == given
    assert run("info", "--json").out == facts
    assert run("demo").code == 0
    assert run("score", "q", "a").code == 0
    assert run("explain", "a", "b").code == 0
    assert f"(1) {GELU}, cosine" in run("eval", "--quiet").out
    relu = str(GOLDEN / "relu")
    assert run("info", relu, "--json").objects[0]["model"] == relu
    assert run("embed", "-m", relu, *TEXTS).out != given
    assert run("info", "--supported").out.startswith("families: bert")
    monkeypatch.setenv("MINIBERT_MODEL", "")
    assert run("info").code == 2
    assert run("eval").code == 2


def test_help_lists_what_is_registered(capsys, monkeypatch):
    monkeypatch.setitem(FORMS, "fasta", Form(read_csv, note="letters"))
    monkeypatch.setitem(STORED_DTYPES, "halves", "float16")
    with pytest.raises(SystemExit):
        parse(["index", "build", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "{text,jsonl,csv,tsv,tsv-quoted,parquet,fasta}" in shown
    assert "text: one document on each line; tsv: no quotes; fasta: letters; a folder is" in shown
    assert "--precision {float32,float16,int8,binary,halves}" in shown
    assert f"--on-long {{{','.join(get_args(OnLong))}}}" in shown


def test_a_corpus_keeps_its_model_whatever_the_environment_names(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIBERT_MODEL", GELU)
    assert run("index", "build", tmp_path / "c", stdin=b"the cat\n").code == 0
    monkeypatch.setenv("MINIBERT_MODEL", str(GOLDEN / "relu"))
    assert run("search", tmp_path / "c", "a dog").code == 0
    assert run("index", "add", tmp_path / "c", stdin=b"the dog\n").code == 0
    assert run("map", tmp_path / "c", "--query", "a dog", "--json").code == 0
    assert run("search", tmp_path / "c", "a dog", "-m", GOLDEN / "relu").code == 65


@pytest.mark.parametrize(
    "words",
    [["info", "someone/missing"], ["embed", "-m", "someone/missing", LONG],
     ["score", "q", "a", "-m", "someone/missing"], ["explain", "a", "b", "-m", "someone/missing"],
     ["eval", "someone/missing"], ["demo", "-m", "someone/missing"],
     ["index", "build", "c", "-m", "someone/missing", "-"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_offline_may_stand_before_and_behind_a_command(
    run, cache, no_network, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = [["--offline", *words], [words[0], "--offline", *words[1:]], [*words, "--offline"]]
    for arguments in places:
        result = run(*arguments, stdin=b"a")
        assert result.code == 69
        assert "downloads are off" in result.err


@pytest.mark.slow
def test_quiet_may_stand_before_and_behind_a_command(run, tmp_path):
    assert run("embed", "-m", GELU, LONG).err != ""
    for arguments in (["--quiet", "embed"], ["embed", "--quiet"]):
        assert run(*arguments, "-m", GELU, LONG).err == ""
    assert run("--quiet", "index", "build", tmp_path / "c", "-m", GELU, stdin=b"a\n").code == 0
    assert run("index", "--quiet", "add", tmp_path / "c", stdin=f"{LONG}\n".encode()).err == ""
    for words in (["index", "info", tmp_path / "c"], ["index", "verify", tmp_path / "c"]):
        for common in ("--quiet", "--offline"):
            for place in (0, 1, 2, 3):
                assert run(*words[:place], common, *words[place:]).code == 0
    words = ["index", "delete", tmp_path / "c", "0"]
    run(*words)
    assert "had been deleted before" in run(*words).err
    assert all(run(*words[:place], "--quiet", *words[place:]).err == "" for place in range(5))


def test_quiet_silences_warnings_and_changes_no_result(run, text_file):
    loud = run("embed", "-m", GELU, text_file, LONG)
    quiet = run("embed", "-m", GELU, text_file, LONG, "--quiet")
    assert loud.err.count("\n") == 2
    assert (quiet.code, quiet.out, quiet.err) == (0, loud.out, "")


def test_quiet_does_not_silence_errors(run):
    result = run("embed", "-m", GELU, "--quiet", "--file", "no-such-file.txt")
    assert result.code == 66
    assert "no-such-file.txt" in result.err


def test_a_progress_bar_is_for_a_terminal_on_stderr_only(run, monkeypatch):
    plain = run("embed", "-m", GELU, *TEXTS)
    assert plain.err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    watched = run("embed", "-m", GELU, *TEXTS)
    assert "3/3" in watched.err
    assert watched.out == plain.out
    assert run("embed", "-m", GELU, "--quiet", *TEXTS).err == ""


def test_texts_may_stand_behind_options(run):
    result = run("score", "who sat", "-m", GELU, "the cat", "--json", "the dog")
    assert result.code == 0
    assert {json.loads(line)["text"] for line in result.out.splitlines()} == {"the cat", "the dog"}


def test_a_device_that_cannot_be_meant_is_a_usage_error(run):
    result = run("info", GELU, "--device", "tpu")
    assert result.code == 2
    assert "'tpu' is neither cpu nor cuda" in result.err


def test_more_threads_than_cores_are_as_many_and_said_once(run, monkeypatch):
    monkeypatch.setattr(cores.CORES, "has_warned", False)
    count, expected = available_threads(), run("embed", "-m", GELU, "--format", "jsonl", "a")
    result = run("embed", "-m", GELU, "--format", "jsonl", "--threads", count + 1, "a")
    assert (result.code, result.out) == (0, expected.out)
    assert result.err == (
        f"minibert: threads is {count + 1}, and this process may use {count} cores: it uses "
        f"{count}.\n"
    )
