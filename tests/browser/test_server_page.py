"""The page of a server, and its documentation, in a real browser."""

import asyncio
import re
import time
from contextlib import contextmanager

import pytest
import uvicorn
from golden_files import GOLDEN, one_label_copy
from in_process import in_process

from minibert import SentenceTransformer
from minibert.corpus.building import build
from minibert.documents.reading import Document

PHONE, DESKTOP = 375, 1280
HOSTILE = '<img src=x onerror=alert(2)></script><script>alert(1)</script> & "quoted"'
TEXTS = [
    "A dog barked all night; the cat slept. It was unbelievably loud.",
    "London has nine million inhabitants.",
    HOSTILE,
    "مرحبا بالعالم",
]


@contextmanager
def listening(server):
    """Let a server listen on a free port: -> its address."""
    config = uvicorn.Config(server.app, port=0, log_level="error", lifespan="off")
    listener = uvicorn.Server(config)
    ending = asyncio.run_coroutine_threadsafe(listener.serve(), server._loop)
    while not listener.started:
        assert not ending.done()
        time.sleep(0.005)
    (one,) = listener.servers
    yield f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}/"
    listener.should_exit = True
    ending.result(30)


@pytest.fixture(scope="session")
def searched_folder(minilm, tmp_path_factory):
    """A corpus of a few texts, one of them hostile."""
    folder = tmp_path_factory.mktemp("pages") / "corpus"
    build(folder, [Document(f"d{n}", text, "here") for n, text in enumerate(TEXTS)], minilm)
    return folder


@pytest.fixture(scope="session")
def address(minilm_folder, searched_folder, tmp_path_factory):
    """A server with all that the page can show."""
    models = {
        "all-MiniLM-L6-v2": minilm_folder,
        "other": GOLDEN / "gelu",
        "ranker": one_label_copy(tmp_path_factory.mktemp("models")),
    }
    with (
        in_process(models, corpus=str(searched_folder)) as server,
        listening(server) as address,
    ):
        yield address


def search(page, question, *, again=False):
    """Search the corpus, and wait for all hits; a cross-encoder ranks them `again`."""
    page.get_by_label("rank them again with ranker").set_checked(again)
    page.get_by_label("Question").fill(question)
    page.get_by_role("button", name="Search").click()
    page.locator("#hits li").nth(len(TEXTS) - 1).wait_for()


