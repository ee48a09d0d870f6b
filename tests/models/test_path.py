"""From a text to the mathematics: few calls, which a reader can follow one by one."""

import sys
import threading
from pathlib import Path

import pytest
from golden_files import GOLDEN

import minibert
from minibert import SentenceTransformer
from minibert.bert.forward import hidden_states

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


def test_a_lone_text_on_several_threads_has_the_same_path(paths):
    SentenceTransformer(GOLDEN / "gelu").encode("the cat sat")
    (path,) = paths
    assert path[0] == "SentenceTransformer.encode"
    assert len(path) <= 7, path
