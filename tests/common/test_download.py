"""http_get, from a server of this machine."""

import os
import threading
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from minibert.util import http_get

CONTENT = os.urandom(3 << 20)


class Handler(BaseHTTPRequestHandler):
    """Answers /whole, and /short with less than it says; nothing else is there."""

    def do_GET(self):
        if self.path not in ("/whole", "/short", "/unsized"):
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 5000 if self.path == "/short" else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def web_address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["whole", "unsized"])
def test_a_file_is_fetched_into_a_new_folder(web_address, tmp_path, name):
    path = tmp_path / "a" / "b" / "file"
    http_get(f"{web_address}/{name}", str(path))
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["file"]


def test_a_file_that_ends_too_early_changes_nothing(web_address, tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(OSError, match="ended after 5000 of 3145728 bytes"):
        http_get(f"{web_address}/short", path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_is_not_there_is_an_error_of_http(web_address, tmp_path):
    with pytest.raises(urllib.error.HTTPError, match="404") as raised:
        http_get(f"{web_address}/nothing", tmp_path / "file")
    raised.value.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "a/b"])
def test_an_address_of_another_kind_is_refused(tmp_path, url):
    with pytest.raises(ValueError, match="expected one that begins with https"):
        http_get(url, tmp_path / "file")
    assert os.listdir(tmp_path) == []
