"""Pictures: what stands in them is what was computed, and no text in them is more than text."""

import base64
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.explain import ExplainedText, Explanation, Word
from minibert.pictures import explanation_page as page_module
from minibert.pictures import xray as xray_module
from minibert.pictures.attention import attention_svg, first_tokens
from minibert.pictures.colours import PALETTE, page_colours, svg_colours
from minibert.pictures.explanation_page import explanation_page
from minibert.pictures.heat_map import heat_map_svg
from minibert.pictures.matrix import matrix_svg
from minibert.pictures.shaded_words import shaded_words_svg
from minibert.pictures.svg import escaped, number, places
from minibert.pictures.xray import as_bytes, as_shorts, xray

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</script><script>alert('1')</script> <img src=x onerror=\"alert(2)\"> & ]]> '\x00\x0b\x1b\""
)


@pytest.fixture(scope="module")
def tiny():
    """A golden model of three layers that does not normalise, so it has negative pairs."""
    return SentenceTransformer(GOLDEN / "gelu", on_long="ignore")


def text_of(*words):
    """A text of words, each a token, between two special ones."""
    names = ["[CLS]", *words, "[SEP]"]
    offsets, at = [(0, 0)], 0
    for word in words:
        offsets.append((at, at + len(word)))
        at += len(word) + 1
    return ExplainedText(
        " ".join(words), names, [*offsets, (0, 0)],
        [Word(name, slice(n, n + 1), n in (0, len(words) + 1)) for n, name in enumerate(names)],
        np.ones(len(names)), 0,
    )  # fmt: skip


@pytest.fixture
def by_hand():
    """A query of two words and a document of three; "bark" against "cat" is negative."""
    contributions = np.array(
        [
            [0.01, 0.00, 0.00, 0.00, 0.02],
            [0.00, 0.30, -0.12, 0.05, 0.00],
            [0.00, 0.04, 0.06, 0.20, 0.00],
            [0.00, 0.00, 0.00, -0.03, 0.03],
        ]
    )
    query, document = text_of("bark", "night"), text_of("barked", "cat", "night")
    return Explanation(float(contributions.sum()), "cosine", contributions, query, document)


def cells_of(svg):
    """The cells of a picture: what they say, their value, their class, their element."""
    found = []
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        if group.get("class") == "cells":
            for cell in group.iter(f"{SVG}rect"):
                name, _, value = cell.find(f"{SVG}title").text.rpartition(": ")
                found.append((name, float(value.replace("−", "-")), cell.get("class"), cell))
    return found


