"""Servers in processes of their own, on free ports."""

import pytest
from golden_files import GOLDEN
from server_process import killed, started


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
