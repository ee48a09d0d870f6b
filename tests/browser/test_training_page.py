"""The page of a training run, in a real browser, from a file."""

import pytest
from run_folders import evaluation, going, step, write_run

from minibert.pictures.training_page import page_before_training, training_page

PHONE, DESKTOP = 375, 1280
MEASURES = {f"recall@{k}": 1.0 for k in (1, 10, 100, 1000)} | {"map": 0.5, "ndcg@10": 0.75}
HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(2)> & 'it' " + "x" * 80


def many():
    """A run of thousands of steps and a hundred evaluations, with two objectives."""
    steps = [step(n, loss=1 / n + m, objective=m) for n in range(1, 3001) for m in range(2)]
    return [*steps, *(evaluation(30 * n, n / 100, is_best=True) for n in range(1, 101))]


RUNS = {
    "going": (going(), {}),
    "finished": (going(120), {"finished": True}),
    "begun": ([], {}),
    "many": (many(), {"losses": 2, "total": 6000}),
    "measures": (
        [step(1), *(evaluation(n, n / 120, True) | {"evaluation": MEASURES} for n in (60, 120))],
        {"finished": True},
    ),
    "hostile": (
        [*going(), {"step": 50, "epoch": 0, "evaluation": {HOSTILE: 0.5}, "is_best": True}],
        {"model": HOSTILE},
    ),
}


@pytest.fixture
def open_run(open_page, tmp_path):
    """Write the page of a run and open it: open_run(name, ...as open_page) -> the page."""

    def open_named(name, *arguments, **options):
        records, changes = RUNS[name]
        file = tmp_path / "report.html"
        content = training_page(write_run(tmp_path / "run", records, **changes))
        file.write_text(content, encoding="utf-8")
        return open_page(file, *arguments, **options)

    return open_named


def readings(page):
    return page.locator(".reading output").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", RUNS)
def test_the_page_is_accessible_and_never_wider_than_its_window(
    open_run, serious, overflow, name, width, scheme
):
    page = open_run(name, width, scheme)
    assert overflow(page) == 0
    assert serious(page) == []
    # And with values read.
    for frame in page.locator(".frame").all():
        frame.focus()
        page.keyboard.press("ArrowLeft")
    assert all(readings(page))
    assert serious(page) == []
    assert overflow(page) == 0


def test_dark_and_light_differ_in_the_page_and_in_its_pictures(open_run):
    grounds = {
        scheme: open_run("going", scheme=scheme).evaluate(
            """() => [
              getComputedStyle(document.body).backgroundColor,
              getComputedStyle(document.querySelector("svg .paper")).fill,
            ]"""
        )
        for scheme in ("light", "dark")
    }
    light, dark = "rgb(253, 252, 250)", "rgb(22, 24, 27)"
    assert grounds == {"light": [light, light], "dark": [dark, dark]}


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_table_has_the_width_and_shows_its_best_column(open_run, width):
    page = open_run("measures", width)
    table, scroll = page.locator("table").bounding_box(), page.locator(".scroll").bounding_box()
    assert table["width"] >= scroll["width"] - 1
    best = page.get_by_role("columnheader", name="ndcg@10").bounding_box()
    for box in (best, page.locator(".best td").nth(1).bounding_box()):
        assert scroll["x"] <= box["x"] < box["x"] + box["width"] <= scroll["x"] + scroll["width"]


def test_values_are_read_by_keyboard(open_run):
    page = open_run("going")
    page.locator(".frame").first.focus()
    reading = page.locator(".reading output").first
    page.keyboard.press("End")
    assert reading.inner_text() == ("step 50; loss, each step: 0.02; loss, mean of 5: 0.02085")
    page.keyboard.press("ArrowLeft")
    assert reading.inner_text().startswith("step 49; loss, each step: 0.02041;")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert reading.inner_text().startswith("step 1; loss, each step: 1;")
    page.keyboard.press("ArrowRight")
    assert reading.inner_text().startswith("step 2; ")
    # A line has no width, so it counts as hidden.
    shown = "line => getComputedStyle(line).display !== 'none'"
    assert page.locator(".cursor").first.evaluate(shown)
    page.keyboard.press("Escape")
    assert reading.inner_text() == ""
    assert not page.locator(".cursor").first.evaluate(shown)


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_values_are_read_by_a_pointer(open_run, width):
    page = open_run("going", width)
    svg = page.locator(".frame svg").nth(1)
    svg.scroll_into_view_if_needed()
    box, marker = svg.bounding_box(), svg.locator(".curves path:not(.curve)").last.bounding_box()
    reading = page.locator(".reading output").nth(1)
    page.mouse.move(marker["x"] + 3, box["y"] + box["height"] / 2)
    assert reading.inner_text() == "step 50; ndcg@10: 0.5"
    page.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2)
    assert reading.inner_text() == "step 0; ndcg@10: 0.25"
    page.mouse.move(0, 0)
    assert reading.inner_text() == ""


def test_loading_again_is_off_at_first_and_remembered(open_run, tmp_path):
    page = open_run("going")
    again = page.get_by_label("Load this page again every 10 seconds")
    assert not again.is_checked()
    content = training_page(write_run(tmp_path / "run", going(60)))
    (tmp_path / "report.html").write_text(content, encoding="utf-8")
    with page.expect_event("load", timeout=20_000):
        again.focus()
        page.keyboard.press("Space")
        assert page.evaluate("location.hash") == "#every-10-seconds"
    assert page.locator("#status").inner_text().startswith("Step 60 of 120")
    assert again.is_checked()
    again.uncheck()
    assert page.evaluate("location.hash") == ""


def test_a_finished_run_is_not_loaded_again(open_run):
    page = open_run("finished")
    assert page.locator("#reload").is_hidden()
    assert "The run is finished" in page.locator("#status").inner_text()


def test_the_page_before_the_first_step_can_be_loaded_again(open_page, serious, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page_before_training("a-model"), encoding="utf-8")
    page = open_page(file)
    assert page.locator("#reload").is_visible()
    assert serious(page) == []


def test_a_hostile_name_is_shown_and_does_nothing(open_run):
    page = open_run("hostile")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2  # the data and the program
    assert "<img src=x onerror=alert(2)>" in page.locator("h1").inner_text()
    page.locator(".frame").last.focus()
    page.keyboard.press("End")
    assert "<img src=x onerror=alert(2)>" in readings(page)[-1]


def test_without_scripts_the_curves_and_the_table_are_there(open_run):
    page = open_run("going", scripts=False)
    assert page.locator(".curves path").first.is_visible()
    assert page.locator("table").is_visible()
    assert page.locator("#reload").is_hidden()
    assert "arrow keys" not in page.locator("main").inner_text()
