"""The colours: all texts can be read, and pages have the pictures' own."""

import pytest
from drawn import contrast

from minibert.pictures.colours import PALETTE, page_colours, svg_colours


def rgb(colour):
    """The parts of a colour, "#fdfcfa", from 0 to 1."""
    return [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "paper"),
        ("ink", "for-fill"),
        ("ink", "against-fill"),
        ("quiet", "paper"),
        ("for", "paper"),
        ("against", "paper"),
        ("third", "paper"),
        ("fourth", "paper"),
    ],
)
def test_text_can_be_read_on_every_ground(text, ground, scheme):
    assert contrast(rgb(PALETTE[text][scheme]), rgb(PALETTE[ground][scheme])) >= 4.5


def test_pages_and_pictures_have_the_same_colours():
    light, dark = svg_colours().split("@media (prefers-color-scheme:dark)")
    for name in ("paper", "for-fill", "against-fill", "ink", "quiet"):
        assert PALETTE[name][0] in light
        assert PALETTE[name][1] in dark
        assert f"--{name}: light-dark({PALETTE[name][0]}, {PALETTE[name][1]});" in page_colours()
