"""The map of a corpus, in a real browser, from a file."""

import json
import re

import numpy as np
import pytest

from minibert.pictures.corpus_map import CorpusMap, Placed
from minibert.pictures.map_page import map_page

PHONE, DESKTOP = 375, 1280
HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(2)> & 'it'"
# A cross of five points around the mean, and one that is far to the right.
CROSS = [(0, 0), (-4, 0), (4, 0), (0, 3), (0, -3), (10, 0)]
TEXTS = ["a middle", "the Western wind", "an eastern wind", "northern lights", "the south", HOSTILE]
MARGIN = 28  # map.js's


def shown(places=CROSS, texts=TEXTS, question=None, method="pca", **changes):
    """A map as corpus_map makes it, of points that a test chose."""
    ids = [f"d{number}" for number in range(len(places))]
    found = CorpusMap(
        *("some corpus", method, "cosine", 384, len(ids), (0.2, 0.1)),
        *(np.array(places, dtype=float), ids, list(texts), question),
    )
    return found._replace(**changes)


def many(count=2000):
    random = np.random.default_rng(0)
    words = np.array(["lift", "drag", "wing", "flow", "heat", "shock", "wave", "plate"])
    texts = [" ".join(random.choice(words, 6)) for _ in range(count)]
    return shown(random.normal(size=(count, 2)), texts, documents=10 * count)


@pytest.fixture
def open_map(open_page, tmp_path):
    """Write a map's page and open it: open_map(shown, ...as open_page) -> the page."""

    def open_shown(what, *arguments, **options):
        file = tmp_path / "map.html"
        file.write_text(map_page(what), encoding="utf-8")
        return open_page(file, *arguments, **options)

    return open_shown


def pixel(page, point, places=CROSS):
    """Where a point lies in the window when all are shown."""
    box = page.locator("#map").bounding_box()
    places = np.array(places, dtype=float)
    low, high = places.min(axis=0), places.max(axis=0)
    scale = min(
        (box["width"] - 2 * MARGIN) / (high[0] - low[0]),
        (box["height"] - 2 * MARGIN) / (high[1] - low[1]),
    )
    x, y = (places[point] - (low + high) / 2) * scale
    return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 - y


