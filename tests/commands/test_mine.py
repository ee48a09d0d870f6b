"""`minibert mine`: the rows that it writes, what it tells, and what it refuses."""

import json

import numpy as np
import pytest
from command_line import GELU, ODD, Result, process

from minibert import CrossEncoder, SentenceTransformer
from minibert.training import mine_hard_negatives
from minibert.training.examples import read_examples
from minibert.training.mined import FORMATS, Format

WORDS = ["the cat", "dogs bark", "Café 中文", "a dog", "London", "the cat sat", "a cat", "the dog"]
PAIRS = [{"query": WORDS[n], "positive": WORDS[n - 3]} for n in range(6)]


@pytest.fixture
def pair_file(tmp_path):
    """A file of six pairs."""
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PAIRS), "utf-8")
    return path


@pytest.fixture
def beir_folder(tmp_path):
    """A BEIR folder of eight documents, one of them empty, and three queries."""
    folder = tmp_path / "beir"
    folder.mkdir()
    for name, texts in (("corpus", [*WORDS[:7], ""]), ("queries", WORDS[:3])):
        lines = [json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "qrels.tsv").write_text("0\t3\t1\n0\t4\t2\n1\t2\t1\n1\t5\t0\n2\t7\t1\n2\t6\t1\n")
    (folder / "other.tsv").write_text("0\t6\t1\n")
    return folder


@pytest.fixture
def run_mine(run, pair_file, tmp_path):
    """Run `minibert mine` into tmp_path / "mined.jsonl"."""

    def mine(*options, data=pair_file, output=tmp_path / "mined.jsonl"):
        return run("mine", GELU, data, "--output", output, *options)

    return mine


@pytest.fixture
def written(tmp_path):
    """Read the rows of tmp_path / "mined.jsonl"."""
    path = tmp_path / "mined.jsonl"
    return lambda: Result(0, path.read_text("utf-8"), "").objects


def mined(data=PAIRS, **arguments):
    return mine_hard_negatives(data, SentenceTransformer(GELU), seed=42, **arguments)


def test_rows_go_to_the_file_and_statistics_to_stderr(run_mine, written, tmp_path):
    code, out, err = run_mine()
    assert (code, out) == (0, "")
    assert written() == mined()
    first, *others = err.splitlines()
    assert first == f"{tmp_path / 'mined.jsonl'}: 18 rows of 6 queries with 6 positives"
    assert others[0].split() == ["score", "positive", "negative", "difference"]
    with read_examples(tmp_path / "mined.jsonl") as examples:
        assert examples.columns == ["query", "positive", "negative"]


def test_quiet_tells_nothing(run_mine, written):
    assert run_mine("--quiet") == (0, "", "")
    assert written() == mined()


def test_rows_may_go_to_standard_output(run_mine):
    result = run_mine(output="-")
    assert result.objects == mined()
    assert "18 rows" in result.err


def test_json_has_the_statistics(run_mine, tmp_path):
    code, out, err = run_mine("--json", "--max-score", "0.9")
    found = []
    mined(max_score=0.9, report=found.append)
    assert (code, err) == (0, "")
    expected = {"output": str(tmp_path / "mined.jsonl"), **found[0]._asdict()}
    assert json.loads(out) == expected
    assert expected["skipped"]["max_score"] > 0


