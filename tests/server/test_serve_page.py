"""docs/serve.md: its servers start, its requests get the answers it shows, its tables are whole."""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from corpora import sentences
from golden_files import GOLDEN
from server_process import running

from minibert import SentenceTransformer
from minibert.commands.serve import COMMAND
from minibert.corpus.building import build
from minibert.server.app import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
README = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]


@pytest.fixture
def page_models(cache, minilm_folder, one_label, tmp_path, monkeypatch):
    """The page's models, in the hub's cache and in the folder where the reader stands."""
    cache("sentence-transformers/all-MiniLM-L6-v2", minilm_folder)
    cache("cross-encoder/ms-marco-MiniLM-L6-v2", one_label)
    shutil.copytree(GOLDEN / "gelu", tmp_path / "my-model")
    build(tmp_path / "my-corpus", sentences(), SentenceTransformer(tmp_path / "my-model"))
    monkeypatch.chdir(tmp_path)


def arguments_of(command):
    """The words of a command, behind `minibert serve`."""
    words = shlex.split(command, comments=True)
    assert words[:2] == ["minibert", "serve"]
    return words[2:]


def answer(command, port):
    """Run a curl of the page at a server, as the reader's shell would."""
    shell = command.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("curl ", "curl --fail ")
    environ = {**os.environ, "NO_PROXY": "*"}
    result = subprocess.run(shell, shell=True, check=True, capture_output=True, env=environ)
    return json.loads(result.stdout)


def assert_like(found, shown):
    """Numbers are equal up to their last digit; all else is the same."""
    if isinstance(shown, dict):
        assert found.keys() == shown.keys()
        for key, value in shown.items():
            assert_like(found[key], value)
    elif isinstance(shown, list):
        assert len(found) == len(shown)
        for one, other in zip(found, shown, strict=True):
            assert_like(one, other)
    elif isinstance(shown, float):
        assert found == pytest.approx(shown, abs=2e-6)
    else:
        assert found == shown


@pytest.mark.slow
def test_the_page_s_requests_get_the_answers_that_it_shows(page_models):
    start = next(line for line in COMMANDS if line.startswith("minibert serve sentence"))
    answers, compared = [], 0
    with running(*arguments_of(start)) as server:
        for language, text in BLOCKS:
            if language == "sh":
                lines = [line for line in text.splitlines() if line.startswith("curl ")]
                answers += [answer(line, server.port) for line in lines]
            elif language == "json":
                assert_like(answers[-1], json.loads(text))
                compared += 1
        log = server.stderr()
    assert (len(answers), compared) == (6, 3)
    tei, ollama, cohere = answers[3:]
    assert [entry["index"] for entry in tei] == [r["index"] for r in cohere["results"]]
    assert len(ollama["embeddings"][0]) == 3
    shown = next(text for language, text in BLOCKS if language == "text")
    started = [line for line in log.splitlines() if line.startswith("minibert: ")]
    assert started == shown.replace(":8000", f":{server.port}").splitlines()


@pytest.mark.slow
def test_every_other_command_of_the_page_serves(page_models):
    commands = [line for line in COMMANDS if line.startswith("minibert serve ")][1:]
    assert commands
    commands += re.findall(r"^minibert serve .*$", README, re.MULTILINE)
    for command in commands:
        with running(*arguments_of(command)) as server:
            assert server.request("GET", "/v1/models").status == 200
            if "--corpus" in command:
                (search,) = (text for language, text in BLOCKS if language == "bash")
                assert len(answer(search, server.port)["hits"]) == 3


def test_the_page_names_every_option_with_its_default():
    rows = re.findall(r"^\| `(--[\w-]+)` \| ?(.*?) ?\| (.+) \|$", TEXT, re.MULTILINE)
    shown = {option: default for option, default, _ in rows}
    actions = options_of_the_command()
    assert shown.keys() == actions.keys()
    for option, action in actions.items():
        told = re.search(r"\(default ([^,)]+)", action.help)
        assert shown[option] == (told[1] if told else ""), option


def test_the_page_names_every_route_in_its_table():
    table = "".join(re.findall(r"^\| (?:POST|GET) .*$", TEXT, re.MULTILINE))
    paths = {route.path.replace(":path", "") for route in ROUTES}
    assert {path for path in paths if f"`{path}`" not in table} == set()
    named = set(re.findall(r"`(/[\w/{}.-]*)`", re.sub(r"a URL that ends in `/v1`", "", table)))
    assert named == paths


def options_of_the_command():
    """The options of `minibert serve` alone."""
    command = argparse.ArgumentParser(add_help=False)
    COMMAND.add_options(command)
    return {
        action.option_strings[-1]: action for action in command._actions if action.option_strings
    }
