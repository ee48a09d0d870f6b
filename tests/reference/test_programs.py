"""Programs in the style of the reference's example pages, run three times, line by line the same.

With sentence-transformers; with the imports changed; and unchanged after `install()`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from golden_files import one_label_copy

PROGRAMS = sorted((Path(__file__).parent / "drop_in_programs").glob("*.py"))
# The beginning of an import of theirs, in a line, and what stands there for ours. All evaluators
# are in one module of ours.
IMPORT = re.compile(
    r"^from sentence_transformers(\.(?:cross_encoder|sentence_transformer)(?=\.evaluation))?", re.M
)


# Runs the program that its arguments name, with minibert under the reference's name.
INSTALLED = """
import runpy, sys
from minibert.integrations.sentence_transformers import install
install(force=True)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def lines_of(*arguments):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def scorer_folder(tmp_path_factory):
    """A cross-encoder with one label."""
    return one_label_copy(tmp_path_factory.mktemp("scorer"))


def test_the_programs_of_every_task_are_here():
    assert [program.stem for program in PROGRAMS] == [
        *("agglomerative", "bitext_mining", "cross_encoder", "duplicates", "evaluation"),
        *("fast_clustering", "kmeans", "paraphrase_mining", "quantization", "retrieve_rerank"),
        "semantic_search",
    ]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_program_prints_the_same_lines(program, minilm_folder, scorer_folder, tmp_path):
    code = program.read_text(encoding="utf-8")
    changed = tmp_path / program.name
    changed.write_text(IMPORT.sub("from minibert", code), encoding="utf-8")
    assert "sentence_transformers" not in changed.read_text(encoding="utf-8")
    expected = lines_of(program, minilm_folder, scorer_folder)
    assert len(expected) > 6
    assert lines_of(changed, minilm_folder, scorer_folder) == expected
    assert lines_of("-c", INSTALLED, program, minilm_folder, scorer_folder) == expected
