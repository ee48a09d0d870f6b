"""Small functions under the names of sentence-transformers' util."""

import io
import logging

import numpy as np
import pytest

from minibert import SentenceTransformer
from minibert.util import disable_logging, fullname, get_device_name, truncate_embeddings


def test_truncated_vectors_keep_their_first_numbers():
    vectors = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(truncate_embeddings(vectors, 2), vectors[:, :, :2])
    assert truncate_embeddings(vectors, None).shape == (2, 3, 4)


def test_the_device_is_that_of_a_model_without_one(folder):
    assert get_device_name() == SentenceTransformer(folder).device


def test_a_full_name_has_the_module_but_for_python_s_own():
    assert fullname(np.random.default_rng(1)) == "numpy.random._generator.Generator"
    assert fullname(np.random.Generator) == "numpy.random._generator.Generator"
    assert fullname("a text") == fullname(str) == "str"


def raising_in_the_block(log):
    with disable_logging(logging.WARNING):
        log.warning("not this")
        log.error("this")
        raise KeyError


def test_messages_are_dropped_in_the_block_alone(monkeypatch):
    stream = io.StringIO()
    log = logging.getLogger("test_reference_util")
    monkeypatch.setattr(log, "handlers", [logging.StreamHandler(stream)])
    with pytest.raises(KeyError):
        raising_in_the_block(log)
    log.warning("and this")
    assert stream.getvalue() == "this\nand this\n"