def contrast(first, second):
    """The contrast of two colours: WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour):
        parts = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


# Colours


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


# Texts and numbers in SVG


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


def test_numbers_are_printed_with_a_true_minus_and_zero_without_a_sign():
    assert [number(value, 2) for value in (0.5, -0.5, 0.0, -0.001)] == [
        "+0.50", "−0.50", "0.00", "0.00"
    ]  # fmt: skip
    assert number(0.5, 2, sign=False) == "0.50"


@pytest.mark.parametrize(
    ("scale", "decimals"), [(0, 1), (0.0123, 4), (0.123, 3), (1.23, 2), (12.3, 1), (12345.0, 0)]
)
def test_three_digits_of_the_largest_number_are_shown(scale, decimals):
    assert places(scale) == decimals


# The heat map


def test_a_cell_for_each_pair_says_what_it_gave(by_hand):
    cells = {name: value for name, value, *_ in cells_of(heat_map_svg(by_hand))}
    assert len(cells) == 4 * 5
    assert cells["bark × barked"] == 0.3
    assert cells["bark × cat"] == -0.12
    assert cells["night × night"] == 0.2
    assert cells["[SEP] × night"] == -0.03


def test_the_cells_of_a_heat_map_sum_to_the_score(tiny):
    explanation = tiny.explain("the cat went to London", "a dog and a cat", metric="dot")
    values = [value for _, value, *_ in cells_of(heat_map_svg(explanation))]
    # Each is rounded to four digits of the largest.
    rounding = len(values) * np.abs(values).max() * 5e-4
    assert abs(sum(values) - explanation.score) <= rounding
    assert abs(explanation.score) > 10 * rounding


def test_negative_pairs_have_a_colour_of_their_own_and_strength_follows_the_value(by_hand):
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
    cells = cells_of(heat_map_svg(by_hand, most=1))
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


@pytest.mark.parametrize(
    "made",
    [
        lambda tiny: heat_map_svg(tiny.explain("a cat", "a dog")),
        lambda tiny: attention_svg(tiny.trace("a cat"), 0),
        lambda tiny: matrix_svg([[1.0, -2.0]], ["row"], "Two numbers"),
    ],
)
def test_a_picture_stands_alone_in_light_and_dark_and_has_a_name(made, tiny):
    svg = made(tiny)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find(f"{SVG}title").text != ""
    assert "@media (prefers-color-scheme:dark)" in root.find(f"{SVG}style").text
    assert not re.search(r"href|url\(|@import|var\(", svg)


def test_shaded_words_have_what_each_word_gave_and_the_rest_is_said(by_hand):
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


# Attention


@pytest.mark.parametrize("head", [0, 1, None])
def test_attention_is_that_of_the_layer_and_head(tiny, head):
    trace = tiny.trace("the cat and the dog")
    weights = trace["layer.1.attention"]
    expected = weights.mean(axis=0) if head is None else weights[head]
    cells = cells_of(attention_svg(trace, 1, head))
    size = len(trace.tokens.ids)
    # Drawn in the tokens' own order.
    drawn = np.array([value for _, value, *_ in cells]).reshape(size, size)
    np.testing.assert_allclose(drawn, expected, atol=5e-4)
    assert cells[1][0] == " × ".join(trace.tokens.pieces[:2])


def test_tokens_beyond_the_first_share_a_column_and_rows_still_sum_to_one(tiny):
    trace = tiny.trace("the cat and the dog")
    svg = attention_svg(trace, 0, 0, most=3)
    drawn = np.array([value for _, value, *_ in cells_of(svg)]).reshape(3, 4)
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=2e-3)
    assert f"{len(trace.tokens.ids) - 3} later tokens" in svg
    weights = trace["layer.0.attention"]
    np.testing.assert_allclose(first_tokens(weights, 3)[:, :, :3], weights[:, :3, :3])
    assert first_tokens(weights, 99) is weights


def test_a_layer_or_head_that_is_not_there_is_refused(tiny):
    trace = tiny.trace("a cat")
    with pytest.raises(ValueError, match=r"no 'layer.9.attention'. It has layer.0.attention"):
        attention_svg(trace, 9)
    with pytest.raises(ValueError, match="no head -1: layer 0 has"):
        attention_svg(trace, 0, -1)
    with pytest.raises(ValueError, match="It has no attention"):
        attention_svg(tiny.trace("a cat", keep="embeddings.*"), 0)


# Matrices


def test_a_matrix_is_a_strip_a_row(tiny):
    cells = cells_of(matrix_svg([[0.5, -1.0], [0.0, 0.25]], ["first", "<second>"], "Four"))
    assert [(name, value, kind) for name, value, kind, _ in cells] == [
        ("first, 0", 0.5, "for"),
        ("first, 1", -1.0, "against"),
        ("<second>, 0", 0.0, "for"),
        ("<second>, 1", 0.25, "for"),
    ]
    assert [cell.get("fill-opacity") for *_, cell in cells] == ["0.5", "1", "0", "0.25"]


def test_columns_have_labels_that_rise_where_there_is_no_room(tiny):
    straight = matrix_svg([[1.0, 2.0]], ["row"], "Two", ["a", "<b>"])
    assert [name for name, *_ in cells_of(straight)] == ["row, a", "row, <b>"]
    assert ">&lt;b&gt;</text>" in straight
    assert "rotate" not in straight
    rising = matrix_svg([[1.0, 2.0]], ["row"], "Two", ["a", "a word that is long"])
    assert rising.count("rotate(-45)") == 2
    width, height = (
        float(re.search(rf'{side}="([\d.]+)"', rising)[1]) for side in ("width", "height")
    )
    plain_height = float(re.search(r'height="([\d.]+)"', straight)[1])
    assert height > plain_height
    assert width > 150  # the last label has room beside the cells


def test_a_vector_is_one_strip():
    assert [value for _, value, *_ in cells_of(matrix_svg(np.array([1.0, -2.0, 0.5])))] == [
        1.0, -2.0, 0.5
    ]  # fmt: skip


def test_a_few_huge_numbers_leave_colours_to_all_others():
    values = np.ones((1, 200))
    values[0, 7] = -50
    svg = matrix_svg(values)
    opacities = [cell.get("fill-opacity") for *_, cell in cells_of(svg)]
    assert set(opacities) == {"1"}
    assert "≥ +1.00" in svg
    values[0, 8:] = 40
    assert "≥" not in matrix_svg(values)


@pytest.mark.parametrize(
    ("array", "rows", "message"),
    [
        (np.zeros((2, 2, 2)), None, "shape"),
        (np.zeros(0), None, "shape"),
        (np.zeros((300, 300)), None, "90000 numbers"),
        ([1.0, np.nan], None, "not finite"),
        ([1.0, 2.0], ["a", "b"], "2 labels for 1 rows"),
    ],
)
def test_what_cannot_be_drawn_is_refused(array, rows, message):
    with pytest.raises(ValueError, match=message):
        matrix_svg(array, rows)
    with pytest.raises(ValueError, match="1 labels for 2 columns"):
        matrix_svg([1.0, 2.0], None, "", ["a"])


# The X-ray


def test_an_x_ray_has_the_numbers_of_the_trace(tiny):
    ray = xray(tiny, "the cat and the dog", "query")
    trace = tiny.trace("the cat and the dog")
    before, after = trace["layer.0.output"], trace["layer.1.output"]
    half = trace["layer.1.attention_output"]
    np.testing.assert_allclose(ray["norms"][2], np.linalg.norm(after, axis=1), atol=1e-3)
    np.testing.assert_allclose(ray["moved"][1], np.linalg.norm(after - before, axis=1), atol=1e-3)
    np.testing.assert_allclose(
        ray["by_attention"][1], np.linalg.norm(half - before, axis=1), atol=1e-3
    )
    np.testing.assert_allclose(
        ray["by_feed_forward"][1], np.linalg.norm(after - half, axis=1), atol=1e-3
    )
    np.testing.assert_allclose(
        ray["norms"][0], np.linalg.norm(trace["embeddings.output"], axis=1), atol=1e-3
    )
    tokens = len(trace.tokens.ids)
    assert np.shape(ray["nearest"]) == (ray["layers"] + 1, tokens, 5)
    assert ray["tokens"] == trace.tokens.pieces
    weights = trace["layer.1.attention"]
    decoded = decode(ray["attention"]).reshape(ray["layers"], *weights.shape)
    np.testing.assert_allclose(decoded[1], weights, atol=0.004)


def decode(text):
    """What the page's script makes of bytes."""
    return (np.frombuffer(base64.b64decode(text), np.uint8) / 255.0) ** 2


