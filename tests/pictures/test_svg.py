"""Texts and numbers in SVG, and what all pictures have in common."""

import re
import xml.etree.ElementTree as ET

import pytest
from drawn import HOSTILE, SVG

from minibert.pictures.attention import attention_svg
from minibert.pictures.curves import curves_svg
from minibert.pictures.heat_map import heat_map_svg
from minibert.pictures.matrix import matrix_svg
from minibert.pictures.svg import escaped, number, places


@pytest.mark.parametrize("text", [HOSTILE, "a\tb\nc", "\ud800 \ufffe \uffff", "𝄞 שלום 語"])
def test_any_text_is_a_text_in_xml(text):
    element = ET.fromstring(f'<a b="{escaped(text)}">{escaped(text)}</a>')
    assert element.text == element.get("b")
    assert len(element.text) == len(text)
    assert not len(element)
    kept = [letter for letter in text if letter.isprintable()]
    assert [letter for letter in element.text if letter in kept] == kept


def test_a_control_character_is_shown_by_its_sign():
    assert escaped("a\x00b\nc\x7f") == "a␀b␊c␡"
    assert escaped("a\x00b\n\tc", lines=True) == "a␀b\n\tc"


def test_numbers_have_a_true_minus_and_zero_has_no_sign():
    assert [number(value, 2) for value in (0.5, -0.5, 0.0, -0.001)] == [
        "+0.50", "−0.50", "0.00", "0.00"
    ]  # fmt: skip
    assert number(0.5, 2, sign=False) == "0.50"


@pytest.mark.parametrize(
    ("scale", "decimals"), [(0, 1), (0.0123, 4), (0.123, 3), (1.23, 2), (12.3, 1), (12345.0, 0)]
)
def test_three_digits_of_the_largest_number_are_shown(scale, decimals):
    assert places(scale) == decimals


@pytest.mark.parametrize(
    "made",
    [
        lambda tiny: heat_map_svg(tiny.explain("a cat", "a dog")),
        lambda tiny: attention_svg(tiny.trace("a cat"), 0),
        lambda tiny: matrix_svg([[1.0, -2.0]], ["row"], "Two numbers"),
        lambda _: curves_svg({"loss": ([1, 2], [3.0, 4.0])}, "A loss"),
    ],
)
def test_a_picture_stands_alone_in_light_and_dark_and_has_a_name(made, model):
    svg = made(model)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find(f"{SVG}title").text != ""
    assert "@media (prefers-color-scheme:dark)" in root.find(f"{SVG}style").text
    assert not re.search(r"href|url\(|@import|var\(", svg)
