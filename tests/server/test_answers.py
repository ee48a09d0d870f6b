"""Answers: numbers that come back bit for bit, and large answers in parts, off the loop."""

import base64
import importlib.util
import json
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from in_process import in_process

from minibert.server import answers
from minibert.server.openai import DIALECT
from minibert.server.route import Route


@pytest.fixture(params=["with orjson", "without orjson"])
def module(request, monkeypatch):
    """The module, or a copy of it in a Python that has no orjson."""
    if request.param == "with orjson":
        assert answers.orjson is not None
        return answers
    monkeypatch.setitem(sys.modules, "orjson", None)
    spec = importlib.util.spec_from_file_location("answers_alone", answers.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    assert copy.orjson is None
    return copy


EDGES = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.1, -1e-38, 1e-38, 1.17549435e-38, 1e-42, 1e-45, -1e-45, 3.4028235e38,
     7.038531e-26, 16777216.0, 16777217.0, 123456789.0, 1e9, 0.3, 1 / 3, 8388609.5],
    np.float32,
)  # fmt: skip


def bits(numbers):
    return np.asarray(numbers, np.float32).view(np.uint32).tolist()


@pytest.mark.parametrize("row", [EDGES, EDGES[2:], EDGES[:1], EDGES[1:2]])
def test_floats_come_back_bit_for_bit(module, row):
    found = json.loads(module.as_floats(row))
    assert bits(found) == bits(row)


def test_any_float_comes_back_bit_for_bit(module):
    drawn = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    row = drawn.view(np.float32)[np.isfinite(drawn.view(np.float32))]
    assert bits(json.loads(module.as_floats(row))) == bits(row)


def test_a_number_takes_twelve_characters_and_a_sign(module):
    """A float64's digits would take twenty, half as much again to send and read."""
    row = (np.random.default_rng(1).standard_normal(1000) / 20).astype(np.float32)
    assert len(module.as_floats(row)) < 14.5 * len(row)


def test_a_column_s_numbers_are_written_as_a_row_s(module):
    column = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))[1]
    assert json.loads(module.as_floats(column)) == [3, 4, 5]


def test_base64_is_that_of_little_endian_float32():
    for row in (EDGES, EDGES.astype(">f4"), np.repeat(EDGES, 2)[::2]):
        decoded = base64.b64decode(json.loads(answers.as_base64(row)))
        assert bits(np.frombuffer(decoded, "<f4")) == bits(EDGES)


def test_json_is_utf_8_as_it_stands(module):
    content = {"a": 'é中\u2028"\\\n', "b": [1, 2.5, None, True]}
    written = module.json_bytes(content)
    assert json.loads(written) == content
    assert "é中".encode() in written
    assert b": " not in written


# Rows


def joined(head, key, rows):
    return json.loads(b"".join(answers.in_parts(answers.opening(head, key), rows, number, b"]}")))


def number(index, row):
    return b"%d" % (10 * index + row)


@pytest.mark.parametrize("rows", [[], [1], [1, 2, 3]])
def test_rows_stand_after_the_facts(rows):
    expected = [10 * index + row for index, row in enumerate(rows)]
    assert joined({"a": 1, "b": "x"}, "rows", rows) == {"a": 1, "b": "x", "rows": expected}
    assert joined({}, "rows", rows) == {"rows": expected}


class Writing:
    """A handler that answers with many rows, and where they were written."""

    def __init__(self, rows, key="data", length=1000):
        self.rows, self.key, self.length, self.threads = rows, key, length, set()

    def written(self, index, row):
        self.threads.add(threading.current_thread())
        return b'"%b"' % (b"%d" % index).rjust(self.length)

    async def handler(self, call):
        self.loop = threading.current_thread()
        call.headers["x-kept"] = "yes"
        numbers = self.length * self.rows
        head = {"object": "list"} if self.key else {}
        return answers.rows_answer(call, head, self.key, range(self.rows), self.written, numbers)

    def answer(self):
        route = Route("POST", "/rows", self.handler, DIALECT, "")
        with in_process({}, routes=[route]) as server:
            return server.post("/rows", {})


@pytest.mark.parametrize("key", ["data", None])
@pytest.mark.parametrize("rows", [3, 2000])
def test_small_and_large_answers_have_the_same_form(rows, key):
    writing = Writing(rows, key)
    answer = writing.answer()
    found = answer.json()["data"] if key else answer.json()
    assert [int(row) for row in found] == list(range(rows))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-kept"] == "yes"


def test_only_a_small_answer_tells_its_length():
    assert int(Writing(3).answer().headers["content-length"]) == len(Writing(3).answer().body)
    assert "content-length" not in Writing(2000).answer().headers


def test_a_large_answer_is_written_off_the_loop():
    small, large = Writing(3), Writing(2000)
    small.answer(), large.answer()
    assert small.threads == {small.loop}
    assert large.loop not in large.threads


def test_a_large_answer_needs_memory_for_parts_alone():
    """2,048 vectors of 1,024 numbers are 22 MB of JSON."""
    vectors = np.full((2048, 1024), -1 / 3, np.float32)
    parts = answers.in_parts(b"[", vectors, lambda _, row: answers.as_floats(row), b"]")
    tracemalloc.start()
    sizes = [len(part) for part in parts]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row = len(answers.as_floats(vectors[0])) + 1
    assert sum(sizes) > 22_000_000
    assert max(sizes) < answers.PART + row
    assert peak < 6 * (answers.PART + row)  # one being written, one sent, and room to grow
