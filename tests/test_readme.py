"""The README's own programs, run as they stand, over a tiny model under the flagship's name."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pyarrow.parquet
import pytest
from golden_files import GOLDEN

from minibert import Corpus
from minibert.commands import cli
from minibert.evaluation import read_collection
from minibert.models.sentence_transformer import DEFAULT_MODEL

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [
    line for language, text in BLOCKS if language == "sh"
    for line in text.splitlines() if line.startswith("minibert ")
    if not line.startswith("minibert serve ")  # it would not end: tests/server/test_serve_page.py
]  # fmt: skip


def run(program, capsys):
    exec(compile(program, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    scores = {text: float(score) for score, text in (line.split(" ", 1) for line in lines[1:])}
    return lines[0], scores


def test_both_programs_of_the_model_card_are_there():
    assert len(PROGRAMS) == 2
    assert "SentenceTransformer(" in PROGRAMS[0]
    assert "AutoModel" in PROGRAMS[1]
    assert all(DEFAULT_MODEL in program for program in PROGRAMS)


def test_both_programs_print_the_same_ranking_and_scores(
    cache, old_folder, edit, capsys, no_network
):
    # The card's second program reads no sentence_bert_config.json.
    edit(old_folder / "sentence_bert_config.json", max_seq_length=None)
    cache(DEFAULT_MODEL, old_folder)
    first, second = (run(program, capsys) for program in PROGRAMS)
    assert first[0] == second[0] == "Query: How many people live in London?"
    assert list(first[1]) == list(second[1])
    assert list(first[1].values()) == sorted(first[1].values(), reverse=True)
    assert first[1] == pytest.approx(second[1], abs=1e-4)


def test_both_programs_give_the_card_s_scores_on_a_real_model(
    cache, minilm_folder, capsys, tmp_path, edit, no_network
):
    # MiniLM without its Normalize, under the flagship's name: the reference's raw dot scores.
    folder = tmp_path / "model"
    shutil.copytree(minilm_folder, folder)
    modules = re.sub(r",\s*\{[^{}]*Normalize[^{}]*\}", "", (folder / "modules.json").read_text())
    (folder / "modules.json").write_text(modules)
    cache(DEFAULT_MODEL, folder)
    for program in PROGRAMS:
        query, scores = run(program, capsys)
        assert query == "Query: How many people live in London?"
        assert list(scores) == [
            "Around 9 Million people live in London",
            "London is known for its financial district",
        ]
        # transformers' and sentence-transformers' own, of 6.2.
        assert scores == pytest.approx(
            dict(zip(scores, [30.54729, 14.62051], strict=True)), abs=1e-4
        )


def test_the_printed_ranking_is_the_demo_s(minilm_folder, capsys):
    assert cli.main(["demo", "--model", str(minilm_folder)]) == 0
    printed = capsys.readouterr().out
    (shown,) = [text for language, text in BLOCKS if language == "text"]
    assert printed.startswith(shown)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_runs(
    command, cache, old_folder, tmp_path, capsys, monkeypatch
):

    cache(DEFAULT_MODEL, old_folder)
    cache("sentence-transformers/all-MiniLM-L6-v2", old_folder)
    (tmp_path / "texts.txt").write_text("the cat\nthe dog\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "who barks"}\n')
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command, comments=True)[1:]
    if words[0] == "search":  # what an earlier command made
        assert cli.main(["index", "build", "my-corpus", "texts.txt", "--quiet"]) == 0
        capsys.readouterr()
    assert cli.main(words) == 0
    written = [tmp_path / name for name in ("vectors.npy", "run.trec")]
    assert capsys.readouterr().out or any(path.exists() for path in written)


@pytest.mark.slow
def test_every_block_of_the_drop_in_page_runs(
    cache, minilm_folder, one_label, tmp_path, monkeypatch, capsys, no_network
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    cache("cross-encoder/ms-marco-MiniLM-L6-v2", one_label)
    cache("google-bert/bert-base-uncased", GOLDEN / "masked")
    monkeypatch.chdir(tmp_path)
    page = README.parent / "docs" / "drop-in.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 16
    names = {"__name__": "__main__"}
    for block in blocks:  # one after another, as a reader would
        exec(compile(block, page.name, "exec"), names)
    assert (names["vectors"].shape, names["vector"].shape) == ((100, 384), (384,))
    assert names["best"][0].keys() == {"corpus_id", "score", "text"}
    assert "tokens fall off the end" in capsys.readouterr().out


def test_every_block_of_the_corpus_page_runs(cache, old_folder, tmp_path, monkeypatch, capsys):
    cache(DEFAULT_MODEL, old_folder)
    monkeypatch.chdir(tmp_path)
    files = {"corpus": range(15, 20), "more": range(20, 22), "changed": range(19, 23)}
    for name, ids in files.items():
        records = [{"_id": str(id), "title": "", "text": f"the cat {id}"} for id in ids]
        lines = [json.dumps({**one, "lang": "de", "year": 2000}) for one in records]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "table.csv").write_text("id,text,lang,year\na,the dog,de,2001\nb,a cat,fr,1999\n")
    page = (README.parent / "docs" / "corpus.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", page, re.DOTALL)
    assert [language for language, _ in blocks] == ["sh", "python", "sh", "python", "python"]
    names, printed = {}, []
    for language, text in blocks:
        if language == "python":
            exec(compile(text, "corpus.md", "exec"), names)
        else:
            for command in text.splitlines():
                assert cli.main(shlex.split(command, comments=True)[1:]) == 0
        printed.append(capsys.readouterr().out)
    assert (
        "my-corpus: 8 documents (0 of them replaced, 1 added, 3 given as they were)" in printed[0]
    )
    assert "my-corpus: every byte is as it was written" in printed[0]
    assert "['15', '16'] ['the cat 15', 'the cat 16']" in printed[1]
    assert printed[2].count("lang=de  year=2000  the cat") == 5
    assert printed[3] == (
        "[{'lang': 'de', 'year': 2001}, {'lang': 'fr', 'year': 1999}]\n"
        "a {'lang': 'de', 'year': 2001}\n"
    )
    assert printed[4].endswith("0 1 0\n1 5\n")


def test_the_scale_page_s_command_reads_texts_of_parquet_files(cache, old_folder, tmp_path, capsys):
    # Its programs run in tests/engines.
    cache("sentence-transformers/all-MiniLM-L6-v2", old_folder)
    path = tmp_path / "0.parquet"
    table = pyarrow.table({"id": [7], "text": ["the cat"], "vector": [[1.0, 2.0]]})
    pyarrow.parquet.write_table(table, path)
    page = (README.parent / "docs" / "scale.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^minibert .*$", page, re.MULTILINE)
    command = command.replace("/shared/passages/*.parquet", str(path))
    command = command.replace("my-corpus", str(tmp_path / "my-corpus"))
    assert cli.main(shlex.split(command)[1:]) == 0
    corpus = Corpus(tmp_path / "my-corpus")
    assert (corpus.ids([0]), corpus.texts([0])) == (["7"], ["the cat"])


def test_the_page_about_explaining_prints_what_it_shows(
    cache, minilm_folder, monkeypatch, capsys, no_network
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    page = (README.parent / "docs" / "explain.md").read_text(encoding="utf-8")
    names, kinds = {"__name__": "__main__"}, []
    for language, text in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL):
        kinds.append(language)
        if language == "text":
            assert capsys.readouterr().out == text
        elif language == "python":
            exec(compile(text, "explain.md", "exec"), names)
        else:
            assert cli.main(shlex.split(text)[1:]) == 0
    assert kinds == ["python", "text", "sh", "text", "python", "text", "python", "text"]


@pytest.mark.slow
def test_every_program_of_the_evaluation_page_runs(
    cache, minilm_folder, tmp_path, monkeypatch, capsys, no_network
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    monkeypatch.chdir(tmp_path)
    # Two candidates of a judged query, and one of a query that is not judged.
    (tmp_path / "msmarco-passagetest2019-top1000.tsv").write_text(
        "1\ta\tebb and flow\tThe moon pulls.\n1\tb\tebb and flow\tA dog.\n2\tc\twho\tNobody.\n"
    )
    (tmp_path / "2019qrels-pass.txt").write_text("1 0 a 3\n1 0 gone 1\n")
    page = (README.parent / "docs" / "evaluation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "evaluation.md", "exec"), names)
    *_, difference, evaluated = capsys.readouterr().out.splitlines()
    assert float(difference) < 1e-4
    assert "'cosine_accuracy': 1.0" in evaluated
    corpus = (tmp_path / "trec-dl-2019" / "corpus.jsonl").read_text()
    assert corpus == '{"_id": "a", "text": "The moon pulls."}\n{"_id": "b", "text": "A dog."}\n'
    # The commands that need no other data run, too, and print what the page shows.
    commands = re.findall(r"^minibert eval .*$", page, re.MULTILINE)
    for command in commands:
        cli.parse(shlex.split(command, comments=True)[1:])
    assert cli.main(["eval", *shlex.split(commands[0])[2:]]) == 0
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert capsys.readouterr().out == shown
    (dl2019,) = (command for command in commands if "trec-dl-2019" in command)
    small = dl2019.replace("msmarco-bert-base-dot-v5", "all-MiniLM-L6-v2")
    assert cli.main(["eval", *shlex.split(small)[2:], "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["queries"], facts["documents"], facts["mrr@10"]) == (1, 2, 1)


@pytest.fixture
def cranfield_by_name(monkeypatch):
    """ir_datasets with a Cranfield of two documents and two questions, as raw as the real one."""
    rows = types.SimpleNamespace
    dataset = rows(
        docs_iter=lambda: [
            rows(
                doc_id="1", title="wings in\na slipstream .", text="wings in\na slipstream .\nlift"
            ),
            rows(doc_id="2", title="", text=""),
        ],
        queries_iter=lambda: [
            rows(query_id="1", text="what\nlift"),
            rows(query_id="4", text="heat"),
        ],
        qrels_iter=lambda: [
            rows(query_id="1", doc_id="1", relevance=4),
            rows(query_id="2", doc_id="2", relevance=-1),
            rows(query_id="2", doc_id="1", relevance=1),
        ],
    )
    library = types.ModuleType("ir_datasets")
    library.load = {"cranfield": dataset}.__getitem__
    monkeypatch.setitem(sys.modules, "ir_datasets", library)


def shell(line, folder):
    """Run what is no command of minibert's as the reader's shell would."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    subprocess.run(line, shell=True, check=True, cwd=folder, env={**os.environ, "PATH": path})


