"""Copies of the golden cross-encoder."""

import pytest
from golden_files import copy_of


@pytest.fixture
def three(tmp_path):
    """A copy of the golden classifier of three labels."""
    return copy_of("cross_encoder", tmp_path)


@pytest.fixture
def one(one_label):
    return one_label