def test_a_word_is_nearest_to_its_own_row_of_the_word_table(minilm):
    ray = xray(minilm, "dog", "query")
    assert ray["tokens"] == ["[CLS]", "dog", "[SEP]"]
    assert ray["nearest"][0][1][0] == "dog"
    assert ray["special"] == [True, False, True]


def test_an_x_ray_of_a_long_text_says_what_it_leaves_out(tiny, monkeypatch):
    text = "the cat and the dog"
    trace = tiny.trace(text)
    layers = sum(name.endswith(".attention") for name in trace)
    heads = len(trace["layer.0.attention"])
    monkeypatch.setattr(xray_module, "ATTENTION_BYTES", layers * heads * 4**2)
    ray = xray(tiny, text, "query")
    assert len(ray["tokens"]) == len(ray["norms"][0]) == len(ray["nearest"][0]) == 4
    assert ray["left_out"] == len(trace.tokens.ids) - 4
    decoded = decode(ray["attention"]).reshape(layers, heads, 4, 5)
    np.testing.assert_allclose(decoded.sum(axis=-1), 1, atol=0.02)
    np.testing.assert_allclose(
        decoded[1, :, :, :4], trace["layer.1.attention"][:, :4, :4], atol=0.004
    )


def test_coded_numbers_come_back_within_what_is_promised():
    weights = np.linspace(0, 1, 1001)
    assert np.abs(decode(as_bytes(weights)) - weights).max() <= 0.004
    values = np.array([[1.5, -3.0], [0.0, 1e-3]])
    coded, step = as_shorts(values)
    back = np.frombuffer(base64.b64decode(coded), "<i2").reshape(2, 2) * step
    assert np.abs(back - values).max() <= step / 2
    assert step <= 3.0 / 32767 * (1 + 1e-9)
    assert as_shorts(np.zeros((1, 1)))[1] == 1.0


