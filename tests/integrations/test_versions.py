"""An adapter beside a framework that is too old for it says so, and which version it needs."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import minibert
from minibert import MissingLibraryError

FILES = sorted((Path(minibert.__file__).parent / "integrations").glob("*.py"))
NEEDED = [
    pytest.param(path.stem, *found, id=path.stem)
    for path in FILES
    for found in re.findall(
        r'needing\("([^"]+)", "[^"]+", at_least="([^"]+)"\)', path.read_text(encoding="utf-8")
    )
]


def test_every_version_that_is_needed_was_found():
    asking = [path for path in FILES if "at_least=" in path.read_text(encoding="utf-8")]
    assert len(NEEDED) == len(asking) >= 3


@pytest.mark.parametrize(("name", "library", "at_least"), NEEDED)
def test_a_framework_that_is_too_old_is_refused(name, library, at_least, tmp_path, monkeypatch):
    metadata = tmp_path / f"{library.replace('-', '_')}-0.0.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, f"minibert.integrations.{name}", raising=False)
    expected = rf"^minibert\.integrations\.{name} needs {library} {at_least} or later; 0\.0\.1 is "
    with pytest.raises(MissingLibraryError, match=expected):
        import_module(f"minibert.integrations.{name}")


def test_the_page_has_the_lowest_versions():
    text = (Path(minibert.__file__).parents[1] / "docs" / "integrations.md").read_text("utf-8")
    named = set(re.findall(r"^\| \[.*?\]\(.*?\) \| (\S+ [\d.]+) \|", text, re.MULTILINE))
    needed = {f"{library} {at_least}" for _, library, at_least in (one.values for one in NEEDED)}
    assert named == needed
