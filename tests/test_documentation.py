"""docs/reference, which the site makes of the docstrings: every public name has its place there."""

import importlib
import re
from pathlib import Path

import pytest

import minibert
from minibert import evaluation, explain, util
from minibert.corpus import Corpus, add, build, delete, search
from minibert.models import trace

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)
MODULES = [minibert, util, search, evaluation, explain, trace]


def resolved(path):
    """The object that a dotted path names."""
    module, _, name = path.rpartition(".")
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(importlib.import_module(module), name)


def documented():
    """Every object that a page of the reference shows."""
    shown = [util]  # whose names are shown one by one
    for page in REFERENCE.glob("*.md"):
        for path, options in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if path.startswith("minibert.integrations"):
                continue  # the libraries that these are for are not here
            members = re.search(r"\bmembers:\s*\[?((?:[\s,-]*\w+)+)", options)
            names = re.findall(r"\w+", members[1]) if members else []
            if "filters: public" in options:
                names = resolved(path).__all__
            shown += [getattr(resolved(path), name) for name in names] or [resolved(path)]
    return shown


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module):
    shown = documented()
    for name in module.__all__:
        assert any(getattr(module, name) is one for one in shown), name


def test_what_writes_and_reads_a_corpus_is_in_the_reference():
    for function in (build, add, delete, Corpus):
        assert function in documented()
