"""Servers for other makers' clients, for `sh tools/test.sh server`, which installs the clients.

Each server is a process of its own; nothing of a client is replaced.
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from golden_files import GOLDEN, MINILM, copy_of, dot_copy, edit_json, one_label_copy
from prompted import PROMPTS
from server_process import running
from staying_here import REFUSED, refuse_other_machines, taken_refusals

from minibert import CrossEncoder, SentenceTransformer

# Before the clients are imported: no lists from the network.
os.environ["LITELLM_OFFLINE_MODE"] = "true"
refuse_other_machines()

KEY = "a-key-for-tests"


@pytest.fixture
def hub_is_refused():
    """Allow a client to try the hub, if it goes on without."""
    yield
    REFUSED[:] = [tried for tried in REFUSED if not tried.endswith(" huggingface.co")]


@pytest.fixture(autouse=True)
def _nothing_left_the_machine():
    yield
    assert taken_refusals() == []


@pytest.fixture(scope="session")
def served_folders(tmp_path_factory):
    """Folders of the models that are served, by their names there."""
    if not MINILM.exists():
        pytest.fail("Run `python tools/fetch_minilm.py` first; the clients need the real MiniLM.")
    made = tmp_path_factory.mktemp("models")
    prompted = copy_of("relu", made)
    edit_json(prompted / "config_sentence_transformers.json", prompts=PROMPTS)
    return {
        "minilm": MINILM,
        "tiny": GOLDEN / "gelu",
        "dot": dot_copy(made),
        "prompted": prompted,
        "reranker": one_label_copy(made),
        "classifier": GOLDEN / "cross_encoder",
    }


@pytest.fixture(scope="session")
def opened(served_folders):
    """The same models in this process."""
    kinds = {"reranker": CrossEncoder, "classifier": CrossEncoder}
    return {
        name: kinds.get(name, SentenceTransformer)(str(folder), on_long="ignore")
        for name, folder in served_folders.items()
    }


def served(folders):
    return [f"{name}={folder}" for name, folder in folders.items()]


@pytest.fixture(scope="session")
def open_server(served_folders):
    """A server of all the models, which asks for no key."""
    aliases = ["--alias", "text-embedding-3-small=minilm", "--alias", "all-minilm=minilm"]
    with running(*served(served_folders), *aliases) as server:
        yield server


@pytest.fixture(scope="session")
def strict_server(served_folders):
    """A server with a key, of the same bits whatever is computed together, with small limits."""
    options = ["--api-key", KEY, "--reproducible", "--max-inputs", "8", "--max-body", "100000"]
    with running(*served(served_folders), *options) as server:
        yield SimpleNamespace(url=server.url, key=KEY)


@pytest.fixture(scope="session")
def exact(served_folders):
    """Vectors of texts in bits that depend on nothing else: exact(texts)."""
    return SentenceTransformer(
        str(served_folders["minilm"]), on_long="ignore", reproducible=True
    ).encode


@pytest.fixture(scope="session")
def sent():
    """Texts of many lengths: some in other scripts, one that is truncated, one without a word."""
    return [
        "The cat sat on the mat.",
        "Dogs, cats and London!",
        "",
        "Café 中文 — naïve Ελληνικά 🙂",
        "two\nlines\tand  spaces ",
        "the dog barks at the cat " * 100,
        "a",
    ]


@pytest.fixture(scope="session")
def close():
    """Hold vectors or scores to what the library itself computes: close(got, expected)."""

    def check(got, expected):
        assert np.shape(got) == np.shape(expected)
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)

    return check


@pytest.fixture(scope="session")
def asked():
    return "the cat sat in London"


@pytest.fixture(scope="session")
def offered():
    return ["a dog barks", "London", "the cat sat.", "Dogs, cats and London!", "cats"]


@pytest.fixture(scope="session")
def ranked(opened, asked, offered):
    """The passages as CrossEncoder.rank orders them: their places, and their scores."""
    hits = opened["reranker"].rank(asked, offered)
    scores = np.array([hit["score"] for hit in hits])
    assert (np.diff(scores) < -1e-4).all()  # no order by rounding
    return SimpleNamespace(order=[hit["corpus_id"] for hit in hits], scores=scores)