# The page


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its parts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.texts, self.kind = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.kind = tag

    def handle_data(self, text):
        self.texts.setdefault(self.kind, []).append(text)

    def data(self):
        """The JSON that the script reads."""
        return json.loads(next(text for text in self.texts["script"] if text.startswith("{")))


@pytest.fixture(scope="module")
def hostile_page(minilm):
    return explanation_page(minilm, HOSTILE, f"Who said {HOSTILE}?")


def test_no_text_becomes_a_part_of_the_page(hostile_page):
    elements = Elements(hostile_page)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2  # the data and the program
    assert not {"img", "iframe", "link", "object", "base"} & set(tags)
    assert not [name for _, has in elements.found for name in has if name.startswith("on")]
    assert "alert" in elements.data()["words"][0]
    assert "\x00" not in hostile_page


def test_a_page_refers_to_nothing_outside_itself(hostile_page):
    elements = Elements(hostile_page)
    for tag, attributes in elements.found:
        assert not {"src", "href", "srcset", "action", "background"} & set(attributes), tag
    for style in elements.texts["style"]:
        assert not re.search(r"url\(|@import", style)
    (policy,) = [has["content"] for _, has in elements.found if "http-equiv" in has]
    assert policy.startswith("default-src 'none'")


def test_the_page_has_every_word_of_both_texts_and_the_score(minilm):
    query, document = "Who barks at night?", "A dog barked.\n  The cat slept."
    made = Elements(explanation_page(minilm, query, document))
    explanation = minilm.explain(query, document)
    buttons = [has for tag, has in made.found if tag == "button"]
    assert len(buttons) == len(explanation.query.words) + len(explanation.document.words)
    assert f"{explanation.score:.4f} " in made.texts["h1"]
    data = made.data()
    assert data["words"][1][:4] == ["[CLS]", "A", "dog", "barked"]
    back = np.frombuffer(base64.b64decode(data["pairs"]), "<i2") * data["step"]
    np.testing.assert_allclose(back, explanation.by_word().ravel(), atol=data["step"])


def test_the_parts_that_the_page_names_sum_to_the_score(by_hand):
    words = page_module.in_words(by_hand, by_hand.by_word())
    value = {
        name: float(text.replace("−", "-")) for name, text in words.items() if name != "metric"
    }
    assert value["by_words"] == pytest.approx(0.53)
    assert value["by_special"] == pytest.approx(0.03)
    assert value["gains"] == pytest.approx(0.71)
    assert value["losses"] == pytest.approx(-0.15)
    assert words["score"] == "0.5600"


def test_what_was_cut_off_is_said(minilm):
    page = explanation_page(minilm, "a cat", "a dog " * 300)
    cut = minilm.tokens("a dog " * 300).cut
    assert f"did not read the last {cut} tokens" in page
    data = Elements(page).data()
    assert data["xrays"][1]["left_out"] == 256 - len(data["xrays"][1]["tokens"]) > 0


def test_the_page_of_the_longest_texts_stays_small(minilm):
    page = explanation_page(minilm, "why is a slender wing " * 60, "the flow of air " * 100)
    assert len(page.encode()) < 2_500_000


@pytest.mark.parametrize("text", ["a" * 400_000, "a" + " " * 400_000 + "b", "a " * 9_000])
def test_no_text_makes_the_page_large(minilm, text):
    assert len(explanation_page(minilm, text, text).encode()) < 2_500_000


def test_a_score_that_is_no_sum_has_no_page(minilm):
    with pytest.raises(ValueError, match="euclidean"):
        explanation_page(minilm, "a", "b", metric="euclidean")