def test_every_option_reaches_the_mining(run_mine, written, one_label, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("a cat\n\nthe dog\nthe cat\n", "utf-8")
    more = tmp_path / "more.csv"
    more.write_text("text\nBerlin\n", "utf-8")
    reranker = CrossEncoder(one_label)
    rows = [(row["query"], row["positive"]) for row in PAIRS]
    middle = float(np.median(reranker.predict(rows)))
    result = run_mine(
        "--corpus", texts, "--corpus", more, "--cross-encoder", one_label,
        "--range-min", "1", "--range-max", "7", "--min-score", f"{middle - 1}",
        "--max-score", f"{middle + 1}", "--absolute-margin", "-1", "--relative-margin", "-0.5",
        "--num-negatives", "2", "--sampling", "random", "--seed", "9", "--format", "n-tuple",
        "--scores", "--quiet",
    )  # fmt: skip
    assert result == (0, "", "")
    expected = mine_hard_negatives(
        PAIRS, SentenceTransformer(GELU), corpus=["a cat", "the dog", "the cat", "Berlin"],
        cross_encoder=reranker, range_min=1, range_max=7, min_score=middle - 1,
        max_score=middle + 1, absolute_margin=-1.0, relative_margin=-0.5, num_negatives=2,
        sampling_strategy="random", seed=9, output_format="n-tuple", output_scores=True,
    )  # fmt: skip
    assert len(expected) > 1
    assert written() == expected


@pytest.mark.parametrize(
    ("option", "value"),
    [("--absolute-margin", 0.1), ("--relative-margin", 0.1), ("--min-score", 0.9)],
)
def test_each_filter_is_that_of_its_name(run_mine, written, option, value):
    run_mine(option, f"{value}", "--range-max", "6", "--scores")
    name = option.removeprefix("--").replace("-", "_")
    assert 0 < len(written()) < 18
    assert written() == mined(**{name: value}, range_max=6, output_scores=True)


def test_random_rows_are_the_same_each_time(run_mine, written):
    rows = []
    for _ in range(2):
        run_mine("--sampling", "random", "--range-max", "6", "--quiet")
        rows.append(written())
    assert rows[0] == rows[1] == mined(sampling_strategy="random", range_max=6)


def test_a_beir_folder_gives_its_relevant_pairs_and_corpus(run_mine, written, beir_folder):
    """Empty documents are left out: training would refuse the rows."""
    assert run_mine("--format", "labeled-pair", "--quiet", data=beir_folder).code == 0
    pairs = [(0, 3), (0, 4), (1, 2), (2, 6)]
    data = [{"query": WORDS[a], "positive": WORDS[b]} for a, b in pairs]
    assert written() == mined(data, corpus=WORDS[:7], output_format="labeled-pair")


def test_white_space_in_a_beir_folder_is_no_text(run_mine, written, beir_folder):
    """Training would refuse it, and so the pair of such a query or document is left out."""
    for name, text in (("corpus", "\t "), ("queries", "  ")):
        with (beir_folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps({"_id": "white", "text": text}) + "\n")
    with (beir_folder / "qrels.tsv").open("a") as file:
        file.write("0\twhite\t1\nwhite\t1\t1\n")
    assert run_mine("--num-negatives", "9", data=beir_folder).code == 0
    data = [{"query": WORDS[a], "positive": WORDS[b]} for a, b in [(0, 3), (0, 4), (1, 2), (2, 6)]]
    assert written() == mined(data, corpus=WORDS[:7], num_negatives=9)


def test_other_judgements_and_texts_go_with_a_beir_folder(run_mine, written, beir_folder, tmp_path):
    (tmp_path / "texts.txt").write_text("Berlin\n", "utf-8")
    options = ("--qrels", beir_folder / "other.tsv", "--corpus", tmp_path / "texts.txt")
    assert run_mine(*options, "--num-negatives", "6", "--quiet", data=beir_folder).code == 0
    data = [{"query": WORDS[0], "positive": WORDS[6]}]
    assert written() == mined(data, corpus=[*WORDS[:7], "Berlin"], num_negatives=6)


def test_pairs_may_be_of_any_form(run, run_mine, written, tmp_path):
    path = tmp_path / "pairs.data"
    lines = ["id\tpositive\tquery", *(f"7\t{row['positive']}\t{row['query']}" for row in PAIRS)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    assert run_mine("--quiet", data=path).code == 65
    assert run_mine("--quiet", "--input-format", "tsv", data=path).code == 0
    assert written() == mined()
    options = ("--output", tmp_path / "mined.jsonl", "--input-format", "tsv")
    assert run("mine", GELU, "-", *options, stdin=path.read_bytes()).code == 0
    assert written() == mined()


def test_a_format_from_outside_is_mined_and_has_help(run, run_mine, written, monkeypatch):
    def negatives(mined, has_scores):
        return {"text": mined.documents(mined.negatives.numbers[mined.negatives.found()])}

    row = Format(negatives, lambda mined: mined.negatives.scores.size, "a negative alone")
    monkeypatch.setitem(FORMATS, "negatives", row)
    assert "negatives: a negative alone" in " ".join(run("mine", "--help").out.split())
    assert "18 rows" in run_mine("--format", "negatives").err
    assert [row["text"] for row in written()] == [row["negative"] for row in mined()]


@pytest.mark.parametrize(
    ("names", "use"),
    [
        ("answer question", "answer is taken as the query, and question as the positive. Rename"),
        ("query negative", "query is taken as the query, and negative as the positive. Rename"),
        ("body anchor", "anchor is taken as the query, and body as the positive. Rename"),
        ("positive anchor", None),
        ("sentence1 sentence2", None),
        ("id query positive", None),
    ],
)
def test_the_use_of_columns_is_told_where_names_do_not(run_mine, pair_file, names, use):
    rows = [dict.fromkeys(names.split(), word) for word in WORDS]
    pair_file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    code, _, err = run_mine("--format", "labeled-pair")
    assert code == 0
    expected = f"{pair_file}, line 1: the column {use}" if use else "taken as the query"
    assert (expected in err) == (use is not None)


REFUSED = [
    (("--num-negatives", "0"), 2, "'0' is no whole number from 1 up"),
    (("--range-min", "-1"), 2, "argument --range-min"),
    (("--max-score", "nan"), 2, "'nan' is no number"),
    (("--max-score", "high"), 2, "'high' is no number"),
    (("--sampling", "best"), 2, "invalid choice: 'best'"),
    (("--format", "pairs"), 2, "invalid choice: 'pairs'"),
    (("--range-min", "5", "--range-max", "5"), 65, "range_min must be smaller than range_max"),
    (("--cross-encoder", "nowhere"), 65, "--cross-encoder scores candidates for a filter"),
    (("--cross-encoder", "nowhere", "--max-score", "1", "--offline"), 69, "nowhere"),
    (("--qrels", "qrels.tsv"), 65, "--qrels is for a folder in BEIR's layout"),
    (("--corpus", "nowhere.txt"), 66, "nowhere.txt"),
]


@pytest.mark.parametrize(("options", "code", "message"), REFUSED, ids=str)
def test_what_cannot_be_mined_leaves_no_file(run_mine, tmp_path, options, code, message):
    result = run_mine(*options)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["pairs.jsonl"]


@pytest.mark.parametrize("form", FORMATS)
def test_no_negative_is_an_error_and_an_old_file_stays(run_mine, tmp_path, form):
    path = tmp_path / "mined.jsonl"
    path.write_text("old")
    result = run_mine("--max-score", "-1", "--format", form)
    said = "No negative was found: queries have too few negatives; for more, give more texts "
    assert (result.code, result.out) == (65, "")
    assert f"{said}(--corpus) or a looser --max-score." in result.err
    assert path.read_text() == "old"


def test_texts_that_are_all_positives_are_told_to_be_too_few(run_mine, pair_file, tmp_path):
    pair_file.write_text(json.dumps(PAIRS[0]) + "\n", "utf-8")
    result = run_mine()
    said = "No negative was found: the texts to search are too few; give more texts (--corpus)."
    assert (result.code, said in result.err) == (65, True)
    assert not (tmp_path / "mined.jsonl").exists()


@pytest.mark.parametrize("name", ["mined.csv", "mined.parquet", "mined.jsonl.gz"])
def test_a_name_of_another_form_is_refused(run_mine, tmp_path, name):
    result = run_mine(output=tmp_path / name)
    assert (result.code, "the rows are JSON lines" in result.err) == (65, True)
    assert not (tmp_path / name).exists()


def test_an_output_that_is_read_is_refused(run_mine, pair_file, beir_folder, tmp_path):
    texts, link = tmp_path / "texts.jsonl", tmp_path / "link.jsonl"
    texts.write_text('{"text": "a"}\n')
    link.symlink_to(pair_file)
    judged = {"data": beir_folder, "output": beir_folder / "other.jsonl"}
    (beir_folder / "other.tsv").rename(judged["output"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    moved = tmp_path / "judgements"
    moved.write_text("0\t6\t1\n")
    for result, said in (
        (run_mine(output=pair_file), f"is '{pair_file}', which is read"),
        (run_mine(output=link), f"is '{pair_file}', which is read"),
        (run_mine("--corpus", texts, output=texts), f"is '{texts}', which is read"),
        (run_mine("--corpus", beir_folder, output=beir_folder / "new"), f"lies in '{beir_folder}'"),
        (run_mine(**judged), f"lies in '{beir_folder}', which is read"),
        (run_mine("--qrels", moved, data=beir_folder, output=moved), f"is '{moved}', which is"),
    ):
        assert (result.code, said in result.err) == (73, True), result.err
    assert {path: path.read_bytes() for path in before} == before
    assert not (beir_folder / "new").exists()


def test_json_and_rows_are_not_both_printed(run_mine):
    result = run_mine("--json", output="-")
    assert (result.code, "both write to standard output" in result.err) == (65, True)


def test_a_form_of_a_folder_is_refused(run_mine, beir_folder):
    result = run_mine("--input-format", "csv", data=beir_folder)
    assert (result.code, "--input-format is for a file" in result.err) == (65, True)


def test_a_file_that_cannot_be_created_is_told_first(run_mine, tmp_path):
    assert run_mine(output=tmp_path / "nowhere" / "a.jsonl").code == 73


def test_bad_data_is_told_with_its_line(run_mine, pair_file, tmp_path):
    pair_file.write_text(pair_file.read_text("utf-8").replace('"London"', '""', 1), "utf-8")
    result = run_mine()
    assert (result.code, "line 5: query is empty" in result.err) == (65, True)
    assert not (tmp_path / "mined.jsonl").exists()


def test_an_old_file_stays_after_an_error(run_mine, tmp_path):
    path = tmp_path / "mined.jsonl"
    path.write_text("old")
    assert run_mine("--range-max", "1").code == 65
    assert path.read_text() == "old"


def test_control_characters_are_written_as_escapes(run_mine, pair_file, written, tmp_path):
    rows = [{**PAIRS[0], "query": ODD}, *PAIRS[1:]]
    pair_file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert run_mine("--quiet").code == 0
    assert {row["query"] for row in written()} == {row["query"] for row in rows}
    assert "\x1b" not in (tmp_path / "mined.jsonl").read_text("utf-8")


@pytest.mark.slow
def test_a_process_of_its_own_writes_the_rows(pair_file, written, tmp_path):
    output = tmp_path / "mined.jsonl"
    done = process("mine", GELU, pair_file, "--output", output, "--offline")
    assert (done.returncode, done.stdout) == (0, b"")
    assert written() == mined()
