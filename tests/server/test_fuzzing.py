"""Random bodies for every POST route: never a fault, always the shape of the dialect."""

import json

import pytest
from corpora import three_shards
from golden_files import GOLDEN, one_label_copy
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import in_process

from minibert.corpus.search import Index
from minibert.server.app import ROUTES

# A body of each route, with all of its keys; some of them change.
EMBEDDINGS = {
    **{"model": "e", "input": ["the cat", ""], "encoding_format": "base64", "dimensions": 3},
    **{"normalize": True, "truncate": True, "prompt_name": "query"},
}
TEXTS = {
    **{"model": "e", "inputs": ["the cat", ""], "truncate": True, "truncation_direction": "left"},
    "prompt_name": "query",
}
RERANK = {
    **{"model": "r", "query": "the cat", "documents": ["a dog", {"text": "the cat", "title": "a"}]},
    **{"top_n": 2, "rank_fields": ["title", "text"], "raw_scores": True, "return_documents": True},
    "max_tokens_per_doc": 3,
}
PAIRS = {"model": "three", "inputs": ["the cat", "a dog"], "raw_scores": True, "truncate": True}
SIMILARITY = {
    **{"model": "e", "parameters": {"truncate": True, "prompt_name": "query"}},
    "inputs": {"source_sentence": "the cat", "sentences": ["a dog", ""]},
}
BODIES = {
    "/v1/embeddings": EMBEDDINGS,
    "/embeddings": EMBEDDINGS,
    "/embed": {**TEXTS, "normalize": True, "dimensions": 3},
    "/embed_all": TEXTS,
    "/embed_sparse": TEXTS,
    "/predict": PAIRS,
    "/similarity": SIMILARITY,
    "/tokenize": {"model": "e", "inputs": ["the cat"], "add_special_tokens": True},
    "/decode": {"model": "e", "ids": [[5, 6], [7]], "skip_special_tokens": True},
    "/": {**PAIRS, **SIMILARITY, "texts": ["a dog"], "query": "the cat"},
    "/api/embed": {"model": "e", "input": ["the cat", ""], "dimensions": 3, "truncate": True},
    "/api/embeddings": {"model": "e", "prompt": "the cat"},
    "/api/show": {"model": "e", "name": "e"},
    "/v1/rerank": RERANK,
    "/v2/rerank": RERANK,
    "/v1/v1/rerank": RERANK,
    "/v1/v2/rerank": RERANK,
    "/rerank": {
        **{key: value for key, value in RERANK.items() if key != "documents"},
        **{"texts": ["a dog", ""], "return_text": True},
    },
    "/v1/search": {
        **{"model": "e", "query": "the cat", "k": 2, "rerank": True, "candidates": 3},
        **{"ids": ["d1", "d2"], "rescore": None},
    },
    "/v1/explain": {
        **{"model": "e", "query": "the cat", "document": "a cat", "metric": "dot"},
        "occlusion": True,
    },
}
POSTS = [route for route in ROUTES if route.method == "POST"]

# Keys of an error in each dialect.
SHAPES = {
    "openai": {"error"},
    "cohere": {"message", "detail"},
    "ollama": {"error"},
    "tei": {"error", "error_type"},
}

texts = st.text(max_size=5) | st.sampled_from(["the cat sat.", "\ud800", "\x00", "é" * 200, "e"])
numbers = st.floats() | st.integers(-2, 3) | st.sampled_from([2**31, 2**63, 10**40])
lists = st.lists(texts, max_size=3) | st.lists(st.integers(-1, 90), max_size=3)
anything = st.recursive(
    st.none() | st.booleans() | texts | numbers | lists,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "title"]) | texts, inner, max_size=2)
    ),
    max_leaves=4,
)
MISSING = object()


def spoilt(body):
    """The body with one or two of its keys changed, or taken away."""
    keys = st.lists(st.sampled_from(sorted(body)), min_size=1, max_size=2)
    changes = keys.flatmap(
        lambda keys: st.fixed_dictionaries(dict.fromkeys(keys, anything | st.just(MISSING)))
    )
    return changes.map(
        lambda found: {k: value for k, value in {**body, **found}.items() if value is not MISSING}
    )


@pytest.fixture(scope="module")
def with_corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models = {"e": GOLDEN / "gelu", "r": one_label_copy(folder), "three": GOLDEN / "cross_encoder"}
    with in_process(models) as found:
        encoder = found.state.models.find("e", "embedding").served.encoder
        found.state.index = Index(three_shards(folder / "corpus", encoder), encoder)
        yield found


@pytest.mark.parametrize("path", BODIES)
def test_bodies_that_are_not_spoilt_are_answered(with_corpus, path):
    assert set(BODIES) == {route.path for route in POSTS}
    # No model is sparse.
    assert with_corpus.post(path, BODIES[path]).status == (424 if path == "/embed_sparse" else 200)


@pytest.mark.slow
@pytest.mark.parametrize("route", POSTS, ids=[route.path for route in POSTS])
def test_random_bodies_are_answered_or_refused_in_shape(with_corpus, route):
    shapes = [SHAPES[route.dialect.name]]
    if route.path == "/rerank":  # its keys tell the dialect
        shapes.append(SHAPES["tei"])

    @settings(max_examples=60, derandomize=True, deadline=None)
    @given(spoilt(BODIES[route.path]) | anything)
    def check(body):
        answer = with_corpus.post(route.path, json.dumps(body).encode())
        content = json.loads(answer.body.decode(), parse_constant=pytest.fail)
        assert answer.status in (200, 400, 404, 422, 424), content
        if answer.status != 200:
            assert set(content) in shapes

    check()
