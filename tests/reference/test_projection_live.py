"""Principal components against scikit-learn's, and what umap-learn makes of clusters."""

import numpy as np
import pytest

from minibert.pictures.projection import principal_components, project, umap_places
from minibert.scoring.matrices import Stack

NONE = np.empty(0, dtype=np.int64)


def clusters(count=40, dimension=24):
    """Vectors around three centres, and which centre each is of."""
    random = np.random.default_rng(0)
    centres = 4 * random.normal(size=(3, dimension))
    of_centre = np.arange(3).repeat(count)
    return centres[of_centre] + random.normal(size=(3 * count, dimension)), of_centre


def test_components_and_their_signs_are_scikit_learn_s():
    decomposition = pytest.importorskip("sklearn.decomposition")
    random = np.random.default_rng(0)
    vectors = 3 + random.normal(size=(500, 24)) * 0.8 ** np.arange(24)
    theirs = decomposition.PCA(2, svd_solver="full").fit(vectors)
    ours = principal_components(Stack([vectors[:200], vectors[200:]]), NONE)
    np.testing.assert_allclose(ours.components, theirs.components_, atol=1e-12)
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_, rtol=1e-12)
    np.testing.assert_allclose(project(ours, vectors), theirs.transform(vectors), atol=1e-11)


@pytest.mark.parametrize("metric", ["dot", "manhattan"])
def test_umap_keeps_clusters_together_and_is_the_same_every_time(metric):
    pytest.importorskip("umap")
    vectors, of_centre = clusters()
    projection = principal_components(Stack([vectors]), NONE)
    start = project(projection, vectors)
    places, asked = umap_places(vectors, start, metric, vectors[[0, 50, 100]])
    again, _ = umap_places(vectors, start, metric, vectors[:0])
    np.testing.assert_array_equal(places, again)
    apart = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(len(places), np.inf))
    assert (of_centre[apart.argmin(axis=1)] == of_centre).all()
    closest = np.linalg.norm(asked[:, None] - places, axis=2).argmin(axis=1)
    assert of_centre[closest].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["twice", "a line"])
def test_umap_lays_out_what_is_degenerate(kind):
    pytest.importorskip("umap")
    if kind == "twice":
        vectors = np.repeat(clusters(10)[0], 2, axis=0)
    else:
        vectors = np.outer(np.linspace(1, 2, 30), np.arange(1.0, 9.0))
    start = project(principal_components(Stack([vectors]), NONE), vectors)
    places, _ = umap_places(vectors, start, "euclidean", vectors[:0])
    assert np.isfinite(places).all()
    assert (np.ptp(places, axis=0) > 0).all()
