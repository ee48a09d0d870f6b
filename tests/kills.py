"""Kills of a run by a program beside this file, for the tests that its bytes are the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

# At random moments; `sh tools/test.sh long` asks for a hundred.
KILLS = int(os.environ.get("MINIBERT_TEST_KILLS", "3"))


def killing(program, *arguments):
    """What the program found. It has a process of its own, for it forks."""
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / program, *map(str, arguments)],
        stdout=subprocess.PIPE, timeout=900 + 30 * KILLS, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)
