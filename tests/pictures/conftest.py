"""Models and explanations to draw, and a stand-in for a library."""

import sys
import types

import numpy as np
import pytest
from drawn import text_of

from minibert.explain import Explanation


@pytest.fixture
def by_hand():
    """A query of two words and a document of three; "bark" against "cat" is negative."""
    contributions = np.array(
        [
            [0.01, 0.00, 0.00, 0.00, 0.02],
            [0.00, 0.30, -0.12, 0.05, 0.00],
            [0.00, 0.04, 0.06, 0.20, 0.00],
            [0.00, 0.00, 0.00, -0.03, 0.03],
        ]
    )
    query, document = text_of("bark", "night"), text_of("barked", "cat", "night")
    return Explanation(float(contributions.sum()), "cosine", contributions, query, document)


@pytest.fixture
def umap(monkeypatch):
    """umap-learn as far as it is asked here; it tells what it was given."""
    given = {}

    class UMAP:
        def __init__(self, **options):
            given.update(options)

        def fit_transform(self, vectors):
            given["vectors"] = vectors
            return vectors[:, :2] + 1

        def transform(self, vectors):
            return vectors[:, :2] + 2

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    return given
