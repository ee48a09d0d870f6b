"""The bar on stderr: what it tells beside the count."""

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
