"""What lands has passed every form of the test command, each within its minutes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORM = re.compile(r"^sh tools/test\.sh *(\w*)", re.MULTILINE)
BUDGET = re.compile(r"^form (\d+) *(\w*)$", re.MULTILINE)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_form_is_listed_and_runs_but_three():
    listed = FORM.findall(read("CONTRIBUTING.md"))
    assert listed == FORM.findall(read("README.md"))
    (usage,) = re.findall(r"usage: sh tools/test\.sh \[(.+)\]", read("tools/test.sh"))
    assert listed == ["", *usage.split(" | ")]
    assert [name for _, name in BUDGET.findall(read(".ci/run"))] == [
        name for name in listed if name not in ("quick", "frameworks", "long")
    ]


def test_the_budgets_of_all_forms_are_73_minutes_at_most():
    assert sum(int(minutes) for minutes, _ in BUDGET.findall(read(".ci/run"))) <= 73


@pytest.fixture
def run_ci(tmp_path):
    """Run a copy of .ci/run whose forms do nothing, but for one that fails: exit code, output."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/test.sh").write_text('test "${1:-all}" != "$FAILING" || exit 3\n')

    def ci(failing):
        done = subprocess.run(
            ["bash", tmp_path / ".ci/run"], env={**os.environ, "FAILING": failing},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, re.sub(r"\d+\.\d", "0.0", done.stdout).splitlines()

    return ci


def test_each_form_s_minutes_are_said_and_their_sum(run_ci):
    code, lines = run_ci("none")
    assert code == 0
    forms = BUDGET.findall(read(".ci/run"))
    assert lines[:-1] == [
        f".ci/run: {name or 'all'} took 0.0 of {budget} minutes" for budget, name in forms
    ]
    assert lines[-1] == ".ci/run: all passed, in 0.0 minutes"


def test_the_first_form_that_fails_is_the_last(run_ci):
    code, lines = run_ci("reference")
    assert code == 3
    assert len(lines) == 3
    assert lines[1].startswith(".ci/run: reference took 0.0 of ")
    assert lines[2] == ".ci/run: reference failed, after 0.0 minutes in all"
