"""Principal components against the singular vectors of the centred matrix; what UMAP is given."""

import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minibert.errors import MissingLibraryError
from minibert.pictures.projection import principal_components, project, umap_places
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS

NONE = np.empty(0, dtype=np.int64)


def random_stack(offset=0.0, sizes=(300, 1, 500), width=24, dtype=np.float32):
    """Matrices whose numbers vary less with each column."""
    random = np.random.default_rng(0)
    spread = 0.8 ** np.arange(width)
    return Stack([(offset + random.normal(size=(n, width)) * spread).astype(dtype) for n in sizes])


def expected(vectors):
    """The first two right singular vectors of the centred matrix, their shares, and the places."""
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    axes = np.array([row * np.sign(row[np.abs(row).argmax()]) for row in rows[:2]])
    return axes, values[:2] ** 2 / (values**2).sum(), centred @ axes.T


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("excluded", [[], [0, 1, 2], [299, 300, 301, 555], [*range(290, 310), 800]])
def test_components_are_singular_vectors_of_the_centred_matrix(offset, excluded):
    stack = random_stack(offset)
    vectors = np.delete(np.vstack(stack.matrices), excluded, axis=0)
    found = principal_components(stack, np.array(excluded, dtype=np.int64))
    axes, shares, places = expected(vectors)
    # Worst seen 2e-12, of numbers around 1000.
    np.testing.assert_allclose(found.components, axes, atol=1e-10)
    np.testing.assert_allclose(found.shares, shares, rtol=1e-10)
    np.testing.assert_allclose(project(found, vectors), places, atol=1e-9)


def test_half_precision_is_summed_in_double_precision():
    stack = random_stack(dtype=np.float16)
    axes, shares, _ = expected(np.vstack(stack.matrices))
    found = principal_components(stack, NONE)
    np.testing.assert_allclose(found.components, axes, atol=1e-10)
    np.testing.assert_allclose(found.shares, shares, rtol=1e-10)


def test_what_is_stored_is_decoded():
    stack = random_stack()
    halved = Stack(stack.matrices, decode=lambda stored: stored[:, :8] / 2)
    found = principal_components(halved, NONE)
    axes, _, places = expected(np.vstack(stack.matrices)[:, :8] / 2)
    np.testing.assert_allclose(found.components, axes, atol=1e-10)
    np.testing.assert_allclose(project(found, halved.take(np.arange(801))), places, atol=1e-9)


def test_the_largest_number_of_a_component_is_positive():
    # The data turned over have the same components: their sign is not the data's.
    stack = random_stack()
    turned = Stack([-matrix for matrix in stack.matrices])
    found, mirrored = principal_components(stack, NONE), principal_components(turned, NONE)
    np.testing.assert_allclose(found.components, mirrored.components, atol=1e-12)
    for component in found.components:
        assert component[np.abs(component).argmax()] > 0


