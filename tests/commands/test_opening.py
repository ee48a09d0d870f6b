"""Options -> a model, or what is said where there is none."""

import sys

import pytest
from command_line import GELU

from minibert.commands import cli
from minibert.commands.opening import load
from minibert.models.sentence_transformer import DEFAULT_MODEL


def test_a_second_copy_of_the_weights_can_be_forbidden():
    def short_inputs(*words):
        return load(cli.parse(["embed", "-m", GELU, *words])).transformer.short_inputs

    # A command is done before one would pay; its bits are a program's.
    assert [short_inputs(*words) for words in ([], ["--no-short-inputs"])] == [False, False]
    assert short_inputs("--reproducible")
    assert not short_inputs("--reproducible", "--no-short-inputs")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", None),
        ("config.json", b"{"),
        ("modules.json", b"{}"),
        ("1_Pooling/config.json", None),
        ("model.safetensors", None),
        ("model.safetensors", b"not a whole file"),
        ("tokenizer.json", None),
    ],
)
def test_a_broken_folder_is_code_65(run, folder, file, content):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    result = run("embed", "-m", folder, "the cat")
    assert (result.code, result.out) == (65, "")
    assert str(folder) in result.err
    assert result.err.count("\n") == 1


def test_a_missing_folder_is_code_66(run):
    result = run("info", "./no-such-folder")
    assert (result.code, result.out) == (66, "")
    assert "'./no-such-folder'" in result.err


def test_a_file_as_the_model_is_code_66(run, text_file):
    result = run("info", text_file)
    assert (result.code, result.out) == (66, "")
    assert str(text_file) in result.err


def test_offline_and_not_cached_is_code_69(run, cache, no_network):
    result = run("info", "someone/missing", "--offline")
    assert (result.code, result.out) == (69, "")
    assert "someone/missing" in result.err
    assert result.err.count("\n") == 1


def test_without_a_model_the_default_one_is_looked_for(run, cache, no_network):
    for arguments in (["embed", "a"], ["score", "a query", "a"], ["demo"]):
        result = run(*arguments, "--offline")
        assert result.code == 69
        assert DEFAULT_MODEL in result.err


def test_cuda_without_cupy_is_code_69(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # also where there is one
    result = run("embed", "-m", GELU, "--device", "cuda", "the cat")
    assert (result.code, result.out) == (69, "")
    assert "CuPy" in result.err
