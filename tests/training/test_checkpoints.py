"""The folder of a run: what it holds, what it goes on from, and what it refuses."""

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bag_of_words import BIAS, BagOfWords
from golden_files import GOLDEN
from killing import tree
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer
from minibert.errors import CheckpointError, OutputError, TrainingError
from minibert.training.batches import Objective, StreamedBatches
from minibert.training.checkpoints import load_values
from minibert.training.loader import DataLoader
from minibert.training.loop import fit
from minibert.training.losses import MarginMSELoss, TripletLoss
from minibert.training.recipe import facts_of

ROWS = [
    {
        "query": f"q{n} who {n % 4}",
        "positive": f"q{n} p{n % 5} it",
        "negative": f"other {n % 3}",
        "label": float(n % 4),
    }
    for n in range(8)
]
GIVEN = {"lr": 1e-2, "batch_size": 2, "epochs": 2, "checkpoint_steps": 3}


def trained(output, model=None, rows=ROWS, loss=None, **changes):
    """The model after a run into a folder."""
    model = model or BagOfWords()
    fit(model, rows, loss or MarginMSELoss(None), output=output, **{**GIVEN, **changes})
    return model


class StoppedError(BaseException):
    """What stops a run in these tests as a kill does: nothing is written after it."""


def stopping_at(step, score=lambda step: float(-step)):
    """An evaluator that stops the run after a step of the first epoch."""

    def evaluator(model, output_path, epoch, steps):
        if epoch == 0 and steps == step:
            raise StoppedError
        return score(4 * epoch + steps % 5)

    return evaluator


def stopped(output, step, **changes):
    """A run that was stopped after a step; the evaluator has the name of that for going on."""
    with pytest.raises(StoppedError):
        trained(output, evaluator=stopping_at(step), evaluation_steps=1, **changes)


GOING_ON = {"evaluator": stopping_at(None), "evaluation_steps": 1}


@pytest.fixture
def out(tmp_path):
    """Where a run may be written; there is nothing yet."""
    return tmp_path / "out"


