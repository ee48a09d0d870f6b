"""The process of a server, from its start to its end."""


def test_a_server_says_where_it_listens_and_what_it_serves(server):
    told = server.stderr()
    assert f"minibert: listening on http://127.0.0.1:{server.port}\n" in told
    assert "minibert: serving gelu: embedding, unit vectors of 20 numbers, metric cosine\n" in told
    assert "minibert: serving cross_encoder: classifier\n" in told


def test_a_server_is_alive_and_ready(server):
    assert server.request("GET", "/health").status == 200
    assert server.request("GET", "/ready").status == 200
