"""Signals that end a server, sent to this process."""

import os
import signal

import pytest

from minibert.server.signals import ENDING_SIGNALS, heeding


def test_the_first_signal_stops_and_a_later_ctrl_c_ends():
    came = []
    before = signal.getsignal(signal.SIGTERM)
    with heeding(ENDING_SIGNALS, lambda: came.append("stop")):
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == ["stop"]
        for number in (signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        with pytest.raises(SystemExit) as ended:
            os.kill(os.getpid(), signal.SIGINT)
    assert came == ["stop"]
    assert ended.value.code == 128 + signal.SIGINT
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with heeding(ENDING_SIGNALS, lambda: pytest.fail("it is heeded")):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
