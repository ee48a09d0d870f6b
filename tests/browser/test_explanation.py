"""The page that explains a score, in a real browser, from a file."""

import re

import pytest

from minibert.pictures.explanation_page import explanation_page

PHONE, DESKTOP = 375, 1280
QUERY = "Who barks at night?"
DOCUMENT = "A dog barked all night; the cat slept. It was unbelievably loud."
HOSTILE = '<img src=x onerror=alert(2)></script><script>alert(1)</script> \x00\x1b & "quoted"'


@pytest.fixture(scope="session")
def explanation(minilm, tmp_path_factory):
    file = tmp_path_factory.mktemp("pages") / "explanation.html"
    file.write_text(explanation_page(minilm, QUERY, DOCUMENT), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def long_explanation(minilm, tmp_path_factory):
    file = tmp_path_factory.mktemp("pages") / "long.html"
    texts = "why does the flow separate from a slender wing? " * 40, "antidisestablishment" * 4
    file.write_text(explanation_page(minilm, *texts), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", ["explanation", "long_explanation"])
def test_the_page_is_accessible_and_never_wider_than_its_window(
    open_page, serious, overflow, request, name, width, scheme
):
    page = open_page(request.getfixturevalue(name), width, scheme)
    assert overflow(page) == 0
    assert serious(page) == []
    # And with a word and a token chosen.
    page.locator("[data-side=document] .word").nth(2).click()
    page.locator("#tokens button").nth(1).click()
    assert serious(page) == []
    assert overflow(page) == 0


def test_dark_and_light_differ(open_page, explanation):
    grounds = {
        scheme: open_page(explanation, scheme=scheme).evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(253, 252, 250)", "dark": "rgb(22, 24, 27)"}


def test_a_chosen_word_shows_its_partners_and_escape_goes_back(open_page, explanation):
    page = open_page(explanation)
    word = page.locator("[data-side=query] .word", has_text="barks")
    barked = page.locator("[data-side=document] .word", has_text="barked")
    strength = "e => e.style.getPropertyValue('--strength')"
    before = barked.evaluate(strength)
    word.focus()
    page.keyboard.press("Enter")
    assert word.get_attribute("aria-pressed") == "true"
    reading = page.locator("#word-reading").inner_text()
    assert re.match(r"“barks” gives \+0\.\d+, most with “barked” \+0\.\d+, ", reading)
    assert barked.get_attribute("title").startswith("with “barks”: +0.")
    assert barked.evaluate(strength) == "1.000" != before
    page.keyboard.press("Escape")
    assert word.get_attribute("aria-pressed") == "false"
    assert barked.evaluate(strength) == before
    assert page.locator("#word-reading").inner_text() == ""


def test_the_heat_map_is_read_by_pointer_and_by_keyboard(open_page, explanation):
    page = open_page(explanation)
    reading = page.locator("#pair-reading")
    cells = page.locator("#heat-map .cells rect")
    cells.nth(2).hover()
    assert re.match(r"Who × barked: [+−]0\.\d+$", reading.inner_text())
    page.locator("#heat-map").focus()
    page.keyboard.press("ArrowDown")
    assert reading.inner_text().startswith("barks × barked: +0.")
    page.keyboard.press("ArrowLeft")
    assert reading.inner_text().startswith("barks × dog: ")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert reading.inner_text().startswith("barks × A: ")
    page.keyboard.press("End")
    assert reading.inner_text().startswith("barks × [SEP]: ")
    assert cells.evaluate_all("all => all.filter(e => e.classList.contains('here')).length") == 1


def test_layer_and_head_are_chosen_by_keyboard(open_page, explanation, minilm):
    page = open_page(explanation)
    weights = minilm.trace(QUERY)["layer.2.attention"]
    page.locator("#layer").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#layer-reading").inner_text() == "layer.2 (0 to 5)"
    page.locator("[name=head]:checked").focus()
    page.keyboard.press("ArrowRight")  # from the mean to head 0
    page.keyboard.press("ArrowRight")
    label = page.locator("#attention-map").get_attribute("aria-label")
    assert label.startswith("layer.2.attention, head 1;")
    page.locator("#attention-map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    reading = page.locator("#attention-reading").inner_text()
    found = re.fullmatch(r"“who” looks at “who”: ([\d.]+) %", reading)
    assert float(found[1]) / 100 == pytest.approx(weights[1, 1, 1], abs=0.01)


def test_a_chosen_token_shades_what_it_looks_at(open_page, explanation, minilm):
    page = open_page(explanation)
    weights = minilm.trace(QUERY)["layer.0.attention"].mean(axis=0)
    page.locator("#tokens button").nth(2).click()
    best = page.locator("#tokens button").evaluate_all(
        "all => all.findIndex(e => e.style.getPropertyValue('--strength') === '1.000')"
    )
    assert best == weights[2].argmax()
    assert page.locator("#attention-reading").inner_text().startswith("“bark” looks most at “")


def test_states_are_read_by_pointer_and_keyboard_for_each_text(open_page, explanation, minilm):
    page = open_page(explanation)
    page.get_by_label("document: A dog barked").check()
    assert page.locator("#tokens button").all_inner_texts()[:3] == ["[CLS]", "a", "dog"]
    trace = minilm.trace(DOCUMENT)
    norm = float((trace["layer.0.output"][2] ** 2).sum() ** 0.5)
    page.locator("#state-map").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    reading = page.locator("#state-reading").inner_text()
    found = re.match(
        r"“dog” in layer\.0\.output: norm ([\d.]+), moved by [\d.]+ \(attention", reading
    )
    assert float(found[1]) == pytest.approx(norm, abs=0.006)
    page.locator("#state-map td").nth(2 * 7).hover()
    reading = page.locator("#state-reading").inner_text()
    assert reading.startswith("“dog” in embeddings.output: norm")
    assert "nearest words: dog, " in reading


def test_shading_by_norm_differs_from_shading_by_movement(open_page, explanation):
    page = open_page(explanation)
    shades = "all => all.map(e => e.style.getPropertyValue('--strength'))"
    moved = page.locator("#state-map td").evaluate_all(shades)
    page.get_by_label("its norm").check()
    norms = page.locator("#state-map td").evaluate_all(shades)
    for values in (moved, norms):
        assert min(map(float, values)) == 0
        assert max(map(float, values)) == 1
    assert moved != norms
    assert moved[0] == "0.000"  # the embeddings have not moved


def test_a_hostile_text_is_shown_and_does_nothing(open_page, minilm, tmp_path):
    file = tmp_path / "hostile.html"
    file.write_text(explanation_page(minilm, HOSTILE, HOSTILE), encoding="utf-8")
    page = open_page(file)
    page.locator("[data-side=query] .word").nth(1).click()
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2  # the data and the program
    assert "<img src=x onerror=alert(2)>" in page.locator("[data-side=query]").inner_text()


def test_a_long_text_says_what_its_x_ray_leaves_out(open_page, long_explanation):
    page = open_page(long_explanation)
    note = page.locator("#xray-note").inner_text()
    assert re.match(r"Shown are the first \d+ tokens.* \d+ later tokens are left out", note)
    page.get_by_label("document:").check()
    assert page.locator("#xray-note").is_hidden()


def test_without_scripts_the_explanation_is_still_there(open_page, explanation):
    page = open_page(explanation, scripts=False)
    text = page.locator("body").inner_text()
    assert "The X-ray is drawn by a script, and scripts are off here." in text
    assert "barks × barked" in text
    assert page.locator("#heat-map svg").is_visible()
    assert page.locator("#layer").is_hidden()
    assert "Choose one" not in text
