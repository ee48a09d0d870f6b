"""The heat map of a score: every pair of words has its cell."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from drawn import HOSTILE, SVG, cells_of, text_of

from minibert.explain import Explanation
from minibert.pictures.heat_map import heat_map_svg


def test_a_cell_for_each_pair_says_what_it_gave(by_hand):
    cells = {name: value for name, value, *_ in cells_of(heat_map_svg(by_hand))}
    assert len(cells) == 4 * 5
    assert cells["bark × barked"] == 0.3
    assert cells["bark × cat"] == -0.12
    assert cells["night × night"] == 0.2
    assert cells["[SEP] × night"] == -0.03


def test_the_cells_of_a_heat_map_sum_to_the_score(model):
    explanation = model.explain("the cat went to London", "a dog and a cat", metric="dot")
    values = [value for _, value, *_ in cells_of(heat_map_svg(explanation))]
    # Each is rounded to four digits of the largest.
    rounding = len(values) * np.abs(values).max() * 5e-4
    assert abs(sum(values) - explanation.score) <= rounding
    assert abs(explanation.score) > 10 * rounding


def test_a_pair_s_colour_shows_its_sign_and_strength_its_value(by_hand):
    for _, value, kind, cell in cells_of(heat_map_svg(by_hand)):
        assert kind == ("against" if value < 0 else "for")
        assert float(cell.get("fill-opacity")) == pytest.approx(abs(value) / 0.3, abs=1e-3)


def test_special_tokens_stand_apart_after_the_words(by_hand):
    cells = cells_of(heat_map_svg(by_hand))
    names = [name for name, *_ in cells[:5]]
    assert names == [f"bark × {word}" for word in ("barked", "cat", "night", "[CLS]", "[SEP]")]
    x = [float(cell.get("x")) for *_, cell in cells[:5]]
    steps = np.diff(x)
    assert steps[0] == steps[1] == steps[3] < steps[2]


def test_of_a_long_text_the_rest_is_one_row_and_nothing_is_lost(by_hand):
    cells = cells_of(heat_map_svg(by_hand, max_words=1))
    values = {name: value for name, value, *_ in cells}
    assert values["bark × barked"] == 0.3
    assert values["1 other words × barked"] == 0.04
    assert values["1 other words × 2 other words"] == pytest.approx(0.26)
    assert sum(values.values()) == pytest.approx(by_hand.score)
    for name, value, kind, cell in cells:
        if "other words" in name:  # a sum of many, which has no colour
            assert (kind, cell.get("fill-opacity")) == ("rest", None)
        else:
            assert float(cell.get("fill-opacity")) == pytest.approx(abs(value) / 0.3, abs=1e-3)


def test_no_text_escapes_from_a_heat_map():
    words = HOSTILE.split(" ")
    query, document = text_of(*words), text_of("plain")
    contributions = np.ones((len(query.tokens), 3))
    svg = heat_map_svg(Explanation(24.0, "dot", contributions, query, document))
    kinds = {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}
    assert kinds == {"svg", "title", "style", "rect", "g", "text"}
    assert any("<img" in name for name, *_ in cells_of(svg))
