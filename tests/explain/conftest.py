"""Models to explain."""

import json

import pytest
from golden_files import copy_of
from prompted import PROMPTS

from minibert import SentenceTransformer


@pytest.fixture
def pooled(tmp_path):
    """A golden model of other poolings: pooled(modes, include_prompt)."""

    def made(modes, include_prompt=True):
        folder = copy_of("poolings", tmp_path)
        settings = {"pooling_mode": modes, "include_prompt": include_prompt}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
        return SentenceTransformer(folder, prompts=PROMPTS, on_long="ignore")

    return made


class OtherModel:
    """A model of another class, with no more than explaining asks of one."""

    def __init__(self, model):
        self.similarity_fn_name, self.on_long = model.similarity_fn_name, model.on_long
        self.vector_parts, self.trace = model.vector_parts, model.trace
        self.get_embedding_dimension = model.get_embedding_dimension
        self.encode_query, self.encode_document = model.encode_query, model.encode_document


@pytest.fixture
def model_of_another_class(folder):
    return OtherModel(SentenceTransformer(folder, prompts=PROMPTS))