def score(page, query, text):
    """Fill both fields, and wait for the score."""
    page.get_by_label("Query").fill(query)
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Score").click()
    page.locator("#pair-status", has_text=re.compile(r"\d")).wait_for()
    return page.locator("#pair-status").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_is_accessible_and_never_wider_than_its_window(
    open_page, serious, overflow, address, width, scheme
):
    page = open_page(address, width, scheme)
    page.get_by_label("Question").wait_for()
    assert overflow(page) == 0
    assert serious(page) == []
    search(page, "Who barks at night?")
    score(page, "Who barks at night?", "long" * 200)
    assert overflow(page) == 0
    assert serious(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_documentation_is_accessible_and_fits(
    open_page, serious, overflow, address, width, scheme
):
    page = open_page(f"{address}docs", width, scheme)
    assert page.locator("h3").count() > 30
    assert overflow(page) == 0
    assert serious(page) == []


def test_two_texts_have_their_score_and_its_reasons(open_page, address, minilm):
    page = open_page(address)
    shown = score(page, "Who barks at night?", TEXTS[0])
    expected = minilm.explain("Who barks at night?", TEXTS[0]).score
    score_shown = re.fullmatch(r"The score is ([\d.]+) \(cosine\)\.", shown)[1]
    assert float(score_shown) == round(expected, 4)
    why = page.frame_locator("#why")
    why.locator("[data-side=query] .word", has_text="barks").click()
    reading = why.locator("#word-reading")
    assert re.match(r"“barks” gives \+0\.\d+, most with “barked” \+0\.\d+, ", reading.inner_text())
    # The frame is as high as its page: the reader scrolls one page only.
    heights = "f => [f.offsetHeight, f.contentDocument.documentElement.scrollHeight]"
    outer, inner = page.locator("#why").evaluate(heights)
    assert inner <= outer <= inner + 2


def test_a_second_score_takes_the_place_of_the_first(open_page, address):
    page = open_page(address)
    first = score(page, "a cat", "a cat")
    assert first == "The score is 1.000 (cosine)."
    page.get_by_label("Text", exact=True).fill("a dog")
    page.get_by_role("button", name="Score").click()
    page.frame_locator("#why").locator("[data-side=document]", has_text="dog").wait_for()
    assert page.locator("#pair-status").inner_text() != first


def test_the_chosen_model_gives_the_score(open_page, address):
    page = open_page(address)
    names = page.locator("#model option").all_inner_texts()
    assert names == ["all-MiniLM-L6-v2", "other", "ranker"]
    page.get_by_label("Model").select_option("other")
    expected = SentenceTransformer(GOLDEN / "gelu").explain("the cat", "a dog").score
    assert f"{expected:.4f}" in score(page, "the cat", "a dog")
    page.get_by_label("Model").select_option("ranker")
    shown = score(page, "the cat", "a dog")
    assert re.match(r"0\.\d{4}\. A cross-encoder reads both texts at once", shown)
    assert page.locator("#why").is_hidden()


def test_the_corpus_is_searched_and_a_hit_explained_by_keyboard(open_page, address):
    page = open_page(address)
    page.get_by_label("rank them again with ranker").uncheck()
    page.get_by_label("Question").focus()
    page.keyboard.type("Who barks at night?")
    page.keyboard.press("Enter")
    hits = page.locator("#hits li")
    hits.nth(3).wait_for()
    assert hits.first.locator(".text").inner_text() == TEXTS[0]
    why = page.get_by_role("button", name="Why d0?")
    while not why.evaluate("e => e === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#pair-status", has_text="The score is").wait_for()
    assert page.get_by_label("Query").input_value() == "Who barks at night?"
    assert page.get_by_label("Text", exact=True).input_value() == TEXTS[0]
    assert page.get_by_label("Query").evaluate("e => e === document.activeElement")


def test_hits_are_ranked_again_unless_the_box_is_empty(open_page, address):
    page = open_page(address)
    assert page.get_by_label("rank them again with ranker").is_checked()
    search(page, "Who barks at night?")
    numbers = page.locator("#hits .about span:nth-child(2)")
    before = numbers.all_inner_texts()
    search(page, "Who barks at night?", again=True)
    assert numbers.all_inner_texts() != before


def test_hostile_texts_are_shown_and_do_nothing(open_page, address):
    page = open_page(address)
    search(page, HOSTILE)
    assert page.locator("#hits .text").first.inner_text() == HOSTILE
    score(page, HOSTILE, HOSTILE)
    why = page.frame_locator("#why")
    assert "<img src=x onerror=alert(2)>" in why.locator("[data-side=query]").inner_text()
    assert page.locator("img").count() == why.locator("img").count() == 0


def test_an_error_is_told_in_the_server_s_words(browser, minilm_folder):
    """Chromium logs every answer of 400 or above, so this page is not opened by open_page."""
    with (
        in_process({"m": minilm_folder}, api_keys=("secret",)) as server,
        listening(server) as address,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(address)
        page.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        wrong = page.locator("#status.wrong")
        wrong.wait_for()
        assert wrong.inner_text().startswith("The API key is missing or wrong")
        assert page.locator("#key").evaluate("e => e === document.activeElement")
        page.get_by_label("API key").fill("secret")
        page.keyboard.press("Enter")
        page.get_by_label("Query").fill("a")
        page.get_by_label("Text", exact=True).fill("a" * 300_000)
        page.get_by_role("button", name="Score").click()
        wrong = page.locator("#pair-status.wrong")
        wrong.wait_for()
        assert wrong.inner_text().startswith("The explanation of these texts has 300001 characters")


def test_the_page_waits_until_the_models_are_loaded(browser, minilm_folder):
    with (
        in_process({"m": minilm_folder}) as server,
        listening(server) as address,
        browser.new_context() as context,
    ):
        models, server.state.models = server.state.models, None
        page = context.new_page()
        page.goto(address)
        page.locator("#status", has_text="The models are being loaded.").wait_for()
        assert page.locator("#tools").is_hidden()
        server.state.models = models
        page.locator("#pair").wait_for()
        assert page.locator("#status").inner_text() == ""


def test_with_a_key_the_page_asks_for_it_and_forgets_it(open_page, minilm_folder):
    with (
        in_process({"m": minilm_folder}, api_keys=("secret",)) as server,
        listening(server) as address,
    ):
        page = open_page(address)
        assert page.locator("#tools").is_hidden()
        assert page.locator("#key").evaluate("e => e === document.activeElement")
        page.keyboard.type("secret")
        page.keyboard.press("Enter")
        assert score(page, "a cat", "a cat") == "The score is 1.000 (cosine)."
        assert page.locator("#key-form").is_hidden()
        assert page.locator("#search").is_hidden()  # there is no corpus
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
            *(0, 0, ""),
        ]
        page.reload()
        assert page.locator("#key").input_value() == ""
        assert page.locator("#tools").is_hidden()


def test_a_score_that_is_no_sum_is_explained_word_by_word(open_page, serious, tmp_path):
    model = SentenceTransformer(GOLDEN / "gelu", similarity_fn_name="euclidean")
    model.save_pretrained(tmp_path / "euclidean")
    with in_process({"m": tmp_path / "euclidean"}) as server, listening(server) as address:
        page = open_page(address)
        assert "(euclidean)" in score(page, "the cat", "a dog")
        why = page.frame_locator("#why")
        assert why.locator("h2").all_inner_texts() == ["The two texts", "Losses without each word"]
        assert why.locator(".bars th").all_inner_texts() != []
        assert serious(page) == []


def test_without_scripts_the_page_says_what_is_missing(open_page, address):
    page = open_page(address, scripts=False)
    assert "This page needs its script, and scripts are off here." in page.inner_text("body")
    assert page.locator("#tools").is_hidden()
