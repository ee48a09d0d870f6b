"""The types that mypy infers for a user's program, with the types that the package brings."""

import subprocess
import sys
from pathlib import Path

import pytest

CALLS = Path(__file__).parent / "typing" / "common_calls.py"


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory):
    """A folder that the runs of mypy here share: the second one reads the package no more."""
    return tmp_path_factory.mktemp("mypy_cache")


def checked(program, cache):
    """What `mypy --strict` says of a program outside the project."""
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "--config-file", "",
         "--follow-imports", "silent", program],
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_a_checker_infers_the_types_of_the_common_calls(mypy_cache):
    result = checked(CALLS, mypy_cache)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('model.encode("a cat"), Array', 'model.encode("a cat"), list[Array]'),
        ("scorer.predict([(", "scorer.predict(texts=[("),
        ("output_value=None), list[Features]", 'output_value="vector"), list[Features]'),
    ],
    ids=["a type", "a name", "a choice"],
)
def test_a_wrong_line_among_them_is_an_error(mypy_cache, tmp_path, right, wrong):
    program = tmp_path / "calls.py"
    text = CALLS.read_text(encoding="utf-8")
    assert right in text
    program.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    result = checked(program, mypy_cache)
    number = next(n for n, line in enumerate(text.splitlines(), 1) if right in line)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"calls.py:{number}: error" in result.stdout
