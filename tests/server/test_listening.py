"""Sockets of a server: at addresses and in files, and what is refused."""

import os
import socket
import stat
import sys

import pytest

from minibert import ListenError
from minibert.server.listening import (
    address_of,
    begin_no_more,
    clients_of,
    listening,
    open_to_others,
)
from minibert.server.settings import Settings


def at(**options):
    return listening(Settings((), **{"port": 0, **options}))


def connects(found):
    with socket.socket(found.family, socket.SOCK_STREAM) as client:
        return client.connect_ex(found.getsockname()) == 0


def test_a_free_port_is_taken_at_every_address_of_a_host():
    with at(host="localhost") as sockets:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert all(map(connects, sockets))
        addresses = [one.getsockname() for one in sockets]
    for address in addresses:
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as client:
            assert client.connect_ex(address) != 0


def test_an_address_is_told_as_its_clients_write_it():
    with at() as (found,):
        assert address_of(found) == f"http://127.0.0.1:{found.getsockname()[1]}"
    if socket.has_ipv6:
        with at(host="::1") as (found,):
            assert address_of(found) == f"http://[::1]:{found.getsockname()[1]}"


def test_a_port_in_use_is_refused_with_advice():
    with at() as (found,):
        port = found.getsockname()[1]
        told = f"cannot listen on 127.0.0.1 port {port}: Address already in use. .* another --port"
        with pytest.raises(ListenError, match=told), at(port=port):
            pass
    with at(port=port) as (found,):  # right after its server has ended
        assert connects(found)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70, "a..b"])
def test_a_host_without_an_address_is_refused_by_name(host):
    with pytest.raises(ListenError, match=f"--host '{host}' has no address"), at(host=host):
        pass


def test_an_address_of_another_machine_is_refused():
    """192.0.2.1 is an address for documentation (RFC 5737)."""
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1"), at(host="192.0.2.1"):
        pass


def test_a_file_is_a_socket_for_as_long_as_it_is_served(tmp_path):
    path = tmp_path / "s"
    with at(unix_socket=str(path)) as (found,):
        assert address_of(found) == f"unix:{path}"
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert connects(found)
    assert not path.exists()


def test_the_umask_decides_who_may_connect(tmp_path):
    path = tmp_path / "s"
    before = os.umask(0o077)
    try:
        with at(unix_socket=str(path)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_socket_that_nobody_listens_at_is_replaced(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with at(unix_socket=str(path)) as (found,):
        assert connects(found)


def test_a_socket_that_is_served_is_left_alone(tmp_path):
    path = tmp_path / "s"
    with at(unix_socket=str(path)) as (found,):
        told = "another server listens at"
        with pytest.raises(ListenError, match=told), at(unix_socket=str(path)):
            pass
        assert connects(found)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path, kind):
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ListenError, match="exists and is no socket"), at(unix_socket=str(path)):
        pass
    assert path.is_symlink() or path.exists()


def test_a_file_that_took_the_socket_s_place_is_not_removed(tmp_path):
    path = tmp_path / "s"
    with at(unix_socket=str(path)):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_a_path_that_cannot_be_bound_is_told(tmp_path):
    told = "No such file or directory. Make the folder first."
    with pytest.raises(ListenError, match=told), at(unix_socket=f"{tmp_path}/no/s"):
        pass
    with pytest.raises(ListenError, match="too long"), at(unix_socket=f"{tmp_path}/{'s' * 200}"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_that_have_begun_are_finished_and_no_other(host):
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6")
    with at(host=host) as (found,):
        found.setblocking(False)
        with socket.create_connection(found.getsockname()[:2], timeout=30) as client:
            begin_no_more(found)
            with socket.socket(found.family) as other:
                other.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    other.connect(found.getsockname())
            (accepted,) = clients_of(found)
            accepted.setblocking(True)
            found.close()
            with accepted:
                client.sendall(b"asked")
                assert accepted.recv(5) == b"asked"
                accepted.sendall(b"told")
                assert client.recv(4) == b"told"


def test_a_server_that_other_machines_reach_is_told(tmp_path):
    for options in ({}, {"host": "localhost"}, {"unix_socket": str(tmp_path / "s")}):
        with at(**options) as sockets:
            assert open_to_others(sockets) == []
    with at(host="0.0.0.0") as sockets:
        (told,) = open_to_others(sockets)
        assert told == (
            f"anyone who reaches {address_of(sockets[0])} may use this server; give "
            "--api-key-file FILE to ask for a key."
        )
