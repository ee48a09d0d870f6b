"""From a text to the mathematics: few calls, which a reader can follow one by one."""

import sys
import threading
from pathlib import Path

import pytest
from golden_files import GOLDEN, even_copy

import minibert
from minibert import SentenceTransformer
from minibert.bert.forward import hidden_states
from minibert.kernels.cores import Cores

PACKAGE = str(Path(minibert.__file__).parent)
TEXTS = ["the cat sat", "a dog", "the dog barks and barks", "a cat"]


def frames_of(frame):
    """The functions of minibert that are under way, the outermost first."""
    found = []
    while frame:
        if frame.f_code.co_filename.startswith(PACKAGE):
            found.insert(0, frame.f_code.co_qualname)
        frame = frame.f_back
    return found


@pytest.fixture
def paths():
    """The frames at each entry into hidden_states, in any thread: no function is replaced."""
    seen = []

    def watch(frame, event, argument):
        if event == "call" and frame.f_code is hidden_states.__code__:
            seen.append(frames_of(frame))

    before = sys.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


@pytest.mark.parametrize("reproducible", [False, True])
@pytest.mark.parametrize("pack_tokens", [None, 8], ids=["one pack", "several"])
@pytest.mark.parametrize("output", ["sentence_embedding", "token_embeddings", None])
def test_seven_frames_lead_from_encode_to_the_forward_pass(
    paths, output, pack_tokens, reproducible
):
    model = SentenceTransformer(GOLDEN / "gelu", threads=1, reproducible=reproducible)
    model.encode(TEXTS, output_value=output, pack_tokens=pack_tokens)
    assert paths
    for path in paths:
        assert path[0] == "SentenceTransformer.encode"
        assert path[-1] == "hidden_states"
        assert len(path) <= 7, path


def test_a_thread_of_several_begins_nearer_to_the_forward_pass(paths):
    model = SentenceTransformer(GOLDEN / "gelu")
    model.transformer.scheduler.threads = 2
    model.encode(TEXTS, pack_tokens=8)
    assert len(paths) > 1
    for path in paths:
        assert path[0] == "Scheduler._compute"
        assert path[-1] == "hidden_states"
        assert len(path) <= 4, path


@pytest.mark.parametrize("may_tile", [False, True])
@pytest.mark.parametrize(("on_long", "text"), [("warn", "the cat sat"), ("window", "a dog " * 99)])
def test_a_lone_text_that_threads_share_has_no_longer_path(
    paths, tmp_path, monkeypatch, may_tile, on_long, text
):
    monkeypatch.setattr("minibert.bert.tensor_parallel.has_small_products", lambda: may_tile)
    model = SentenceTransformer(even_copy("gelu", tmp_path), on_long=on_long)
    model.transformer.scheduler.threads = 2
    ranks = model.transformer.scheduler.tensor_parallel
    ranks.min_rank_work, ranks.cores = 1, Cores(2)
    model.encode(text)
    assert len(paths) == 2  # one for each rank
    (ours,) = (path for path in paths if path[0] == "SentenceTransformer.encode")
    assert "run_ranks" in ours
    assert len(ours) <= 7, ours
    (other,) = (path for path in paths if path is not ours)
    assert len(other) <= 2, other
