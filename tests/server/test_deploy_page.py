"""docs/deploy.md: its files are whole, its options are there, its commands run."""

import configparser
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from golden_files import GOLDEN

from minibert.commands import cli
from minibert.commands.serve import settings_of

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (DOCS / "deploy.md").read_text("utf-8"), re.DOTALL)


def blocks(language):
    return [text for one, text in BLOCKS if one == language]


class Unit(configparser.ConfigParser):
    """The systemd unit; its names have capitals, and some stand twice."""

    def __init__(self):
        super().__init__(strict=False, interpolation=None)
        (text,) = blocks("ini")
        self.environment = dict(
            pair.split("=", 1)
            for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
            for pair in shlex.split(line)
        )
        self.read_string(text)


def settings(words, environ, monkeypatch):
    """The settings of a command in an environment."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return settings_of(cli.parse(["serve", *words]))


def test_the_containerfile_is_the_page_s():
    (shown,) = blocks("dockerfile")
    file = (DOCS / "Containerfile").read_text(encoding="utf-8")
    assert file.startswith("#")
    assert file.partition("\n")[2] == shown


def test_the_container_s_environment_are_settings(monkeypatch):
    (shown,) = blocks("dockerfile")
    environ = dict(pair.split("=") for pair in re.search(r"^ENV (.*)$", shown, re.M)[1].split())
    found = settings([], environ, monkeypatch)
    assert (found.host, found.log) == ("0.0.0.0", "json")
    assert f"COPY models/all-MiniLM-L6-v2 {found.models[0].place}\n" in shown


def test_the_unit_s_command_and_environment_are_settings(monkeypatch, tmp_path):
    unit = Unit()
    (tmp_path / "api-keys").write_text("a-key")
    environ = {k: v.replace("%d", str(tmp_path)) for k, v in unit.environment.items()}
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[1] == "serve"
    found = settings(words[2:], environ, monkeypatch)
    assert found.api_keys == ("a-key",)
    assert found.unix_socket.startswith(f"/run/{unit['Service']['RuntimeDirectory']}/")
    assert float(unit["Service"]["TimeoutStopSec"]) > found.shutdown_timeout


def test_nginx_s_limits_are_above_the_server_s(monkeypatch):
    (shown,) = blocks("nginx")
    found = settings(["m"], {}, monkeypatch)
    socket = Unit()["Service"]["ExecStart"].split("--unix-socket ")[1].split()[0]
    assert f"server unix:{socket};" in shown
    assert int(re.search(r"client_max_body_size (\d+)m", shown)[1]) * 2**20 > found.max_body
    assert int(re.search(r"proxy_read_timeout (\d+)s", shown)[1]) > found.request_timeout


def test_kubernetes_probes_and_times_are_the_server_s(monkeypatch):
    (shown,) = blocks("yaml")
    pod = yaml.safe_load(shown)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    found = settings(["m", *container["args"]], {}, monkeypatch)
    assert {port["containerPort"] for port in container["ports"]} == {found.port}
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {probe["port"] for probe in probes.values()} == {found.port}
    assert probes["livenessProbe"]["path"] == "/health"
    assert probes["readinessProbe"]["path"] == probes["startupProbe"]["path"] == "/ready"
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > before + found.shutdown_timeout


@pytest.mark.slow
def test_the_unit_s_umask_leaves_the_socket_to_its_group(tmp_path):
    unit, place = Unit()["Service"], tmp_path / "http.sock"
    command = [sys.executable, "-m", "minibert", "serve", str(GOLDEN / "gelu")]
    command += ["--unix-socket", str(place)]
    with subprocess.Popen(
        command, umask=int(unit["UMask"], 8), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert any("minibert: ready" in line for line in process.stderr)
            assert stat.S_IMODE(place.stat().st_mode) == 0o770
            (asked,) = (line for text in blocks("sh") for line in text.splitlines()
                        if line.startswith("curl "))  # fmt: skip
            shell = asked.replace("/run/minibert/http.sock", str(place))
            told = subprocess.run(shell + " --fail", shell=True, check=True, capture_output=True)
            assert b"ready" in told.stdout
        finally:
            process.terminate()


@pytest.mark.slow
def test_the_command_of_uvicorn_serves_the_application(tmp_path):
    (line,) = (line for text in blocks("sh") for line in text.splitlines() if "uvicorn" in line)
    shutil.copytree(GOLDEN / "gelu", tmp_path / "my-model")
    words = shlex.split(line)
    environ = dict(word.split("=") for word in words if word.startswith("MINIBERT_"))
    command = [sys.executable, "-m", *words[words.index("uvicorn") :], "--port", "0"]
    with subprocess.Popen(
        command, env={**os.environ, **environ}, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        try:
            lines = iter(process.stderr.readline, "")
            address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
            body = b'{"input": "a dog barks", "model": "my-model"}'
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{address}/v1/embeddings", body, headers)
            with urllib.request.urlopen(request, timeout=30) as response:
                assert response.status == 200
        finally:
            process.terminate()
            told = process.stderr.read()
    assert "Application shutdown complete" in told
    assert "route=/v1/embeddings status=200" in told
