"""What the tests of adapters share, for `sh tools/test.sh integrations` and `long`.

The frameworks are real, and torch is not installed beside them. 200 documents and 40 queries of the
Cranfield collection (C. Cleverdon, 1967) are in cranfield.json, title and text of each.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from golden_files import dot_copy
from staying_here import refuse_other_machines, taken_refusals

# Before the frameworks are imported: no models and no lists of them from the network.
os.environ.update(HF_HUB_OFFLINE="1", LITELLM_LOCAL_MODEL_COST_MAP="True")
refuse_other_machines()


@pytest.fixture(autouse=True)
def _nothing_was_fetched():
    yield
    assert taken_refusals() == []
    assert "torch" not in sys.modules


@pytest.fixture(scope="session")
def cranfield():
    """Documents and queries: of each id -> text."""
    content = (Path(__file__).parent / "cranfield.json").read_text(encoding="utf-8")
    return SimpleNamespace(**json.loads(content))


@pytest.fixture
def dot_folder(tmp_path):
    """A small model for the dot product, whose vectors have all lengths."""
    return dot_copy(tmp_path)


@pytest.fixture
def minilm_by_name(cache, minilm_folder, monkeypatch, tmp_path):
    """For a program of a page: MiniLM as if downloaded, and a folder to write into."""
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    monkeypatch.chdir(tmp_path)
