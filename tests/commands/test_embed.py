"""minibert embed: where texts come from, where vectors go, and what is told."""

import io
import json
import os
import sys

import numpy as np
import pytest
from command_line import (
    FORM_FILES,
    GELU,
    LONG,
    RECORD_TEXTS,
    TEXTS,
    assert_close,
    assert_untouched,
    process,
)

from minibert.commands import cli, embed
from minibert.documents.document import Document

# where texts come from


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


def test_reading_in_chunks_loses_no_text(model):
    documents = [Document(None, f"{number} cats", "a list") for number in range(8)]
    options, told = cli.parse(["embed", "-m", GELU]), []
    found = list(embed.batches(model, iter(documents), options, told.append, chunk_texts=3))
    texts = [document.text for document in documents]
    assert [batch.texts for batch in found] == [[], texts[:3], texts[3:6], texts[6:]]
    assert told == [0, 3, 3, 2]
    # Chunk by chunk: other neighbours in a pack change rounding.
    for batch in found[1:]:
        np.testing.assert_array_equal(batch.vectors, model.encode(batch.texts))


# where vectors go


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_npy_can_be_piped(model, texts):
    done = process("embed", "-m", GELU, "--on-long", "ignore", "--format", "npy", *texts)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_close(np.load(io.BytesIO(done.stdout)), model.encode(texts))


@pytest.mark.slow
def test_jsonl_is_utf8_whatever_the_terminal_s_encoding():
    done = process(
        "embed", "-m", GELU, "Café 中文", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert json.loads(done.stdout.decode("utf-8"))["text"] == "Café 中文"


def test_a_suffix_that_names_no_format_is_refused_without_one(run, tmp_path):
    result = run("embed", "-m", GELU, "-o", tmp_path / "v.csv", "a")
    assert result.code == 65
    assert "has a suffix that is no format. Give --format: jsonl, npy" in result.err
    assert run("embed", "-m", GELU, "-o", tmp_path / "v.csv", "--format", "npy", "a").code == 0


# options


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


def test_an_unknown_prompt_is_code_65_and_known_ones_are_named(run):
    result = run("embed", "-m", GELU, "--prompt-name", "ask", "the cat")
    assert (result.code, result.out) == (65, "")
    assert "'ask'" in result.err
    assert "'query'" in result.err


def test_embed_follows_a_prompt_and_a_truncate_dim_of_one_s_own(run, model):
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


# warnings


def test_a_truncated_text_is_told_on_stderr_in_a_line(run, model):
    result = run("embed", "-m", GELU, "the cat", LONG)
    assert result.code == 0
    assert_close(result.vectors, model.encode(["the cat", LONG]))
    assert result.err.startswith("minibert: 1 of 2 texts were longer than 41 tokens")
    assert result.err.count("\n") == 1


def test_a_truncated_text_can_be_ignored(run):
    result = run("embed", "-m", GELU, "--on-long", "ignore", LONG)
    assert (result.code, result.err) == (0, "")
    assert result.texts == [LONG]


def test_a_long_text_can_be_an_error_that_leaves_no_result(run, old_output):
    printed = run("embed", "-m", GELU, "--on-long", "error", "the cat", LONG)
    assert (printed.code, printed.out) == (65, "")
    assert "41 tokens" in printed.err
    assert run("embed", "-m", GELU, "--on-long", "error", LONG, "-o", old_output).code == 65
    assert_untouched(old_output)


def test_a_byte_order_mark_is_no_part_of_the_first_text(run):
    result = run("embed", "-m", GELU, stdin=b"\xef\xbb\xbfthe cat\n\xef\xbb\xbfa")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == [
        "the cat",
        "\ufeffa",
    ]
