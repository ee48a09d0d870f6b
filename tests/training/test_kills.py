"""A training run that is killed goes on and ends with the same bytes: see training_kills.py."""

import os

import pytest
from golden_files import GOLDEN
from kills import KILLS, killing


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="asks Linux which file is synced")
def test_a_kill_at_any_write_sync_or_rename_changes_no_byte():
    found = killing("training_kills.py", "steps")
    assert found["kills"] > 200
    assert found["differing"] == []


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_no_byte():
    assert killing("training_kills.py", "moments", GOLDEN / "gelu", KILLS) == {
        "kills": KILLS,
        "differing": [],
    }
