"""Log messages beside a bar, as sentence-transformers' handler writes them."""

import logging

import pytest
from huggingface_hub.utils import tqdm

from minibert import LoggingHandler


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