def names(folder):
    """Paths of all files and folders in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# What is written.

MODEL = ["2_Dense", "2_Dense/model.safetensors", "config.json", "model.safetensors", "modules.json"]


def test_a_checkpoint_is_a_whole_model_with_the_state_of_the_run(out):
    model = trained(out, checkpoint_steps=4)
    assert names(out) == sorted(
        [*MODEL, "training.json", "training.jsonl", "checkpoints", "checkpoints/lock"]
        + ["checkpoints/step-8", "checkpoints/step-8/optimizer.safetensors"]
        + [f"checkpoints/step-8/{name}" for name in (*MODEL, "training.json")]
    )
    folder = out / "checkpoints" / "step-8"
    assert np.array_equal(load_file(folder / "model.safetensors")[BIAS], model.values[BIAS])
    state = json.loads((folder / "training.json").read_bytes())
    assert (state["step"], state["epoch"], state["best_score"]) == (8, 2, None)
    assert state["log_bytes"] == (out / "training.jsonl").stat().st_size
    settings = state["settings"]
    assert settings["model"] == model.fingerprint()
    assert len(settings["data"]) == 64
    assert settings["loss"]["name"] == "MarginMSELoss"
    assert settings["arguments"]["seed"] == 42
    optimizer = load_file(folder / "optimizer.safetensors")
    assert {name.split(".")[1] for name in optimizer} == {"exp_avg", "exp_avg_sq", "step"}
    assert optimizer[f"0.step.{BIAS}"] == 8


def test_the_run_s_file_tells_people_what_is_trained(out):
    stopped(out, 3)
    facts = json.loads((out / "training.json").read_bytes())["facts"]
    assert facts.pop("model").endswith("bag-of-words")
    assert facts == {"examples": [8], "batches": [4], "steps": 8, "steps_per_epoch": 4}
    # Of a model that was moved meanwhile, the name is that of the beginning.
    moved = BagOfWords()
    moved.folder = Path("elsewhere")
    trained(out, moved, **GOING_ON)
    found = json.loads((out / "training.json").read_bytes())
    assert found["finished"]
    assert found["facts"]["model"].endswith("bag-of-words")


def test_batches_that_are_given_have_no_number_of_examples():
    pairs = [(f"a{n}", f"b{n}") for n in range(8)]
    given = Objective(StreamedBatches(DataLoader(pairs, batch_size=4)), MarginMSELoss(None))
    assert facts_of(BagOfWords(), [given], 4, 2)["examples"] == [None]
    assert facts_of(BagOfWords(), [given], 4, 2)["batches"] == [2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({"checkpoint_steps": 3}, [6]),
        ({"checkpoint_steps": 2, "checkpoint_limit": 3}, [4, 6, 8]),
        ({"checkpoint_steps": 2, "checkpoint_limit": None}, [2, 4, 6, 8]),
        ({"checkpoint_steps": 9}, []),
        ({"checkpoint_steps": None}, []),
    ],
)
def test_the_last_checkpoints_are_kept(out, given, steps):
    trained(out, **given)
    kept = sorted(path.name for path in (out / "checkpoints").glob("*-*"))
    assert kept == [f"step-{step}" for step in steps]


def test_a_checkpoint_s_best_model_stays_beside_a_better_one(out):
    stopped(out, 3, checkpoint_steps=1)
    assert names(out / "checkpoints")[0] == "best-1"
    shutil.rmtree(out)
    better = stopping_at(4, score=float)
    given = {"checkpoint_steps": 2, "evaluation_steps": 1, "batch_size": 1}
    with pytest.raises(StoppedError):
        trained(out, evaluator=better, **given)
    kept = [name for name in names(out / "checkpoints") if "/" not in name]
    assert kept == ["best-2", "best-3", "lock", "step-2"]


# Going on.


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(tmp_path, out, step, limit):
    given = {"checkpoint_steps": 2, "checkpoint_limit": limit}
    trained(tmp_path / "whole", **GOING_ON, **given)
    stopped(out, step, **given)
    model = trained(out, **GOING_ON, **given)
    assert tree(out) == tree(tmp_path / "whole")
    whole = BagOfWords()
    load_values(out, whole.values, ["model.safetensors", "2_Dense/model.safetensors"])
    assert np.array_equal(model.values[BIAS], whole.values[BIAS])


def test_accumulated_batches_and_dropout_go_on_where_they_were(tmp_path, out):
    given = {"accumulation_steps": 3, "checkpoint_steps": 1, "evaluation_steps": 1}
    rows = ROWS[:7]
    trained(tmp_path / "whole", rows=rows, evaluator=stopping_at(None), **given)
    with pytest.raises(StoppedError):
        trained(out, rows=rows, evaluator=stopping_at(1), **given)
    trained(out, rows=rows, evaluator=stopping_at(None), **given)
    assert tree(out) == tree(tmp_path / "whole")


@pytest.mark.parametrize("other", [{"checkpoint_steps": 3}, {"checkpoint_limit": 3}])
def test_a_run_goes_on_with_checkpoints_at_other_steps(tmp_path, out, other):
    given = {"checkpoint_steps": 2, **GOING_ON}
    trained(tmp_path / "whole", **{**given, **other})
    stopped(out, 3, checkpoint_steps=2)
    trained(out, **{**given, **other})
    assert tree(out) == tree(tmp_path / "whole")


BERTS = ["gelu", "albert", "modules", "old_layout", "sharded", "float16"]


@pytest.mark.slow
@pytest.mark.parametrize("name", BERTS)
def test_a_bert_goes_on_with_the_same_bytes_in_other_threads(tmp_path, out, name):
    given = {"rows": [{**row, "query": "the cat sat"} for row in ROWS], "checkpoint_steps": 2}

    def opened(threads):
        return SentenceTransformer(str(GOLDEN / name), on_long="ignore", threads=threads)

    whole = trained(tmp_path / "whole", opened(2), **GOING_ON, **given)
    stopped(out, 3, model=opened(1), **given)
    model = trained(out, opened(1), **GOING_ON, **given)
    assert tree(out) == tree(tmp_path / "whole")
    vector = SentenceTransformer(str(out), on_long="ignore").encode("the cat")
    for one in (whole, model):
        assert np.array_equal(one.encode("the cat"), vector)
    assert not np.array_equal(opened(1).encode("the cat"), vector)


def test_restart_removes_the_run_and_nothing_else(tmp_path, out):
    trained(tmp_path / "whole", lr=0.5)
    trained(out, evaluator=stopping_at(None))
    (out / "notes.txt").write_text("mine")
    (out / "2_Dense" / "notes.txt").write_text("mine")
    trained(out, lr=0.5, restart=True)
    assert tree(out) == {
        **tree(tmp_path / "whole"), "notes.txt": b"mine", "2_Dense/notes.txt": b"mine"
    }  # fmt: skip


def stopping(*_, **__):
    """Stop in place of a function."""
    raise StoppedError


def test_a_restart_that_was_stopped_goes_on_with_it(tmp_path, out, monkeypatch):
    trained(tmp_path / "whole", lr=0.5)
    trained(out)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stopping)
        with pytest.raises(StoppedError):
            trained(out, lr=0.5, restart=True)
    trained(out, lr=0.5)
    assert tree(out) == tree(tmp_path / "whole")


def test_leftovers_of_a_killed_run_are_removed(out):
    trained(out)
    before = tree(out)
    step = out / "checkpoints" / "step-6"
    for name in ("step-9.71.partial", "best-3", "stopped-5", "step-3"):
        shutil.copytree(step, out / "checkpoints" / name)
    shutil.copytree(step, out / "model.71.partial")
    (out / "training.json.71.partial").write_bytes(b"half")
    trained(out)
    assert tree(out) == before


def test_a_log_that_was_shortened_is_told_and_not_filled(out, caplog):
    stopped(out, 4, batch_size=1)
    (out / "training.jsonl").write_bytes(b"")
    trained(out, **GOING_ON, batch_size=1)
    assert "training.jsonl has lost lines of earlier steps" in caplog.text
    lines = (out / "training.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["step"] == 4


# Refusals.

CHANGES = [
    ({"lr": 0.5}, r"lr is 0\.5, and was 0\.01"),
    ({"batch_size": 4}, "batch_size is 4, and was 2"),
    ({"epochs": 3}, "epochs is 3, and was 2"),
    ({"seed": 1}, "seed is 1, and was 42"),
    ({"betas": (0.5, 0.9)}, r"betas is \[0\.5, 0\.9\], and was \[0\.9, 0\.999\]"),
    ({"evaluator": stopping_at(None)}, "evaluator is 'stopping_at.*', and was None"),
    ({"model": BagOfWords(1)}, r"run: the model differs: it may have .* open it again\. To go"),
    ({"rows": [*ROWS[1:], ROWS[0]]}, r"run: the data differs\. To go on"),
    ({"loss": TripletLoss(None)}, r"loss\.name is 'TripletLoss', and was 'MarginMSELoss'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "told"), CHANGES, ids=[next(iter(c)) for c, _ in CHANGES])
def test_another_run_is_refused_with_what_differs(out, change, told):
    trained(out)
    before = tree(out)
    with pytest.raises(TrainingError, match=told) as raised:
        trained(out, **change)
    assert "begin anew with restart=True (--restart), or choose another" in str(raised.value)
    assert tree(out) == before


def test_every_difference_is_named(out):
    trained(out)
    loss = TripletLoss(None, triplet_margin=3.0)
    with pytest.raises(TrainingError) as raised:
        trained(out, lr=0.5, seed=1, loss=loss)
    for name in ("lr", "seed", "loss.name", "loss.triplet_margin", "loss.similarity_fct"):
        assert f" {name} is " in str(raised.value), name
    assert " epochs is " not in str(raised.value)


def test_a_checkpoint_of_another_run_is_refused(tmp_path, out):
    stopped(out, 4, batch_size=1)
    stopped(tmp_path / "other", 4, batch_size=1, seed=1)
    shutil.rmtree(out / "checkpoints" / "step-3")
    shutil.copytree(tmp_path / "other" / "checkpoints" / "step-3", out / "checkpoints" / "step-3")
    with pytest.raises(TrainingError, match=r"step-3 holds another .* seed is 42, and was 1"):
        trained(out, **GOING_ON, batch_size=1)


def test_tensors_that_were_changed_in_a_checkpoint_are_refused(out):
    stopped(out, 4, batch_size=1)
    path = out / "checkpoints" / "step-3" / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, BIAS: tensors[BIAS][:3]}, path)
    model, start = BagOfWords(), BagOfWords().values
    with pytest.raises(TrainingError, match=r"'word.bias' of the shape \(6,\), found .* \(3,\)"):
        trained(out, model, **GOING_ON, batch_size=1)
    assert all(np.array_equal(value, start[key]) for key, value in model.values.items())
    del tensors[BIAS]
    save_file(tensors, path)
    with pytest.raises(TrainingError, match="found no such tensor"):
        trained(out, **GOING_ON, batch_size=1)


def test_a_state_without_a_field_is_refused_by_its_name(out):
    stopped(out, 4, batch_size=1)
    path = out / "checkpoints" / "step-3" / "training.json"
    content = json.loads(path.read_text())
    del content["evaluated"]
    path.write_text(json.dumps(content))
    with pytest.raises(TrainingError, match=r"step-3/training\.json has no 'evaluated'"):
        trained(out, **GOING_ON, batch_size=1)


def test_a_damaged_training_json_is_refused(out):
    trained(out)
    (out / "training.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"training\.json is not valid JSON"):
        trained(out)


def test_a_folder_with_other_files_is_left_alone(out):
    out.mkdir()
    (out / "mine").write_text("mine")
    for restart in (False, True):
        with pytest.raises(OutputError, match="no training run and not empty; it holds 'mine'"):
            trained(out, restart=restart)
    assert names(out) == ["mine"]
    (out / "mine").unlink()
    (out / "checkpoints" / "step-7").mkdir(parents=True)
    with pytest.raises(OutputError, match="it holds 'checkpoints'"):
        trained(out, restart=True)
    (out / "checkpoints" / "step-7").rmdir()
    trained(out)


@pytest.mark.parametrize("place", ["", "checkpoints/step-6"])
def test_a_restart_that_would_remove_the_model_is_refused(out, place):
    trained(out)
    before = tree(out)
    model = BagOfWords()
    model.folder = out / place
    with pytest.raises(TrainingError, match="to begin anew would remove it"):
        trained(out, model, restart=True)
    assert tree(out) == before


def test_a_file_in_the_folder_s_place_is_refused(out):
    out.write_text("mine")
    with pytest.raises(OutputError, match="it is a file"):
        trained(out)
    assert out.read_text() == "mine"


def test_a_folder_below_a_file_is_refused(out):
    out.write_text("mine")
    with pytest.raises(OutputError, match="cannot write to"):
        trained(out / "run")


def test_a_full_disk_is_told_as_such_at_the_first_folder(out, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", full)
        with pytest.raises(OSError, match="No space left") as raised:
            trained(out)
    assert not isinstance(raised.value, OutputError)


def test_checkpoints_that_a_link_puts_elsewhere_are_not_written(tmp_path, out):
    trained(out)
    elsewhere = tmp_path / "elsewhere"
    (out / "checkpoints").rename(elsewhere)
    (out / "checkpoints").symlink_to(elsewhere)
    before = tree(elsewhere)
    with pytest.raises(OutputError, match="checkpoints' is a link"):
        trained(out, restart=True)
    assert tree(elsewhere) == before


def test_a_name_that_leads_out_of_the_folder_is_not_removed(tmp_path, out):
    trained(out)
    (tmp_path / "precious").write_text("mine")
    content = json.loads((out / "training.json").read_text())
    content["files"].append("../precious")
    (out / "training.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="leaves the model's folder"):
        trained(out, restart=True)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_second_run_into_one_folder_is_refused_at_once(out):
    def evaluator(model, output_path, epoch, steps):
        with pytest.raises(OutputError, match="is being written by another process"):
            trained(out, evaluator=evaluator)
        return 0.0

    trained(out, evaluator=evaluator)
    assert (out / "config.json").exists()


# A full disk.


class FullDisk(BagOfWords):
    """Its `full`-th save fails after the first file."""

    def __init__(self, full):
        super().__init__()
        self.full, self.saves = full, 0

    def save(self, folder):
        self.saves += 1
        super().save(folder)
        if self.saves == self.full:
            (folder / "config.json").unlink()
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / "config.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("full", "save_best_model", "kept"),
    [
        (1, True, []),  # the best model, of step 1
        (3, True, ["best-1", "step-4"]),  # the checkpoint of step 8
        (3, False, ["step-8"]),  # the model at the end
    ],
)
def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, out, full, save_best_model, kept):
    given = {"checkpoint_steps": 4, "save_best_model": save_best_model, **GOING_ON}
    with pytest.raises(OSError, match="No space left") as raised:
        trained(out, FullDisk(full), **given)
    assert raised.value.errno == errno.ENOSPC
    assert sorted(path.name for path in (out / "checkpoints").glob("*-*")) == kept
    assert not (out / "config.json").exists()
    assert [name for name in names(out) if "partial" in name] == []
    trained(out, **given)
    trained(tmp_path / "whole", **given)
    assert tree(out) == tree(tmp_path / "whole")
