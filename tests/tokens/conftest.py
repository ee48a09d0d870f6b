"""The real MiniLM's tokenizer."""

import pytest
from tokenizing import minilm_tokenizer


@pytest.fixture(scope="session")
def tokenizer(minilm_folder):
    return minilm_tokenizer(minilm_folder)
