"""Programs of docs/serve.md and docs/deploy.md, as they stand, with the libraries they import."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from server_process import running

from minibert import SentenceTransformer

DOCS = Path(__file__).parents[2] / "docs"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SCORER = "cross-encoder/ms-marco-MiniLM-L6-v2"
EVENT = {
    "version": "2.0",
    "rawPath": "/v1/embeddings",
    "rawQueryString": "",
    "headers": {"content-type": "application/json", "host": "example.org"},
    "requestContext": {
        "domainName": "example.org",
        "http": {"method": "POST", "path": "/v1/embeddings", "sourceIp": "127.0.0.1"},
    },
    "body": '{"input": "a dog barks"}',
    "isBase64Encoded": False,
}


def programs(page):
    """The programs of a page, by the first library that each imports."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return {re.search(r"^(?:from|import) (\w+)", one)[1]: one for one in found}


PROGRAMS = programs("serve.md")
PRINTED = {
    "openai": "2 384",
    "langchain_openai": "384",
    "ollama": "2",
    "cohere": None,  # its order is that of a tiny model
    "huggingface_hub": "(1, 384)",
    "llama_index": "384",
    "haystack": "384",
    "litellm": "384",
}


@pytest.fixture(scope="module")
def documented_server(served_folders):
    """A server of the page's models, under the names that it has for them."""
    models = [f"{MODEL}={served_folders['minilm']}", f"{SCORER}={served_folders['reranker']}"]
    with running(*models) as server:
        yield server


def test_every_program_of_the_page_is_run():
    assert PROGRAMS.keys() == PRINTED.keys()


@pytest.mark.parametrize("client", PRINTED)
def test_a_program_of_the_page_prints_its_result(client, documented_server, hub_is_refused, capsys):
    program = PROGRAMS[client].replace("http://127.0.0.1:8000", documented_server.url)
    exec(compile(program, "serve.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out.strip()
    if PRINTED[client] is None:
        assert sorted(eval(printed)) == ["A cat sleeps.", "A dog barks."]
    else:
        assert printed == PRINTED[client]


def test_a_function_of_the_page_answers_events(served_folders, monkeypatch):
    (program,) = programs("deploy.md").values()
    monkeypatch.setenv("MINIBERT_MODEL", f"m={served_folders['minilm']}")
    monkeypatch.delitem(sys.modules, "minibert.integrations.asgi", raising=False)
    names = {}
    exec(compile(program, "deploy.md", "exec"), names)
    expected = SentenceTransformer(str(served_folders["minilm"])).encode("a dog barks")
    for _ in range(2):
        answer = names["handler"](EVENT, None)
        assert answer["statusCode"] == 200, answer
        vector = json.loads(answer["body"])["data"][0]["embedding"]
        np.testing.assert_allclose(np.float32(vector), expected, atol=2e-6)
