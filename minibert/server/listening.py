"""Sockets on which a server listens: a host and a port, or a path. Start at listening."""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from minibert.errors import ListenError
from minibert.server.settings import Settings

__all__ = ["BACKLOG", "address_of", "begin_no_more", "clients_of", "listening", "open_to_others"]

# Connections that wait to be accepted; the system may hold fewer.
BACKLOG = 2048

# A filter of Linux (its networking/filter.rst): drops the segment of TCP that asks for a
# connection, whose flags (byte 13) are SYN without ACK, and keeps all others.
SO_ATTACH_FILTER = 26
NO_REQUESTS = b"".join(
    struct.pack("=HBBI", *step)
    for step in (
        (0x30, 0, 0, 13),  # load the byte
        (0x54, 0, 0, 0x12),  # keep the bits of SYN and ACK
        (0x15, 0, 1, 0x02),  # go on, or jump over one step
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # keep
    )
)


@contextmanager
def listening(settings: Settings) -> Iterator[list[socket.socket]]:
    """Yield sockets that listen where the settings say, one for each address of the host.

    A path is removed at the end of the block. Raises ListenError where nothing can listen.
    """
    if settings.unix_socket is not None:
        with listening_at_path(settings.unix_socket) as found:
            yield [found]
        return
    with ExitStack() as stack:
        yield [stack.enter_context(found) for found in at_host(settings.host, settings.port)]


def at_host(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of a host. Port 0 is any free one, the same for all."""
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(
            f"--host {host!r} has no address ({reason(error)}); give a name or an IP address of "
            "this machine, or 0.0.0.0 for all."
        ) from error
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            place = (address[0], port, *address[2:])
            sockets.append(bound(socket.socket(family, kind, protocol), place))
            port = sockets[0].getsockname()[1]
        for one in sockets:
            one.listen(BACKLOG)
    except OSError as error:
        for one in sockets:
            one.close()
        raise ListenError(
            f"cannot listen on {host} port {port}: {reason(error)}.{advice(error)}"
        ) from error
    return sockets


def bound(found: socket.socket, address: tuple[object, ...]) -> socket.socket:
    """Bind a socket to an address; close it if that fails."""
    try:
        if os.name == "posix":  # elsewhere it would allow two servers on one port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found.family == socket.AF_INET6:  # leaves the address 0.0.0.0 to another socket
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind(address)
    except BaseException:
        found.close()
        raise
    return found


def reason(error: Exception) -> str:
    """Return the system's words for an error."""
    return getattr(error, "strerror", None) or str(error)


def advice(error: OSError) -> str:
    """Return a sentence about the two usual errors."""
    if error.errno == errno.EADDRINUSE:
        return " Another program listens there: stop it, or give another --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return " Ports below 1024 are often reserved: give another --port."
    return ""


@contextmanager
def listening_at_path(path: str) -> Iterator[socket.socket]:
    """Yield a socket that listens at a path; its file is removed at the end.

    The file of a server that has ended is replaced. Who may connect is decided by the umask.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ListenError("--unix-socket is not to be had on this system; use --host and --port.")
    remove_stale(path)
    try:
        found = bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)  # type: ignore[arg-type]
        found.listen(BACKLOG)
    except OSError as error:
        hint = " Make the folder first." if error.errno == errno.ENOENT else ""
        raise ListenError(f"cannot listen at {path!r}: {reason(error)}.{hint}") from error
    with found:
        bound_file = os.stat(path)
        try:
            yield found
        finally:
            with suppress(OSError):  # another server may have replaced it
                if os.path.samestat(os.stat(path), bound_file):
                    os.unlink(path)


def remove_stale(path: str) -> None:
    """Remove the file of a socket that nobody listens at. Raises ListenError for other files."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # nothing is there; any other error comes again with bind
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            f"--unix-socket {path!r} exists and is no socket; it is left as it is. Give the path "
            "of a new file."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with suppress(OSError):  # of no use to us; bind tells it
                os.unlink(path)
            return
        except OSError:
            return
    raise ListenError(
        f"another server listens at {path!r}: stop it, or give another --unix-socket."
    )


def open_to_others(sockets: Iterable[socket.socket]) -> list[str]:
    """Return a warning if other machines may reach one of these sockets."""
    for one in sockets:
        address = one.getsockname()
        if isinstance(address, tuple):
            ip = ipaddress.ip_address(address[0].partition("%")[0])
            if not ip.is_loopback:
                return [
                    f"anyone who reaches {address_of(one)} may use this server; give "
                    "--api-key-file FILE to ask for a key."
                ]
    return []


def begin_no_more(found: socket.socket) -> None:
    """Let a socket finish the connections that have begun, and begin no other, where Linux can.

    Closing it would reset a client that connects in that moment. This way its system asks again a
    second later, and is refused. It holds for all processes that share the socket.
    """
    if sys.platform != "linux" or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    steps = ctypes.create_string_buffer(NO_REQUESTS, len(NO_REQUESTS))
    program = struct.pack("HP", len(NO_REQUESTS) // 8, ctypes.addressof(steps))
    with suppress(OSError):  # a system that only looks like Linux
        found.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def clients_of(found: socket.socket) -> list[socket.socket]:
    """Accept all clients that wait at a socket, which does not block."""
    clients = []
    with suppress(OSError):  # none is left
        while True:
            clients.append(found.accept()[0])
    return clients


def address_of(found: socket.socket) -> str:
    """Return where a socket listens, as a URL, or unix:PATH."""
    address = found.getsockname()
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
