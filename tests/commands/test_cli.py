"""The command line: the code that it ends with, and what it tells of itself."""

import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from command_line import (
    GELU,
    ODD,
    assert_not_obeyed,
    assert_untouched,
    process,
)

from minibert import SentenceTransformer, __version__
from minibert.commands.cli import parse
from minibert.commands.formats import FORMATS, Format

COMMANDS = [
    *("embed", "score", "explain", "info", "convert", "search", "map", "eval", "demo"),
    *("index build", "index add", "index delete", "index verify", "index info"),
]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["embed", "--no-such-option"],
        ["embed", "-m", GELU, "--threads", "0", "a"],
        ["embed", "-m", GELU, "--threads", "two", "a"],
        ["embed", "-m", GELU, "--pack-tokens", "0", "a"],
        ["embed", "-m", GELU, "--pack-tokens", "-1", "a"],
        ["embed", "-m", GELU, "--format", "csv", "a"],
        ["embed", "-m", GELU, "--on-long", "cry", "a"],
        ["score", "-m", GELU],
        ["explain", "-m", GELU],
        ["explain", "-m", GELU, "a", "b", "--top-k", "0"],
        ["explain", "-m", GELU, "a", "b", "--metric", "euclidean"],
        ["info"],
    ],
)
def test_wrong_usage_is_code_2(run, arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: minibert")


def test_a_fault_of_ours_is_code_70_and_shows_where(run, monkeypatch):
    def encode(*_, **__):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    result = run("embed", "-m", GELU, "the cat")
    assert (result.code, result.out) == (70, "")
    assert "Traceback" in result.err
    assert "RuntimeError: nobody thought of this" in result.err
    assert "report" in result.err.splitlines()[-1]


def test_a_full_disk_is_code_74_and_leaves_the_old_output(run, old_output, monkeypatch):
    def write(batches, file):
        for _ in batches:
            file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(FORMATS, "npy", Format(write, "half a matrix"))
    result = run("embed", "-m", GELU, "-o", old_output, "the cat")
    assert (result.code, result.out) == (74, "")
    assert os.strerror(errno.ENOSPC) in result.err
    assert_untouched(old_output)


def test_an_interrupt_is_code_130_and_leaves_the_old_output(run, old_output, monkeypatch):
    def encode(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    result = run("embed", "-m", GELU, "-o", old_output, "the cat")
    assert (result.code, result.out, result.err) == (130, "", "")
    assert_untouched(old_output)


# Interrupted within a string that is compiled, as a named tuple is, Python ends by the signal,
# though it was handled; a shell calls both 130.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "codes"),
    [(signal.SIGINT, (130, -signal.SIGINT)), (signal.SIGTERM, (143,)), (signal.SIGHUP, (129,))],
)
@pytest.mark.usefixtures("heeding_ctrl_c")
def test_a_signal_ends_a_waiting_process_and_leaves_no_output(tmp_path, number, codes):
    with subprocess.Popen(
        [sys.executable, "-m", "minibert", "embed", "-m", GELU, "-o", tmp_path / "v.npy"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as waiting:
        deadline = time.monotonic() + 120
        # Once the model is loaded there is a file for the output, and stdin is waited for.
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        begun = os.listdir(tmp_path)
        waiting.send_signal(number)
        out, err = waiting.communicate(timeout=120)
    assert len(begun) == 1
    assert waiting.returncode in codes
    assert (out, err) == (b"", b"")
    assert os.listdir(tmp_path) == []


def handlers_within(run, monkeypatch):
    """The handlers of SIGTERM and SIGHUP while a command runs."""
    found = []

    def encode(*_, **__):
        found.extend(map(signal.getsignal, (signal.SIGTERM, signal.SIGHUP)))
        raise KeyboardInterrupt

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    run("embed", "-m", GELU, "the cat")
    return found


def test_a_hangup_ends_a_command_unless_it_is_ignored(run, monkeypatch):
    before = signal.getsignal(signal.SIGHUP)
    try:
        for handler in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGHUP, handler)
            ending, hangup = handlers_within(run, monkeypatch)
            assert (hangup == handler) == (handler == signal.SIG_IGN)
            assert signal.getsignal(signal.SIGHUP) == handler
            for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129)):
                with pytest.raises(SystemExit) as raised:
                    ending(number, None)
                assert raised.value.code == code
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_python_m_minibert_is_the_command_line():
    done = process("embed", "-m", GELU, input="the cat\nCafé\n".encode())
    lines = done.stdout.decode("utf-8").splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    assert [json.loads(line)["text"] for line in lines] == ["the cat", "Café"]


