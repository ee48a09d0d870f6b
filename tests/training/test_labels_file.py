"""Rows in a file that appears when it is whole, and runs that were stopped, or killed."""

import errno
import json
import os
import sys

import numpy as np
import pytest
from golden_files import GOLDEN
from kills import KILLS, killing

from minibert.common import files
from minibert.errors import OutputError, TrainingError
from minibert.training.labels import chunks_of, label
from minibert.training.labels_file import count_kept, partial_folder, write_labels

ROWS = [(f"q{n} who", f"p{n}", f"n{n} Café") for n in range(7)]


class Lengths:
    """Scores pairs by their lengths, and stops after so many chunks."""

    def __init__(self, stops_after=None, error=KeyboardInterrupt):
        self.left, self.error, self.chunks = stops_after, error, 0

    def __call__(self, pairs):
        if self.chunks == self.left:
            raise self.error
        self.chunks += 1
        return np.array([len(a) + len(b) / 7 for a, b in pairs])

    def predict(self, pairs, **_):
        return self(pairs)


def write(path, score=None, rows=ROWS, size=2, **settings):
    """Write rows to a file; returns the numbers that a bar was given."""
    told = []
    count = write_labels(
        path, chunks_of(rows, size=size), score or Lengths(), settings, told.append
    )
    assert count == sum(told) == len(rows)
    return told


def stopped(path, after=2, **options):
    """Leave what a run leaves that is stopped."""
    with pytest.raises(KeyboardInterrupt):
        write(path, Lengths(after), **options)
    return partial_folder(path) / "rows.jsonl"


@pytest.fixture
def labels_path(tmp_path):
    """A file in an empty folder of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "rows.jsonl"


@pytest.fixture
def unbroken(tmp_path):
    """The bytes of a run that nobody stopped."""
    write(tmp_path / "whole.jsonl")
    return (tmp_path / "whole.jsonl").read_bytes()


def test_a_file_has_the_rows_and_nothing_is_left_beside(labels_path):
    assert write(labels_path) == [2, 2, 2, 1]
    found = [json.loads(line) for line in labels_path.read_text("utf-8").splitlines()]
    assert found == list(label(ROWS, Lengths()))
    assert os.listdir(labels_path.parent) == ["rows.jsonl"]


def test_a_stopped_run_goes_on_after_its_last_chunk(labels_path, unbroken):
    rows = stopped(labels_path)
    assert not labels_path.exists()
    assert rows.read_bytes() == b"".join(unbroken.splitlines(keepends=True)[:4])
    score = Lengths()
    assert write(labels_path, score) == [2, 2, 2, 1]
    assert score.chunks == 2
    assert labels_path.read_bytes() == unbroken
    assert os.listdir(labels_path.parent) == ["rows.jsonl"]


@pytest.mark.parametrize("torn", [1, 30, -1, "garbage", "zeros", "number"])
def test_a_torn_chunk_is_scored_again(labels_path, unbroken, torn):
    rows = stopped(labels_path)
    third = unbroken.splitlines(keepends=True)[4]
    other = {"garbage": b'{"x": \xff}\n', "zeros": bytes(80), "number": b"7\n"}
    rows.write_bytes(rows.read_bytes() + (other.get(torn) or third[:torn]))
    score = Lengths()
    write(labels_path, score)
    assert (score.chunks, labels_path.read_bytes()) == (2, unbroken)


def test_chunks_begin_at_the_same_rows_again(labels_path, unbroken):
    rows = stopped(labels_path)
    rows.write_bytes(b"".join(unbroken.splitlines(keepends=True)[:5]))  # and half of the third
    score = Lengths()
    write(labels_path, score)
    assert (score.chunks, labels_path.read_bytes()) == (2, unbroken)


def test_all_rows_of_a_stopped_run_may_be_there(labels_path, unbroken):
    stopped(labels_path).write_bytes(unbroken)
    score = Lengths()
    write(labels_path, score)
    assert (score.chunks, labels_path.read_bytes()) == (0, unbroken)


def test_rows_of_whole_chunks_are_counted_as_kept(labels_path, unbroken):
    assert count_kept(labels_path, 2) == 0
    rows = stopped(labels_path)
    assert count_kept(labels_path, 2) == 4
    lines = unbroken.splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:5]) + lines[5][:-1])  # a part of the third
    assert count_kept(labels_path, 2) == 4


def test_an_older_file_stays_until_the_new_one_is_whole(labels_path, unbroken):
    labels_path.write_bytes(b"older")
    stopped(labels_path)
    assert labels_path.read_bytes() == b"older"
    write(labels_path)
    assert labels_path.read_bytes() == unbroken


def test_rows_of_other_data_are_not_gone_on_with(labels_path):
    rows = stopped(labels_path)
    before = rows.read_bytes()
    other = [*ROWS[:2], ("q2 who", "p2", "changed"), *ROWS[3:]]
    with pytest.raises(TrainingError, match=r"data\[2\]: the texts differ from those in .*remove"):
        write(labels_path, rows=other)
    with pytest.raises(TrainingError, match="has more rows than the data, which ends after 2"):
        write(labels_path, rows=ROWS[:2])
    assert rows.read_bytes() == before


def test_another_teacher_is_not_gone_on_with(labels_path):
    stopped(labels_path, teacher="a", device="cpu")
    with pytest.raises(TrainingError, match=r"stopped, with another teacher\. Give"):
        write(labels_path, teacher="b", device="cpu")
    assert write(labels_path, teacher="a", device="cpu")


def test_two_runs_do_not_write_one_file(labels_path):
    folder = partial_folder(labels_path)
    folder.mkdir()
    with files.locked(folder), pytest.raises(OutputError, match="written by another process"):
        write(labels_path)


def test_a_file_that_cannot_be_created_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write to .*No such file or directory"):
        write(tmp_path / "nowhere" / "rows.jsonl")
    with pytest.raises(OutputError, match=r"it is a folder\. Expected a file"):
        write(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no size of a file")
def test_a_full_disk_keeps_whole_chunks(labels_path, unbroken):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = len(unbroken) * 2 // 3  # in the middle of the third chunk
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            write(labels_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG
    assert (partial_folder(labels_path) / "rows.jsonl").read_bytes() == unbroken[:room]
    score = Lengths()
    write(labels_path, score)
    assert (labels_path.read_bytes(), score.chunks) == (unbroken, 2)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="asks Linux which file is synced")
def test_a_kill_at_any_write_sync_or_rename_changes_no_byte():
    found = killing("label_kills.py", "steps")
    assert found["kills"] > 30
    assert found["differing"] == []


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_no_byte():
    found = killing("label_kills.py", "moments", GOLDEN / "gelu", KILLS)
    assert found == {"kills": KILLS, "differing": []}