@pytest.mark.slow
def test_the_worked_example_prints_what_it_shows(
    cache,
    minilm_folder,
    old_folder,
    one_label,
    cranfield_by_name,
    tmp_path,
    monkeypatch,
    capsys,
    no_network,
):
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    cache("sentence-transformers/paraphrase-MiniLM-L3-v2", old_folder)
    cache("cross-encoder/ms-marco-MiniLM-L6-v2", one_label)
    monkeypatch.chdir(tmp_path)
    page = (README.parent / "docs" / "example.md").read_text(encoding="utf-8")
    names, printed, compared = {"__name__": "__main__"}, "", 0
    for language, text in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL):
        if language == "text":
            assert printed.endswith(text)
            compared += 1
            continue
        if language == "python":
            exec(compile(text, "example.md", "exec"), names)
        for line in text.splitlines() if language == "sh" else []:
            if line.startswith("minibert "):
                assert cli.main(shlex.split(line)[1:]) == 0
            else:
                shell(line, tmp_path)
        printed = capsys.readouterr().out
    assert compared == 6
    assert len(printed.splitlines()) == 6  # the last block: a p, and the five worst questions
    collection = read_collection(tmp_path / "cranfield")
    assert collection.documents == {"1": "wings in a slipstream . lift", "2": ""}
    assert collection.queries == {"1": "what lift", "2": "heat"}
    assert collection.qrels == {"1": {"1": 1}, "2": {"1": 1}}


def test_links_of_the_documentation_lead_somewhere():
    root = README.parent
    others = [root / "CONTRIBUTING.md", root / "CHANGELOG.md", *root.glob("docs/**/*.md")]
    for page in [README, *others]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_help_texts_show_the_commands_that_exist():
    result = subprocess.run(
        [sys.executable, "-m", "minibert", "--help"], capture_output=True, text=True, check=True
    )
    for command in {line.split()[1] for line in COMMANDS} | {"demo"}:
        assert re.search(rf"^ +{command} ", result.stdout, re.MULTILINE), command
