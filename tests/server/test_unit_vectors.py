"""Vectors of a model that ends in Normalize: once divided by their lengths, as encode has them."""

import numpy as np
import pytest
from golden_files import copy_of, edit_json
from in_process import in_process
from module_folders import POOLING, with_modules

from minibert import SentenceTransformer
from minibert.server.notes import descriptions

TEXTS = [f"a cat and {number} dogs" for number in range(30)]  # enough that some bit would change


@pytest.fixture(scope="module")
def normalizing(tmp_path_factory):
    """A folder that ends in Normalize."""
    folder = copy_of("gelu", tmp_path_factory.mktemp("models"))
    return with_modules(folder, POOLING, ("Normalize", "2_Normalize", None))


@pytest.fixture(scope="module")
def encode_exactly(normalizing):
    return SentenceTransformer(normalizing, reproducible=True).encode


@pytest.fixture(scope="module")
def ask_for_vectors(normalizing):
    """Vectors of the same model over HTTP: ask_for_vectors(key=value) -> (n, D)."""
    with in_process({"m": normalizing}, reproducible=True) as server:

        def ask(**keys):
            answer = server.post("/v1/embeddings", {"model": "m", "input": TEXTS, **keys})
            return np.array([row["embedding"] for row in answer.json()["data"]], np.float32)

        yield ask


def test_a_silent_request_gets_encode_s_bits(encode_exactly, ask_for_vectors):
    np.testing.assert_array_equal(ask_for_vectors(), encode_exactly(TEXTS))


def test_vectors_are_divided_again_on_demand(encode_exactly, ask_for_vectors):
    expected = encode_exactly(TEXTS, normalize_embeddings=True)
    np.testing.assert_array_equal(ask_for_vectors(normalize=True), expected)
    assert (expected != encode_exactly(TEXTS)).any()


def test_fewer_dimensions_are_divided_again(encode_exactly, ask_for_vectors):
    expected = encode_exactly(TEXTS, truncate_dim=8, normalize_embeddings=True)
    np.testing.assert_array_equal(ask_for_vectors(dimensions=8), expected)


@pytest.mark.parametrize(
    ("truncate_dim", "rule", "is_unit"),
    [(None, "never", True), (8, "never", False), (8, "auto", True)],
)
def test_the_log_and_info_tell_the_vectors_as_they_are(tmp_path, truncate_dim, rule, is_unit):
    """The model's own Normalize counts, too, and the folder's own number of dimensions."""
    folder = with_modules(copy_of("gelu", tmp_path), POOLING, ("Normalize", "2_Normalize", None))
    if truncate_dim is not None:
        edit_json(folder / "config_sentence_transformers.json", truncate_dim=truncate_dim)
    with in_process({"m": folder}, normalize=rule) as server:
        vectors = np.array(server.post("/embed", {"inputs": TEXTS}).json())
        info = server.request("GET", "/info").json()
        (told,) = descriptions(server.state.models, server.state.settings)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6) is is_unit
    assert (info["normalized"], info["dimension"]) == (is_unit, vectors.shape[1])
    form = "unit" if is_unit else "raw"
    assert told["vectors"] == f"{form} vectors of {vectors.shape[1]} numbers, metric cosine"
