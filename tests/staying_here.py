"""A guard for tests beside other makers' libraries: nothing leaves this machine.

Call `refuse_other_machines()` before those libraries are imported. REFUSED has what they tried.
"""

import os
import sys

REFUSED = []  # what would have left the machine
# No word to the makers of the libraries, no proxy.
QUIET = {
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "NO_PROXY": "*",
}


def refuse_other_machines():
    """Refuse every connection, and every look-up of a host, that is not this machine's."""
    os.environ.update(QUIET)
    sys.addaudithook(stay_here)


def taken_refusals():
    """What was refused since the last call."""
    refused = REFUSED[:]
    REFUSED.clear()
    return refused


def stay_here(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # else a Unix socket
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in ("127.0.0.1", "::1", "localhost", None):
        REFUSED.append(f"{event} {host}")
        raise ConnectionRefusedError(f"Tests reach this machine alone, and not {host!r}.")
