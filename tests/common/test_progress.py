"""The bar on stderr, what it tells beside the count, and log messages above it."""

import logging

import pytest
from huggingface_hub.utils import tqdm

from minibert import LoggingHandler
from minibert.common.progress import progress


def test_a_note_stands_behind_the_rate(capsys):
    with progress(4, True, "step") as advance:
        advance(1, "loss 2")
        advance(3, "loss 1")
    line = capsys.readouterr().err.split("\r")[-1].rstrip()
    assert "4/4" in line
    assert line.endswith("loss 1]")


def test_units_that_were_done_before_have_no_rate(capsys):
    with progress(9, True, "step", initial=7):
        pass
    first = capsys.readouterr().err.strip("\r").split("\r")[0]
    assert "7/9 [00:00<?, ?step/s]" in first


def test_a_bar_that_is_not_wanted_writes_nothing(capsys):
    with progress(2, False) as advance:
        advance(2, "note")
    assert capsys.readouterr().err == ""


@pytest.fixture
def logged():
    """Write messages to a logger of its own, with a new handler."""

    def write(number, *messages, **given):
        logger = logging.Logger("own")
        handler = LoggingHandler(**given)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        for message in messages:
            logger.log(number, message)

    return write


def test_messages_go_to_standard_output(logged, capsys):
    logged(logging.INFO, "one", "Café")
    assert capsys.readouterr() == ("INFO one\nINFO Café\n", "")


def test_messages_below_the_level_are_left_out(logged, capsys):
    logged(logging.INFO, "one", level=logging.WARNING)
    logged(logging.ERROR, "two", level=logging.WARNING)
    assert capsys.readouterr().out == "ERROR two\n"


def test_a_bar_is_cleared_before_a_message_and_drawn_again(logged, capsys):
    with tqdm(total=2, ascii=True, disable=False):
        capsys.readouterr()
        logged(logging.INFO, "one")
        out, err = capsys.readouterr()
    assert out == "INFO one\n"
    cleared, _, drawn = err.rpartition("\r")
    assert cleared.startswith("\r  ")
    assert "0/2" in drawn
