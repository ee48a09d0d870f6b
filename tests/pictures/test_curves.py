"""Curves lie where their numbers are, differ by more than colour, and lose no peak."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from drawn import HOSTILE, SVG

from minibert.pictures.curves import axis, curves_svg

STEPS = [1, 2, 3, 4]


def number(text):
    return float(text.replace("−", "-").replace(",", ""))


def ticks(svg, anchor):
    """Numbers beside an axis and their places: "end" is the vertical axis, "middle" the other."""
    texts = ET.fromstring(svg).findall(f"{SVG}text[@text-anchor='{anchor}']")
    place = ("y", -4) if anchor == "end" else ("x", 0)
    return [
        (number(text.text), float(text.get(place[0])) + place[1])
        for text in texts
        if re.fullmatch(r"[−\d.,e-]+", text.text)
    ]


def line_through(pairs):
    """The function from a place to its number, by the first and the last tick."""
    (low, start), (high, end) = pairs[0], pairs[-1]
    return lambda place: low + (place - start) * (high - low) / (end - start)


def curves_of(svg):
    """Each curve's parts, with the numbers that its places have by the ticks."""
    x_of, y_of = line_through(ticks(svg, "middle")), line_through(ticks(svg, "end"))
    group = ET.fromstring(svg).find(f"{SVG}g[@class='curves']")
    return [
        [
            [(x_of(float(x)), y_of(float(y))) for x, y in map(str.split, part.split("L"))]
            for part in path.get("d")[1:].split("M")
        ]
        for path in group.findall(f"{SVG}path")
        if "curve" in path.get("class")
    ]


def titles_of(svg):
    return [title.text for title in ET.fromstring(svg).find(f"{SVG}g").iter(f"{SVG}title")]


def test_points_lie_at_their_numbers_on_both_axes():
    curves = {"a": (STEPS, [0.2, 0.9, 0.35, 1.3]), "b": ([2, 4], [-0.4, 0.11])}
    drawn = curves_of(curves_svg(curves, "Two"))
    for (part,), (xs, ys) in zip(drawn, curves.values(), strict=True):
        # A place is printed to a tenth of a unit, and a panel has 200 units at least.
        np.testing.assert_allclose(part, list(zip(xs, ys, strict=True)), atol=0.01)


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_value_that_is_missing_interrupts_a_curve(gap):
    svg = curves_svg({"a": ([1, 2, 3, 4, 5, 6], [1, 2, gap, 3, gap, 2])}, "Gaps")
    (parts,) = curves_of(svg)
    assert [[round(x) for x, _ in part] for part in parts] == [[1, 2], [4], [6]]
    assert titles_of(svg) == ["a, step 1: 1", "a, step 2: 2", "a, step 4: 3", "a, step 6: 2"]


def test_a_point_without_a_place_is_left_out():
    ((part,),) = curves_of(curves_svg({"a": ([1, None, 3], [1, 9, 2])}, "Places"))
    assert [round(x) for x, _ in part] == [1, 3]


def test_a_peak_among_thousands_of_points_is_drawn():
    ys = np.sin(np.arange(50_000.0))
    ys[31_416], ys[40_000], ys[-1] = 17.0, -9.0, 0.125
    svg = curves_svg({"loss": (np.arange(50_000), ys)}, "Many")
    ((part,),) = curves_of(svg)
    heights = [y for _, y in part]
    assert max(heights) == pytest.approx(17, abs=0.05)
    assert min(heights) == pytest.approx(-9, abs=0.05)
    assert part[-1] == pytest.approx((49_999, 0.125), rel=1e-3, abs=0.05)
    assert len(part) <= 4 * 720
    assert titles_of(svg) == []
    assert "highest 17 at 31,416." in ET.fromstring(svg).find(f"{SVG}desc").text


def test_gaps_among_thousands_of_points_stay():
    ys = np.ones(20_000)
    gaps = np.arange(50, 20_000, 97)  # 30 points share a unit of width
    ys[gaps] = np.nan
    (parts,) = curves_of(curves_svg({"loss": (np.arange(20_000), ys)}, "Many"))
    starts = [part[0][0] for part in parts]
    np.testing.assert_allclose(starts, [0, *(gaps + 1)], atol=5)


@pytest.mark.parametrize("value", [0.25, 0.0, -3.0, 2e-5, 1e9, 0.1 + 0.2, 5e-324])
def test_a_constant_and_one_point_have_an_axis_around_them(value):
    for xs in ([690], STEPS):
        ((part,),) = curves_of(svg := curves_svg({"a": (xs, [value] * len(xs))}, "One"))
        (low, _), (high, _) = ticks(svg, "end")[0], ticks(svg, "end")[-1]
        assert low < value < high or value == 5e-324
        assert [y for _, y in part] == pytest.approx([value] * len(xs), rel=0.01, abs=1e-3 * high)


