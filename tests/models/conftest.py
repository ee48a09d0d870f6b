"""Copies of the golden cross-encoder, and the padded view of a golden model."""

import pytest
from golden_files import copy_of

from minibert import BertModel


@pytest.fixture
def three(tmp_path):
    """A copy of the golden classifier of three labels."""
    return copy_of("cross_encoder", tmp_path)


@pytest.fixture
def one(one_label):
    return one_label


@pytest.fixture
def bert_model(folder):
    """The padded view of a copy of the golden model."""
    return BertModel.from_pretrained(folder)
