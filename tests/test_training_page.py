"""docs/training.md and the program beside it: both run, and the card is the one that is kept."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.commands import cli
from minibert.training import LOSSES, OPTIMIZERS, SCHEDULES

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "training.md").read_text(encoding="utf-8")
PROGRAM = DOCS / "train_bi-encoder_margin-mse.py"
CARD = GOLDEN / "training_card.md"


@pytest.mark.slow
def test_every_block_of_the_training_page_runs(
    cache, old_folder, tmp_path, monkeypatch, capsys, no_network
):
    cache("sentence-transformers/all-MiniLM-L6-v2", old_folder)
    monkeypatch.chdir(tmp_path)
    names, kinds = {"__name__": "__main__"}, []
    for language, text in re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL):
        kinds.append(language)
        if language == "python":
            exec(compile(text, "training.md", "exec"), names)
        for command in text.splitlines() if language == "sh" else ():
            assert cli.main(shlex.split(command)[1:]) == 0
    assert kinds == ["python"] * 4 + ["sh", "python"]
    assert re.match(r"6 steps, loss \d\.\d{4} in the last one\nstep ", capsys.readouterr().out)
    folders = {name: tmp_path / name for name in ("my-model", "from-command", "from-fit")}
    first, second, third = (
        (folder / "model.safetensors").read_bytes() for folder in folders.values()
    )
    assert first == second != third  # as the page says
    question = ["What pulls the water?"]
    for name, folder in folders.items():
        model = SentenceTransformer(folder)
        assert np.array_equal(model.encode(question), names["vectors"]) == (name != "from-fit")


def test_the_page_lists_every_loss_optimizer_and_schedule():
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert dict(rows) == {name: loss.__name__ for name, loss in LOSSES.items()}
    assert [name for name in (*OPTIMIZERS, *SCHEDULES) if f"`{name}`" not in PAGE] == []


@pytest.fixture
def run_program(tmp_path, monkeypatch):
    """Run the program on a tiny model; return the folder that it writes."""

    def program(model, *options):
        arguments = ("--model_name", str(model), "--output", str(tmp_path / "out"), *options)
        monkeypatch.setattr(sys, "argv", [str(PROGRAM), *arguments])
        runpy.run_path(str(PROGRAM), run_name="__main__")
        return tmp_path / "out"

    return program


@pytest.mark.parametrize("options", [["--use_pre_trained_model"], []])
def test_the_reference_s_program_runs_and_writes_its_card(run_program, options):
    """A golden text: where the card changes, look at it, and copy the new one there."""
    folder = run_program(GOLDEN / "gelu", "--max_seq_length", "32", *options)
    assert (folder / "README.md").read_text("utf-8") == CARD.read_text("utf-8")
    assert sorted(one.name for one in folder.iterdir() if one.name.isdigit()) == ["4", "6"]
    model, start = SentenceTransformer(folder), SentenceTransformer(GOLDEN / "gelu")
    assert abs(model.encode("why is there ebb") - start.encode("why is there ebb")).max() > 1e-6


def test_only_the_imports_of_the_program_are_minibert_s():
    lines = PROGRAM.read_text("utf-8").splitlines()
    ours = [line for line in lines if "minibert" in line and not line.startswith(" ")]
    assert ours == [
        "from minibert import InputExample, LoggingHandler, SentenceTransformer, losses, models",
        "from minibert.training import DataLoader, Dataset",
    ]
