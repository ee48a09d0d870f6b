"""Random bodies for every POST route: never a fault, always the shape of the dialect."""

import json

import pytest
from golden_files import GOLDEN, one_label_copy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import in_process

from minibert.server.app import ROUTES

POSTS = [route for route in ROUTES if route.method == "POST"]

# Keys of an error in each dialect, the first that an error has.
SHAPES = {
    "openai": {"error"},
    "cohere": {"message", "detail"},
    "ollama": {"error"},
    "tei": {"error", "error_type"},
}

# Keys that the routes read, and values that some of them take.
KEYS = {
    "model": ["e", "e:query", "r", "three", "x"],
    **dict.fromkeys(["input", "inputs", "texts", "documents", "queries"], [["the cat", ""], "a"]),
    **dict.fromkeys(["query", "document", "prompt", "name"], ["the cat", ""]),
    "inputs ": [{"source_sentence": "the cat", "sentences": ["a dog"]}],
    "ids": [[1, 2], [[1], [2, 3]], ["1"]],
    "parameters": [{"truncate": False}],
    "rank_fields": [["text", "title"]],
    **dict.fromkeys(["top_n", "dimensions", "max_tokens_per_doc", "k", "candidates"], [1, 3]),
    **dict.fromkeys(["truncate", "normalize", "raw_scores", "rerank", "occlusion"], [False]),
    **dict.fromkeys(["return_documents", "return_text", "add_special_tokens"], [True]),
    "encoding_format": ["base64", "FLOAT"],
    "truncation_direction": ["left", "Right"],
    "metric": ["dot"],
    "prompt_name": ["query"],
}

texts = st.text(max_size=9) | st.sampled_from(["the cat sat.", "\ud800", "\x00", "é" * 200])
scalars = (
    st.none()
    | st.booleans()
    | texts
    | st.floats()
    | st.integers(-3, 3)
    | st.integers(2**31, 10**40)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "title"]) | texts, inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(sorted(KEYS))
pairs = keys.flatmap(
    lambda key: st.tuples(
        st.just(key.strip()), st.sampled_from(KEYS[key]) | st.lists(texts, max_size=4) | anything
    )
)
bodies = st.lists(pairs, max_size=14).map(dict)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    models = {"e": GOLDEN / "gelu", "r": one_label_copy(tmp_path_factory.mktemp("models"))}
    with in_process({**models, "three": GOLDEN / "cross_encoder"}) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("route", POSTS, ids=[route.path for route in POSTS])
def test_random_bodies_are_answered_or_refused_in_shape(server, route):
    statuses = set()

    @settings(
        max_examples=150,
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(bodies | anything)
    def check(body):
        answer = server.post(route.path, json.dumps(body).encode())
        statuses.add(answer.status)
        content = json.loads(answer.body.decode(), parse_constant=pytest.fail)
        assert answer.status in (200, 400, 404, 415, 422, 424), (body, content)
        if answer.status != 200:
            assert set(content) in SHAPES.values()
            assert set(content) == SHAPES[route.dialect.name] or route.path == "/rerank"

    check()
    assert len(statuses) > 1  # bodies of several kinds were found
