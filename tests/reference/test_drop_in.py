"""Programs written for sentence-transformers, run as they are and with the import changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


def output(program, folder):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_both_programs_are_here():
    assert [program.name for program in PROGRAMS] == ["retrieve.py", "topics.py"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_prints_the_same_with_only_the_import_changed(program, minilm_folder, tmp_path):
    code = program.read_text(encoding="utf-8")
    line = next(line for line in code.splitlines() if "sentence_transformers" in line)
    assert line.startswith("from sentence_transformers import ")
    changed = tmp_path / program.name
    changed.write_text(code.replace(line, line.replace("sentence_transformers", "minibert")))
    assert "torch" not in code
    expected = output(program, minilm_folder)
    assert len(expected.splitlines()) > 6
    assert output(changed, minilm_folder) == expected
