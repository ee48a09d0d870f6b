"""What the tests of adapters share, for `sh tools/test.sh integrations` and `long`.

The frameworks are real, and torch is not installed beside them. 200 documents and 40 queries of the
Cranfield collection (C. Cleverdon, 1967) are in cranfield.json, title and text of each.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from golden_files import copy_of, edit_json
from staying_here import REFUSED, refuse_other_machines

# Before the frameworks are imported: no word to their makers, no models from the network.
os.environ.update(
    ANONYMIZED_TELEMETRY="false",
    DO_NOT_TRACK="1",
    HAYSTACK_TELEMETRY_ENABLED="false",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_OFFLINE="1",
    LANGSMITH_TRACING="false",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
    NO_PROXY="*",
)
refuse_other_machines()


@pytest.fixture(autouse=True)
def _nothing_was_fetched():
    yield
    refused = REFUSED[:]
    REFUSED.clear()
    assert refused == []
    assert "torch" not in sys.modules


@pytest.fixture(scope="session")
def cranfield():
    """Documents and queries: of each id -> text."""
    content = (Path(__file__).parent / "cranfield.json").read_text(encoding="utf-8")
    return SimpleNamespace(**json.loads(content))


@pytest.fixture
def dot_folder(tmp_path):
    """A small model for the dot product, whose vectors have all lengths."""
    folder = copy_of("gelu_new", tmp_path)  # no Normalize module
    edit_json(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    return folder


@pytest.fixture(scope="session")
def neighbours(cranfield):
    """Ids of the documents nearest to each query, exactly: neighbours(model, k) -> lists."""

    def found(model, k=10):
        queries = model.encode_query(list(cranfield.queries.values()))
        documents = model.encode_document(list(cranfield.documents.values()))
        order = np.argsort(-model.similarity(queries, documents), axis=1, kind="stable")
        ids = list(cranfield.documents)
        return [[ids[number] for number in row[:k]] for row in order]

    return found
