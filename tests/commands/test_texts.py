"""Texts of arguments and files: what is warned of, and what is no text."""

import pytest
from command_line import GELU


def test_a_text_that_names_a_file_is_a_text_with_a_warning(run, text_file, monkeypatch):
    monkeypatch.chdir(text_file.parent)
    for command in (["embed"], ["score", "a query"]):
        result = run(*command, text_file.name, "-m", GELU)
        assert result.code == 0
        assert text_file.name in result.out
        assert "the cat sat." not in result.out
        assert repr(text_file.name) in result.err
        assert "--file" in result.err
        assert result.err.count("\n") == 1


def test_bad_utf8_in_a_file_is_code_65_and_named_with_its_line(run, tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes(b"the cat\nCaf\xe9\n")
    for command in (["embed"], ["score", "a query"]):
        result = run(*command, "-m", GELU, "--file", path)
        assert (result.code, result.out) == (65, "")
        assert f"{path}, line 2" in result.err
        assert result.err.count("\n") == 1


def test_bad_utf8_on_standard_input_is_code_65(run):
    result = run("embed", "-m", GELU, stdin=b"\xff\n")
    assert (result.code, result.out) == (65, "")
    assert "standard input, line 1" in result.err


@pytest.mark.parametrize("command", [["embed"], ["score", "a query"]])
def test_a_missing_file_is_code_66_and_leaves_no_result(run, text_file, command):
    missing = text_file.parent / "missing.txt"
    result = run(*command, "-m", GELU, "--file", text_file, "--file", missing)
    assert (result.code, result.out) == (66, "")
    assert str(missing) in result.err
