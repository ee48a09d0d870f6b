"""The documentation site as `sh tools/test.sh docs` has built it, and the tour in a clean copy."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "site"
# Attributes by which a page loads something by itself; a link is followed by the reader alone.
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
LEADS = {**LOADS, "a": "href"}

sys.path.insert(0, str(ROOT / "tools"))
import make_pictures as tour  # noqa: E402


class Addresses(HTMLParser):
    """The addresses and the ids of a page."""

    def __init__(self, page):
        super().__init__()
        self.loads, self.leads, self.ids = [], [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        for addresses, attribute in ((self.loads, LOADS), (self.leads, LEADS)):
            address = values.get(attribute.get(tag, ""))
            if address and values.get("rel") != "canonical":
                addresses.append(address)
        self.ids.add(values.get("id"))


@pytest.fixture(scope="module")
def pages():
    found = {path: Addresses(path) for path in SITE.rglob("*.html")}
    assert len(found) > 40
    return found


def test_no_page_loads_anything_from_elsewhere(pages):
    for path, addresses in pages.items():
        for address in addresses.loads:
            assert not urlsplit(address).scheme, f"{path}: {address}"
            # What a server shows for a missing page may stand at any address, so its own are whole.
            assert not address.startswith("/") or path.name == "404.html", f"{path}: {address}"


def test_no_style_names_a_host():
    elsewhere = re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import")
    for path in SITE.rglob("*.css"):
        assert not elsewhere.search(path.read_text(encoding="utf-8")), path


def test_every_link_inside_the_site_leads_somewhere(pages):
    checked = 0
    for path, addresses in pages.items():
        for address in addresses.leads:
            parts = urlsplit(address)
            if parts.scheme or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path}: {address}"
            if target in pages and parts.fragment:
                assert unquote(parts.fragment) in pages[target].ids, f"{path}: {address}"
            checked += 1
    assert checked > 1000


def test_the_reference_shows_docstrings_and_the_tour_the_code(pages):
    explain = (SITE / "reference" / "explain-and-trace.html").read_text(encoding="utf-8")
    assert "Split the score of a query and a document" in explain
    source = (SITE / "source" / "minibert" / "bert" / "forward.py.html").read_text(encoding="utf-8")
    assert "The forward pass of BERT, on packed tokens" in source
    attention = SITE / "tour" / "3-attention.html"
    assert "../source/minibert/bert/forward.py.html" in pages[attention].leads


def test_the_tour_runs_to_its_end_in_a_clean_copy(tmp_path):
    copy = tmp_path / "minibert"
    left_out = ".git", ".venv*", ".models", ".*_cache", "__pycache__"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*left_out))
    for page in tour.chapters():
        text = page.read_text(encoding="utf-8")
        blocks = tour.blocks_of(text)
        python = ".venv/bin/python"
        for block in blocks:
            if block.language == "sh":
                *commands, python = block.text.splitlines()
                for command in commands:
                    subprocess.run(command, shell=True, check=True, cwd=copy)
        program = "\n\n".join(block.text for block in blocks if block.is_program)
        shown = re.findall(r"^```python\n[^`]*^```\n\n```text\n(.*?)^```$", text, re.M | re.S)
        answer = subprocess.run(
            [python, "-"], input=program, capture_output=True, check=True, cwd=copy,
            encoding="utf-8", env={"PATH": "", "PYTHONUTF8": "1"},
        )  # fmt: skip
        assert answer.stdout == "".join(shown), page.name
        assert not answer.stderr, page.name


@pytest.mark.parametrize(
    ("page", "tables"),
    [("sentence-transformer", 4), ("training", 2), ("other-models", 2), ("corpus-and-search", 2)],
)
def test_the_large_lists_of_arguments_are_tables(page, tables):
    text = (SITE / "reference" / f"{page}.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<th>Default</th>", text)) == tables
