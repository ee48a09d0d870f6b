"""Standard streams that are missing, closed or full."""

import errno
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from command_line import (
    GELU,
    LONG,
    TEXTS,
    process,
    shell,
)

from minibert.commands import cli

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "arguments",
    [["embed", "-m", GELU, *TEXTS], ["score", "-m", GELU, "Who barks?", *TEXTS], ["info", GELU]],
    ids=["embed", "score", "info"],
)
def test_a_closed_pipe_ends_quietly(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        done = process(*arguments, stdout=pipe)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_stops_half_way_ends_it_quietly(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("cat\n" * 5000)  # 1.5 MB of vectors, far above what a pipe holds
    with subprocess.Popen(
        [sys.executable, "-m", "minibert", "embed", "-m", GELU, "--file", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writing:
        first = writing.stdout.readline()
        writing.stdout.close()
        err = writing.stderr.read()
    assert json.loads(first)["text"] == "cat"
    assert (writing.returncode, err) == (0, b"")


def test_a_closed_stderr_loses_messages_and_no_result(tmp_path):
    expected = shell(f"{{}} embed -m {GELU} '{LONG}'")
    assert expected[2] != ""
    assert shell(f"{{}} embed -m {GELU} '{LONG}' 2>&-") == (*expected[:2], "")
    assert shell("{} info ./nowhere 2>&-") == (66, "", "")
    assert shell("{} embed --no-such-option 2>&-") == (2, "", "")
    path = tmp_path / "v.jsonl"
    assert shell(f"{{}} embed -m {GELU} '{LONG}' -o {path} 2>&- <&- >&-") == (0, "", "")
    assert path.read_text() == expected[1]


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    # Other libraries write to the number 2, whatever stands behind it.
    program = "from minibert.commands import streams\n"
    program += "with streams.standing_in(), open('o', 'w') as file:\n"
    program += "    file.write(str(file.fileno() > 2))"
    command = [sys.executable, "-c", program]
    subprocess.run(["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *command], cwd=tmp_path, check=True)
    assert (tmp_path / "o").read_text() == "True"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_stderr_changes_no_exit_code():
    assert shell("{} info ./nowhere 2>/dev/full")[0] == 66
    assert shell(f"{{}} embed -m {GELU} '{LONG}' 2>/dev/full")[0] == 0


@pytest.mark.parametrize(
    "words",
    [f"embed -m {GELU} a", f"score -m {GELU} q a", f"explain -m {GELU} a b", f"info {GELU}",
     f"eval --quiet {GELU}", f"demo -m {GELU}", "--help", "--version"],
)  # fmt: skip
def test_a_closed_stdout_is_an_error_of_writing(words):
    message = "minibert: standard output is closed, so no result can be written.\n"
    assert shell(f"{{}} {words} >&-") == (74, "", message)


def test_a_closed_stdin_is_no_input_where_it_is_read():
    message = "minibert: Standard input is closed. Give a file, or pipe something into it.\n"
    for words in (f"embed -m {GELU}", f"score -m {GELU} q", f"explain -m {GELU} a",
                  f"index build no-folder -m {GELU}"):  # fmt: skip
        assert shell(f"{{}} {words} <&-") == (66, "", message)
    assert shell(f"{{}} score -m {GELU} q a <&-") == shell(f"{{}} score -m {GELU} q a")


def test_streams_that_are_none_are_put_back(run, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["info", "./nowhere"]) == 66
    assert cli.main(["info", GELU]) == 74
    assert (sys.stdout, sys.stderr) == (None, None)


def test_streams_that_a_program_closed_are_not_there(monkeypatch):
    for name in ("stdout", "stderr", "stdin"):
        monkeypatch.setattr(sys, name, io.StringIO())
        getattr(sys, name).close()
    assert cli.main(["info", "./nowhere"]) == 66
    assert cli.main(["embed", "-m", str(GELU)]) == 66
    assert cli.main(["info", str(GELU)]) == 74


def test_streams_of_text_alone_are_told_of_where_bytes_go(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert cli.main(["embed", "-m", str(GELU), "a"]) == 73
    assert "takes no bytes. Give a file" in capsys.readouterr().err
    assert cli.main(["score", "-m", str(GELU), "q", "a"]) == 0
    assert sys.stdout.getvalue().endswith("  a\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a"))
    assert cli.main(["score", "-m", str(GELU), "q"]) == 66
    assert "holds no bytes. Give a file" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_behind_standard_output_ends_with_74():
    with open("/dev/full", "wb") as full:
        done = process("embed", "-m", GELU, "a", stdout=full)
    assert done.returncode == 74
    assert done.stderr.decode() == f"minibert: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.skipif(os.name == "nt", reason="limits are those of Unix")
def test_output_that_is_cut_is_no_success_without_buffers(tmp_path):
    path, unbuffered = tmp_path / "v.npy", {**os.environ, "PYTHONUNBUFFERED": "1"}
    texts = " ".join(["'the cat'"] * 40)
    line = f"ulimit -f 1; {{}} embed -m {GELU} --format npy {texts} > {path}"
    code, _, err = shell(line, env=unbuffered)
    assert (code, err) == (74, f"minibert: {os.strerror(errno.EFBIG)}\n")
    done = process("embed", "-m", GELU, "--format", "npy", *["the cat"] * 40, env=unbuffered)
    assert np.load(io.BytesIO(done.stdout)).shape == (40, 20)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("words", ["--help", "--version", f"info {GELU}"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_of_whatever_was_to_be_said(words, unbuffered):
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    expected = (74, "", f"minibert: {os.strerror(errno.ENOSPC)}\n")
    assert shell(f"{{}} {words} > /dev/full", env=env) == expected


def test_help_into_a_closed_pipe_ends_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    done = process("embed", "--help", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