def test_blocks_change_nothing_but_rounding():
    stack = random_stack()
    whole = principal_components(stack, np.array([5, 400]))
    rows = 7 * stack.dimension
    found = principal_components(stack, np.array([5, 400]), block_floats=rows)
    np.testing.assert_allclose(found.components, whole.components, atol=1e-12)
    np.testing.assert_allclose(found.shares, whole.shares, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_equal_vectors_have_no_variance_and_one_place(count):
    vectors = np.tile(np.random.default_rng(0).normal(size=16).astype(np.float32), (count, 1))
    found = principal_components(Stack([vectors]), NONE)
    assert found.shares == (0.0, 0.0)
    assert not found.components.any()
    assert not project(found, vectors).any()


def test_vectors_are_equal_within_the_rounding_of_float32():
    random = np.random.default_rng(0)
    vectors = np.tile(random.normal(size=16), (50, 1))
    for error, is_equal in ((1e-7, True), (1e-5, False)):
        noisy = vectors * (1 + error * random.normal(size=vectors.shape))
        found = principal_components(Stack([noisy.astype(np.float32)]), NONE)
        assert (found.shares == (0.0, 0.0)) is is_equal


def test_two_vectors_lie_on_a_line():
    vectors = np.array([[1, 2, 2], [1, 2, 0]], dtype=np.float32)
    found = principal_components(Stack([vectors]), NONE)
    assert found.shares == (1.0, 0.0)
    np.testing.assert_allclose(project(found, vectors), [[1, 0], [-1, 0]], atol=1e-15)


def test_vectors_of_one_dimension_have_one_component():
    vectors = np.array([[1], [2], [6]], dtype=np.float32)
    found = principal_components(Stack([vectors]), NONE)
    assert found.shares == (1.0, 0.0)
    np.testing.assert_array_equal(project(found, vectors), [[-2, 0], [-1, 0], [3, 0]])


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_number_is_refused_with_its_row(number):
    stack = random_stack()
    stack.matrices[2][7, 3] = number
    with pytest.raises(ValueError, match=r"^Row 7 of matrix 2 holds NaN or infinity"):
        principal_components(stack, np.array([301, 302]))
    principal_components(stack, np.array([308]))  # a deleted one harms nobody


def test_no_vector_is_refused():
    with pytest.raises(ValueError, match="no vector"):
        principal_components(random_stack(sizes=(2, 1)), np.arange(3))


def test_every_vector_is_told_of():
    told = []
    principal_components(random_stack(), np.array([3, 4]), advance=told.append)
    assert sum(told) == 801


def test_no_thread_of_the_blas_computes_beside_this_one():
    seen = set()

    def look(_):
        seen.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        principal_components(random_stack(), NONE, advance=look)
    assert seen == {1}


def test_memory_does_not_grow_with_the_number_of_vectors(tmp_path):
    random = np.random.default_rng(0)
    peaks = []
    for count in (80_000, 320_000):  # the first is larger than the largest block
        path = tmp_path / f"{count}.npy"
        mapped = np.lib.format.open_memmap(path, "w+", np.float32, (count, 64))
        mapped[:] = random.normal(size=(1000, 64)).repeat(count // 1000, axis=0)
        stack = Stack([np.lib.format.open_memmap(path, "r")])
        tracemalloc.start()
        principal_components(stack, NONE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Seen: both 17 MB, the block as it is stored and in float64; all of the second is 164 MB.
    assert max(peaks) < 40e6
    assert peaks[1] < 1.1 * peaks[0]


# UMAP: what it is given; that it does what it should is tests/reference/test_projection_live.py's.


@pytest.mark.parametrize(
    ("metric", "distance"),
    [("cosine", "cosine"), ("dot", "cosine"), ("euclidean", "euclidean"), ("manhattan",) * 2],
)
def test_umap_begins_with_the_components_and_a_fixed_seed(umap, metric, distance):
    (vectors,) = random_stack(sizes=(30,)).matrices
    start = vectors[:, 3:5].astype(np.float64)
    places, others = umap_places(vectors, start, metric, vectors[:3])
    np.testing.assert_array_equal(places, vectors[:, :2] + 1)
    np.testing.assert_array_equal(others, vectors[:3, :2] + 2)
    assert umap["metric"] == distance
    assert umap["random_state"] == 0
    np.testing.assert_allclose(umap["init"], start, atol=1e-3 * np.ptp(start))
    # Points in one place would stay there.
    assert len(np.unique(umap["init"], axis=0)) == 30
    first = umap["init"]
    umap_places(vectors, start, metric, vectors[:0])
    np.testing.assert_array_equal(umap["init"], first)


def test_umap_of_a_line_does_not_begin_on_it(umap):
    (vectors,) = random_stack(sizes=(30,)).matrices
    start = np.stack([vectors[:, 0], np.zeros(30)], axis=1)
    umap_places(vectors, start, "cosine", vectors[:0])
    assert np.ptp(umap["init"][:, 1]) > 0


def test_umap_without_its_extra_says_which_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    (vectors,) = random_stack(sizes=(30,)).matrices
    with pytest.raises(MissingLibraryError, match=r"umap-learn, .*pip install '\.\[umap\]' in a"):
        umap_places(vectors, vectors[:, :2], "cosine", vectors[:0])


def test_a_metric_that_umap_lacks_is_refused(umap, monkeypatch):
    monkeypatch.setitem(METRICS, "odd", replace(METRICS["dot"], umap_name=None))
    (vectors,) = random_stack(sizes=(30,)).matrices
    with pytest.raises(ValueError, match=r"UMAP has no odd distance; .* \(--method pca\)"):
        umap_places(vectors, vectors[:, :2], "odd", vectors[:0])
    monkeypatch.setitem(METRICS, "odd", replace(METRICS["dot"], umap_name="canberra"))
    umap_places(vectors, vectors[:, :2], "odd", vectors[:0])
    assert umap["metric"] == "canberra"


def test_umap_of_too_few_or_of_equal_vectors_is_refused(umap):
    (vectors,) = random_stack(sizes=(30,)).matrices
    with pytest.raises(ValueError, match="there are 15 documents"):
        umap_places(vectors[:15], vectors[:15, :2], "cosine", vectors[:0])
    with pytest.raises(ValueError, match="the same"):
        umap_places(vectors, np.zeros((30, 2)), "cosine", vectors[:0])
    assert not umap
