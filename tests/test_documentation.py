"""docs/reference, which the site makes of the docstrings: every public name has its place there."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

import minibert
from minibert import corpus, evaluation, explain, losses, training, util
from minibert.models import trace

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)
MODULES = [minibert, util, corpus, evaluation, explain, losses, trace, training]


def documented():
    """Every object that a page of the reference shows."""
    shown = [losses, util]  # whose names are shown one by one
    for page in REFERENCE.glob("*.md"):
        for path, options in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if path.startswith("minibert.integrations"):
                continue  # the libraries that these are for are not here
            members = re.search(r"\bmembers:\s*\[?((?:[\s,-]*\w+)+)", options)
            names = re.findall(r"\w+", members[1]) if members else []
            if "filters: public" in options:
                names = resolve_name(path).__all__
            shown += [getattr(resolve_name(path), name) for name in names] or [resolve_name(path)]
    return shown


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module):
    shown = documented()
    for name in module.__all__:
        assert any(getattr(module, name) is one for one in shown), name
