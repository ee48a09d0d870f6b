"""minibert score: a table, or an object on each line, best first."""

import os
import re

import numpy as np
import pytest
from command_line import FORM_FILES, GELU, RECORD_TEXTS, TEXTS, process


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


@pytest.mark.slow
def test_results_are_utf_8_whatever_the_locale_says():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("score", "q", "Café", "-m", GELU, env=environment)
    assert done.returncode == 0
    assert "Café" in done.stdout.decode("utf-8")
