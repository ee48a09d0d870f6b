"""Options of `minibert serve`: from the command, from the environment, and what is refused."""

import os
import re

import pytest
from golden_files import GOLDEN

from minibert import __version__
from minibert.commands.cli import parse
from minibert.commands.serve import settings_of
from minibert.server.settings import ModelPlace, Settings

GELU = str(GOLDEN / "gelu")
# A value of each option that is not its default, in the words of the environment.
VALUES = {
    **{"alias": "a=gelu", "host": "::1", "port": "0", "unix-socket": "s", "cors": "http://a"},
    **{"api-key": "k", "max-batch-tokens": "1", "max-queue-tokens": "2", "max-inputs": "3"},
    **{"max-request-tokens": "4", "max-body": "5", "request-timeout": "6", "workers": "2"},
    **{"receive-timeout": "7", "shutdown-timeout": "8", "normalize": "never", "log": "json"},
    **{"accept-token-ids": "1", "corpus": "c", "revision": "r", "cache-folder": "f"},
    **{"device": "cuda", "dtype": "float16", "threads": "1", "reproducible": "1"},
    **{"no-short-inputs": "1"},
}
FLAGS = {"accept-token-ids", "reproducible", "no-short-inputs"}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for variable in list(os.environ):
        if variable.startswith("MINIBERT_"):
            monkeypatch.delenv(variable)


def settings(*arguments):
    return settings_of(parse(["serve", *arguments]))


def test_without_options_the_settings_are_those_of_the_class():
    assert settings(GELU) == Settings((ModelPlace("gelu", GELU),), version=__version__)


def test_the_help_names_the_defaults_of_the_settings(run):
    shown = " ".join(run("serve", "--help").out.split())
    defaults = Settings(())
    names = ["host", "port", "max_inputs", "max_body", "workers"]
    names += ["request_timeout", "receive_timeout", "shutdown_timeout", "normalize", "log"]
    for name in names:
        default = getattr(defaults, name)
        default = f"{default:g}" if isinstance(default, float) else default
        assert f"(default {default}) [MINIBERT_{name.upper()}]" in shown


def test_the_help_names_the_variable_of_every_option(run):
    shown = set(re.findall(r"\[MINIBERT_(\w+)\]", " ".join(run("serve", "--help").out.split())))
    assert shown == {name.upper().replace("-", "_") for name in VALUES} | {"API_KEY_FILE"}


@pytest.mark.parametrize("name", VALUES)
def test_a_variable_means_the_same_as_its_option(name, monkeypatch):
    given = settings(GELU, f"--{name}", *([] if name in FLAGS else [VALUES[name]]))
    assert given != settings(GELU)
    monkeypatch.setenv(f"MINIBERT_{name.upper().replace('-', '_')}", VALUES[name])
    assert settings(GELU) == given


def test_an_option_goes_before_its_variable(monkeypatch):
    monkeypatch.setenv("MINIBERT_PORT", "81")
    monkeypatch.setenv("MINIBERT_MODEL", "b")
    monkeypatch.setenv("MINIBERT_API_KEY", "k,l")
    found = settings("a", "--port", "82", "--api-key", "m", "--api-key", "n")
    assert found.models == (ModelPlace("a", "a"),)
    assert (found.port, found.api_keys) == (82, ("m", "n"))


def test_models_may_stand_before_and_behind_options():
    found = settings("one", "--port", "0", "two=2", "three")
    assert [model.name for model in found.models] == ["one", "two", "three"]


def test_offline_is_for_the_models_of_a_server_too():
    assert settings("--offline", "a").opened_as == {"local_files_only": True}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "No model is named: give MODEL, or set MINIBERT_MODEL."),
        (("a", "b=a", "a=c"), 2, "'a' names 2 models; give each its own"),
        (("a", "--alias", "b=c"), 2, "there is no model 'c'; the models are a."),
        (("a", "--alias", "b=a:other"), 2, "there is no model 'a:other'"),
        (("a", "--alias", "b"), 2, "argument --alias: 'b' is not OTHER=NAME"),
        (("a", "--port", "65536"), 2, "argument --port: '65536' is no whole number from 0 to"),
        (("a", "--max-body", "1k"), 2, "argument --max-body: '1k' is no whole number"),
        (("a", "--request-timeout", "0"), 2, "argument --request-timeout: '0' is no number above"),
        (("a", "--api-key", " "), 65, "--api-key or MINIBERT_API_KEY is empty"),
        (("a", "--api-key-file", "nowhere"), 66, "--api-key-file 'nowhere': No such file or dir"),
        (("=folder",), 2, "expected NAME=FOLDER"),
        (("a", "--unix-socket", "s", "--port", "0"), 2, "--unix-socket takes the place of --port"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name(run, arguments, code, told):
    result = run("serve", *arguments)
    assert (result.code, result.out) == (code, "")
    assert told in result.err


def test_a_wrong_variable_is_refused_by_its_name(run, monkeypatch):
    monkeypatch.setenv("MINIBERT_PORT", "http")
    result = run("serve", "a")
    assert (result.code, result.err) == (
        65,
        "minibert: MINIBERT_PORT: 'http' is no whole number from 0 to 65535\n",
    )
    assert run("info", "--supported").code == 0  # another command has no port


def test_no_key_is_told_where_an_option_is_wrong(run, monkeypatch):
    monkeypatch.setenv("MINIBERT_API_KEY", "a-secret")
    for wrong in (["--port", "x"], ["--api-key", "another-secret", "--alias", "b=c"]):
        assert "secret" not in run("serve", "a", *wrong).err
    assert "secret" not in run("serve", "--help").out


def test_each_alias_may_name_a_task():
    found = settings("a", "--alias", "q=a:query", "--alias", "d=a:document")
    assert found.aliases == (("q", "a:query"), ("d", "a:document"))


def test_a_wrong_alias_of_the_environment_is_no_wrong_usage(run, monkeypatch):
    monkeypatch.setenv("MINIBERT_MODEL", "a")
    monkeypatch.setenv("MINIBERT_ALIAS", "b=c")
    monkeypatch.setenv("MINIBERT_API_KEY_FILE", "nowhere")
    assert run("serve").code == 65
    monkeypatch.delenv("MINIBERT_ALIAS")
    result = run("serve")
    assert (result.code, result.err) == (
        66,
        "minibert: MINIBERT_API_KEY_FILE 'nowhere': No such file or directory\n",
    )


def test_the_help_tells_the_code_after_a_signal(run):
    shown = " ".join(run("serve", "--help").out.split())
    assert "after a signal to end, with exit code 0" in shown


def test_the_help_tells_which_vectors_auto_normalizes(run):
    shown = " ".join(run("serve", "--help").out.split())
    assert "or auto, which does so for models whose metric is the cosine (default auto)" in shown
