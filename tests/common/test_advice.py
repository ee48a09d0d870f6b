"""What an error advises: commands that run where they are pasted, and libraries to install."""

import importlib
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from minibert.common.advice import convert_command, needing, pasted
from minibert.errors import MissingLibraryError

ROOT = Path(__file__).parents[2]


def test_a_shell_of_windows_gets_its_own_quotes(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    assert pasted("minibert", r"C:\models\one", "two & more") == (
        r'minibert C:\models\one "two & more"'
    )


def test_a_name_like_an_option_is_no_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shlex.split(convert_command("-x")) == [
        *("minibert", "convert", "./-x", "./-x-safetensors")
    ]


def test_inside_the_folder_the_new_one_is_offered_beside_it(folder, monkeypatch):
    monkeypatch.chdir(folder)
    out = shlex.split(convert_command("."))[-1]
    assert out == str(folder.parent / "gelu-safetensors")


@pytest.mark.parametrize(
    ("module", "library", "way"),
    [
        ("ray", "ray", r"Ray, .*pip install '\.\[ray\]' in a clone of minibert\."),
        ("spark", "pyspark", r"PySpark, .*pip install '\.\[spark\]' in a clone of minibert\."),
        ("arrow", "pyarrow", r"pyarrow, .*pip install '\.\[parquet\]' in a clone of minibert\."),
        ("mteb", "torch", r"mteb, .*\(import of torch .*pip install mteb\."),
        ("langchain", "langchain_core", r"langchain-core, .*pip install langchain-core\."),
        ("llama_index", "llama_index", r"llama-index-core, .*pip install llama-index-core\."),
        ("haystack", "haystack", r"haystack-ai, .*pip install haystack-ai\."),
        ("sklearn", "sklearn", r"scikit-learn, .*pip install scikit-learn\."),
        ("llm", "llm", r"llm, .*pip install llm\."),
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


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put the metadata of a library's release before all others: installed(version, library)."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(version, library="a-library"):
        name = library.replace("-", "_")
        metadata = tmp_path / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: {version}\n")

    return put


@pytest.mark.parametrize("version", ["1.9.9", "0.20", "1.10rc4", "1", "1.2.30", "1.19.0"])
def test_an_older_library_than_is_supported_is_refused(installed, version):
    installed(version)
    with pytest.raises(MissingLibraryError) as refused, needing(
        "a-library", "minibert.x", at_least="1.20"
    ):  # fmt: skip
        pytest.fail("The library was imported.")
    assert str(refused.value) == (
        f"minibert.x needs a-library 1.20 or later; {version} is installed here. Install it: "
        "pip install --upgrade 'a-library>=1.20'."
    )


@pytest.mark.parametrize("version", ["1.20", "1.20.0", "1.20.1rc1", "1.21.dev2", "2.0+local", "10"])
def test_the_oldest_supported_library_will_do(installed, version):
    installed(version)
    with needing("a-library", "minibert.x", at_least="1.20.0"):
        pass


def test_a_library_that_is_not_there_is_missing_and_not_old():
    message = r"needs a-library, which cannot be .*\(no\)\. Install it: pip install a-library\."
    with (
        pytest.raises(MissingLibraryError, match=message),
        needing("a-library", "minibert.x", at_least="1"),
    ):
        raise ImportError("no")


@pytest.mark.parametrize(
    ("module", "library", "found", "needed"),
    [
        ("langchain", "langchain-core", "0.3.80", "1.0"),
        ("llama_index", "llama-index-core", "0.12.52", "0.13"),
        ("haystack", "haystack-ai", "2.23.0", "2.24"),
        ("sklearn", "scikit-learn", "1.5.2", "1.6"),
        ("llm_model", "llm", "0.19.1", "0.20"),
    ],
)
def test_an_adapter_refuses_an_older_framework(
    installed, monkeypatch, module, library, found, needed
):
    installed(found, library)
    name = f"minibert.integrations.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    message = rf"{name} needs {library} {needed} or later; {found} is installed here\."
    with pytest.raises(MissingLibraryError, match=message):
        importlib.import_module(name)


def test_every_extra_that_is_named_can_be_installed_from_a_clone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("minibert/**/*.py"))
    named = re.findall(r'(?:needing|missing)\("[\w-]+", f?"[^"]+", "(\w+)"', code)
    assert sorted(named) == [
        *("cupy", "parquet", "parquet", "ray", "serve", "spark", "umap", "usearch", "usearch"),
    ]
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        named += re.findall(r"pip install '\.\[(\w+)\]'", text)
        assert "minibert-numpy[" not in text, page  # there is nothing of that name yet
    assert set(named) <= project["optional-dependencies"].keys()
