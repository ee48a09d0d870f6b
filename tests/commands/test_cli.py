"""The command line: what it prints and where, what it writes, and the code it ends with."""

import errno
import gzip
import hashlib
import io
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from golden_files import GOLDEN
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer, __version__, dot_score
from minibert.commands import cli, embed
from minibert.commands.formats import FORMATS
from minibert.commands.options import load
from minibert.commands.score import ranking
from minibert.common.escapes import has_controls
from minibert.explain.attribution import occlusion
from minibert.kernels import devices
from minibert.kernels.cores import available_threads
from minibert.models.sentence_transformer import DEFAULT_MODEL

GELU = str(GOLDEN / "gelu")  # no Normalize module, and cosine
TEXTS = ["the cat sat.", "Dogs, cats and London!", "Café 中文"]
LONG = "the dog barks at the cat " * 10  # 62 tokens; the model takes 41
COMMANDS = ["embed", "score", "explain", "info", "convert", "demo"]


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def objects(self):
        """The objects of a JSON Lines output."""
        assert self.out == "" or self.out.endswith("\n")
        return [json.loads(line) for line in self.out.split("\n")[:-1]]

    @property
    def texts(self):
        return [line["text"] for line in self.objects]

    @property
    def vectors(self):
        return np.array([line["vector"] for line in self.objects], dtype=np.float32)


@pytest.fixture(autouse=True)
def root_logger():
    """main() sets up the log of a whole process; here other tests come after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def buffered(monkeypatch):
    """Like its users' Python, that of a new process keeps output back until there is enough."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process: run(*arguments, stdin=b"")."""

    def command(*arguments, stdin=None):
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        try:
            code = cli.main([*map(str, arguments)])
        except SystemExit as stopped:  # argparse's way out
            code = stopped.code
        return Result(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="module")
def model():
    return SentenceTransformer(GELU, on_long="ignore")


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def old_output(tmp_path):
    """A file that an earlier run wrote, alone in its folder."""
    path = tmp_path / "out" / "vectors.npy"
    path.parent.mkdir()
    path.write_bytes(b"what an earlier run wrote")
    return path


def assert_untouched(old_output):
    assert old_output.read_bytes() == b"what an earlier run wrote"
    assert os.listdir(old_output.parent) == [old_output.name]


def process(*arguments, **options):
    """Run a command in a process of its own, with bytes in and out."""
    return subprocess.run(
        [sys.executable, "-m", "minibert", *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **options},
    )


def assert_close(vectors, expected):
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-7)


# embed: where texts come from


def test_embed_prints_each_text_with_its_vector(run, model, texts):
    result = run("embed", "-m", GELU, "--on-long", "ignore", *texts)
    assert result.code == 0
    assert result.texts == texts
    assert [list(line) for line in result.objects] == [["text", "vector"]] * len(texts)
    assert_close(result.vectors, model.encode(texts))


def test_embed_reads_a_text_from_each_line_of_every_file(run, model, tmp_path):
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_bytes("Café\r\n\r\n the cat \n".encode())
    second.write_bytes(b"no end of line")
    result = run("embed", "-m", GELU, "--file", second, "-f", first)
    assert result.code == 0
    assert result.texts == ["no end of line", "Café", "", " the cat "]
    assert_close(result.vectors, model.encode(result.texts))


@pytest.mark.parametrize("arguments", [[], ["--file", "-"]])
def test_embed_reads_standard_input_by_default_and_for_a_dash(run, arguments):
    result = run("embed", "-m", GELU, *arguments, stdin="the cat\nCafé\n".encode())
    assert (result.code, result.texts) == (0, ["the cat", "Café"])


