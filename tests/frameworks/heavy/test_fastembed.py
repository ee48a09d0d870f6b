"""The shape of fastembed, held to fastembed itself."""

import inspect

import fastembed
import pytest

from minibert.integrations.fastembed import SUPPORTED, TextEmbedding

# Not here: to add models of ONNX, for which minibert needs no list.
MISSING = {"EMBEDDINGS_REGISTRY", "add_custom_model"}


def test_all_public_methods_of_fastembed_are_there():
    theirs = {name for name in vars(fastembed.TextEmbedding) if not name.startswith("_")}
    assert theirs - {*dir(TextEmbedding)} == MISSING


@pytest.mark.parametrize(
    "name", ["__init__", "embed", "query_embed", "passage_embed", "get_embedding_size"]
)
def test_a_method_takes_fastembed_s_arguments_in_its_order(name):
    theirs = list(inspect.signature(getattr(fastembed.TextEmbedding, name)).parameters.values())
    ours = list(inspect.signature(getattr(TextEmbedding, name)).parameters.values())
    positional = [one.name for one in theirs if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert [one.name for one in ours][: len(positional)] == positional


def test_supported_models_have_the_dimensions_of_fastembed():
    theirs = {one["model"]: one["dim"] for one in fastembed.TextEmbedding.list_supported_models()}
    assert {name: theirs[name] for name in SUPPORTED} == SUPPORTED