def settle(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def colour_at(page, point, places=CROSS):
    """The colour of the map at a point, when all are shown: red, green, blue, opacity."""
    return colour_of(page, *pixel(page, point, places))


def colour_of(page, x, y):
    """The colour of the map at a place in the window."""
    settle(page)
    box = page.locator("#map").bounding_box()
    return page.evaluate(
        """([x, y]) => {
          const pen = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
          pen.drawImage(document.querySelector("#map"), -Math.round(x), -Math.round(y));
          return [...pen.getImageData(0, 0, 1, 1).data];
        }""",
        [x - box["x"], y - box["y"]],
    )


def variable(page, name):
    """What a colour of the page is now: red, green, blue, and that nothing shines through."""
    colour = page.evaluate(
        """name => {
          const probe = document.body.appendChild(document.createElement("i"));
          probe.style.color = `var(--${name})`;
          return getComputedStyle(probe).color;
        }""",
        name,
    )
    return [*map(int, re.findall(r"\d+", colour)), 255]


def card(page):
    """The id and the text that are shown beside a point, or None."""
    if page.locator("#card").is_hidden():
        return None
    return tuple(page.locator(f"#card .{name}").text_content() for name in ("id", "text"))


def listed(page):
    return page.locator("#list .id").all_text_contents()


QUESTION = Placed("where does the wind blow?", np.array([1.0, 1.0]), [2, 0, 1], [0.9, 0.5, 0.25])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize(
    "what",
    [
        many(),
        shown(question=QUESTION),
        shown(texts=["word " * 60] * 6, name="many-words-in-one-" * 9),
        shown(texts=None or TEXTS, method="umap"),
    ],
    ids=["many", "question", "long", "umap"],
)
def test_the_page_is_accessible_and_never_wider_than_its_window(
    open_map, serious, overflow, what, width, scheme
):
    page = open_map(what, width, scheme)
    assert overflow(page) == 0
    assert serious(page) == []
    # And with words found, and a document chosen.
    page.locator("#words").fill("w")
    page.locator("#list button").first.click()
    settle(page)
    assert card(page) is not None
    assert serious(page) == []
    assert overflow(page) == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_pointing_at_a_point_shows_its_id_and_text(open_map, width):
    page = open_map(shown(), width)
    for point in range(5):
        page.mouse.move(*pixel(page, point))
        assert card(page) == (f"d{point}", TEXTS[point])
    x, y = pixel(page, 0)
    page.mouse.move(x + 40, y + 40)
    assert card(page) is None


def test_a_card_lies_within_the_map(open_map):
    page = open_map(shown(texts=["word " * 40] * 6))
    frame = page.locator("#frame").bounding_box()
    for point in range(6):
        page.mouse.move(*pixel(page, point))
        settle(page)
        box = page.locator("#card").bounding_box()
        assert frame["x"] <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        assert frame["y"] <= box["y"]
        assert box["y"] + box["height"] <= frame["y"] + frame["height"]


def test_the_card_of_a_document_out_of_view_is_in_view(open_map):
    page = open_map(shown(texts=["word " * 40] * 6))
    for _ in range(8):
        page.locator("#closer").click()
    frame = page.locator("#frame").bounding_box()
    for point in range(1, 5):
        page.locator("#list button").nth(point).hover()
        settle(page)
        assert card(page)[0] == f"d{point}"
        box = page.locator("#card").bounding_box()
        assert frame["x"] <= box["x"] <= frame["x"] + frame["width"] - box["width"]
        assert frame["y"] <= box["y"] <= frame["y"] + frame["height"] - box["height"]


def test_a_hostile_text_is_shown_and_does_nothing(open_map):
    page = open_map(shown(name="<img src=y>", question=QUESTION._replace(text=HOSTILE)))
    page.mouse.move(*pixel(page, 5))
    assert card(page) == ("d5", HOSTILE)
    page.locator("#words").fill("onerror")
    page.locator("#list button").click()
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert HOSTILE in page.locator("#list").inner_text()


def test_a_search_marks_what_holds_all_words_and_counts_it(open_map):
    page = open_map(shown())
    count = page.locator("#count")
    assert count.inner_text() == "6 documents"
    unmarked = colour_at(page, 1)
    page.locator("#words").fill("WIND the")
    assert count.inner_text() == "1 of 6 documents"
    assert listed(page) == ["d1"]
    marked = colour_at(page, 1)
    assert marked == variable(page, "for")
    assert unmarked[0] == pytest.approx(unmarked[2], abs=15)  # a grey
    assert sum(colour_at(page, 2)) > sum(unmarked) + 50  # the others fade into the paper
    page.locator("#words").fill("wind")
    assert count.inner_text() == "2 of 6 documents"
    assert listed(page) == ["d1", "d2"]
    page.locator("#words").fill("d4")
    assert listed(page) == ["d4"]
    page.locator("#words").fill("nowhere")
    assert count.inner_text() == "0 of 6 documents"
    assert listed(page) == []
    page.locator("#words").fill(" ")
    assert count.inner_text() == "6 documents"
    assert listed(page) == [f"d{number}" for number in range(6)]
    assert colour_at(page, 1) == unmarked


def test_arrow_keys_go_from_point_to_point(open_map):
    page = open_map(shown())
    page.locator("#map").focus()
    met = []
    for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
        met.append(card(page)[0])
    assert met[-1] == "d5"
    assert met == sorted(met, key=lambda id: CROSS[int(id[1:])][0])
    for key, id in [("ArrowLeft", "d2"), ("ArrowLeft", "d0"), ("ArrowUp", "d3")]:
        page.keyboard.press(key)
        assert card(page)[0] == id
    page.keyboard.press("ArrowUp")  # there is nothing above
    assert card(page) == ("d3", "northern lights")
    assert page.locator("#said").inner_text() == "d3: northern lights"
    page.keyboard.press("ArrowDown")
    assert card(page)[0] == "d0"
    page.keyboard.press("Escape")
    assert card(page) is None
    assert page.locator("#said").inner_text() == ""


def test_an_arrow_goes_to_the_nearest_point_in_its_quarter(open_map):
    # To the right of the first lie all three: one nearer but far above, one near, one farther.
    page = open_map(shown([(0, 0), (1, 4), (6, 1), (9, 0)], ["a", "b", "c", "d"]))
    page.locator("#list button").first.click()
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    assert card(page)[0] == "d2"


def test_arrow_keys_keep_to_what_a_search_found(open_map):
    page = open_map(shown())
    page.locator("#words").fill("wind")
    page.locator("#map").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert card(page)[0] == "d1"
    page.keyboard.press("ArrowRight")
    assert card(page)[0] == "d2"


def test_everything_is_reached_with_tab(open_map):
    page = open_map(shown())
    met = []
    for _ in range(8):
        page.keyboard.press("Tab")
        met.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert met[:5] == ["words", "map", "closer", "farther", "all"]
    assert met[5].split("\n")[0] == "d0"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert card(page) == ("d1", "the Western wind")
    assert page.locator("#list [aria-current=true] .id").all_text_contents() == ["d1"]


def test_the_list_holds_every_document_a_part_at_a_time(open_map):
    page = open_map(many())
    assert page.locator("#list li").count() == 50
    more = page.locator("#more")
    assert more.inner_text() == "Show 50 more of 1,950"
    more.click()
    assert page.locator("#list li").count() == 100
    assert page.evaluate("document.activeElement.innerText").startswith("d50\n")
    page.locator("#words").fill("d1999")
    assert listed(page) == ["d1999"]
    assert more.is_hidden()


def test_a_drag_moves_and_a_wheel_zooms_about_the_pointer(open_map):
    page = open_map(shown())
    x, y = pixel(page, 0)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    settle(page)
    assert card(page)[0] == "d0"  # what lay under the pointer still does
    page.mouse.move(*pixel(page, 3))
    assert card(page) is None  # and the rest has moved away
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 50, steps=5)
    page.mouse.up()
    page.mouse.move(x, y)
    assert card(page) is None
    page.mouse.move(x + 60, y - 50)
    assert card(page)[0] == "d0"
    page.locator("#map").focus()
    page.keyboard.press("0")
    for point in range(5):
        page.mouse.move(*pixel(page, point))
        assert card(page)[0] == f"d{point}"


