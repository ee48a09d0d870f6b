"""Formats give back the texts and the very float32 numbers that went in; one may be added."""

import io
import json
import re
import sys
from itertools import pairwise

import numpy as np
import pytest
from command_line import GELU

from minibert.commands.formats import FORMATS, Batch, Format, write_jsonl, write_npy

TEXTS = [
    "the cat sat.",
    "",
    'a "quoted" \\ backslash',
    "line\nfeed, return\r\nand tab\t",
    "Café 中文 ΑΩ 🐈",
    # Characters at which str.splitlines, unlike a reader of lines, would cut.
    "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
    "\x00\x01\x7f",
]


def vectors_of(rows, dimension=3):
    return np.random.default_rng(7).standard_normal((rows, dimension), dtype=np.float32)


def written(write, batches):
    file = io.BytesIO()
    write([Batch(*batch) for batch in batches], file)
    return file.getvalue()


def read_jsonl(content):
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.removesuffix(b"\n").split(b"\n")]


def read_npy(content):
    return np.load(io.BytesIO(content), allow_pickle=False)


@pytest.fixture(scope="module")
def hard_numbers():
    """Finite float32 numbers of every size: any bits, neighbours of 1, the ends of the range."""
    bits = np.random.default_rng(7).integers(0, 2**32, size=20_000, dtype=np.uint32)
    ends = np.finfo(np.float32)
    near_one = np.nextafter(np.float32(1), np.array([0, 2], dtype=np.float32))
    numbers = np.concatenate(
        [
            bits.view(np.float32),
            near_one,
            np.array([0, 1 / 3, 0.1, 16777216, 123456789], dtype=np.float32),
            np.array([ends.max, ends.min, ends.tiny, ends.smallest_subnormal], dtype=np.float32),
        ]
    )
    return numbers[np.isfinite(numbers)][:, None]  # (n, 1)


def test_jsonl_gives_back_every_text():
    content = written(write_jsonl, [(TEXTS, vectors_of(len(TEXTS)))])
    assert [line["text"] for line in read_jsonl(content)] == TEXTS


def test_jsonl_gives_back_every_float32_exactly(hard_numbers):
    content = written(write_jsonl, [([""] * len(hard_numbers), hard_numbers)])
    numbers = np.array([line["vector"] for line in read_jsonl(content)]).astype(np.float32)
    np.testing.assert_array_equal(numbers, hard_numbers)


def test_a_line_of_jsonl_has_a_text_then_its_vector():
    vectors = np.array([[1, -0.5], [0.25, 2]], dtype=np.float32)
    first, second = read_jsonl(written(write_jsonl, [(["a", "b"], vectors)]))
    assert list(first.items()) == [("text", "a"), ("vector", [1, -0.5])]
    assert list(second.items()) == [("text", "b"), ("vector", [0.25, 2])]


def test_an_id_stands_before_its_text_where_there_is_one():
    content = written(write_jsonl, [(["a", "b"], vectors_of(2), ["d1\x9b", None])])
    first, second = read_jsonl(content)
    assert list(first) == ["id", "text", "vector"]
    assert first["id"] == "d1\x9b"
    assert list(second) == ["text", "vector"]


def test_jsonl_holds_nothing_that_a_terminal_obeys():
    text = "\x1b]0;title\x07 \x9b31m \x7f \u2028 \u202etxt.exe \u2066 \u200e"
    content = written(write_jsonl, [([text], vectors_of(1), [text])]).decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200e]", content)
    assert [json.loads(content)[key] for key in ("id", "text")] == [text, text]


def test_jsonl_is_utf8_that_can_be_read():
    content = written(write_jsonl, [(["Café 中文 🐈"], vectors_of(1))])
    assert "Café 中文 🐈".encode() in content


def test_jsonl_without_texts_is_an_empty_file():
    assert written(write_jsonl, [([], vectors_of(0))]) == b""


def test_jsonl_is_on_disk_batch_by_batch(tmp_path):
    path = tmp_path / "vectors.jsonl"
    seen = []

    def batches():
        for text in ("a", "b"):
            seen.append(path.read_bytes().count(b"\n"))
            yield Batch([text], vectors_of(1))

    with path.open("wb") as file:
        write_jsonl(batches(), file)
        seen.append(path.read_bytes().count(b"\n"))  # still open, so only what was flushed
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("rows", [1, 3])
def test_jsonl_refuses_texts_and_vectors_that_do_not_pair(rows):
    with pytest.raises(ValueError, match="zip"):
        written(write_jsonl, [(["a", "b"], vectors_of(rows))])


def test_npy_gives_back_every_float32_exactly(hard_numbers):
    # Minus zero and NaN as well: it is the bits that are kept.
    special = np.array([[-0.0], [np.nan], [np.inf]], dtype=np.float32)
    numbers = np.concatenate([hard_numbers, special])
    read = read_npy(written(write_npy, [([""] * len(numbers), numbers)]))
    assert read.dtype == np.float32
    assert read.shape == numbers.shape
    assert read.tobytes() == numbers.tobytes()


def test_npy_without_texts_keeps_the_dimension():
    read = read_npy(written(write_npy, [([], vectors_of(0, dimension=7))]))
    assert read.shape == (0, 7)
    assert read.dtype == np.float32


@pytest.mark.parametrize("name", FORMATS)
def test_how_texts_are_batched_does_not_show(name):
    vectors = vectors_of(len(TEXTS))
    cuts = [0, 0, 1, 5, 5, len(TEXTS)]
    batches = [(TEXTS[start:end], vectors[start:end]) for start, end in pairwise(cuts)]
    write = FORMATS[name].write
    assert written(write, batches) == written(write, [(TEXTS, vectors)])


def test_jsonl_and_npy_hold_the_same_numbers():
    batches = [(TEXTS, vectors_of(len(TEXTS)))]
    lines = read_jsonl(written(write_jsonl, batches))
    numbers = np.array([line["vector"] for line in lines], dtype=np.float32)
    np.testing.assert_array_equal(numbers, read_npy(written(write_npy, batches)))


def write_fvecs(batches, file):
    """Write each vector behind its number of dimensions, as sets of vectors are often given."""
    for _, vectors, _ in batches:
        for vector in vectors:
            file.write(np.int32(len(vector)).tobytes() + vector.tobytes())


def test_a_format_from_outside_is_written_by_name_and_by_suffix(run, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "fvecs", Format(write_fvecs, "for other searches", is_text=False))
    expected = run("embed", "-m", GELU, "the cat", "a").vectors
    run("embed", "-m", GELU, "the cat", "a", "-o", tmp_path / "a.fvecs")
    run("embed", "-m", GELU, "the cat", "a", "-o", tmp_path / "b", "--format", "fvecs")
    content = (tmp_path / "a.fvecs").read_bytes()
    assert (tmp_path / "b").read_bytes() == content
    rows = np.frombuffer(content, dtype=np.int32).reshape(2, 21)
    assert rows[:, 0].tolist() == [20, 20]
    np.testing.assert_array_equal(rows[:, 1:].view(np.float32), expected)
    assert "fvecs: for other searches" in " ".join(run("embed", "--help").out.split())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = run("embed", "-m", GELU, "--format", "fvecs", "a")
    assert result.code == 65
    assert "fvecs is no text for a terminal" in result.err
