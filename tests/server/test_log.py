"""Lines of the log: what each tells, and what none tells."""

import json
import logging
import re

import pytest
from golden_files import GOLDEN

from minibert.server.facts import Facts
from minibert.server.log import Log, Outcome

FACTS = Facts(
    model="m", kind="embedding", texts=2, tokens=30, truncated=1, queue_s=0.001, compute_s=0.0125
)
OUTCOME = Outcome("an-id", "POST", "/embed", 200, 0.025, 4321, FACTS)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_request_is_a_line_of_names_and_numbers(capsys):
    Log("text").request(OUTCOME)
    time, rest = capsys.readouterr().err.split(" ", 1)
    assert TIME.fullmatch(time)
    assert rest == (
        "method=POST route=/embed status=200 model=m texts=2 tokens=30 truncated=1 queue_ms=1.0 "
        "compute_ms=12.5 total_ms=25.0 bytes=4321 id=an-id\n"
    )


def test_a_request_is_an_object_of_json(capsys):
    Log("json").request(OUTCOME)
    found = json.loads(capsys.readouterr().err)
    assert TIME.fullmatch(found.pop("time"))
    assert found == {
        **{"event": "request", "method": "POST", "route": "/embed", "status": 200, "model": "m"},
        **{"texts": 2, "tokens": 30, "truncated": 1, "queue_ms": 1.0, "compute_ms": 12.5},
        **{"total_ms": 25.0, "bytes": 4321, "id": "an-id"},
    }


def test_a_request_without_a_model_tells_none_of_its_numbers(capsys):
    Log("text").request(Outcome("i", "GET", "/health", 404, 0.001, 5, Facts(), "unknown_path"))
    rest = capsys.readouterr().err.split(" ", 1)[1]
    assert rest == (
        "method=GET route=/health status=404 problem=unknown_path total_ms=1.0 bytes=5 id=i\n"
    )


def test_a_method_of_a_client_s_own_is_not_quoted(capsys):
    Log("text").request(Outcome("i", "MYSECRET", "/embed", 405, 0.001, 5, Facts()))
    told = capsys.readouterr().err
    assert "method=OTHER" in told
    assert "SECRET" not in told


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_obeys_a_terminal(capsys, form):
    Log(form).say("serving", "serving a\x1b[0m\nb\u202e", model="\x9b31m")
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert not set(told) & set("\x1b\u202e\x9b")


def test_a_message_is_for_people_or_for_programs(capsys):
    Log("text").say("listening", "listening on a", address="a")
    assert capsys.readouterr().err == "minibert: listening on a\n"
    Log("json").say("listening", "listening on a", address="a")
    found = json.loads(capsys.readouterr().err)
    assert found["event"] == "listening"
    assert (found["message"], found["address"]) == ("listening on a", "a")


def test_warnings_have_the_form_of_the_log(capsys):
    Log("json").take_warnings(logging.WARNING)
    logger = logging.getLogger("minibert.tests")
    logger.info("nothing")
    logger.warning("a %s", "warning")
    found = json.loads(capsys.readouterr().err)
    assert (found["event"], found["level"], found["message"]) == ("warning", "warning", "a warning")


def test_warnings_of_the_start_are_of_the_log_unless_quiet(serving, tmp_path):
    (tmp_path / "keys").write_text("a-key")
    (tmp_path / "keys").chmod(0o644)
    keys = ("--api-key-file", tmp_path / "keys", "--log", "json")
    variables = {"MINIBERT_PROT": "80"}
    server = serving(GOLDEN / "gelu", *keys, env=variables, told='"event": "ready"')
    first, second = [json.loads(line) for line in server.stderr().splitlines()][:2]
    assert (first["event"], first["level"]) == ("warning", "warning")
    assert first["message"].startswith("All users of this machine can read the keys")
    assert "did you mean MINIBERT_PORT?" in second["message"]
    server = serving("--quiet", GOLDEN / "gelu", *keys, env=variables, told='"event": "ready"')
    assert "warning" not in server.stderr()


def test_an_open_server_without_a_key_warns(serving):
    host = (GOLDEN / "gelu", "--host", "0.0.0.0")
    told = "minibert: anyone who reaches http://0.0.0.0:"
    assert serving(*host).stderr().count(told) == 1
    assert told not in serving(*host, env={"MINIBERT_API_KEY": "k"}).stderr()
    assert told not in serving(GOLDEN / "gelu").stderr()


def test_a_log_that_nobody_reads_stops_no_request(monkeypatch):
    class Full:
        def write(self, _):
            raise OSError("no space left")

    monkeypatch.setattr("sys.stderr", Full())
    Log("text").request(OUTCOME)


def test_a_server_s_log_is_json_from_its_first_line_on(serving):
    server = serving("--log", "json", GOLDEN / "gelu", told='"event": "ready"')
    events = [json.loads(line) for line in server.stderr().splitlines()]
    address = events[0].pop("address")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    assert [event["event"] for event in events] == ["listening", "serving", "ready"]
    assert (events[1]["model"], events[1]["kind"]) == ("gelu", "embedding")


def test_a_server_s_log_has_a_line_for_each_request(server):
    headers = {"X-Request-Id": "no-17"}
    server.request("POST", "/v1/embeddings?a=SECRET", {"input": "the cat sat."}, headers)
    server.until("id=no-17")
    (line,) = [line for line in server.stderr().splitlines() if "id=no-17" in line]
    assert "method=POST route=/v1/embeddings status=200 model=gelu texts=1 tokens=" in line
    server.request("GET", "/SECRET", headers={"X-Request-Id": "no-18"})
    server.until("id=no-18")
    assert "route=unknown status=404 problem=unknown_path" in server.stderr()
    assert "SECRET" not in server.stderr()