def test_a_click_holds_a_document_and_a_click_beside_lets_go(open_map):
    page = open_map(shown())
    x, y = pixel(page, 0)
    page.mouse.click(x, y)
    page.mouse.move(x + 50, y + 50)
    assert card(page)[0] == "d0"
    page.mouse.click(x + 50, y + 50)
    assert card(page) is None


def test_a_document_of_the_list_is_brought_into_view(open_map):
    page = open_map(shown())
    for _ in range(8):
        page.locator("#closer").click()
    page.locator("#list button").nth(1).click()
    page.locator("#map").focus()
    page.keyboard.press("Escape")
    assert card(page) is None
    box = page.locator("#map").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    red, green, blue, _ = colour_of(page, *middle)
    assert max(red, green, blue) < 180  # a point, darker than the line of the mean
    page.mouse.move(*middle)
    assert card(page)[0] == "d1"


def test_a_question_is_a_cross_with_its_documents_in_order(open_map):
    page = open_map(shown(question=QUESTION))
    assert page.locator("#listed").inner_text() == "Nearest to the question"
    assert listed(page) == ["1. d2 · 0.9000", "2. d0 · 0.5000", "3. d1 · 0.2500"]
    assert "where does the wind blow?" in page.locator("header").inner_text()
    assert colour_at(page, 6, [*CROSS, (1, 1)]) == variable(page, "against")
    page.locator("#words").fill("lights")
    assert (listed(page), page.locator("#listed").inner_text()) == (["d3"], "Found")


def test_a_change_of_scheme_changes_the_colours(open_map):
    page = open_map(shown())
    page.locator("#words").fill("d1")
    light = colour_at(page, 1)
    assert light == variable(page, "for")
    page.emulate_media(color_scheme="dark")
    assert colour_at(page, 1) == variable(page, "for") != light


def test_fingers_pick_and_pinch(browser, tmp_path):
    file = tmp_path / "map.html"
    file.write_text(map_page(shown()), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": PHONE, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(file.as_uri())
    x, y = pixel(page, 0)
    page.touchscreen.tap(x + 10, y + 10)  # a finger is not so exact
    assert card(page)[0] == "d0"
    tool = context.new_cdp_session(page)
    for kind, apart in [("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", 0)]:
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        ending = {"type": kind, "touchPoints": [] if kind == "touchEnd" else points}
        tool.send("Input.dispatchTouchEvent", ending)
    settle(page)
    page.touchscreen.tap(x, y)
    assert card(page)[0] == "d0"
    page.touchscreen.tap(*pixel(page, 3))
    assert card(page) is None  # three times as far away now
    context.close()


@pytest.mark.parametrize("places", [[(0, 0)], [(0, 0)] * 3, [(1, 0), (-1, 0)]])
def test_one_place_and_a_line_are_drawn(open_map, places):
    page = open_map(shown(places, ["one", "two", "three"][: len(places)]))
    box = page.locator("#map").bounding_box()
    left = box["x"] + (MARGIN if len(places) == 2 else box["width"] / 2)
    page.mouse.move(left, box["y"] + box["height"] / 2)
    assert card(page)[0] == ("d1" if len(places) == 2 else "d0")


def test_ids_alone_are_shown_and_found(open_map):
    page = open_map(shown(texts=(), places=CROSS)._replace(texts=None))
    page.mouse.move(*pixel(page, 2))
    assert card(page) == ("d2", "")
    page.locator("#words").fill("d3")
    assert listed(page) == ["d3"]


def test_without_scripts_the_page_says_so(open_map):
    page = open_map(shown(), scripts=False)
    assert "scripts are off here" in page.locator("body").inner_text()
    assert "principal components" in page.locator("header").inner_text()


def test_thousands_of_points_are_drawn_in_the_time_of_a_frame(open_map):
    page = open_map(many(5000))
    taken = page.evaluate(
        """() => {
          const begin = performance.now();
          for (let n = 0; n < 20; n++) { drawGround(); draw(); }
          return (performance.now() - begin) / 20;
        }"""
    )
    assert taken < 500  # seen: 30 to 80, without a GPU and beside other work
    assert json.loads(page.locator("#data").text_content())["x"].__len__() == 5000
    assert re.search(r"5,000 documents of 50,000 are drawn", page.locator("header").inner_text())