def test_no_value_at_all_leaves_the_axes():
    svg = curves_svg({"a": ([1, 2], [None, None]), "b": ([], [])}, "None")
    assert "a: no values. b: no values." in svg
    assert curves_of(svg) == []
    assert len(ticks(svg, "end")) > 1


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (0.13, 0.97, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (-0.5, 12, "−5 0 5 10 15"),
        (0, 2e-5, "0 5e-6 1e-5 1.5e-5 2e-5"),
        (0.1, 0.3, "0.10 0.15 0.20 0.25 0.30"),
        (3, 8, "3 4 5 6 7 8"),
        (0.5, 41_000.5, "0 10,000 20,000 30,000 40,000 50,000"),
        (0, 1e-4, "0 2e-5 4e-5 6e-5 8e-5 1e-4"),
        (-4e-4, 1.1e-4, "−4e-4 −2e-4 0 2e-4"),
        (9.6e6, 1.04e7, "9.6e6 9.8e6 1e7 1.02e7 1.04e7"),
        (0, 3e38, "0 1e38 2e38 3e38"),
        (100.01, 100.03, "100.010 100.015 100.020 100.025 100.030"),
    ],
)
def test_ticks_are_round_and_few(low, high, texts):
    ends, found = axis([np.array([low, high])], to_ticks=True)
    assert " ".join(found.values()) == texts
    assert ends[0] <= low < high <= ends[1]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (1.0, "0.90 0.92 0.94 0.96 0.98 1.00"),
        (0.98, "0.85 0.90 0.95 1.00"),
        (5.0, "4.4 4.6 4.8 5.0 5.2 5.4 5.6"),
    ],
)
def test_a_constant_measure_has_no_tick_above_one(value, texts):
    found = axis([np.full(3, value)], to_ticks=True)[1]
    assert " ".join(found.values()) == texts


def test_steps_have_no_fractions_beside_the_axis():
    assert list(axis([np.array([1.0, 3.0])])[1].values()) == ["1", "2", "3"]


def test_sixteen_curves_differ_by_more_than_their_colours():
    svg = curves_svg({f"curve {n}": ([0, 1], [n, n + 1]) for n in range(16)}, "All")
    legend = ET.fromstring(svg).findall(f"{SVG}path")
    looks = {
        (path.get("class"), path.get("stroke-dasharray"))
        for path in legend
        if "hue" in path.get("class") and "curve" in path.get("class")
    }
    assert len(looks) == 16
    first = [path for path in legend if "hue" in path.get("class")][:8]
    assert len({path.get("stroke-dasharray") for path in first[::2]}) == 4
    assert len({path.get("d").partition("m")[2] for path in first[1::2]}) == 4


def test_every_name_is_in_the_legend_within_the_picture():
    names = ["recall@100", "a name that is rather long and has no end, it seems", "b", "語" * 30]
    svg = curves_svg(dict.fromkeys(names, (STEPS, STEPS)), "Names", y_label="score")
    texts = {text.text: text for text in ET.fromstring(svg).iter(f"{SVG}text")}
    beginnings = {name[:20] for name in names}
    rows = {text.get("y") for shown, text in texts.items() if shown[:20] in beginnings}
    assert len(rows) == 2
    assert {"score", "step", "recall@100", "b"} <= set(texts)
    # A picture of one curve that says its name above needs no legend.
    assert curves_svg({"loss": (STEPS, STEPS)}, "loss").count(">loss</text>") == 1


def test_texts_are_text_and_never_markup():
    svg = curves_svg({HOSTILE: (STEPS, STEPS)}, HOSTILE, HOSTILE, HOSTILE)
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()} == {
        *("svg", "title", "style", "rect", "desc", "text", "path", "g")
    }


def test_rounding_of_the_last_bit_changes_no_picture():
    ys = np.array([0.3, 0.7, 1.1, 0.5])
    svg = curves_svg({"a": (STEPS, ys)}, "Same")
    assert curves_svg({"a": (STEPS, np.nextafter(ys, 2))}, "Same") == svg


def test_curves_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="There are no curves"):
        curves_svg({}, "None")
    with pytest.raises(ValueError, match="'a' has 2 numbers for x and 1 for y"):
        curves_svg({"a": ([1, 2], [1])}, "Short")
