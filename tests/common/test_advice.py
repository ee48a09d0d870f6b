"""Libraries that only some uses need: what is said where one is missing."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

from minibert.common.advice import needing
from minibert.errors import MissingLibraryError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "library", "way"),
    [
        ("ray", "ray", r"Ray, .*pip install '\.\[ray\]' in a clone of minibert\."),
        ("spark", "pyspark", r"PySpark, .*pip install '\.\[spark\]' in a clone of minibert\."),
        ("arrow", "pyarrow", r"pyarrow, .*pip install '\.\[parquet\]' in a clone of minibert\."),
        ("mteb", "torch", r"mteb, .*\(import of torch .*pip install mteb\."),
    ],
)
def test_an_integration_says_what_it_needs(monkeypatch, module, library, way):
    name = f"minibert.integrations.{module}"
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(MissingLibraryError, match=f"{name} needs {way}$"):
        importlib.import_module(name)


def test_another_error_is_not_a_missing_library():
    with pytest.raises(ValueError, match="something else"), needing("a", "b", "c"):
        raise ValueError("something else")


def test_every_extra_that_is_named_can_be_installed_from_a_clone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("minibert/**/*.py"))
    named = re.findall(r'(?:needing|missing)\("[\w-]+", f?"[^"]+", "(\w+)"', code)
    assert sorted(named) == ["cupy", "parquet", "parquet", "ray", "spark", "umap", "usearch"]
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        named += re.findall(r"pip install '\.\[(\w+)\]'", text)
        assert "minibert-numpy[" not in text, page  # there is nothing of that name yet
    assert set(named) <= project["optional-dependencies"].keys()
