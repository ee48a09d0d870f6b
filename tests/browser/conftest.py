"""A real browser for `sh tools/test.sh browser`, which installs what drives it."""

import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

# Nothing but the page may cause a request.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, headless; CHROMIUM names another."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.fail("There is no chromium. Install it, or set CHROMIUM to the path of one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a file or an address: open_page(path, width=, scheme=, scripts=) -> the page.

    The test fails if any page logs a warning or an error, throws, or asks for anything but itself;
    the page of a server may ask that server.
    """
    contexts, complaints = [], []

    def open_file(path, width=1280, scheme="light", scripts=True):
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        url = path if isinstance(path, str) else path.resolve().as_uri()
        allowed = url if url == path else f"{url}\n"  # no other file
        page.on("console", lambda message: hear(f"{message.type}: {message.text}", message.type))
        page.on("pageerror", lambda error: complaints.append(f"thrown: {error}"))
        page.on("request", lambda request: ask(request.url, allowed))
        page.goto(url)
        return page

    def ask(url, allowed):
        if not f"{url}\n".startswith(allowed):
            complaints.append(url)

    def hear(text, kind):
        if kind in ("error", "warning"):
            complaints.append(text)

    yield open_file
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def serious():
    """What axe finds in a page that is serious or critical: serious(page) -> its findings."""

    def run(page):
        found = Axe().run(page).response["violations"]
        return [
            (finding["id"], node["html"][:120], node["failureSummary"])
            for finding in found
            if finding["impact"] in ("serious", "critical")
            for node in finding["nodes"]
        ]

    return run


@pytest.fixture
def overflow():
    """By how many pixels a page is wider than its window: overflow(page)."""

    def run(page):
        return page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    return run
