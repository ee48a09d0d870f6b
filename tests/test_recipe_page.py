"""docs/recipe.md: its blocks run on the sample, and Cranfield's commands are those of the tool."""

import gzip
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from minibert import SentenceTransformer
from minibert.commands import cli

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
# Behind it, commands need data that is not here: they are only parsed.
ON_THE_SAMPLE, ELSEWHERE = PAGE.split("## On Cranfield")
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


@pytest.fixture
def msmarco(tmp_path):
    """Files of the forms of MS MARCO: two queries, the second without a negative."""
    passages = "".join(f"{id}\tpassage {id}\n" for id in range(20))
    (tmp_path / "collection.tsv").write_text(passages)
    (tmp_path / "queries.train.tsv").write_text("7\twhat rises\n8\twho barks\n")
    systems = {"bm25": [3, 4, 5, 6, 7, 8], "other": [3, 9]}
    rows = [{"qid": 7, "pos": [1, 2], "neg": systems}, {"qid": 8, "pos": [1], "neg": {"bm25": []}}]
    with gzip.open(tmp_path / "msmarco-hard-negatives.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_every_block_of_the_recipe_runs(
    cache, minilm_folder, tmp_path, monkeypatch, capsys, no_network
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    monkeypatch.chdir(tmp_path)
    names, printed = {"__name__": "__main__"}, {}
    for language, text in BLOCK.findall(ON_THE_SAMPLE):
        if language == "python":
            exec(compile(text, "recipe.md", "exec"), names)
        for command in text.splitlines() if language == "sh" else ():
            capsys.readouterr()
            assert cli.main(shlex.split(command)[1:]) == 0, command
            printed[command] = capsys.readouterr().out
    assert len(rows_of(tmp_path / "triples.jsonl")) == len(names["rows"]) == 41
    scored = rows_of(tmp_path / "scored.jsonl")
    assert [list(row) for row in scored] == [["query", "positive", "negative", "scores"]] * 41
    assert scored == names["rows"]  # the same in Python
    distilled = SentenceTransformer(tmp_path / "distilled")
    assert (
        json.loads((tmp_path / "distilled" / "config.json").read_text())["num_hidden_layers"] == 3
    )
    texts = ["why dough rises"]
    assert np.array_equal(distilled.encode(texts), names["student"].encode(texts))
    losses = [row["loss"] for row in rows_of(tmp_path / "distilled" / "training.jsonl")]
    assert len(losses) == 12  # four epochs of three
    assert sum(losses[-3:]) < sum(losses[:3]) / 2
    compared = [out for command, out in printed.items() if "--against" in command]
    assert len(compared) == 2
    assert all(
        re.search(r"^ndcg@10( +[+-]?0\.\d{4}){3} +[01]\.\d{5}$", out, re.M) for out in compared
    )


def test_the_program_for_ms_marco_writes_thirty_triples_a_query(msmarco, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = (text for language, text in BLOCK.findall(ELSEWHERE) if language == "python")
    exec(compile(program, "recipe.md", "exec"), {"json": json})
    triples = rows_of(tmp_path / "msmarco-triples.jsonl")
    assert len(triples) == 30
    assert {row["query"] for row in triples} == {"what rises"}
    assert {row["positive"] for row in triples} == {"passage 1", "passage 2"}
    # Five of the first system and the one that is new in the second.
    negatives = {f"passage {id}" for id in (3, 4, 5, 6, 7, 9)}
    assert {row["negative"] for row in triples} == negatives


def test_the_commands_on_cranfield_are_those_of_the_tool(monkeypatch):
    lines = [line for language, text in BLOCK.findall(ELSEWHERE) for line in text.splitlines()]
    for line in lines:
        if line.startswith("minibert "):
            cli.parse(shlex.split(line)[1:])
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import recipe_check

    assert all(command in lines for command in recipe_check.COMMANDS.values())
