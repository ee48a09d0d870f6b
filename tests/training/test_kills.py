"""A training run that is killed goes on and ends with the same bytes: see training_kills.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from golden_files import GOLDEN

# At random moments; `sh tools/test.sh long` asks for a hundred.
KILLS = int(os.environ.get("MINIBERT_TEST_KILLS", "3"))


def killing(*arguments):
    """What training_kills.py found. It has a process of its own, for it forks."""
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "training_kills.py", *map(str, arguments)],
        stdout=subprocess.PIPE, timeout=900 + 30 * KILLS, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="asks Linux which file is synced")
def test_a_kill_at_any_write_sync_or_rename_changes_no_byte():
    found = killing("steps")
    assert found["kills"] > 200
    assert found["differing"] == []


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_no_byte():
    assert killing("moments", GOLDEN / "gelu", KILLS) == {"kills": KILLS, "differing": []}