@pytest.fixture
def files(tmp_path):
    """The same two records in every form: tmp_path / "a.FORM"; a third column is no text."""
    rows = [["key", "text", "n"], ["d1", 'the "cat"', "1"], ["d2", "Café, 中文", "2"]]
    objects = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    lines = "".join(f"{json.dumps(one)}\n" for one in objects)
    quoted = 'key,text,n\nd1,"the ""cat""",1\nd2,"Café, 中文",2\n'
    contents = {
        "jsonl": lines,
        "csv": quoted,
        "tsv": "".join("\t".join(row) + "\n" for row in rows),
    }
    for form, content in contents.items():
        (tmp_path / f"a.{form}").write_text(content, encoding="utf-8")
        (tmp_path / f"a.{form}.gz").write_bytes(gzip.compress(content.encode()))
    table = {name: [one[name] for one in objects] for name in rows[0]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    return tmp_path


FORM_FILES = ["jsonl", "csv", "tsv", "jsonl.gz", "csv.gz", "tsv.gz", "parquet"]
RECORD_TEXTS = ['the "cat"', "Café, 中文"]


@pytest.mark.parametrize("ending", FORM_FILES)
def test_embed_reads_records_as_a_corpus_is_built_of_them(run, model, files, ending):
    path = files / f"a.{ending}"
    result = run("embed", "-m", GELU, "--file", path, "--id-field", "key")
    assert (result.code, result.err) == (0, "")
    assert [list(line) for line in result.objects] == [["id", "text", "vector"]] * 2
    assert [line["id"] for line in result.objects] == ["d1", "d2"]
    assert result.texts == RECORD_TEXTS
    assert_close(result.vectors, model.encode(RECORD_TEXTS))
    plain = run("embed", "-m", GELU, "first", "--file", path, "--text-field", "key")
    assert plain.texts == ["first", "d1", "d2"]
    assert [list(line) for line in plain.objects] == [["text", "vector"]] * 3


def test_embed_reads_records_from_standard_input_if_it_is_told(run, files):
    stdin = (files / "a.csv").read_bytes()
    result = run("embed", "-m", GELU, "--input-format", "csv", "--json", stdin=stdin)
    assert (result.code, result.texts) == (0, RECORD_TEXTS)
    lines = run("embed", "-m", GELU, "--input-format", "text", "-f", files / "a.jsonl.gz")
    assert [json.loads(text)["text"] for text in lines.texts] == RECORD_TEXTS


def test_embed_names_the_line_that_is_no_record(run, files, old_output):
    with (files / "a.tsv").open("a") as file:
        file.write("d3\tno number\n")
    result = run("embed", "-m", GELU, "--file", files / "a.tsv", "-o", old_output)
    assert result.code == 65
    assert f"{files / 'a.tsv'}, line 4 has 2 fields; the header has 3" in result.err
    assert_untouched(old_output)
    (files / "a.doc").touch()
    result = run("embed", "-m", GELU, "--file", files / "a.doc")
    assert result.code == 65
    assert "Give --input-format: text, jsonl, csv, tsv, tsv-quoted, parquet" in result.err


def test_embed_as_json_is_the_format_jsonl(run, tmp_path):
    expected = run("embed", "-m", GELU, "--format", "jsonl", *TEXTS).out
    assert run("embed", "-m", GELU, "--json", *TEXTS).out == expected
    run("embed", "-m", GELU, "--json", *TEXTS, "-o", tmp_path / "v.npy")
    assert (tmp_path / "v.npy").read_text(encoding="utf-8") == expected
    assert run("embed", "-m", GELU, "--json", "--format", "npy", "a").code == 2


def test_embed_takes_arguments_before_files(run, text_file):
    result = run("embed", "-m", GELU, "first", "second", "--file", text_file)
    assert (result.code, result.texts) == (0, ["first", "second", *TEXTS])


def test_only_the_end_of_a_line_ends_a_text(run):
    # str.splitlines would cut at each of these.
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh"
    result = run("embed", "-m", GELU, stdin=f"{text}\nnext\n".encode())
    assert result.texts == [text, "next"]


def test_reading_in_chunks_loses_no_text(run, model, monkeypatch):
    monkeypatch.setattr(embed, "CHUNK_TEXTS", 3)
    texts = [f"{number} cats" for number in range(8)]
    result = run("embed", "-m", GELU, stdin="\n".join(texts).encode())
    assert result.texts == texts
    # Chunk by chunk: other neighbours in a pack change rounding.
    expected = [model.encode(texts[start : start + 3]) for start in (0, 3, 6)]
    np.testing.assert_array_equal(result.vectors, np.concatenate(expected))


# embed: where vectors go


def test_jsonl_and_npy_hold_the_same_float32(run, tmp_path, model):
    printed = run("embed", "-m", GELU, *TEXTS)
    saved = run("embed", "-m", GELU, "--output", tmp_path / "vectors.npy", *TEXTS)
    assert (saved.code, saved.out, saved.err) == (0, "", "")
    matrix = np.load(tmp_path / "vectors.npy", allow_pickle=False)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(printed.vectors, matrix)
    assert_close(matrix, model.encode(TEXTS))


@pytest.mark.parametrize(
    ("name", "arguments", "is_npy"),
    [
        ("vectors.npy", [], True),
        ("vectors.jsonl", [], False),
        ("npy", [], False),
        ("vectors.bin", ["--format", "npy"], True),
        ("vectors.npy", ["--format", "jsonl"], False),
    ],
)
def test_the_format_is_the_one_asked_for_or_the_suffix(run, tmp_path, name, arguments, is_npy):
    assert run("embed", "-m", GELU, "-o", tmp_path / name, *arguments, "the cat").code == 0
    content = (tmp_path / name).read_bytes()
    assert content.startswith(b"\x93NUMPY" if is_npy else b'{"text": "the cat", "vector": [')


def test_a_dash_is_standard_output(run):
    assert run("embed", "-m", GELU, "-o", "-", "the cat").texts == ["the cat"]


def test_npy_can_be_redirected_to_a_file(tmp_path):
    path = tmp_path / "vectors"
    with path.open("wb") as file:
        process("embed", "-m", GELU, "--format", "npy", "the cat", "a", stdout=file, check=True)
    assert np.load(path, allow_pickle=False).shape == (2, 20)


def test_npy_is_not_printed_on_a_terminal(run, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = run("embed", "-m", GELU, "--format", "npy", "the cat")
    assert result.code != 0
    assert result.out == ""
    assert "--output" in result.err


def test_no_lines_give_a_matrix_without_rows(run, tmp_path):
    path = tmp_path / "vectors.npy"
    assert run("embed", "-m", GELU, "-o", path, stdin=b"").code == 0
    matrix = np.load(path, allow_pickle=False)
    assert (matrix.shape, matrix.dtype) == ((0, 20), np.float32)


def test_no_lines_give_no_lines(run):
    result = run("embed", "-m", GELU, stdin=b"")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_a_whole_output_replaces_the_old_one(run, old_output):
    assert run("embed", "-m", GELU, "-o", old_output, "the cat").code == 0
    assert np.load(old_output, allow_pickle=False).shape == (1, 20)
    assert os.listdir(old_output.parent) == [old_output.name]


def test_jsonl_is_utf8_whatever_the_terminal_s_encoding():
    done = process(
        "embed", "-m", GELU, "Café 中文", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert json.loads(done.stdout.decode("utf-8"))["text"] == "Café 中文"


# embed: options


def test_normalize_divides_each_vector_by_its_length(run, model):
    vectors = run("embed", "-m", GELU, "--normalize", *TEXTS).vectors
    plain = model.encode(TEXTS)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    assert (lengths > 2).all()
    np.testing.assert_allclose(vectors, plain / lengths, rtol=0, atol=1e-6)


def test_a_prompt_goes_before_every_text(run, folder, edit, model):
    edit(folder / "config_sentence_transformers.json", prompts={"ask": "the cat "})
    result = run("embed", "-m", folder, "--prompt-name", "ask", "sat.", "barks")
    assert result.texts == ["sat.", "barks"]
    assert_close(result.vectors, model.encode(["the cat sat.", "the cat barks"]))


def test_an_unknown_prompt_is_bad_data_and_the_known_ones_are_named(run):
    result = run("embed", "-m", GELU, "--prompt-name", "ask", "the cat")
    assert (result.code, result.out) == (65, "")
    assert "'ask'" in result.err
    assert "'query'" in result.err


def test_a_prompt_of_one_s_own_and_a_width_are_followed(run, model):
    result = run("embed", "-m", GELU, "cat", "--prompt", "the ", "--truncate-dim", "3")
    assert result.code == 0
    assert_close(result.vectors, model.encode(["the cat"])[:, :3])


def test_bits_are_written_as_whole_numbers(run, model, tmp_path):
    result = run("embed", "-m", GELU, "the cat", "a", "--precision", "binary")
    codes = [line["vector"] for line in result.objects]
    assert codes == model.encode(["the cat", "a"], precision="binary").tolist()
    path = tmp_path / "codes.npy"
    run("embed", "-m", GELU, "the cat", "a", "--precision", "ubinary", "--output", path)
    matrix = np.load(path)
    assert (matrix.dtype, matrix.shape) == (np.uint8, (2, 3))
    run("embed", "-m", GELU, "--precision", "ubinary", "--output", path, "--file", os.devnull)
    assert np.load(path).shape == (0, 3)


def test_a_long_text_can_be_taken_in_windows(run, model):
    text = "the cat sat " * 40
    result = run("embed", "-m", GELU, text, "--on-long", "window")
    assert result.err == ""
    assert_close(result.vectors, model.encode([text], on_long="window"))


def test_pack_tokens_changes_no_vector(run):
    default = run("embed", "-m", GELU, *TEXTS)
    small = run("embed", "-m", GELU, "--pack-tokens", "1", *TEXTS)
    # Other packs, other rounding: these vectors are not normalised, and of size 2.
    np.testing.assert_allclose(small.vectors, default.vectors, rtol=0, atol=1e-5)  # seen 2.3e-6


def test_threads_change_no_vector(run, model):
    result = run("embed", "-m", GELU, "--threads", "1", *TEXTS)
    np.testing.assert_allclose(result.vectors, model.encode(TEXTS), rtol=0, atol=2e-6)


# embed: warnings


def test_a_cut_text_is_told_on_stderr_in_a_line(run, model):
    result = run("embed", "-m", GELU, "the cat", LONG)
    assert result.code == 0
    assert_close(result.vectors, model.encode(["the cat", LONG]))
    assert result.err.startswith("minibert: 1 of 2 texts were longer than 41 tokens")
    assert result.err.count("\n") == 1


def test_a_cut_text_can_be_ignored(run):
    result = run("embed", "-m", GELU, "--on-long", "ignore", LONG)
    assert (result.code, result.err) == (0, "")
    assert result.texts == [LONG]


def test_a_cut_text_can_be_an_error_that_leaves_no_result(run, old_output):
    printed = run("embed", "-m", GELU, "--on-long", "error", "the cat", LONG)
    assert (printed.code, printed.out) == (65, "")
    assert "41 tokens" in printed.err
    assert run("embed", "-m", GELU, "--on-long", "error", LONG, "-o", old_output).code == 65
    assert_untouched(old_output)


def test_a_text_that_names_a_file_is_warned_about_and_still_a_text(run, text_file, monkeypatch):
    monkeypatch.chdir(text_file.parent)
    for command in (["embed"], ["score", "a query"]):
        result = run(*command, text_file.name, "-m", GELU)
        assert result.code == 0
        assert text_file.name in result.out
        assert "the cat sat." not in result.out
        assert repr(text_file.name) in result.err
        assert "--file" in result.err
        assert result.err.count("\n") == 1


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


# score


def cosines(query, vectors):
    """The textbook's cosine, in float64."""
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    return vectors @ query / (np.linalg.norm(query) * np.linalg.norm(vectors, axis=1))


def test_score_prints_a_table_best_first(run, model):
    result = run("score", "-m", GELU, "Who barks?", *TEXTS)
    scores = cosines(model.encode("Who barks?"), model.encode(TEXTS))
    lines = [line.split(maxsplit=1) for line in result.out.splitlines()]
    assert (result.code, result.err) == (0, "")
    assert [text for _, text in lines] == [TEXTS[index] for index in np.argsort(-scores)]
    assert all(re.fullmatch(r"-?\d\.\d{4}", score) for score, _ in lines)
    np.testing.assert_allclose(
        [float(score) for score, _ in lines], sorted(scores, reverse=True), rtol=0, atol=6e-5
    )


def test_score_as_json_has_rank_score_index_and_text(run, model):
    result = run("score", "-m", GELU, "--json", "Who barks?", *TEXTS)
    scores = cosines(model.encode("Who barks?"), model.encode(TEXTS))
    best_first = np.argsort(-scores).tolist()
    assert best_first != [0, 1, 2]  # else index and rank would be told apart by nothing
    assert [list(line) for line in result.objects] == [["rank", "score", "index", "text"]] * 3
    assert [line["rank"] for line in result.objects] == [1, 2, 3]
    assert [line["index"] for line in result.objects] == best_first
    assert result.texts == [TEXTS[index] for index in best_first]
    found = [line["score"] for line in result.objects]
    np.testing.assert_allclose(found, scores[best_first], rtol=0, atol=1e-6)  # float32, worst 2e-7


def test_score_reads_texts_from_files(run, text_file):
    given = run("score", "-m", GELU, "Who barks?", *TEXTS)
    assert run("score", "-m", GELU, "Who barks?", "--file", text_file).out == given.out
    stdin = text_file.read_bytes()
    assert run("score", "-m", GELU, "Who barks?", stdin=stdin).out == given.out


@pytest.mark.parametrize("ending", FORM_FILES)
def test_score_tells_the_ids_of_records(run, files, ending):
    arguments = ["-m", GELU, "Who barks?", "--file", files / f"a.{ending}", "--id-field", "key"]
    objects = run("score", "--json", *arguments).objects
    assert {one["id"]: one["text"] for one in objects} == dict(
        zip(("d1", "d2"), RECORD_TEXTS, strict=True)
    )
    lines = [line.split(maxsplit=1)[1] for line in run("score", *arguments).out.splitlines()]
    assert lines == [f"{one['id']}  {one['text']}" for one in objects]


def test_score_of_no_texts_prints_nothing(run):
    result = run("score", "-m", GELU, "Who barks?", stdin=b"")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_score_uses_the_dot_product_if_the_folder_says_so(run, folder, edit, model):
    edit(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    result = run("score", "-m", folder, "--json", "Who barks?", *TEXTS)
    scores = model.encode(TEXTS).astype(np.float64) @ model.encode("Who barks?")
    assert scores.max() > 2  # no cosine is
    found = {line["index"]: line["score"] for line in result.objects}
    np.testing.assert_allclose([found[index] for index in range(3)], scores, rtol=0, atol=1e-4)


def test_score_gives_query_and_texts_their_prompts(run, folder, edit, model):
    edit(
        folder / "config_sentence_transformers.json",
        prompts={"query": "the cat ", "document": "dogs and "},
    )
    result = run("score", "-m", folder, "--json", "sat.", *TEXTS)
    scores = cosines(
        model.encode("the cat sat."), model.encode([f"dogs and {text}" for text in TEXTS])
    )
    found = {line["index"]: line["score"] for line in result.objects}
    np.testing.assert_allclose([found[index] for index in range(3)], scores, rtol=0, atol=1e-6)
    assert sorted(result.texts) == sorted(TEXTS)


def test_texts_of_one_score_keep_their_order():
    class Digits:
        """A model with exact scores: a text is a digit, and the digit its vector."""

        similarity = staticmethod(dot_score)

        def encode(self, texts, prompt_name):
            return np.array([float(text) for text in texts], dtype=np.float32)[:, None]

    texts = [str(number * 7 % 3) for number in range(100)]
    found = [result["index"] for result in ranking(Digits(), "1", texts)]
    assert found == [index for digit in "210" for index in range(100) if texts[index] == digit]


# explain


def test_explain_prints_the_score_both_texts_and_the_strongest_pairs(run, model):
    result = run("explain", "-m", GELU, "the cats sat", "London barks!", "--words", "2")
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
    shown = run("explain", "-m", GELU, "--occlusion", "--words", "2", "the cats", "London barks!")
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


def test_explain_reads_the_query_from_standard_input_or_the_document_from_a_file(run, tmp_path):
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
        (["a", "b", "c"], "2 documents are given; one is explained at a time"),
        (["a", "b", "--file", "-"], "2 documents are given"),
        (["-", "-"], "Only one of the two texts can come from standard input"),
        (["-"], "Only one of the two texts can come from standard input"),
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
def test_a_score_that_is_no_sum_still_loses_something_without_each_word(
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
    assert f"{content['document']['cut']} tokens of the document were cut off" in shown.out
    assert run("explain", "--html", "-", *arguments).code == 65


def test_explain_occludes_by_the_metric_that_was_asked_for(run):
    arguments = ["explain", "-m", GELU, "--occlusion", "--json", "the cats", "a dog"]
    (content,) = run(*arguments, "--metric", "dot").objects
    model = SentenceTransformer(GELU, similarity_fn_name="dot")
    of_query, _ = occlusion(model, "the cats", "a dog")
    found = [word["difference"] for word in content["occlusion"]["query"]]
    assert found == pytest.approx([lost.difference for lost in of_query], rel=1e-4)
    assert occlusion(SentenceTransformer(GELU), "the cats", "a dog", "dot")[0] == of_query


def test_explain_shows_control_characters_and_obeys_none(run):
    texts = "t\x1bhe[2J ca\x07t", "a\x07dog \u202eb\x9b31m"
    result = run("explain", "-m", GELU, "--words", "99", "--occlusion", *texts)
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
        assert "by its name; all of a text file is read here, as one text" in result.err


@pytest.mark.parametrize("blank", ["", "  "])
def test_explain_says_that_a_text_has_no_words(run, blank):
    assert (
        "The query has no words, only special tokens." in run("explain", "-m", GELU, blank, "a").out
    )
    out = run("explain", "-m", GELU, "a", blank, "--words", "1").out
    assert "The document has no words" in out
    assert "The query has no words" not in out


def test_explain_says_what_was_cut_off(run):
    result = run("explain", "-m", GELU, "the cat", LONG)
    assert result.out.endswith("\n31 tokens of the document were cut off; 41 were read.\n")
    assert result.err == ""


def test_explain_warns_of_a_text_that_names_a_file(run, text_file):
    result = run("explain", "-m", GELU, "the cat", text_file)
    assert "is taken as a text; for the file of that name, use --file" in result.err


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures were asked for; they are tested by themselves."""
    asked = []

    def heat_map_svg(explanation):
        asked.append(explanation)
        return "<svg>ä</svg>"

    def explanation_page(*arguments):
        asked.append(arguments)
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


# info and demo


def test_info_tells_what_a_model_is(run):
    folder = GOLDEN / "plain"  # a masked language model: its head's tensors have no use here
    path = folder / "model.safetensors"
    tensors = load_file(path)
    head = sorted(name for name in tensors if name.startswith("cls."))
    assert head
    result = run("info", folder, "--json", "--quiet")
    assert (result.code, result.err) == (0, "")
    (facts,) = result.objects
    assert facts["dimension"] == facts["hidden_size"] == 20
    assert facts["max_seq_length"] == 41
    assert facts["num_hidden_layers"] == 3
    assert facts["pooling"] == "mean"
    assert facts["metric"] == "cosine"
    assert "default" in facts["metric_reason"]
    assert facts["weights"] == ["model.safetensors"]
    assert facts["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["weights_bytes"] == path.stat().st_size
    assert facts["tensors_ignored"] == head
    used = tensors.keys() - set(head)
    assert facts["parameters"] == sum(tensors[name].size for name in used)


def test_info_says_where_the_metric_comes_from(run, folder, edit):
    edit(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    (facts,) = run("info", folder, "--json").objects
    assert facts["metric"] == "dot"
    assert "config_sentence_transformers.json" in facts["metric_reason"]


def test_info_takes_the_digest_over_all_shards(run):
    (facts,) = run("info", GOLDEN / "sharded", "--json").objects
    shards = sorted((GOLDEN / "sharded").glob("*.safetensors"))
    assert facts["weights"] == [path.name for path in shards]
    assert len(shards) == 3
    content = b"".join(path.read_bytes() for path in shards)
    assert facts["weights_sha256"] == hashlib.sha256(content).hexdigest()
    assert facts["weights_bytes"] == len(content)


def test_info_as_a_table_has_the_same_names_and_facts(run):
    (facts,) = run("info", GELU, "--json").objects
    table = dict(line.split(maxsplit=1) for line in run("info", GELU).out.splitlines())
    assert list(table) == list(facts)
    for name in ("dimension", "metric", "metric_reason", "weights_sha256", "parameters"):
        assert table[name] == str(facts[name])
    assert table["tensors_ignored"] == "none"


def test_info_finds_a_cached_model_by_its_name(run, cache, monkeypatch, no_network):
    snapshot = cache("sentence-transformers/tiny", GOLDEN / "gelu")
    (facts,) = run("info", "tiny", "--json").objects
    assert facts["folder"] == str(snapshot)
    (facts,) = run("info", "tiny", "--json", "--revision", snapshot.name).objects
    assert facts["folder"] == str(snapshot)
    assert run("info", "tiny", "--offline", "--revision", "next").code == 69
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME")
    (facts,) = run("info", "tiny", "--json", "--cache-folder", cache.root).objects
    assert facts["folder"] == str(snapshot)


def test_the_demo_ranks_the_two_texts_as_the_model_s_card_does(run, minilm_folder):
    result = run("demo", "-m", minilm_folder)
    assert (result.code, result.err) == (0, "")
    query, *ranked, summary = result.out.splitlines()
    assert query == "Query: How many people live in London?"
    assert [line.split(maxsplit=1) for line in ranked] == [
        ["0.8824", "Around 9 Million people live in London"],
        ["0.4583", "London is known for its financial district"],
    ]
    assert "cosine" in summary


# exit codes


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["embed", "--no-such-option"],
        ["embed", "-m", GELU, "--threads", "0", "a"],
        ["embed", "-m", GELU, "--threads", "two", "a"],
        ["embed", "-m", GELU, "--pack-tokens", "0", "a"],
        ["embed", "-m", GELU, "--pack-tokens", "-1", "a"],
        ["embed", "-m", GELU, "--format", "csv", "a"],
        ["embed", "-m", GELU, "--on-long", "cry", "a"],
        ["score", "-m", GELU],
        ["explain", "-m", GELU],
        ["explain", "-m", GELU, "a", "b", "--words", "0"],
        ["explain", "-m", GELU, "a", "b", "--metric", "euclidean"],
        ["info"],
    ],
)
def test_wrong_usage_is_code_2(run, arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: minibert")


def test_more_threads_than_cores_are_as_many_and_said_once(run, monkeypatch):
    monkeypatch.setattr(devices, "TOLD", [])
    cores, expected = available_threads(), run("embed", "-m", GELU, "--format", "jsonl", "a")
    result = run("embed", "-m", GELU, "--format", "jsonl", "--threads", cores + 1, "a")
    assert (result.code, result.out) == (0, expected.out)
    assert result.err == (
        f"minibert: threads is {cores + 1}, and this process may use {cores} cores: it uses "
        f"{cores}.\n"
    )


def test_bad_utf8_in_a_file_is_code_65_and_named_with_its_line(run, tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes(b"the cat\nCaf\xe9\n")
    for command in (["embed"], ["score", "a query"]):
        result = run(*command, "-m", GELU, "--file", path)
        assert (result.code, result.out) == (65, "")
        assert f"{path}, line 2" in result.err
        assert result.err.count("\n") == 1


def test_bad_utf8_on_standard_input_is_code_65(run):
    result = run("embed", "-m", GELU, stdin=b"\xff\n")
    assert (result.code, result.out) == (65, "")
    assert "standard input, line 1" in result.err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", None),
        ("config.json", b"{"),
        ("modules.json", b"{}"),
        ("1_Pooling/config.json", None),
        ("model.safetensors", None),
        ("model.safetensors", b"not a whole file"),
        ("tokenizer.json", None),
    ],
)
def test_a_broken_folder_is_code_65(run, folder, file, content):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    result = run("embed", "-m", folder, "the cat")
    assert (result.code, result.out) == (65, "")
    assert str(folder) in result.err
    assert result.err.count("\n") == 1


def test_a_missing_folder_is_code_66(run):
    result = run("info", "./no-such-folder")
    assert (result.code, result.out) == (66, "")
    assert "'./no-such-folder'" in result.err


def test_a_file_as_the_model_is_code_66(run, text_file):
    result = run("info", text_file)
    assert (result.code, result.out) == (66, "")
    assert str(text_file) in result.err


@pytest.mark.parametrize("command", [["embed"], ["score", "a query"]])
def test_a_missing_file_is_code_66_and_leaves_no_result(run, text_file, command):
    missing = text_file.parent / "missing.txt"
    result = run(*command, "-m", GELU, "--file", text_file, "--file", missing)
    assert (result.code, result.out) == (66, "")
    assert str(missing) in result.err


def test_offline_and_not_cached_is_code_69(run, cache, no_network):
    result = run("info", "someone/missing", "--offline")
    assert (result.code, result.out) == (69, "")
    assert "someone/missing" in result.err
    assert result.err.count("\n") == 1


def test_without_a_model_the_default_one_is_looked_for(run, cache, no_network):
    for arguments in (["embed", "a"], ["score", "a query", "a"], ["demo"]):
        result = run(*arguments, "--offline")
        assert result.code == 69
        assert DEFAULT_MODEL in result.err


def test_cuda_without_cupy_is_code_69(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # also where there is one
    result = run("embed", "-m", GELU, "--device", "cuda", "the cat")
    assert (result.code, result.out) == (69, "")
    assert "CuPy" in result.err


def test_a_fault_of_ours_is_code_70_and_shows_where(run, monkeypatch):
    def encode(*_, **__):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    result = run("embed", "-m", GELU, "the cat")
    assert (result.code, result.out) == (70, "")
    assert "Traceback" in result.err
    assert "RuntimeError: nobody thought of this" in result.err
    assert "report" in result.err.splitlines()[-1]


def test_an_output_in_a_folder_that_does_not_exist_is_code_73(run, tmp_path):
    path = tmp_path / "missing" / "vectors.npy"
    result = run("embed", "-m", GELU, "-o", path, "the cat")
    assert (result.code, result.out) == (73, "")
    assert str(path) in result.err
    assert not path.parent.exists()


def test_a_full_disk_is_code_74_and_leaves_the_old_output(run, old_output, monkeypatch):
    def write(batches, file):
        for _ in batches:
            file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(FORMATS, "npy", write)
    result = run("embed", "-m", GELU, "-o", old_output, "the cat")
    assert (result.code, result.out) == (74, "")
    assert os.strerror(errno.ENOSPC) in result.err
    assert_untouched(old_output)


def test_an_interrupt_is_code_130_and_leaves_the_old_output(run, old_output, monkeypatch):
    def encode(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    result = run("embed", "-m", GELU, "-o", old_output, "the cat")
    assert (result.code, result.out, result.err) == (130, "", "")
    assert_untouched(old_output)


# Interrupted within a string that is compiled, as a named tuple is, Python ends by the signal,
# though it was handled; a shell calls both 130.
@pytest.mark.parametrize(
    ("number", "codes"), [(signal.SIGINT, (130, -signal.SIGINT)), (signal.SIGTERM, (143,))]
)
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_a_signal_ends_a_waiting_process_and_leaves_no_output(tmp_path, number, codes):
    with subprocess.Popen(
        [sys.executable, "-m", "minibert", "embed", "-m", GELU, "-o", tmp_path / "v.npy"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as waiting:
        deadline = time.monotonic() + 120
        # Once the model is loaded there is a file for the output, and stdin is waited for.
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        begun = os.listdir(tmp_path)
        waiting.send_signal(number)
        out, err = waiting.communicate(timeout=120)
    assert len(begun) == 1
    assert waiting.returncode in codes
    assert (out, err) == (b"", b"")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [["embed", "-m", GELU, *TEXTS], ["score", "-m", GELU, "Who barks?", *TEXTS], ["info", GELU]],
    ids=["embed", "score", "info"],
)
def test_a_closed_pipe_ends_quietly(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = process(*arguments, stdout=pipe)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_stops_half_way_ends_it_quietly(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("cat\n" * 5000)  # 1.5 MB of vectors, far above what a pipe holds
    with subprocess.Popen(
        [sys.executable, "-m", "minibert", "embed", "-m", GELU, "--file", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writing:
        first = writing.stdout.readline()
        writing.stdout.close()
        err = writing.stderr.read()
    assert json.loads(first)["text"] == "cat"
    assert (writing.returncode, err) == (0, b"")


# the program as a whole


def test_python_m_minibert_is_the_command_line():
    done = process("embed", "-m", GELU, input="the cat\nCafé\n".encode())
    lines = done.stdout.decode("utf-8").splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["text"] for line in lines] == ["the cat", "Café"]


def test_python_m_minibert_ends_with_the_command_s_code():
    done = process("info", "./no-such-folder")
    assert (done.returncode, done.stdout) == (66, b"")


def test_the_version_is_the_package_s(run):
    result = run("--version")
    assert (result.code, result.out) == (0, f"minibert {__version__}\n")


def test_help_names_every_command_and_the_exit_codes(run):
    result = run("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", result.out, re.MULTILINE)
    codes = set(re.findall(r"\b\d+\b", result.out.partition("exit codes:")[2]))
    assert codes == {"0", "2", "65", "66", "69", "70", "73", "74", "130", "143"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_examples(run, command):
    result = run(command, "--help")
    assert (result.code, result.err) == (0, "")
    examples = result.out.partition("\nexamples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert all(f"minibert {command}" in example for example in examples)


# the model, and options before or behind


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


def test_a_second_copy_of_the_weights_can_be_forbidden():
    def short_inputs(*words):
        return load(cli.parse(["embed", "-m", GELU, *words])).transformer.short_inputs

    # A command is done before one would pay; its bits are a program's.
    assert [short_inputs(*words) for words in ([], ["--no-short-inputs"])] == [False, False]
    assert short_inputs("--reproducible")
    assert not short_inputs("--reproducible", "--no-short-inputs")


# texts of others on a terminal

ODD = "\x1b]0;title\x07 \x9b31m \u202etxt.exe\u2069"


def assert_not_obeyed(text):
    assert not has_controls(text.replace("\n", ""))


def test_a_score_shows_control_characters_and_sends_none(run):
    for form in ([], ["--json"]):
        result = run("score", "-m", GELU, "q", ODD, *form)
        assert result.code == 0
        assert_not_obeyed(result.out)
    assert result.texts == [ODD]
    assert run("embed", "-m", GELU, ODD).texts == [ODD]


def test_names_in_a_model_s_files_are_shown_and_not_sent(run, folder, edit, tmp_path):
    edit(folder / "config_sentence_transformers.json", prompts={ODD: ODD})
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, ODD: np.zeros(1, dtype=np.float32)}, folder / "model.safetensors")
    for form in ([], ["--json"]):
        result = run("info", folder, *form)
        assert result.code == 0
        assert_not_obeyed(result.out + result.err)
    (facts,) = result.objects
    assert facts["tensors_ignored"] == [ODD]
    folder.rename(tmp_path / ODD)
    (tmp_path / ODD / "config.json").write_text(f'{{"model_type": "{ODD[6:]}"}}')
    result = run("info", tmp_path / ODD)
    assert result.code == 65
    assert_not_obeyed(result.err)
    assert r"\x1b]0;title\x07" in result.err


def test_log_usage_and_fault_lines_send_no_control_character(run, monkeypatch):
    def encode(*_, **__):
        logging.getLogger("minibert.somewhere").warning("of a file: %s", ODD)
        raise RuntimeError(ODD)

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    result = run("embed", "-m", GELU, "a")
    assert result.code == 70
    assert result.err.count(r"\x1b]0;title\x07") == 2
    assert_not_obeyed(result.err)
    result = run("embed", f"--{ODD.replace(' ', '')}")
    assert result.code == 2
    assert_not_obeyed(result.err)


# standard streams that are not there


def shell(line, **options):
    """A command as a shell runs it, {} being python -m minibert: its code, output and errors."""
    command = line.replace("{}", f"'{sys.executable}' -m minibert")
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_closed_stderr_loses_messages_and_no_result(tmp_path):
    expected = shell(f"{{}} embed -m {GELU} '{LONG}'")
    assert expected[2] != ""
    assert shell(f"{{}} embed -m {GELU} '{LONG}' 2>&-") == (*expected[:2], "")
    assert shell("{} info ./nowhere 2>&-") == (66, "", "")
    assert shell("{} embed --no-such-option 2>&-") == (2, "", "")
    path = tmp_path / "v.jsonl"
    assert shell(f"{{}} embed -m {GELU} '{LONG}' -o {path} 2>&- <&- >&-") == (0, "", "")
    assert path.read_text() == expected[1]


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    # Other libraries write to the number 2, whatever stands behind it.
    program = "from minibert.commands import cli\nwith cli.standing_in(), open('o', 'w') as file:\n"
    program += "    file.write(str(file.fileno() > 2))"
    command = [sys.executable, "-c", program]
    subprocess.run(["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *command], cwd=tmp_path, check=True)
    assert (tmp_path / "o").read_text() == "True"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_stderr_changes_no_exit_code():
    assert shell("{} info ./nowhere 2>/dev/full")[0] == 66
    assert shell(f"{{}} embed -m {GELU} '{LONG}' 2>/dev/full")[0] == 0


@pytest.mark.parametrize(
    "words",
    [f"embed -m {GELU} a", f"score -m {GELU} q a", f"explain -m {GELU} a b", f"info {GELU}",
     f"eval --quiet {GELU}", f"demo -m {GELU}", "--help", "--version"],
)  # fmt: skip
def test_a_closed_stdout_is_an_error_of_writing(words):
    message = "minibert: standard output is closed, so no result can be written.\n"
    assert shell(f"{{}} {words} >&-") == (74, "", message)


def test_a_closed_stdin_is_no_input_where_it_is_read():
    message = "minibert: Standard input is closed. Give a file, or pipe something into it.\n"
    for words in (f"embed -m {GELU}", f"score -m {GELU} q", f"explain -m {GELU} a",
                  f"index build no-folder -m {GELU}"):  # fmt: skip
        assert shell(f"{{}} {words} <&-") == (66, "", message)
    assert shell(f"{{}} score -m {GELU} q a <&-") == shell(f"{{}} score -m {GELU} q a")


def test_streams_that_are_none_are_put_back(run, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["info", "./nowhere"]) == 66
    assert cli.main(["info", GELU]) == 74
    assert (sys.stdout, sys.stderr) == (None, None)


def test_streams_that_a_program_closed_are_not_there(monkeypatch):
    for name in ("stdout", "stderr", "stdin"):
        monkeypatch.setattr(sys, name, io.StringIO())
        getattr(sys, name).close()
    assert cli.main(["info", "./nowhere"]) == 66
    assert cli.main(["embed", "-m", str(GELU)]) == 66
    assert cli.main(["info", str(GELU)]) == 74


def test_streams_of_text_alone_are_told_of_where_bytes_go(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert cli.main(["embed", "-m", str(GELU), "a"]) == 73
    assert "takes no bytes. Give a file" in capsys.readouterr().err
    assert cli.main(["score", "-m", str(GELU), "q", "a"]) == 0
    assert sys.stdout.getvalue().endswith("  a\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a"))
    assert cli.main(["score", "-m", str(GELU), "q"]) == 66
    assert "holds no bytes. Give a file" in capsys.readouterr().err


# extras


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("pyarrow", ["embed", "-m", GELU, "--file", "{here}/a.parquet"]),
        ("pyarrow", ["index", "build", "{here}/c", "-m", GELU, "{here}/a.parquet"]),
        ("cupy", ["embed", "-m", GELU, "--device", "cuda", "a"]),
        ("usearch.index", ["index", "graph", "{here}/corpus"]),
        ("umap", ["map", "{here}/corpus", "--method", "umap"]),
    ],
)
def test_an_extra_that_is_missing_is_code_69(run, files, monkeypatch, library, words):
    many = "".join(f"cat {number}\n" for number in range(30)).encode()
    assert run("index", "build", files / "corpus", "-m", GELU, stdin=many).code == 0
    monkeypatch.setitem(sys.modules, library, None)
    result = run(*(word.format(here=files) for word in words))
    assert (result.code, result.out) == (69, "")
    assert re.search(r"Install it: pip install '\.\[\w+\]' in a clone of minibert\.$", result.err)


# what operating systems have beside plain files


def test_an_output_that_is_no_plain_file_is_written_to_and_not_replaced(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    done = process("embed", "-m", GELU, "-o", fifo, "a")
    out, _ = reading.communicate(timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert json.loads(out)["text"] == "a"


def test_an_output_that_is_a_folder_cannot_be_created(run, tmp_path):
    result = run("embed", "-m", GELU, "-o", tmp_path, "a")
    assert (result.code, result.out) == (73, "")
    assert f"cannot create {str(tmp_path)!r}" in result.err


def test_npy_can_be_piped(model, texts):
    done = process("embed", "-m", GELU, "--on-long", "ignore", "--format", "npy", *texts)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_close(np.load(io.BytesIO(done.stdout)), model.encode(texts))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_behind_standard_output_ends_with_74():
    with open("/dev/full", "wb") as full:
        done = process("embed", "-m", GELU, "a", stdout=full)
    assert done.returncode == 74
    assert done.stderr.decode() == f"minibert: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="a device of Unix")
def test_a_pipe_may_be_named_by_its_device(tmp_path):
    expected = shell(f"{{}} embed -m {GELU} a")
    assert shell(f"{{}} embed -m {GELU} a -o /dev/stdout") == expected
    assert shell(f"{{}} embed -m {GELU} a -o /dev/stdout > {tmp_path}/v")[0] == 0
    assert (tmp_path / "v").read_text() == expected[1]


@pytest.mark.skipif(os.name == "nt", reason="limits are those of Unix")
def test_output_that_is_cut_is_no_success_without_buffers(tmp_path):
    path, unbuffered = tmp_path / "v.npy", {**os.environ, "PYTHONUNBUFFERED": "1"}
    texts = " ".join(["'the cat'"] * 40)
    line = f"ulimit -f 1; {{}} embed -m {GELU} --format npy {texts} > {path}"
    code, _, err = shell(line, env=unbuffered)
    assert (code, err) == (74, f"minibert: {os.strerror(errno.EFBIG)}\n")
    done = process("embed", "-m", GELU, "--format", "npy", *["the cat"] * 40, env=unbuffered)
    assert np.load(io.BytesIO(done.stdout)).shape == (40, 20)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("words", ["--help", "--version", f"info {GELU}"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_of_whatever_was_to_be_said(words, unbuffered):
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    expected = (74, "", f"minibert: {os.strerror(errno.ENOSPC)}\n")
    assert shell(f"{{}} {words} > /dev/full", env=env) == expected


def test_help_into_a_closed_pipe_ends_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    done = process("embed", "--help", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_texts_may_stand_behind_options(run):
    result = run("score", "who sat", "-m", GELU, "the cat", "--json", "the dog")
    assert result.code == 0
    assert {json.loads(line)["text"] for line in result.out.splitlines()} == {"the cat", "the dog"}


@pytest.mark.parametrize("arguments", [["info", GELU, "more"], ["score", "q", "a", "--jsn"]])
def test_what_no_command_knows_is_refused(run, arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert f"unrecognized arguments: {arguments[-1]}" in result.err


def test_results_are_utf_8_whatever_the_locale_says():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("score", "q", "Café", "-m", GELU, env=environment)
    assert done.returncode == 0
    assert "Café" in done.stdout.decode("utf-8")


def test_a_device_that_cannot_be_meant_is_a_usage_error(run):
    result = run("info", GELU, "--device", "tpu")
    assert result.code == 2
    assert "'tpu' is neither cpu nor cuda" in result.err


def test_a_byte_order_mark_is_no_part_of_the_first_text(run):
    result = run("embed", "-m", GELU, stdin=b"\xef\xbb\xbfthe cat\n\xef\xbb\xbfa")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == [
        "the cat",
        "\ufeffa",
    ]


def test_an_output_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    assert cli.main(["embed", "-m", str(GELU), "-o", str(tmp_path / "v.npy"), "a"]) == 0
    assert (tmp_path / "v.npy").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_a_link_to_the_new_output(tmp_path):
    (tmp_path / "v.npy").touch()
    (tmp_path / "link.npy").symlink_to(tmp_path / "v.npy")
    assert cli.main(["embed", "-m", str(GELU), "-o", str(tmp_path / "link.npy"), "a"]) == 0
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "v.npy").shape == (1, 20)


def test_a_suffix_that_names_no_format_is_refused_without_one(run, tmp_path):
    result = run("embed", "-m", GELU, "-o", tmp_path / "v.csv", "a")
    assert result.code == 65
    assert "names no format by its suffix. Give --format: jsonl, npy" in result.err
    assert run("embed", "-m", GELU, "-o", tmp_path / "v.csv", "--format", "npy", "a").code == 0