@pytest.mark.slow
def test_python_m_minibert_ends_with_the_command_s_code():
    done = process("info", "./no-such-folder")
    assert (done.returncode, done.stdout) == (66, b"")


def test_the_version_is_the_package_s(run):
    result = run("--version")
    assert (result.code, result.out) == (0, f"minibert {__version__}\n")


def test_help_names_every_command_and_the_exit_codes(run):
    result = run("--help")
    assert result.code == 0
    for command in {command.split()[0] for command in COMMANDS}:
        assert re.search(rf"^ +{command} ", result.out, re.MULTILINE)
    codes = set(re.findall(r"\b\d+\b", result.out.partition("Exit codes:")[2]))
    assert codes == {"0", "2", "65", "66", "69", "70", "71", "73", "74", "129", "130", "143"}


def test_help_waits_for_numpy_alone_and_for_no_command_s_work():
    program = "import sys; before = {*sys.modules}\n"
    program += "from minibert.commands import cli\n"
    program += "try: cli.main(['--help'])\n"
    program += "except SystemExit: print(*sys.modules.keys() - before, file=sys.stderr)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = done.stderr.decode().split()
    libraries = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert libraries == {"minibert", "numpy"}
    folders = {name.split(".")[1] for name in loaded if name.startswith("minibert.")}
    assert "commands" in folders
    assert not folders & {"corpus", "explain", "pictures", "integrations"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_examples(run, command):
    result = run(*command.split(), "--help")
    assert (result.code, result.err) == (0, "")
    examples = result.out.partition("\nexamples:\n")[2].splitlines()
    assert len(examples) >= 2
    assert all(f"minibert {command}" in example for example in examples)


def test_log_usage_and_fault_lines_send_no_control_character(run, monkeypatch):
    def encode(*_, **__):
        logging.getLogger("minibert.somewhere").warning("of a file: %s", ODD)
        raise RuntimeError(ODD)

    monkeypatch.setattr(SentenceTransformer, "encode", encode)
    result = run("embed", "-m", GELU, "a")
    assert result.code == 70
    assert result.err.count(r"\x1b]0;title\x07") == 2
    assert_not_obeyed(result.err)
    result = run("embed", f"--{ODD.replace(' ', '')}")
    assert result.code == 2
    assert_not_obeyed(result.err)


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("pyarrow", ["embed", "-m", GELU, "--file", "{here}/a.parquet"]),
        ("pyarrow", ["index", "build", "{here}/c", "-m", GELU, "{here}/a.parquet"]),
        ("cupy", ["embed", "-m", GELU, "--device", "cuda", "a"]),
        ("usearch.index", ["index", "graph", "{here}/corpus"]),
        ("umap", ["map", "{here}/corpus", "--method", "umap"]),
    ],
)
def test_an_extra_that_is_missing_is_code_69(run, files, monkeypatch, library, words):
    many = "".join(f"cat {number}\n" for number in range(30)).encode()
    assert run("index", "build", files / "corpus", "-m", GELU, stdin=many).code == 0
    monkeypatch.setitem(sys.modules, library, None)
    result = run(*(word.format(here=files) for word in words))
    assert (result.code, result.out) == (69, "")
    assert re.search(r"Install it: pip install '\.\[\w+\]' in a clone of minibert\.$", result.err)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["-k", "1", "--", "-x dog"], ["-x dog"]),
        (["--", "-x", "b"], ["-x", "b"]),
        (["a", "-k", "1", "--", "-x", "--"], ["a", "-x", "--"]),
        (["-k", "1", "a", "--"], ["a"]),
    ],
)
def test_a_text_behind_two_dashes_may_begin_with_one(words, texts):
    assert parse(["search", "c", *words]).texts == texts


def test_two_dashes_of_a_program_are_left_to_it():
    assert parse(["run", "s.py", "--", "-x"]).program == ["s.py", "--", "-x"]


@pytest.mark.parametrize("command", ["search", "index add", "run"])
def test_an_unknown_option_shows_the_usage_of_its_command(run, command):
    result = run(*command.split(), "--wrong", "c")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"usage: minibert {command} ")
    assert f"minibert {command}: error: unrecognized arguments: --wrong" in result.err


@pytest.mark.parametrize("command", ["add", "replace"])
def test_fields_are_told_to_be_those_of_the_corpus(run, command):
    result = run("index", command, "c", "a.csv", "--fields", "lang")
    assert result.code == 2
    assert "--fields: the fields are those that the corpus was built with" in result.err


@pytest.mark.parametrize("arguments", [["info", GELU, "more"], ["score", "q", "a", "--jsn"]])
def test_what_no_command_knows_is_refused(run, arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert f"unrecognized arguments: {arguments[-1]}" in result.err
