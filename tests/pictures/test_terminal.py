"""Words shaded for a terminal: which colours, and that no text is obeyed."""

import io

import numpy as np
import pytest
from drawn import contrast

from minibert.explain import ExplainedText, Word
from minibert.pictures.terminal import (
    AGAINST,
    FOR,
    STEPS,
    colours_of,
    painted,
    shaded,
)

ALL = 1 << 24


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, ALL),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, ALL),
        ({"TERM": "screen-256color"}, 256),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, 256),  # empty is as if it were not set
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, 0),
        ({"TERM": "dumb"}, 0),
        ({}, 0),
    ],
)
def test_a_terminal_has_the_colours_that_it_says(environment, colours):
    assert colours_of(Terminal(), environment) == colours
    assert colours_of(io.StringIO(), environment) == 0  # a file or a pipe


def test_a_word_is_painted_on_its_shade_or_has_signs():
    assert painted("cat", 0, ALL) == painted("cat", 0, 0) == "cat"
    assert painted("cat", 2, 0) == "cat[++]"
    assert painted("cat", -4, 0) == "cat[----]"
    assert painted("cat", 4, ALL) == "\x1b[38;2;255;255;255;48;2;27;98;165mcat\x1b[0m"
    assert painted("cat", -1, ALL) == "\x1b[38;2;0;0;0;48;2;249;224;208mcat\x1b[0m"
    assert painted("cat", 1, 256) == "\x1b[38;5;16;48;5;189mcat\x1b[0m"
    assert painted("cat", -4, 256) == "\x1b[38;5;231;48;5;130mcat\x1b[0m"


def rgb_of_xterm(number):
    """A colour of xterm's cube of six steps, 16 to 231."""
    levels = [0, 95, 135, 175, 215, 255]
    number -= 16
    return [levels[number // 36] / 255, levels[number // 6 % 6] / 255, levels[number % 6] / 255]


@pytest.mark.parametrize("shade", [*FOR, *AGAINST])
def test_a_word_can_be_read_on_its_shade(shade):
    ink = [1.0] * 3 if shade.is_dark else [0.0] * 3
    assert contrast(ink, [int(part) / 255 for part in shade.rgb.split(";")]) >= 4.5  # WCAG's AA
    assert contrast(ink, rgb_of_xterm(shade.xterm)) >= 4.5


def test_words_for_and_against_have_different_colours():
    assert len(FOR) == len(AGAINST) == STEPS
    assert len({shade.rgb for shade in FOR + AGAINST}) == 2 * STEPS
    assert len({shade.xterm for shade in FOR + AGAINST}) == 2 * STEPS


def text_of(text, *words):
    """An explained text: each word with where it stands, None for a special token."""
    offsets = [place or (0, 0) for _, place in words]
    made = [Word(word, slice(n, n + 1), place is None) for n, (word, place) in enumerate(words)]
    return ExplainedText(text, [w for w, _ in words], offsets, made, np.ones(len(words)), 0)


def test_a_text_is_shown_with_each_word_s_share_of_the_strongest():
    text = text_of(
        "the cat, a dog sat", ("[CLS]", None), ("the", (0, 3)), ("cat", (4, 7)), (",", (7, 8)),
        ("a", (9, 10)), ("dog", (11, 14)), ("[SEP]", None),
    )  # fmt: skip
    # What a special token gave is no measure for the words; what was cut is not shown.
    line = shaded(text, [9.0, 0.01, 0.4, -0.1, 0.0, -0.3, -9.0], 0)
    assert line == "the cat[++++],[-] a dog[---]"
    assert shaded(text, [0.0] * 7, 0) == "the cat, a dog"
    assert shaded(text, [0, 0, 1, 0, 0, 0, 0], 256).count("\x1b[0m") == 1


def test_a_text_without_words_is_an_empty_line():
    assert shaded(text_of("", ("[CLS]", None), ("[SEP]", None)), [1.0, 1.0], ALL) == ""


def test_what_is_between_words_is_not_obeyed_either():
    text = text_of("a\x1b[2Jb", ("a", (0, 1)), ("b", (5, 6)))
    assert shaded(text, [0.0, 0.0], ALL) == r"a\x1b[2Jb"
