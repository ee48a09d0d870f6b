"""Words shaded by what they gave."""

import xml.etree.ElementTree as ET

import numpy as np
from drawn import cells_of, text_of

from minibert.explain import Explanation
from minibert.pictures.shaded_words import shaded_words_svg


def test_shaded_words_show_each_word_s_part_and_the_remainder(by_hand):
    svg = shaded_words_svg(by_hand)
    cells = {name: (value, kind) for name, value, kind, _ in cells_of(svg)}
    assert cells["bark"] == (0.23, "for")
    assert cells["cat"] == (-0.06, "against")
    assert len(cells) == 4  # "night" is in both texts
    assert "query: +0.560, of that from special tokens +0.030" in svg


def test_shaded_words_stay_on_the_paper():
    words = ["word"] * 400
    query, document = text_of(*words), text_of("plain")
    svg = shaded_words_svg(Explanation(0.0, "dot", np.zeros((402, 3)), query, document))
    root = ET.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    for *_, cell in cells_of(svg):
        assert float(cell.get("x")) + float(cell.get("width")) <= width
        assert float(cell.get("y")) + float(cell.get("height")) <= height
    assert "… 100 more words" in svg
