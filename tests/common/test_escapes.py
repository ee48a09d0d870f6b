"""Texts of others in print: shown, obeyed by no terminal, and the same where JSON is read."""

import json

import pytest

from minibert.common.escapes import has_controls, safe_json, visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Café 中文 🐕", "Café 中文 🐕"),
        ("a\nb\tc\u2028d\xa0e", "a b c d e"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31m\x7f\x08", r"\x9b31m\x7f\x08"),
        ("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_a_text_for_a_terminal_holds_no_control_character(text, shown):
    assert visible(text) == shown
    assert not has_controls(shown)


def test_a_message_keeps_line_feeds_and_nothing_else_obeyed():
    assert visible_lines("a\x1bb\nc\td\r\n") == "a\\x1bb\nc d \n"


def test_escaped_json_reads_the_same_without_control_characters():
    texts = {"a\x7fb\x9bc": "\u202ed\u2069 \u2028\u2029\u061c\ud800é中🐕\u200c"}
    written = safe_json(json.dumps(texts, ensure_ascii=False))
    assert json.loads(written) == texts
    assert not has_controls(written)
    assert "é中🐕\u200c" in written
    assert written.encode()  # no half of a character is left
