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

FOLDER = Path(__file__).parent / "drop_in_programs"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))
# The beginning of an import of theirs, in a line, and what stands there for ours. All evaluators
# are in one module of ours.
IMPORT = re.compile(
    r"^from sentence_transformers(\.(?:cross_encoder|sentence_transformer)(?=\.evaluation))?", re.M
)
# Runs all programs of a folder in one process, as importing torch takes longer than most of them,
# and writes the output of each into a file: FOLDER OUT ARGUMENTS...
RUN_ALL = """
import contextlib, pathlib, runpy, sys
folder, out, *arguments = sys.argv[1:]
for program in sorted(pathlib.Path(folder).glob("*.py")):
    sys.argv = [str(program), *arguments]
    with open(f"{out}/{program.stem}.txt", "w") as file, contextlib.redirect_stdout(file):
        runpy.run_path(str(program), run_name="__main__")
"""
INSTALL = """
from minibert.integrations.sentence_transformers import install
install(force=True)
"""


def outputs(code, folder, out, *arguments):
    """Run all programs of a folder: name -> lines."""
    out.mkdir()
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, (folder, out, *arguments))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"},
    )
    assert result.returncode == 0, result.stderr
    return {path.stem: path.read_text().splitlines() for path in out.iterdir()}


@pytest.fixture(scope="module")
def lines(minilm_folder, tmp_path_factory):
    """The lines of all programs: with theirs, with changed imports, and after install()."""
    place = tmp_path_factory.mktemp("programs")
    folders = minilm_folder, one_label_copy(place)
    changed = place / "changed"
    changed.mkdir()
    for name in PROGRAMS:
        code = IMPORT.sub("from minibert", (FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        assert "sentence_transformers" not in code
        (changed / f"{name}.py").write_text(code, encoding="utf-8")
    return (
        outputs(RUN_ALL, FOLDER, place / "theirs", *folders),
        outputs(RUN_ALL, changed, place / "ours", *folders),
        outputs(INSTALL + RUN_ALL, FOLDER, place / "installed", *folders),
    )


def test_the_programs_of_every_task_are_here():
    assert [
        *("agglomerative", "bitext_mining", "cross_encoder", "duplicates", "evaluation"),
        *("fast_clustering", "kmeans", "paraphrase_mining", "quantization", "retrieve_rerank"),
        "semantic_search",
    ] == PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_prints_the_same_lines(program, lines):
    expected, changed, installed = (of[program] for of in lines)
    assert len(expected) > 6
    assert changed == expected
    assert installed == expected
