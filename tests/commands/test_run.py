"""minibert run: a program in the place of the command, with minibert's stand-in on its path."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import process

import minibert

SHOWING = """
import os, subprocess, sys
from sentence_transformers import SentenceTransformer

print(sys.argv, __name__, sys.path[0], SentenceTransformer.encode.__module__)
print(os.environ.get("HF_HUB_OFFLINE"), flush=True)
line = "import sentence_transformers; print(sentence_transformers.__version__)"
subprocess.run([sys.executable, "-c", line], check=True)
sys.exit(7)
"""


@pytest.fixture
def showing_script(tmp_path):
    """A script that shows what it was given, and ends with 7."""
    script = tmp_path / "showing.py"
    script.write_text(SHOWING)
    return script


def lines(done):
    return done.stdout.decode().splitlines()


@pytest.mark.slow
def test_a_script_gets_its_arguments_and_gives_its_code(showing_script):
    arguments = ["-m", "x", "--quiet", "--version", "--", "y"]
    done = process("run", showing_script, *arguments)
    assert done.returncode == 7, done.stderr
    shown, offline, below = lines(done)
    assert shown == (
        f"{[str(showing_script), *arguments]} __main__ {showing_script.parent} "
        "minibert.models.sentence_transformer"
    )
    assert (offline, below) == (os.environ.get("HF_HUB_OFFLINE", "None"), "6.2.0")


@pytest.mark.slow
def test_a_module_is_run_as_by_python_itself(showing_script):
    done = process("run", "--offline", "-m", "showing", "--force", cwd=showing_script.parent)
    assert done.returncode == 7, done.stderr
    shown, offline, _ = lines(done)
    assert shown.startswith(f"{[str(showing_script), '--force']} __main__ {showing_script.parent} ")
    assert offline == "1"


@pytest.mark.slow
def test_a_program_on_standard_input_is_run(showing_script):
    done = process("run", "-", "x", input=b"import sys, sentence_transformers; print(sys.argv)")
    assert (done.returncode, lines(done)) == (0, ["['-', 'x']"])


@pytest.mark.slow
def test_ctrl_c_ends_the_program_as_it_ends_python(tmp_path):
    script = tmp_path / "waiting.py"
    script.write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "minibert", "run", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"here\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == -signal.SIGINT
        assert b"KeyboardInterrupt" in running.stderr.read()


@pytest.mark.slow
def test_an_installed_package_is_taken_only_away_by_force(showing_script, tmp_path):
    other = tmp_path / "elsewhere" / "sentence_transformers" / "__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("raise RuntimeError('the other package')\n")
    paths = f"{other.parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONPATH": paths}
    done = process("run", showing_script, env=environment)
    assert done.returncode == 2
    assert str(other) in done.stderr.decode()
    assert "--force" in done.stderr.decode()
    assert process("run", "--force", showing_script, env=environment).returncode == 7


@pytest.mark.parametrize("arguments", [[], ["-m"], ["--force"]])
def test_a_missing_program_is_a_usage_error(run, arguments):
    result = run("run", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "run needs a program" in result.err


@pytest.mark.slow
def test_a_script_that_is_not_there_is_python_s_own_error(tmp_path):
    done = process("run", tmp_path / "nothing.py")
    assert done.returncode == 2
    assert b"can't open file" in done.stderr


@pytest.mark.slow
def test_a_clone_that_is_not_installed_runs_with_itself(tmp_path):
    clone, script = tmp_path / "clone", tmp_path / "where.py"
    clone.mkdir()
    (clone / "minibert").symlink_to(Path(minibert.__file__).parent)
    script.write_text("import sentence_transformers, minibert; print(minibert.__file__)")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = process("run", script, cwd=clone, env=environment)
    assert lines(done) == [str(clone / "minibert" / "__init__.py")], done.stderr
