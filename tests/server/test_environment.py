"""Settings out of the environment, for hosts that run no command."""

import pytest
from golden_files import GOLDEN

from minibert.server.environment import UsageError, settings_from_environment
from minibert.server.settings import ModelPlace, Settings

MODEL = {"MINIBERT_MODEL": "small=a-folder"}
PLACE = (ModelPlace("small", "a-folder"),)


def test_the_environment_s_models_have_the_command_s_names():
    models = f"{GOLDEN / 'gelu'}, some/model ,n=there/f=1,"
    settings = settings_from_environment({"MINIBERT_MODEL": models})
    assert settings.models == (
        ModelPlace("gelu", str(GOLDEN / "gelu")),
        ModelPlace("some/model", "some/model"),
        ModelPlace("n", "there/f=1"),
    )


def test_a_corpus_needs_no_other_model():
    assert settings_from_environment({"MINIBERT_CORPUS": "c"}) == Settings((), corpus="c")
    assert settings_from_environment({}, {"corpus": "c"}).models == ()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ALIAS", "a=small, b=small:query", {"aliases": (("a", "small"), ("b", "small:query"))}),
        ("API_KEY", "one, two", {"api_keys": ("one", "two")}),
        ("MAX_BATCH_TOKENS", "512", {"max_batch_tokens": 512}),
        ("MAX_INPUTS", "7", {"max_inputs": 7}),
        ("REQUEST_TIMEOUT", "1.5", {"request_timeout": 1.5}),
        ("PORT", "0", {"port": 0}),
        ("NORMALIZE", "never", {"normalize": "never"}),
        ("REPRODUCIBLE", "Yes", {"reproducible": True}),
        ("ACCEPT_TOKEN_IDS", "0", {"accept_token_ids": False}),
        ("CORS", "https://a.org,https://b.org", {"cors": ("https://a.org", "https://b.org")}),
        ("CORS", "*", {"cors": ("*",)}),
        ("CORS", "null,http://localhost:3000", {"cors": ("null", "http://localhost:3000")}),
        ("LOG", "json", {"log": "json"}),
        ("CORPUS", "my-corpus", {"corpus": "my-corpus"}),
        ("THREADS", "3", {"opened_as": {"threads": 3}}),
        ("DEVICE", "cuda:1", {"opened_as": {"device": "cuda:1"}}),
        ("NO_SHORT_INPUTS", "on", {"opened_as": {"short_inputs": False}}),
        ("OFFLINE", "1", {"opened_as": {"local_files_only": True}}),
        ("MAX_INPUTS", "", {}),
    ],
)
def test_a_variable_sets_the_option_of_its_name(variable, value, expected):
    settings = settings_from_environment({**MODEL, f"MINIBERT_{variable}": value})
    assert settings == Settings(PLACE, **expected)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("MODEL", " , ", "set MINIBERT_MODEL"),
        ("MODEL", "=folder", "expected NAME=FOLDER"),
        ("MODEL", "small=a,small=b", "'small' names 2 models"),
        ("ALIAS", "a=other", "there is no model 'other'"),
        ("ALIAS", "a", "MINIBERT_ALIAS: 'a' is not OTHER=NAME"),
        ("ALIAS", "small=small", "'small' names 2 models"),
        ("API_KEY", "", "MINIBERT_API_KEY is empty"),
        ("CORS", "a.org", "MINIBERT_CORS: 'a.org' is no origin"),
        ("CORS", "https://a.org,https://b.org/", "'https://b.org/' is no origin"),
        ("MAX_INPUTS", "0", "MINIBERT_MAX_INPUTS: '0' is no whole number from 1 up"),
        ("RECEIVE_TIMEOUT", "inf", "MINIBERT_RECEIVE_TIMEOUT: 'inf' is no number above 0"),
        ("RECEIVE_TIMEOUT", "soon", "'soon' is no number above 0"),
        ("PORT", "65536", "MINIBERT_PORT: '65536' is no whole number from 0 to 65535"),
        ("NORMALIZE", "maybe", "MINIBERT_NORMALIZE: 'maybe' is none of auto, always, never"),
        ("REPRODUCIBLE", "maybe", "MINIBERT_REPRODUCIBLE: 'maybe' is none of 1, true"),
        ("DEVICE", "tpu", "MINIBERT_DEVICE: "),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(variable, value, told):
    with pytest.raises(ValueError, match=told):
        settings_from_environment({**MODEL, f"MINIBERT_{variable}": value})


def test_keys_come_from_the_variable_and_from_the_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text("two\n\n # of Ann, until June\n three#4 \n")
    path.chmod(0o600)
    environ = {**MODEL, "MINIBERT_API_KEY": "one", "MINIBERT_API_KEY_FILE": str(path)}
    settings = settings_from_environment(environ)
    assert settings.api_keys == ("one", "two", "three#4")
    assert settings.warnings == ()
    path.chmod(0o644)
    (told,) = settings_from_environment(environ).warnings
    assert told == f"All users of this machine can read the keys in '{path}'; run: chmod o-r {path}"


@pytest.mark.parametrize("content", ["", "\n", "# a comment\n"])
def test_a_file_of_keys_without_one_is_refused(tmp_path, content):
    (tmp_path / "keys").write_text(content)
    with pytest.raises(ValueError, match="has none"):
        settings_from_environment({**MODEL, "MINIBERT_API_KEY_FILE": str(tmp_path / "keys")})


def test_an_unset_key_file_variable_is_no_file():
    environ = {**MODEL, "MINIBERT_API_KEY_FILE": ""}
    assert settings_from_environment(environ).api_keys == ()


def test_blanks_around_a_key_of_the_command_are_no_part_of_it():
    """No client could send them: HTTP takes them from the ends of a header."""
    assert settings_from_environment(MODEL, {"api_key": [" one\t"]}).api_keys == ("one",)


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("MINIBERT_MAX_IMPUTS", "did you mean MINIBERT_MAX_INPUTS?"),
        ("MINIBERT_MODELS", "did you mean MINIBERT_MODEL?"),
        ("MINIBERT_ZZZ", "`minibert serve --help` has all."),
    ],
)
def test_a_variable_of_no_option_is_told_with_the_nearest(variable, hint):
    (told,) = settings_from_environment({**MODEL, variable: "1", "OTHER": "2"}).warnings
    assert told == f"{variable} is no variable of a server, and is ignored; {hint}"


@pytest.mark.parametrize("other", ["HOST", "PORT"])
def test_two_places_to_listen_at_are_refused(other):
    environ = {**MODEL, "MINIBERT_UNIX_SOCKET": "s", f"MINIBERT_{other}": "80"}
    with pytest.raises(ValueError, match=f"MINIBERT_UNIX_SOCKET takes .* MINIBERT_{other}"):
        settings_from_environment(environ)
    place = {other.lower(): "90"}
    with pytest.raises(UsageError, match=f"--unix-socket takes the place of --{other.lower()}"):
        settings_from_environment(environ, {"unix_socket": "t", **place})
    assert settings_from_environment(environ, {"unix_socket": "t"}).unix_socket == "t"


@pytest.mark.parametrize("name", ["a:query", "org/a:document"])
def test_a_name_that_ends_like_a_task_is_refused(name):
    told = f"The name '{name}' ends like a task"
    with pytest.raises(ValueError, match=told):
        settings_from_environment({"MINIBERT_MODEL": f"{name}=folder"})
    with pytest.raises(ValueError, match=told):
        settings_from_environment({**MODEL, "MINIBERT_ALIAS": f"{name}=small"})
