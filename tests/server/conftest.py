"""Servers in processes of their own, on free ports."""

import os

import pytest
from golden_files import GOLDEN, copy_of, edit_json
from prompted import PROMPTS
from server_process import killed, started

from minibert import SentenceTransformer


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A test with a server in a process of its own is slow."""
    for item in items:
        if {"server", "serving"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def serving():
    """Start a server: serving(*arguments, env=None, told="minibert: ready") -> Serving.

    Without arguments it serves a golden model as "gelu" and a golden cross-encoder.
    """
    servers = []

    def start(*arguments, env=None, told="minibert: ready"):
        models = arguments or (GOLDEN / "gelu", GOLDEN / "cross_encoder")
        servers.append(started(models, env, told))
        return servers[-1]

    yield start
    killed(servers)


@pytest.fixture(scope="module")
def server():
    """A server for all tests of a file: golden models, "gelu" and "cross_encoder"."""
    found = started([GOLDEN / "gelu", GOLDEN / "cross_encoder"])
    yield found
    killed([found])


@pytest.fixture(scope="module")
def starting(request):
    """Start servers for all tests of a file: starting(*arguments, told=...) -> Serving."""

    def start(*arguments, **options):
        found = started(arguments, **options)
        request.addfinalizer(lambda: killed([found]))
        return found

    return start


@pytest.fixture(scope="module")
def gelu_with_prompts(tmp_path_factory):
    """The folder of a golden model with prompts, written in November 2023."""
    folder = copy_of("gelu", tmp_path_factory.mktemp("prompted"))
    edit_json(folder / "config_sentence_transformers.json", prompts=PROMPTS)
    os.utime(folder / "model.safetensors", (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture(scope="module")
def dot_model(tmp_path_factory):
    """The folder of a golden model whose metric is the dot product."""
    folder = copy_of("gelu", tmp_path_factory.mktemp("dot"))
    edit_json(folder / "config_sentence_transformers.json", similarity_fn_name="dot")
    return folder


@pytest.fixture(scope="module")
def prompted_encoder(gelu_with_prompts):
    return SentenceTransformer(gelu_with_prompts, on_long="ignore")
