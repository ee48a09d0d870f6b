"""`minibert label`: both kinds of teachers, the forms that it reads, what it says and refuses."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from command_line import GELU, process
from golden_files import edit_json

from minibert import CrossEncoder, SentenceTransformer
from minibert.training import label
from minibert.training.labels import CHUNK_ROWS

WORDS = ["the cat", "dogs bark", "Café 中文", "a dog", "London", "the cat sat"]
ROWS = [{"query": WORDS[n], "positive": WORDS[n - 1], "negative": WORDS[n - 3]} for n in range(6)]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def six_triples(tmp_path):
    """A file of six triples."""
    path = tmp_path / "triples.jsonl"
    path.write_text(lines(ROWS), "utf-8")
    return path


@pytest.fixture
def run_label(run, tmp_path):
    """Run `minibert label` into tmp_path / "out.jsonl"."""

    def command(teacher, data, *options):
        return run("label", teacher, data, "--output", tmp_path / "out.jsonl", *options)

    return command


def rows_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("activation", "given"), [((), None), (("--activation", "sigmoid"), "sigmoid")]
)
def test_a_cross_encoder_is_known_by_its_folder(
    run_label, one_label, six_triples, tmp_path, activation, given
):
    code, out, err = run_label(one_label, six_triples, *activation)
    assert (code, out, err) == (0, f"{tmp_path / 'out.jsonl'}: 6 rows\n", "")
    found = rows_of(tmp_path / "out.jsonl")
    assert found == list(label(ROWS, CrossEncoder(one_label), activation_fn=given))
    assert [list(row) for row in found] == [["query", "positive", "negative", "scores"]] * 6


def test_vectors_score_with_the_prompts_of_their_folder(run_label, folder, six_triples, tmp_path):
    edit_json(
        folder / "config_sentence_transformers.json",
        prompts={"query": "the cat ", "document": "London "},
        similarity_fn_name="dot",
    )
    code, _, err = run_label(folder, six_triples)
    assert (code, err) == (0, "")
    model = SentenceTransformer(folder)
    for row in rows_of(tmp_path / "out.jsonl"):
        vector = model.encode(f"the cat {row['query']}")
        others = model.encode([f"London {row[name]}" for name in ("positive", "negative")])
        np.testing.assert_allclose(row["scores"], others @ vector, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet", "stdin"])
def test_every_form_gives_the_same_rows(run, six_triples, tmp_path, form):
    rows = [[*ROWS[0]], *([*row.values()] for row in ROWS)]
    data, stdin, options = tmp_path / f"d.{form}", b"", ()
    if form == "jsonl":
        data = six_triples
    elif form == "stdin":
        data, stdin, options = "-", six_triples.read_bytes(), ("--input-format", "jsonl")
    elif form == "parquet":
        table = {name: [row[name] for row in ROWS] for name in ROWS[0]}
        pyarrow.parquet.write_table(pyarrow.table(table), data)
    else:
        with data.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="," if form == "csv" else "\t").writerows(rows)
    code, out, err = run("label", GELU, data, "--output", "-", *options, stdin=stdin)
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == list(
        label(ROWS, SentenceTransformer(GELU))
    )


def test_the_rows_are_what_train_reads(run, run_label, six_triples, tmp_path):
    assert run_label(GELU, six_triples).code == 0
    given = ("--loss", "margin-mse", "--lr", "0.01", "--batch-size", "3", "--max-steps", "1")
    code, out, _ = run(
        "train", GELU, tmp_path / "out.jsonl", *given, "--output", tmp_path / "model"
    )
    assert code == 0
    assert ": 1 step, loss " in out


def test_a_label_is_replaced_with_a_word(run_label, tmp_path):
    data = tmp_path / "pairs.jsonl"
    data.write_text(lines([{"query": "the cat", "positive": "a dog", "score": 3}]))
    code, out, err = run_label(GELU, data)
    assert (code, out) == (0, f"{tmp_path / 'out.jsonl'}: 1 row\n")
    assert "the label in the column score is left out; the teacher's scores take" in err
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert row["score"] != 3


def test_the_use_of_unknown_columns_is_told(run_label, tmp_path):
    data = tmp_path / "pairs.csv"
    data.write_text("answer,question\na dog,the cat\n")
    code, _, err = run_label(GELU, data)
    assert code == 0
    assert "texts: answer (first), question (second); label: none. These have no known" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"query": "a", "positive": "b"}\n{"query": "a", "positive": ""}\n', "line 2: positive"),
        ('{"query": "a", "positive": "b"}\n{"query": "a"\n', "line 2"),
        ('{"query": "a"}\n', "line 1 has one column of texts"),
        ("", "The data has no rows"),
    ],
)
def test_bad_data_is_code_65_and_names_its_line(run_label, tmp_path, content, said):
    data = tmp_path / "pairs.jsonl"
    data.write_text(content)
    code, out, err = run_label(GELU, data)
    assert (code, out) == (65, "")
    assert said in err
    assert os.listdir(tmp_path) == ["pairs.jsonl"]


def test_refusals_leave_no_file(run_label, one_label, folder, six_triples, tmp_path):
    before = sorted(os.listdir(tmp_path))
    assert run_label(GELU, tmp_path / "nowhere.jsonl", "--quiet").code == 66
    code, _, err = run_label(GELU, six_triples, "--activation", "sigmoid")
    assert code == 65
    assert "for the command: --activation" in err
    edit_json(one_label / "config.json", id2label={"0": "a", "1": "b"})
    assert run_label(one_label, six_triples).code == 65
    edit_json(folder / "config_sentence_transformers.json", model_type="SparseEncoder")
    code, _, err = run_label(folder, six_triples)
    assert code == 65
    assert "model_type is 'SparseEncoder'" in err
    assert sorted(os.listdir(tmp_path)) == before


def test_a_file_that_cannot_be_created_is_code_73(run, six_triples, tmp_path):
    code, _, err = run("label", GELU, six_triples, "--output", tmp_path / "no" / "out.jsonl")
    assert code == 73
    assert "cannot write to" in err
    assert run("label", GELU, six_triples, "--output", tmp_path).code == 73


def test_an_output_that_is_the_data_is_refused(run, six_triples, tmp_path):
    before = six_triples.read_bytes()
    other_name = tmp_path / "same.jsonl"
    other_name.hardlink_to(six_triples)
    for name in (six_triples, other_name):
        code, out, err = run("label", GELU, six_triples, "--output", name)
        assert (code, out) == (73, "")
        assert f"is '{six_triples}', which is read. Give the output another place" in err
    assert six_triples.read_bytes() == before


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.CSV", "out.parquet"])
def test_a_name_of_another_form_is_refused(run, six_triples, tmp_path, name):
    code, _, err = run("label", GELU, six_triples, "--output", tmp_path / name)
    assert code == 65
    assert "Give a name that ends in .jsonl" in err


def test_another_teacher_does_not_go_on_with_a_stopped_run(run_label, folder, tmp_path):
    data, good = tmp_path / "rows.jsonl", lines(ROWS * 20)
    data.write_text(good + "{")
    assert run_label(folder, data).code == 65  # one chunk is there
    edit_json(folder / "1_Pooling" / "config.json", pooling_mode="max")
    code, _, err = run_label(folder, data)
    assert code == 65
    assert "has rows of a run that was stopped, with another teacher." in err
    edit_json(folder / "1_Pooling" / "config.json", pooling_mode="mean")
    data.write_text(good)
    assert run_label(folder, data).code == 0
    assert len(rows_of(tmp_path / "out.jsonl")) == 120


@pytest.mark.parametrize(("chunks", "said"), [(0, "the first 64 rows are not"), (1, "64 rows are")])
def test_a_stopped_run_tells_how_many_rows_are_kept(
    run_label, one_label, tmp_path, monkeypatch, chunks, said
):
    left, predict = iter(range(chunks)), CrossEncoder.predict

    def stopping(*given, **options):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return predict(*given, **options)

    monkeypatch.setattr(CrossEncoder, "predict", stopping)
    data = tmp_path / "rows.jsonl"
    data.write_text(lines(ROWS * 20))
    code, out, err = run_label(one_label, data)
    assert (code, out) == (130, "")
    assert f"minibert: stopped; {said}" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no size of a file")
def test_a_full_disk_is_code_74_and_says_how_to_go_on(six_triples, tmp_path):
    import resource

    six_triples.write_text(lines(ROWS * 200), "utf-8")
    out = tmp_path / "out.jsonl"
    words = ["label", GELU, six_triples, "--output", out]
    limit = 12_000  # bytes: one chunk of rows, and a part of the next one
    full = process(
        *words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    assert full.returncode == 74
    assert f"stopped; 64 rows are in {out}.partial; the same command" in full.stderr.decode()
    assert (tmp_path / "out.jsonl.partial" / "rows.jsonl").stat().st_size == limit
    assert process(*words).returncode == 0
    assert process(*words[:-1], tmp_path / "whole.jsonl").returncode == 0
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.slow
def test_ctrl_c_keeps_rows_and_the_same_command_goes_on(heeding_ctrl_c, six_triples, tmp_path):
    six_triples.write_text(lines(ROWS * 2_000), "utf-8")
    out, kept = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial" / "rows.jsonl"
    words = [
        sys.executable,
        "-m",
        "minibert",
        "label",
        GELU,
        str(six_triples),
        "--output",
        str(out),
    ]
    running = subprocess.Popen(words, stderr=subprocess.PIPE)
    soon = time.monotonic() + 60
    while not (kept.exists() and kept.stat().st_size):
        assert running.poll() is None
        assert time.monotonic() < soon
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    said = re.search(rb"minibert: stopped; (\d+) rows are in ", err)
    assert said
    kept_rows = int(said[1])
    assert kept_rows % CHUNK_ROWS == 0
    assert 0 < kept_rows <= kept.read_bytes().count(b"\n")
    assert not out.exists()
    assert process(*words[3:]).returncode == 0
    assert len(rows_of(out)) == 12_000
    assert sorted(os.listdir(tmp_path)) == ["out.jsonl", "triples.jsonl"]
