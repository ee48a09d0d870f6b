"""The colours: all texts can be read, and pages have the pictures' own."""

import numpy as np
import pytest

from minibert.pictures.colours import PALETTE, page_colours, svg_colours


def contrast(first, second):
    """The contrast of two colours: WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour):
        parts = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


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
    ],
)
def test_text_can_be_read_on_every_ground(text, ground, scheme):
    assert contrast(PALETTE[text][scheme], PALETTE[ground][scheme]) >= 4.5


def test_pages_and_pictures_have_the_same_colours_in_light_and_dark():
    light, dark = svg_colours().split("@media (prefers-color-scheme:dark)")
    for name in ("paper", "for-fill", "against-fill", "ink", "quiet"):
        assert PALETTE[name][0] in light
        assert PALETTE[name][1] in dark
        assert f"--{name}: light-dark({PALETTE[name][0]}, {PALETTE[name][1]});" in page_colours()
