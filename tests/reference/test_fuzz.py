"""A sample of altered folders: each refused in words, or read as the reference reads it.

`fuzz.py` runs as many more as one likes; `verdicts.py` says what may come of one.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from alterations import CLASSES, make_altered
from fuzz import line
from planted import PLANTED, run_planted
from trials import digest, outcomes
from verdicts import FINDINGS, judge

SEEDS = range(304)


@pytest.fixture(scope="module")
def outcomes_folder(tmp_path_factory):
    """Where the reference's outcomes of this run are."""
    return tmp_path_factory.mktemp("outcomes")


@pytest.fixture(scope="module")
def judged(outcomes_folder):
    """The sample, and the seeds that find the planted faults."""
    seeds = sorted({*SEEDS, *(planted.seed for planted in PLANTED.values())})
    return [(case, judge(case)) for case in outcomes(seeds, os.cpu_count() or 1, outcomes_folder)]


def test_altered_folders_are_refused_in_words_or_read_as_meant(judged):
    findings = [line(case, verdict) for case, verdict in judged if verdict.kind in FINDINGS]
    assert not findings, "\n".join(findings)


def test_some_of_every_class_are_read_and_refused(judged):
    kinds = Counter(case.kind for case, _ in judged)
    assert set(kinds) == set(CLASSES)
    assert min(kinds.values()) >= len(SEEDS) // len(CLASSES)
    verdicts = Counter(verdict.kind for _, verdict in judged)
    assert verdicts["same"] > len(SEEDS) / 4
    assert verdicts["both refuse"] > len(SEEDS) / 8


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_by_its_seed(judged, outcomes_folder, name):
    planted = PLANTED[name]
    assert run_planted(planted, planted.seed, 1, outcomes_folder)


def test_a_seed_makes_the_same_folder_in_another_process(tmp_path):
    code = "import sys; from pathlib import Path; from alterations import *; from trials import *\n"
    code += "make_altered(int(sys.argv[1]), p := Path(sys.argv[2])); print(digest(p))"
    for seed in range(len(CLASSES), 3 * len(CLASSES)):
        here, there = tmp_path / f"{seed}", tmp_path / f"{seed} again"
        here.mkdir(), there.mkdir()
        make_altered(seed, here)
        result = subprocess.run(
            [sys.executable, "-c", code, str(seed), str(there)],
            cwd=Path(__file__).parent, env=os.environ | {"PYTHONHASHSEED": "7"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert result.stdout.strip() == digest(here)
